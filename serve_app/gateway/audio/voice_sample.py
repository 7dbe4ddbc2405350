"""Is a recording good enough to be cloned? Measured, and refused with the reason."""

import asyncio
import math

import numpy as np
import numpy.typing as npt

from configs.audio_api import VoicesApiConfig
from deployments.media.audio import SPEECH_RATE_HZ, VOICE_RATE_HZ, samples_of, to_float
from deployments.media.resample import Resampler
from deployments.runtime.errors import InvalidRequest
from serve_app.gateway.silero import SileroModel
from serve_app.session.speech_model import CHUNK_SAMPLES, SpeechStream

_FULL_SCALE = 0.985
"""Of the largest sample, from which one counts as clipped: decoding and resampling blur what was cut off."""
_FRAME = VOICE_RATE_HZ // 50
_FAINTEST_DB = -100.0


async def check_sample(pcm: bytes, model: SileroModel, config: VoicesApiConfig) -> None:
    """Look at a recording (24 kHz). Raises InvalidRequest with what is wrong and what to do."""
    reason = await asyncio.to_thread(_fault, pcm, model, config)
    if reason is not None:
        code, message = reason
        raise InvalidRequest(message, code, "audio_sample")


def _fault(pcm: bytes, model: SileroModel, config: VoicesApiConfig) -> tuple[str, str] | None:
    """What is wrong: a code, and words."""
    sound = to_float(pcm)
    length_s = samples_of(pcm) / VOICE_RATE_HZ
    if not config.min_sample_s <= length_s <= config.max_sample_s:
        wanted = f"send {config.min_sample_s:g} to {config.max_sample_s:g} s"
        return "sample_length", f"The recording has {length_s:.1f} s: {wanted}."
    loud_db, faint_db = _levels_db(sound)
    if loud_db < config.min_level_db:
        return "sample_too_quiet", f"The recording is too quiet ({loud_db:.0f} dB): speak closer to the microphone."
    clipped = float(np.mean(np.abs(sound) >= _FULL_SCALE))
    if clipped > config.max_clipped:
        return "sample_clipped", f"The recording is clipped ({clipped:.1%} of it): record it with less gain."
    speech_s = _speech_s(pcm, model)
    if speech_s < config.min_speech_s:
        message = f"There are only {speech_s:.1f} s of speech in the recording: at least {config.min_speech_s:g} s."
        return "sample_without_speech", message
    if loud_db - faint_db < config.min_snr_db:
        snr_db = loud_db - faint_db
        message = (
            f"The recording is noisy: speech stands out of the noise by {snr_db:.0f} dB only. Find a quieter room."
        )
        return "sample_noisy", message
    return None


def _levels_db(sound: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Levels of 20 ms that 3 % of the recording are above, and 5 % below: speech, and what is behind it."""
    frames = sound[: sound.size // _FRAME * _FRAME].reshape(-1, _FRAME).astype(np.float64)
    power = np.mean(np.square(frames), axis=1)
    levels = 10 * np.log10(np.maximum(power, math.pow(10, _FAINTEST_DB / 10)))
    return float(np.percentile(levels, 97)), float(np.percentile(levels, 5))


def _speech_s(pcm: bytes, model: SileroModel) -> float:
    heard = Resampler(VOICE_RATE_HZ, SPEECH_RATE_HZ).push(pcm, last=True)
    whole = heard[: len(heard) // (2 * CHUNK_SAMPLES) * (2 * CHUNK_SAMPLES)]
    chances = model.run([(SpeechStream(), whole)])[0]
    return sum(chance >= 0.5 for chance in chances) * CHUNK_SAMPLES / SPEECH_RATE_HZ
