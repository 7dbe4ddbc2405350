"""The speech model asked once more: about the same sound with the noise suppressed.

In noise of 5 to 10 dB below the speech Silero misses first words, of the sound as it is and of what suppression makes
of it, but seldom the same ones.
"""

from collections import deque

from serve_app.session.noise_suppression import LEARNED_SAMPLES, NoiseSuppressor
from serve_app.session.recent_sound import RecentSound, floats_of, model_gain_db, pcm_of
from serve_app.session.speech_model import CHUNK_SAMPLES, SpeechStream

_NOISE_TO_DB = -20.0
"""How loud the noise may get that was there before it was suppressed."""
_KEPT_CHUNKS = 17
"""More than the longest `preroll_ms`."""


class SecondOpinion:
    """Of one session, while it is asked."""

    def __init__(self) -> None:
        self.stream = SpeechStream()
        self._suppressor: NoiseSuppressor | None = None
        self._latest: deque[float] = deque(maxlen=_KEPT_CHUNKS)

    @property
    def given(self) -> bool:
        """It has begun and has not ended."""
        return self._suppressor is not None

    def begin(self, sound: RecentSound, at_sample: int) -> bool:
        """Learn the noise before the chunk that begins there; False where too little was heard for that."""
        suppressor = NoiseSuppressor()
        suppressor.learn(floats_of(sound.between(at_sample - LEARNED_SAMPLES, at_sample)))
        if not suppressor.knows_noise:
            return False
        self._suppressor = suppressor
        return True

    def end(self) -> None:
        """Forget it all."""
        self._suppressor = None
        self.stream.memory = None
        self._latest.clear()

    def sound(self, pcm: bytes, peak_db: float, noise_db: float) -> bytes:
        """What the model is to judge of the next chunks."""
        assert self._suppressor is not None
        gain_db = model_gain_db(peak_db, noise_db, _NOISE_TO_DB)
        samples = floats_of(pcm)
        chunks = (samples[at : at + CHUNK_SAMPLES] for at in range(0, samples.size, CHUNK_SAMPLES))
        return b"".join(pcm_of(self._suppressor.clean(chunk), gain_db) for chunk in chunks)

    def take(self, probabilities: list[float]) -> None:
        """The model's answer."""
        self._latest += probabilities

    def latest(self, count: int) -> list[float]:
        """The last answers, in order; 0 for chunks it was not asked about."""
        known = list(self._latest)[-count:]
        return [0.0] * (count - len(known)) + known
