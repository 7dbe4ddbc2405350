"""How early speech is found, how exactly its end, what noise passes for speech, and what that costs.

    python -m benchmarks.endpointing [--data tests/data] [--json FILE]

Pushes the scenes of `speech_scenes.py` in 20 ms frames, as fast as they go. No clock and no thread takes part in the
quality figures, so they are the same on every run. CPU is that of the whole process, with sessions in real time.
"""

import argparse
import asyncio
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.speech_scenes import CONDITIONS, Scene, not_speech, pcm_of, read_clip, recorded_noise_in_noise, scenes
from configs.vad import SileroConfig
from deployments.media.audio import SPEECH_RATE_HZ, ms_to_samples, samples_to_ms
from serve_app.gateway.silero import SileroBatcher, SileroModel
from serve_app.session.speech_model import SpeechModel
from serve_app.session.vad import SpeechDetector, SpeechOffset, SpeechOnset

FRAME_BYTES = 640
SILENCE_MS = 500.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What the detector made of one scene. Errors in ms, positive is late; None where speech was missed."""

    scene: str
    onset_latency_ms: float | None
    """From the first speech sample to the frame with which the onset was reported."""
    onset_error_ms: float | None
    end_error_ms: float | None
    decision_error_ms: float | None
    """When a silence of 500 ms ended the turn, against the last speech sample plus 500 ms."""
    onsets: int
    early_endpoints: int
    """Turns ended before the speech was over."""


async def hear(model: SpeechModel, scene: Scene) -> Heard:
    """Push a scene."""
    detector = SpeechDetector(model)
    onsets: list[SpeechOnset] = []
    offsets: list[SpeechOffset] = []
    decisions: list[int] = []
    in_turn = False
    for start in range(0, len(scene.pcm), FRAME_BYTES):
        for edge in await detector.push(scene.pcm[start : start + FRAME_BYTES]):
            if isinstance(edge, SpeechOnset):
                onsets.append(edge)
                in_turn = True
            else:
                offsets.append(edge)
        if in_turn and detector.silence_ms >= SILENCE_MS and not detector.undecided:
            decisions.append(detector.heard_samples)
            in_turn = False
    due = scene.last_sample + ms_to_samples(SILENCE_MS, SPEECH_RATE_HZ)
    return Heard(
        scene=scene.name,
        onset_latency_ms=_ms(onsets[0].detected_sample - scene.first_sample) if onsets else None,
        onset_error_ms=_ms(onsets[0].at_sample - scene.first_sample) if onsets else None,
        end_error_ms=_ms(offsets[-1].last_speech_sample - scene.last_sample) if offsets else None,
        decision_error_ms=_ms(decisions[-1] - due) if decisions else None,
        onsets=len(onsets),
        early_endpoints=sum(at < scene.last_sample for at in decisions),
    )


async def count_onsets(model: SpeechModel, pcm: bytes) -> int:
    """Onsets in a sound."""
    detector = SpeechDetector(model)
    frames = (pcm[start : start + FRAME_BYTES] for start in range(0, len(pcm), FRAME_BYTES))
    return sum([isinstance(edge, SpeechOnset) for frame in frames for edge in await detector.push(frame)])


async def frame_cost_us(model: SpeechModel, pcm: bytes, sessions: int, frames: int = 150) -> float:
    """CPU per frame and session above that of a loop that only waits, sessions out of step and in real time."""
    loop = asyncio.get_running_loop()

    async def session(number: int, detector: SpeechDetector | None) -> None:
        begin_s = loop.time() + 0.02 * number / sessions
        for n in range(frames):
            await asyncio.sleep(max(0.0, begin_s + 0.02 * n - loop.time()))
            if detector is not None:
                await detector.push(pcm[n * FRAME_BYTES : (n + 1) * FRAME_BYTES])

    spent_s = []
    for detect in (True, False):
        before_s = time.process_time()
        async with asyncio.TaskGroup() as group:
            for number in range(sessions):
                group.create_task(session(number, SpeechDetector(model) if detect else None))
        spent_s.append(time.process_time() - before_s)
    return (spent_s[0] - spent_s[1]) * 1e6 / (frames * sessions)


async def measure_quality(model: SpeechModel, data: Path) -> dict[str, object]:
    """Print and return what was heard in every scene."""
    report: dict[str, object] = {}
    print(
        f"{'speech: p50 / p95 in ms':32} onset latency  |onset error|   |end error| |decision error| missed split early"
    )
    for condition in CONDITIONS:
        heard = [await hear(model, scene) for scene in scenes(data, condition)]
        report[condition.name] = [asdict(one) for one in heard]
        print(
            f"{condition.name:32} {_percentiles([h.onset_latency_ms for h in heard])} "
            f"{_percentiles([h.onset_error_ms for h in heard])} {_percentiles([h.end_error_ms for h in heard])} "
            f" {_percentiles([h.decision_error_ms for h in heard])} {sum(h.onsets == 0 for h in heard):6d}"
            f" {sum(h.onsets > 1 for h in heard):5d} {sum(h.early_endpoints for h in heard):5d}"
        )
    print("\nfalse onsets")
    for name, pcm in not_speech(data):
        report[name] = await count_onsets(model, pcm)
        print(f"{name:44} {report[name]}")
    for clip in ("noise_dog_bark", "noise_ringing_phone"):
        found = [await count_onsets(model, pcm) for pcm in recorded_noise_in_noise(data, clip)]
        report[f"{clip} in noise"] = found
        print(f"{clip + ' in noise':44} {sum(found)} in {len(found)} mixtures")
    return report


async def measure_cost(model: SpeechModel, data: Path) -> dict[str, float]:
    """Print and return the CPU per frame."""
    costs: dict[str, float] = {}
    room = pcm_of(20 * np.random.default_rng(0).normal(size=4 * SPEECH_RATE_HZ))
    speech = pcm_of(read_clip(data / "jfk.wav")[5300 * 16 : 9500 * 16])
    print("\nCPU per 20 ms frame and session")
    for sound, pcm in (("quiet room", room), ("speech", speech)):
        for sessions in (1, 10, 40):
            name = f"{sound}, {sessions} sessions"
            costs[name] = await frame_cost_us(model, pcm, sessions)
            print(f"{name:44} {costs[name]:.0f} µs")
    return costs


async def measure(data: Path) -> dict[str, object]:
    """Everything."""
    model = SileroBatcher(SileroModel(), SileroConfig())
    try:
        return {**await measure_quality(model, data), "cost_us": await measure_cost(model, data)}
    finally:
        await model.close()


def _ms(samples: int) -> float:
    return samples_to_ms(samples, SPEECH_RATE_HZ)


def _percentiles(values: list[float | None]) -> str:
    figures = [abs(value) for value in values if value is not None]
    return f"{np.percentile(figures, 50):7.0f} /{np.percentile(figures, 95):5.0f}" if figures else f"{'-':>14}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("tests/data"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report = asyncio.run(measure(options.data))
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
