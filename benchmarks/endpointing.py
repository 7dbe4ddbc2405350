"""How early speech is found, how exactly its end, and what noise passes for speech.

    python -m benchmarks.endpointing [--data tests/data] [--json FILE]

Each stretch of recorded speech is cut to what is audible (within 40 dB of its peak and out of its own room noise), padded
with silence, given noise at a stated signal-to-noise ratio, and pushed in 20 ms frames at several offsets to the
detector's grids. The true first and last samples are those where a 10 ms step of the clean recording is louder than the
noise added, for nobody hears what lies beneath it. Seeded: the same figures on every run.
"""

import argparse
import asyncio
import contextlib
import json
import wave
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from configs.vad import SileroConfig, VadConfig
from deployments.media.audio import SPEECH_RATE_HZ
from serve_app.gateway.silero import SileroBatcher, SileroModel
from serve_app.session.endpointing import SilenceEndpointing
from serve_app.session.vad import SpeechDetector, SpeechModel, SpeechOffset, SpeechOnset

Samples = npt.NDArray[np.float64]

STEP = 160
LEAD_MS = 600
TAIL_MS = 1000
SILENCE_MS = 500
DIGITAL = float("inf")
"""A signal-to-noise ratio: no noise at all."""

STRETCHES: tuple[tuple[str, int, int], ...] = (
    ("yes", 0, 560),
    ("no", 0, 500),  # a click follows at 840 ms
    ("hello", 0, 720),
    ("help_me", 120, 1200),  # a click precedes
    ("thank_you", 120, 1010),
    ("hi_how_are_you", 0, 1010),
    ("jfk", 250, 2200),  # "And so, my fellow Americans,"
    ("jfk", 3200, 3850),  # "ask not"
    ("jfk", 3900, 4500),
    ("jfk", 5300, 7700),
    ("jfk", 8100, 10500),
)
"""Clip, start and end in ms: speech between pauses."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the detector made of one stretch of speech. Errors in ms; positive is late."""

    stretch: str
    onset_latency_ms: float | None
    """From the first speech sample to the frame with which the onset was reported; None: missed."""
    onset_error_ms: float | None
    end_error_ms: float | None
    decision_error_ms: float | None
    """When the endpoint was decided, against the last speech sample plus the configured silence."""
    onsets: int
    early_endpoints: int
    """Decided before the speech was over."""


def read_clip(path: Path) -> Samples:
    """A mono 16 kHz WAV as float samples in int16 range."""
    with contextlib.closing(wave.open(str(path))) as clip:
        if (clip.getframerate(), clip.getnchannels(), clip.getsampwidth()) != (SPEECH_RATE_HZ, 1, 2):
            raise ValueError(f"{path} is not 16 kHz mono 16-bit")
        return np.frombuffer(clip.readframes(clip.getnframes()), "<i2").astype(np.float64)


def noise(kind: str, count: int, seed: int) -> Samples:
    """White or pink noise of unit power."""
    white = np.random.default_rng(seed).normal(size=count)
    if kind == "white":
        return white
    spectrum = np.fft.rfft(white)
    spectrum[1:] /= np.sqrt(np.arange(1, spectrum.size))
    spectrum[0] = 0
    pink = np.fft.irfft(spectrum, count)
    return pink / pink.std()


def step_levels(samples: Samples) -> Samples:
    """Level of each 10 ms in dB (of one unit)."""
    power = (samples[: samples.size // STEP * STEP].reshape(-1, STEP) ** 2).mean(axis=1)
    return 10 * np.log10(np.maximum(power, 1e-3))


def active_level(samples: Samples) -> float:
    """Mean level of the steps within 20 dB of the peak: the speech without its pauses."""
    levels = step_levels(samples)
    loud = levels[levels > levels.max() - 20]
    return float(10 * np.log10(np.mean(10 ** (loud / 10))))


def ms(samples: float) -> float:
    return samples * 1000 / SPEECH_RATE_HZ


def samples_of_ms(duration_ms: float) -> int:
    return round(duration_ms * SPEECH_RATE_HZ / 1000)


def pcm_of(samples: Samples) -> bytes:
    return np.clip(samples, -32768, 32767).astype("<i2").tobytes()


@dataclass(frozen=True, slots=True)
class Scene:
    """A stretch of speech in its surroundings."""

    name: str
    pcm: bytes
    first_sample: int
    last_sample: int


def scene(clip: Samples, name: str, snr_db: float, kind: str, gain_db: float, offset: int) -> Scene:
    """Pad a stretch and add noise over the whole of it."""
    clip = clip * 10 ** (gain_db / 20)
    noise_db = active_level(clip) - snr_db
    levels = step_levels(clip)
    audible = np.flatnonzero(
        levels > max(levels.max() - 40, min(float(np.percentile(levels, 5)) + 6, levels.max() - 24))
    )
    clip, levels = (part[audible[0] * per : (audible[-1] + 1) * per] for part, per in ((clip, STEP), (levels, 1)))
    speech = np.flatnonzero(levels > noise_db)
    lead = samples_of_ms(LEAD_MS) + offset
    padded = np.concatenate([np.zeros(lead), clip, np.zeros(samples_of_ms(TAIL_MS))])
    if snr_db < DIGITAL:
        padded += noise(kind, padded.size, seed=offset) * 10 ** (noise_db / 20)
    return Scene(name, pcm_of(padded), lead + int(speech[0]) * STEP, lead + int(speech[-1] + 1) * STEP)


async def hear(model: SpeechModel, subject: Scene, config: VadConfig) -> Heard:
    """Push a scene in 20 ms frames."""
    detector = SpeechDetector(model, config)
    policy = SilenceEndpointing(SILENCE_MS)
    onsets: list[SpeechOnset] = []
    offsets: list[SpeechOffset] = []
    decisions: list[int] = []
    in_turn = False
    for start in range(0, len(subject.pcm), 640):
        for edge in await detector.push(subject.pcm[start : start + 640]):
            if isinstance(edge, SpeechOnset):
                onsets.append(edge)
                in_turn = True
            else:
                offsets.append(edge)
        quiet = detector.silence_ms >= policy.required_silence_ms("", None)
        if in_turn and quiet and not detector.undecided:
            decisions.append(detector.heard_samples)
            in_turn = False
    due = subject.last_sample + samples_of_ms(SILENCE_MS)
    return Heard(
        stretch=subject.name,
        onset_latency_ms=ms(onsets[0].detected_sample - subject.first_sample) if onsets else None,
        onset_error_ms=ms(onsets[0].at_sample - subject.first_sample) if onsets else None,
        end_error_ms=ms(offsets[-1].last_speech_sample - subject.last_sample) if offsets else None,
        decision_error_ms=ms(decisions[-1] - due) if decisions else None,
        onsets=len(onsets),
        early_endpoints=sum(at < subject.last_sample for at in decisions),
    )


CONDITIONS: tuple[tuple[str, float, str, float], ...] = (
    ("digital silence", DIGITAL, "white", 0),
    ("digital silence, -20 dB", DIGITAL, "white", -20),
    ("white noise, SNR 30 dB", 30, "white", 0),
    ("white noise, SNR 20 dB", 20, "white", 0),
    ("pink noise, SNR 20 dB", 20, "pink", 0),
    ("pink noise, SNR 20 dB, -20 dB", 20, "pink", -20),
    ("pink noise, SNR 10 dB", 10, "pink", 0),
    ("white noise, SNR 5 dB", 5, "white", 0),
)
"""Name, signal-to-noise ratio, noise, gain."""


def scenes(data: Path, snr_db: float, kind: str, gain_db: float) -> Iterator[Scene]:
    """All stretches, at four offsets to the grids of 20 and 32 ms."""
    for clip, start_ms, end_ms in STRETCHES:
        samples = read_clip(data / f"{clip}.wav")[samples_of_ms(start_ms) : samples_of_ms(end_ms)]
        for offset in (0, 130, 270, 410):
            yield scene(samples, f"{clip}@{start_ms}", snr_db, kind, gain_db, offset)


def noises(data: Path) -> Iterator[tuple[str, Samples]]:
    """Sounds that are not speech, 3 to 10 s each."""
    rng = np.random.default_rng(7)
    for clip in ("noise_dog_bark", "noise_ringing_phone"):
        samples = read_clip(data / f"{clip}.wav")
        for gain_db in (-20, -10, 0, 6):
            yield f"{clip} {gain_db:+d} dB", samples * 10 ** (gain_db / 20)
            yield (
                f"{clip} {gain_db:+d} dB in pink noise",
                samples * 10 ** (gain_db / 20) + 200 * noise("pink", samples.size, 3),
            )
    for kind in ("white", "pink"):
        for level in (30, 300, 3000):
            yield f"{kind} noise, rms {level}", level * noise(kind, 10 * SPEECH_RATE_HZ, level)
    clicks = 30 * rng.normal(size=10 * SPEECH_RATE_HZ)
    for at in range(4000, clicks.size - 4000, 3700):
        clicks[at : at + 300] += 9000 * rng.normal(size=300) * np.exp(-np.arange(300) / 60)
    yield "keyboard (synthetic)", clicks
    beeps = np.sin(2 * np.pi * 1000 * np.arange(5 * SPEECH_RATE_HZ) / SPEECH_RATE_HZ) * 8000
    yield "beeps of 1 kHz", beeps * (np.arange(beeps.size) // 4000 % 2)
    no = read_clip(data / "no.wav")[samples_of_ms(600) :]
    yield "click after 'no'", np.concatenate([no, np.zeros(8000)])


async def false_onsets(model: SpeechModel, samples: Samples, config: VadConfig) -> int:
    """Onsets in a sound without speech, after and before half a second of quiet."""
    quiet = np.random.default_rng(5).normal(size=SPEECH_RATE_HZ // 2) * 5
    pcm = pcm_of(np.concatenate([quiet, samples, quiet]))
    detector = SpeechDetector(model, config)
    found = 0
    for start in range(0, len(pcm), 640):
        found += sum(isinstance(edge, SpeechOnset) for edge in await detector.push(pcm[start : start + 640]))
    return found


def percentiles(values: list[float], absolute: bool = False) -> str:
    if not values:
        return "-"
    figures = np.abs(values) if absolute else np.array(values)
    return f"{np.percentile(figures, 50):5.0f} /{np.percentile(figures, 95):5.0f}"


async def main(data: Path, out: Path | None) -> None:
    model = SileroBatcher(SileroModel(), SileroConfig())
    config = VadConfig()
    report: dict[str, object] = {}
    print(
        f"{'speech, p50 / p95 in ms':32} onset latency  |onset error|   |end error|  decision error  missed split early"
    )
    for name, snr_db, kind, gain_db in CONDITIONS:
        heard = [await hear(model, subject, config) for subject in scenes(data, snr_db, kind, gain_db)]
        print(
            f"{name:32} {percentiles([h.onset_latency_ms for h in heard if h.onset_latency_ms is not None]):>13}"
            f" {percentiles([h.onset_error_ms for h in heard if h.onset_error_ms is not None], True):>14}"
            f" {percentiles([h.end_error_ms for h in heard if h.end_error_ms is not None], True):>13}"
            f" {percentiles([h.decision_error_ms for h in heard if h.decision_error_ms is not None]):>15}"
            f" {sum(h.onset_latency_ms is None for h in heard):7d} {sum(h.onsets > 1 for h in heard):5d}"
            f" {sum(h.early_endpoints for h in heard):5d}"
        )
        report[name] = [asdict(h) for h in heard]
    print("\nfalse onsets")
    for name, samples in noises(data):
        found = await false_onsets(model, samples, config)
        print(f"{name:44} {found}")
        report[name] = found
    await model.close()
    if out is not None:
        out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("tests/data"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    asyncio.run(main(options.data, options.json))
