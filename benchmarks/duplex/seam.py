"""How exactly a held reply goes on: the sound that was lost or said twice where it was joined again."""

from collections.abc import Sequence

import numpy as np

from benchmarks.duplex.playback import Block
from benchmarks.speech_scenes import Samples
from deployments.media.audio import VOICE_RATE_HZ, ms_to_samples

FADE_SAMPLES = ms_to_samples(10, VOICE_RATE_HZ)
_SEARCHED = ms_to_samples(200, VOICE_RATE_HZ)
_COMPARED = ms_to_samples(100, VOICE_RATE_HZ)
_AUDIBLE = 30.0
"""Rms below which a stretch is a pause, where any place looks like any other."""


def fades(blocks: Sequence[Block], *, complete: bool) -> list[int]:
    """Which blocks of a reply are the fades of a hold: 10 ms that come again when it goes on.

    The last block of a reply that was said to its end is none, however short.
    """
    last = len(blocks) - 1 if complete else len(blocks)
    return [n for n, block in enumerate(blocks) if block.samples == FADE_SAMPLES and n < last]


def errors_by_fade_ms(blocks: Sequence[Block], *, complete: bool) -> list[float]:
    """At each resumption: the fade that ended the sound against the same 10 ms, faded in, that begin it again.

    With the ramps undone both are the same samples, unless the reply goes on elsewhere. Needs no reference, so it works
    with a synthesiser that never says a thing twice in the same way.
    """
    found = []
    for n in fades(blocks, complete=complete):
        if n + 1 < len(blocks):
            error = _overlap_ms(_samples(blocks[n]), _samples(blocks[n + 1]))
            if error is not None:
                found.append(error)
    return found


def errors_by_reference_ms(blocks: Sequence[Block], reference: Samples, *, complete: bool) -> list[float]:
    """At each resumption: how far what follows lies from where it belongs in the undisturbed reply."""
    left_out = set(fades(blocks, complete=complete))
    kept = [_samples(block) for n, block in enumerate(blocks) if n not in left_out]
    sound: Samples = np.concatenate(kept) if kept else np.zeros(0)
    found = []
    for n in sorted(left_out):
        at = sum(block.samples for k, block in enumerate(blocks[:n]) if k not in left_out)
        first = at + FADE_SAMPLES
        error = _displaced_ms(sound[first : first + _COMPARED], reference, first)
        if error is not None:
            found.append(error)
    return found


def _samples(block: Block) -> Samples:
    return np.frombuffer(block.pcm, "<i2").astype(np.float64)


def _overlap_ms(faded_out: Samples, faded_in: Samples) -> float | None:
    ramp = np.linspace(1, 0, FADE_SAMPLES, endpoint=False)
    middle = slice(FADE_SAMPLES // 4, 3 * FADE_SAMPLES // 4)
    before = (faded_out / np.maximum(ramp, 0.01))[middle]
    if faded_in.size < FADE_SAMPLES or float(np.sqrt((before**2).mean())) < _AUDIBLE:
        return None
    after = faded_in.copy()
    after[:FADE_SAMPLES] /= np.maximum(1 - ramp, 0.01)
    span = before.size
    costs = [float(((after[at : at + span] - before) ** 2).sum()) for at in range(after.size - span + 1)]
    return abs(int(np.argmin(costs)) - middle.start) * 1000 / VOICE_RATE_HZ


def _displaced_ms(piece: Samples, reference: Samples, at: int) -> float | None:
    if piece.size < _COMPARED or float(np.sqrt((piece**2).mean())) < _AUDIBLE:
        return None
    start = max(0, at - _SEARCHED)
    around = reference[start : at + _SEARCHED + piece.size]
    if around.size < piece.size:
        return (at + piece.size - reference.size) * 1000 / VOICE_RATE_HZ
    energies = np.cumsum(np.concatenate([[0.0], around**2]))
    costs = energies[piece.size :] - energies[: -piece.size] - 2 * np.correlate(around, piece)
    return abs(start + int(np.argmin(costs)) - at) * 1000 / VOICE_RATE_HZ
