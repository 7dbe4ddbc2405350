"""How long a turn with `semantic_vad` waits for more, by words alone and with the melody, and whom that cuts off.

    python -m benchmarks.turn_ends [--eagerness medium] [--json FILE]

Each trial is speech of which it is known whether more comes, followed by silence: recorded clips, and espeak's voices
in five languages, whose melody a full stop or a comma makes. The real detector hears it over noise; the words are
given, without punctuation. Seeded: the same on every run, but for the CPU.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from benchmarks.speech_scenes import Condition, Scene, make_scene, read_clip
from configs.vad import Eagerness, EndpointingConfig, ProsodyConfig, SileroConfig
from deployments.media.audio import SPEECH_RATE_HZ, ms_to_samples, samples_to_ms, silence
from deployments.media.resample import Resampler
from deployments.tts.contract import SpeechRequest
from deployments.tts.engines import espeak
from serve_app.gateway.silero import SileroBatcher, SileroModel
from serve_app.session.endpointing import Pause, SemanticEndpointing
from serve_app.session.prosody import Ending, Prosody
from serve_app.session.speech_model import SpeechModel
from serve_app.session.vad import SpeechDetector, SpeechOnset

FRAME_BYTES = 640
PAUSES_MS = (700, 1000, 1500, 3000)
_CONDITIONS = (Condition("SNR 30 dB", 30, "white"), Condition("SNR 15 dB", 15, "pink"))
_SPEEDS = (0.9, 1.15)
_LONGEST_MS = 4500
"""Silence after the speech."""

CLIPS: tuple[tuple[str, int, int, str, bool], ...] = (
    ("yes", 0, 560, "yes", False),
    ("no", 0, 500, "no", False),
    ("hello", 0, 720, "hello", False),
    ("help_me", 120, 1200, "help me", False),
    ("thank_you", 120, 1010, "thank you", False),
    ("hi_how_are_you", 0, 1010, "hi how are you", False),
    ("jfk", 250, 2200, "and so my fellow americans", True),
    ("jfk", 3200, 3850, "and so my fellow americans ask", True),
    ("jfk", 3900, 4500, "and so my fellow americans ask not", True),
    ("jfk", 5300, 7700, "and so my fellow americans ask not what your country can do for you", True),
    ("jfk", 8100, 10500, "ask what you can do for your country", False),
)
"""Name, start and end in ms, words so far, whether more comes."""

SPOKEN: tuple[tuple[str, str, str, str, str], ...] = (
    ("en", "my sister works in london", "my number is five five five", "i wanted to ask if", "where do you live"),
    ("de", "meine schwester arbeitet in london", "meine nummer ist drei vier fünf", "ich frage weil", "wo wohnst du"),
    ("fr", "ma sœur travaille à londres", "mon numéro est trois quatre cinq", "je viens avec", "où est la gare"),
    ("es", "mi hermana trabaja en londres", "mi número es tres cuatro cinco", "quiero ir a", "dónde está tu casa"),
    ("it", "mia sorella lavora a londra", "il mio numero è tre quattro sei", "vorrei andare a", "dove abita tua zia"),
)
"""Language; a sentence that may go on; a number that does; one that must go on; a question."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Speech, and whether more comes."""

    kind: str
    words: str
    language: str
    goes_on: bool
    scene: Scene


@dataclass(frozen=True, slots=True)
class Wait:
    """When a turn ended."""

    kind: str
    words: str
    goes_on: bool
    ending: str
    wait_ms: float
    """From the last speech sample to the frame that ended the turn; infinite where none did."""


def recorded(data: Path) -> Iterable[Trial]:
    """The clips."""
    for condition in _CONDITIONS:
        for name, start_ms, end_ms, words, goes_on in CLIPS:
            clip = read_clip(data / f"{name}.wav")[16 * start_ms : 16 * end_ms]
            kind = "recorded, more comes" if goes_on else "recorded, done"
            yield Trial(kind, words, "en", goes_on, make_scene(f"{name}@{start_ms}", clip, condition))


async def spoken() -> list[Trial]:
    """espeak's voices: a full stop or question mark falls, a comma does not."""
    engine = espeak.Engine(espeak.Config(end_pauses=False))
    await engine.start()
    trials = []
    try:
        for language, may, number, must, question in SPOKEN:
            said = (
                ("statement, done", may, ".", False),
                ("statement, more comes", may, ",", True),
                ("number, more comes", number, ",", True),
                ("unfinished, more comes", must, ",", True),
                ("question, done", question, "?", False),
            )
            for voice in ("en-us", "en-us+f3") if language == "en" else (language, f"{language}+f3"):
                for speed in _SPEEDS:
                    for kind, words, mark, goes_on in said:
                        pcm = await _speak(engine, words + mark, voice, speed)
                        for condition in _CONDITIONS:
                            scene = make_scene(f"{voice}, {speed}", np.frombuffer(pcm, "<i2").astype(float), condition)
                            trials.append(Trial(kind, words, language, goes_on, scene))
    finally:
        await engine.close()
    return trials


async def _speak(engine: espeak.Engine, text: str, voice: str, speed: float) -> bytes:
    blocks = [block.pcm async for block in engine.synthesize(SpeechRequest(text, voice, speed=speed))]
    pcm: bytes = Resampler(engine.rate_hz, SPEECH_RATE_HZ).push(b"".join(blocks), last=True)
    return pcm


async def wait_of(model: SpeechModel, trial: Trial, policy: SemanticEndpointing, prosody: Prosody) -> Wait:
    """Hear a trial until the turn ends, as the session's ear does."""
    detector = SpeechDetector(model)
    in_turn, ending = False, Ending.UNKNOWN
    longest = trial.scene.last_sample + ms_to_samples(_LONGEST_MS, SPEECH_RATE_HZ)
    # Its noise goes on as it was.
    pcm = trial.scene.pcm
    pcm += (pcm[-FRAME_BYTES * 20 :] or silence(400, SPEECH_RATE_HZ)) * (2 * longest // (FRAME_BYTES * 20) + 1)
    for start in range(0, 2 * longest, FRAME_BYTES):
        frame = pcm[start : start + FRAME_BYTES]
        in_turn = any(isinstance(edge, SpeechOnset) for edge in await detector.push(frame)) or in_turn
        prosody.hear(frame)
        if not in_turn or detector.silence_ms == 0 or detector.undecided:
            continue
        ending = prosody.ending(detector.silence_samples)
        if detector.silence_ms >= policy.required_silence_ms(Pause(trial.words, trial.language, ending)):
            after_ms = samples_to_ms(detector.heard_samples - trial.scene.last_sample, SPEECH_RATE_HZ)
            return Wait(trial.kind, trial.words, trial.goes_on, ending.name, after_ms)
    return Wait(trial.kind, trial.words, trial.goes_on, ending.name, float("inf"))


async def measure(data: Path, eagerness: Eagerness = "medium") -> dict[str, object]:
    """Print and return the waits of all trials."""
    trials = [*recorded(data), *await spoken()]
    config = EndpointingConfig()
    mute = ProsodyConfig(falling=0, finished_held=0, open_held=0)
    model = SileroBatcher(SileroModel(), SileroConfig())
    heard: dict[str, list[Wait]] = {}
    try:
        for name, weights in (("words alone", mute), ("words and melody", config.prosody)):
            policy = SemanticEndpointing(config.waits(eagerness), weights)
            heard[name] = [await wait_of(model, trial, policy, Prosody(weights)) for trial in trials]
    finally:
        await model.close()
    for name, waits in heard.items():
        _show(f"{name}, eagerness {eagerness}", waits)
    cost = {"frame_us": _frame_cost_us(), "pause_ms": _pause_cost_ms(trials)}
    print(f"\nCPU of the melody: {cost['frame_us']:.1f} µs per frame of 20 ms, {cost['pause_ms']:.2f} ms per pause")
    return {"cost": cost, **{name: [asdict(wait) for wait in waits] for name, waits in heard.items()}}


def _show(title: str, waits: Sequence[Wait]) -> None:
    pauses = "".join(f"{pause_ms:>8d}" for pause_ms in PAUSES_MS)
    print(f"\n{title:36} trials   wait p50 / p95 ms   cut off (%) in a pause of (ms){pauses}")
    for kind in sorted({wait.kind for wait in waits}):
        each = np.array([wait.wait_ms for wait in waits if wait.kind == kind])
        p50, p95 = np.percentile(each, [50, 95], method="lower")
        cut = "".join(f"{100 * np.mean(each < pause_ms):8.0f}" for pause_ms in PAUSES_MS)
        goes_on = any(wait.goes_on for wait in waits if wait.kind == kind)
        print(f"{kind:36} {each.size:6d} {p50:12.0f} / {p95:4.0f} {'':34}{cut if goes_on else ''}")
    for goes_on in (False, True):
        endings = [wait.ending for wait in waits if wait.goes_on is goes_on]
        counts = ", ".join(f"{ending.name.lower()} {endings.count(ending.name)}" for ending in Ending)
        print(f"{'melody where more comes' if goes_on else 'melody where the turn is done':36} {counts}")


def _frame_cost_us(frames: int = 5000) -> float:
    prosody, frame = Prosody(ProsodyConfig()), bytes(FRAME_BYTES)
    before_s = time.thread_time()
    for _ in range(frames):
        prosody.hear(frame)
    return (time.thread_time() - before_s) / frames * 1e6


def _pause_cost_ms(trials: Sequence[Trial]) -> float:
    spent_s = []
    for trial in trials[:50]:
        prosody = Prosody(ProsodyConfig())
        prosody.hear(trial.scene.pcm[: 2 * trial.scene.last_sample] + silence(240, SPEECH_RATE_HZ))
        before_s = time.thread_time()
        prosody.ending(ms_to_samples(240, SPEECH_RATE_HZ))
        spent_s.append(time.thread_time() - before_s)
    return float(np.median(spent_s)) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("tests/data"))
    parser.add_argument("--eagerness", choices=get_args(Eagerness), default="medium")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report = asyncio.run(measure(options.data, options.eagerness))
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
