"""Fit the weights of `deployments/avatar/audio_mouth_weights.py` and write that file.

    python -m benchmarks.fit_audio_mouth

Spoken sentences of the tuned half give the sound, their phonemes what the mouth should do. Each is heard as it is, and
through a brighter, a duller and a narrower microphone in noise, so that one synthesiser's spectrum is not learnt by
heart. Least squares for jaw, width and rounding, logistic regression for contact of lips and teeth, both with a penalty
on large weights.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.spoken_scenes import SpokenScene, spoken_scenes
from deployments.avatar.audio_features import FEATURES, HOP_SAMPLES, Floats
from deployments.avatar.audio_mouth import AudioMouth
from deployments.avatar.coarticulation import mouth_at, segments_of
from deployments.avatar.contract import BLOCK_SAMPLES
from deployments.media.audio import VOICE_RATE_HZ, from_float, to_float
from deployments.media.resample import Resampler

OUTPUTS: Final = ("jaw", "width", "rounding", "press", "bite")
AHEAD_BYTES: Final = VOICE_RATE_HZ * 2 * 80 // 1000
PENALTY: Final = 30.0
CONTACT: Final = 0.95
"""Of the phonemes' press and bite: above it lips or teeth touch."""
_TARGET: Final = Path(__file__).parents[1] / "deployments" / "avatar" / "audio_mouth_weights.py"


@dataclass(frozen=True, slots=True)
class Hearing:
    """How a voice comes in."""

    tilt: float = 0.0
    """Of a first-order filter y[n] = x[n] + tilt × x[n − 1]: negative is brighter."""
    noise: float = 0.0
    """Root mean square against full scale."""
    rate_hz: int = VOICE_RATE_HZ
    """Of the speech engine."""


HEARINGS: Final = (
    Hearing(),
    Hearing(tilt=-0.5, noise=0.0005),
    Hearing(tilt=0.4, noise=0.002),
    Hearing(noise=0.001, rate_hz=16_000),
)


def heard(scene: SpokenScene, hearing: Hearing) -> bytes:
    """The scene through another microphone in another room. Seeded."""
    narrow = Resampler(VOICE_RATE_HZ, hearing.rate_hz).push(scene.pcm, last=True)
    samples = to_float(Resampler(hearing.rate_hz, VOICE_RATE_HZ).push(narrow, last=True)).astype(np.float64)
    samples[1:] += hearing.tilt * samples[:-1].copy()
    return from_float(0.8 * samples + np.random.default_rng(len(scene.pcm)).normal(0.0, hearing.noise, samples.size))


def examples(scene: SpokenScene, pcm: bytes, mouth: AudioMouth) -> tuple[Floats, Floats]:
    """Measures and what the mouth does, for every hop. Shapes: (hops, features), (hops, outputs)."""
    block_bytes = 2 * BLOCK_SAMPLES
    hops = BLOCK_SAMPLES // HOP_SAMPLES
    measured = [
        mouth.measure(pcm[at : at + block_bytes], pcm[at + block_bytes : at + block_bytes + AHEAD_BYTES])[0][:hops]
        for at in range(0, len(pcm) // block_bytes * block_bytes, block_bytes)
    ]
    inputs = np.concatenate(measured)
    at_ms = np.arange(0.0, 10.0 * inputs.shape[0], 10.0)
    track = mouth_at(segments_of(scene.phonemes, VOICE_RATE_HZ), at_ms)
    contacts = [(track.press > CONTACT).astype(float), (track.bite > CONTACT).astype(float)]
    return inputs, np.stack([track.jaw, track.width, track.rounding, *contacts], axis=1)


def fit(inputs: Floats, outputs: Floats) -> tuple[Floats, Floats]:
    """Weights (features, outputs) and offsets (outputs,)."""
    centre, scale = inputs.mean(axis=0), inputs.std(axis=0)
    rows = np.c_[(inputs - centre) / scale, np.ones(inputs.shape[0])]
    penalty = PENALTY * np.eye(rows.shape[1])
    columns = [np.linalg.solve(rows.T @ rows + penalty, rows.T @ outputs[:, k]) for k in range(3)]
    columns += [_logistic_fit(rows, outputs[:, k], penalty) for k in range(3, outputs.shape[1])]
    weights = np.stack([column[:-1] / scale for column in columns], axis=1)
    return weights, np.array([column[-1] for column in columns]) - centre @ weights


def _logistic_fit(rows: Floats, wanted: Floats, penalty: Floats) -> Floats:
    """By Newton's method, which is settled after a few steps."""
    weights = np.zeros(rows.shape[1])
    for _ in range(12):
        likely = 1.0 / (1.0 + np.exp(-np.clip(rows @ weights, -50, 50)))
        slope = rows.T @ (wanted - likely) - penalty @ weights
        weights += np.linalg.solve((rows * (likely * (1 - likely))[:, None]).T @ rows + penalty, slope)
    return weights


def source(weights: Floats, offsets: Floats) -> str:
    """The file."""
    rows = "\n".join(
        "        (" + ", ".join(f"{value:.5f}" for value in row) + f"),  # {name}"
        for name, row in zip(FEATURES, weights, strict=True)
    )
    return f'''"""What `audio_mouth.py` multiplies its measures with. Written by `benchmarks/fit_audio_mouth.py`."""

from typing import Final

import numpy as np

WEIGHTS: Final = np.array(
    (
        # {", ".join(OUTPUTS)}
{rows}
    )
)
"""Shape: (features, outputs)."""

OFFSETS: Final = np.array(({", ".join(f"{value:.5f}" for value in offsets)}))
"""Shape: (outputs,)."""
'''


def main() -> None:
    mouth = AudioMouth()
    pairs = [
        examples(scene, heard(scene, hearing), mouth)
        for scene in spoken_scenes()
        if scene.tuned
        for hearing in HEARINGS
    ]
    inputs, outputs = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    _TARGET.write_text(source(*fit(inputs, outputs)), encoding="utf-8")
    print(f"{inputs.shape[0]} examples; wrote {_TARGET.name}")


if __name__ == "__main__":
    main()
