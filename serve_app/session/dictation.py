"""The words of a recording of any length."""

from typing import Final

import numpy as np

from deployments.asr.client import AsrClient
from deployments.asr.contract import AsrOptions, Transcript
from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ, ms_to_samples, samples_of
from serve_app.session.ids import new_id

PIECE_MS: Final = 50_000.0
"""Of one utterance, at most: recognisers take a minute."""
_CUT_WITHIN_MS: Final = 15_000.0
"""A piece ends where the last so much of it is quietest."""
_QUIET_MS: Final = 200.0
_PUSH_BYTES: Final = BYTES_PER_SAMPLE * SPEECH_RATE_HZ
"""1 s at a time: so soon the recogniser rests when nobody wants the words any more."""


async def recognised(asr: AsrClient, pcm: bytes, language: str | None) -> Transcript:
    """What is said in a recording (16 kHz), as one transcript; the language is the first piece's.

    Raises what `AsrClient` raises.
    """
    session_id = new_id("sess")
    texts: list[str] = []
    spoken = language
    for piece in pieces(pcm):
        heard = await _utterance(asr, session_id, piece, language)
        spoken = spoken or heard.language
        if heard.text.strip():
            texts.append(heard.text.strip())
    return Transcript(" ".join(texts), final=True, language=spoken)


def pieces(pcm: bytes) -> list[bytes]:
    """A recording cut where it is quiet into pieces that a recogniser takes. Joined they are the recording."""
    cut: list[bytes] = []
    most = BYTES_PER_SAMPLE * ms_to_samples(PIECE_MS, SPEECH_RATE_HZ)
    at = 0
    while len(pcm) - at > most:
        end = at + _quietest(pcm[at : at + most])
        cut.append(pcm[at:end])
        at = end
    return [*cut, pcm[at:]]


def _quietest(piece: bytes) -> int:
    """Where to cut, in bytes: the middle of the quietest stretch near the end."""
    step = ms_to_samples(_QUIET_MS, SPEECH_RATE_HZ)
    tail = ms_to_samples(_CUT_WITHIN_MS, SPEECH_RATE_HZ) // step * step
    samples = np.frombuffer(piece, "<i2")[-tail:].astype(np.float32).reshape(-1, step)
    quietest = int(np.argmin(np.square(samples).sum(axis=1)))
    return BYTES_PER_SAMPLE * (samples_of(piece) - tail + quietest * step + step // 2)


async def _utterance(asr: AsrClient, session_id: str, pcm: bytes, language: str | None) -> Transcript:
    utterance = asr.open(session_id, AsrOptions(language))
    try:
        for at in range(0, len(pcm), _PUSH_BYTES):
            await utterance.push(pcm[at : at + _PUSH_BYTES])
        return await utterance.finalize()
    finally:
        await utterance.close()
