"""How speech ends before a pause: by its pitch and loudness, the speaker is through, or holds on.

Turns end on a final lowering of pitch and energy; who looks for words holds both (A. Gravano and J. Hirschberg,
"Turn-taking cues in task-oriented dialogue", 2011).
"""

import enum

import numpy as np
import numpy.typing as npt

from configs.vad import ProsodyConfig
from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ, level_db, ms_to_samples, samples_of
from serve_app.session.pitch import HOP_MS, PitchTrack, Values, track_pitch

_JUDGED_SAMPLES = ms_to_samples(1200, SPEECH_RATE_HZ)
"""Before the pause: enough to know what is low for this speaker."""
_KEPT_BYTES = BYTES_PER_SAMPLE * (_JUDGED_SAMPLES + ms_to_samples(600, SPEECH_RATE_HZ))
"""With the part of the pause that has passed when it is asked about."""
_SURPLUS_BYTES = BYTES_PER_SAMPLE * ms_to_samples(320, SPEECH_RATE_HZ)
_ASKED_SAMPLES = ms_to_samples(240, SPEECH_RATE_HZ)
"""No wait is shorter by default, and most shorter silences are within a sentence: not worth the work."""
_SAME_END_SAMPLES = ms_to_samples(40, SPEECH_RATE_HZ)
"""The end of speech is found more exactly with each frame of silence; so much changes nothing here."""
_JUMP_ST = 2.0
"""From frame to frame no voice moves as far: an octave error, or another sound."""
_RUN_FRAMES = 5
"""A voiced stretch shorter than 50 ms tells nothing."""
_END_FRAMES, _BEFORE_FRAMES = 5, 22
"""Voiced frames at the end, and those before with which they are compared: 50 and 220 ms."""


class Ending(enum.Enum):
    """How speech ends."""

    FALLING = "pitch and energy fall: the speaker is through"
    LEVEL = "pitch and energy are held: more comes"
    RISING = "the pitch rises: a question, or more comes"
    UNKNOWN = "too little voice to tell, too much noise, or a mixture"


class Prosody:
    """Hears one session's speech and judges its end once per pause.

    CPU: 0.5 µs per frame of 20 ms, and 1.2 ms for a pause of 240 ms or more.
    """

    def __init__(self, config: ProsodyConfig) -> None:
        self._config = config
        self._recent = bytearray()
        self._heard = 0
        self._judged_end = -_SAME_END_SAMPLES
        self._ending = Ending.UNKNOWN

    def hear(self, frame: bytes) -> None:
        """Take the next sound, 16 kHz PCM."""
        self._heard += samples_of(frame)
        self._recent += frame
        if len(self._recent) > _KEPT_BYTES + _SURPLUS_BYTES:
            del self._recent[:-_KEPT_BYTES]

    def ending(self, silence_samples: int) -> Ending:
        """How the speech ended that was followed by so much silence; UNKNOWN for 240 ms."""
        if silence_samples < _ASKED_SAMPLES:
            return Ending.UNKNOWN
        end = self._heard - silence_samples
        if abs(end - self._judged_end) >= _SAME_END_SAMPLES:
            self._judged_end = end
            self._ending = self._judge(silence_samples)
        return self._ending

    def _judge(self, silence_samples: int) -> Ending:
        end = max(0, len(self._recent) - silence_samples * BYTES_PER_SAMPLE)
        speech = bytes(self._recent[max(0, end - _JUDGED_SAMPLES * BYTES_PER_SAMPLE) : end])
        pause = bytes(self._recent[end:])
        if not speech or level_db(speech) - level_db(pause) < self._config.min_snr_db:
            return Ending.UNKNOWN
        return ending_of(track_pitch(speech), self._config)


def ending_of(track: PitchTrack, config: ProsodyConfig) -> Ending:
    """How a stretch of speech ends."""
    pitch_st = _semitones(track)
    steady = _steady(pitch_st)
    at = np.flatnonzero(steady)
    least_frames = max(config.min_voiced_ms / HOP_MS, 2 * _END_FRAMES)
    if at.size < least_frames:
        return Ending.UNKNOWN
    pitch_st, levels_db = pitch_st[at], track.level_db[at]
    end_st = float(np.median(pitch_st[-_END_FRAMES:]))
    fall_st = float(np.median(pitch_st[-_END_FRAMES - _BEFORE_FRAMES : -_END_FRAMES])) - end_st
    low_st = float(np.median(pitch_st)) - end_st
    decay_db = float(np.percentile(levels_db, 75) - np.median(levels_db[-_END_FRAMES:]))
    if low_st >= config.low_st and fall_st >= config.fall_st:
        return Ending.FALLING if decay_db >= config.decay_db else Ending.UNKNOWN
    if fall_st <= -config.level_st:
        return Ending.RISING
    unvoiced_ms = (track.hz.size - 1 - int(at[-1])) * HOP_MS
    level = fall_st < config.level_st and low_st < config.low_st
    held = decay_db < config.held_db and unvoiced_ms <= config.held_until_ms
    return Ending.LEVEL if level and held else Ending.UNKNOWN


def _semitones(track: PitchTrack) -> Values:
    """Above 1 Hz; NaN where there is no pitch. Shape: (frames,)."""
    st: Values = np.where(track.voiced, 12 * np.log2(np.maximum(track.hz, 1)), np.nan).astype(np.float32)
    return st


def _steady(pitch_st: Values) -> npt.NDArray[np.bool_]:
    """Which frames belong to a stretch of pitch without jumps that is long enough. Shape: (frames,)."""
    if pitch_st.size == 0:
        return np.zeros(0, dtype=np.bool_)
    voiced = ~np.isnan(pitch_st)
    goes_on = np.abs(np.diff(pitch_st)) < _JUMP_ST
    # Numbers each stretch; what lies between two neighbours that do not go on is a stretch of one.
    stretch = np.concatenate([[0], np.cumsum(~goes_on)])
    lengths = np.bincount(stretch)
    steady: npt.NDArray[np.bool_] = voiced & (lengths[stretch] >= _RUN_FRAMES)
    return steady
