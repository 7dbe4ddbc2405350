"""How soon are the final words there, and how much speech is heard in a second, with several speakers at once?

`faster_whisper` with its batches against the library itself called once at a time, on the same machine and model, which
is of a true shape with random weights: it costs what Whisper costs and hears nothing. Both write equally many tokens.

    .envs/faster-whisper/bin/python -m benchmarks --only recognition
"""

import asyncio
import importlib.util
import random
import tempfile
import time
import wave
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from benchmarks.report import Curve, Panel, Table
from benchmarks.spread import Spread
from deployments.asr.contract import AsrOptions, Recognizer, Transcript
from deployments.asr.engines.faster_whisper import Config, Engine
from deployments.asr.whisper.device import choose
from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ, to_float
from deployments.runtime.worker import Worker
from tests.engines.faster_whisper_models import BASE, TINY, make_model

NAME = "recognition"
POSSIBLE: Final = importlib.util.find_spec("faster_whisper") is not None
"""Whether this environment has the packages."""
_DATA = Path(__file__).parents[1] / "tests" / "data"
_CLIPS = ("jfk", "hi_how_are_you", "thank_you", "help_me", "hello")
_BLOCK_BYTES: Final = 3_200
_STEP_MS: Final = 1_000
"""New sound between two decodings of a growing utterance, for both."""
_TOKENS: Final = 24
_BEAM: Final = 1
_PAUSE_S: Final = 0.7
"""Between a speaker's utterances."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One way of hearing so many speakers."""

    way: str
    speakers: int
    final_ms: list[float]
    """From the last block of an utterance to its final words."""
    live_s: float
    """Speech that came in real time."""
    live_cpu_s: float
    """Of the process, for that."""
    speech_per_s: float
    """Seconds of recordings heard in a second when each is followed at once by another."""
    cpu_per_speech: float
    """Seconds of CPU for a second of those."""


class Hearing(Protocol):
    """An engine, or what it is compared with."""

    def open(self, options: AsrOptions) -> Recognizer:
        """Begin an utterance."""
        ...


class OneAtATime:
    """The library as it is: each decoding is one `WhisperModel.transcribe`, in the order in which they are wanted."""

    def __init__(self, folder: Path, device: str, compute_type: str) -> None:
        from faster_whisper import WhisperModel

        self._model = WhisperModel(str(folder), device=device, compute_type=compute_type)
        self._worker = Worker("one at a time", max_waiting=256)

    def open(self, options: AsrOptions) -> "OneUtterance":
        """Begin an utterance."""
        return OneUtterance(self, options.live)

    async def hear(self, pcm: bytes) -> None:
        """Decode an utterance from its beginning."""
        await self._worker.run(lambda: self._transcribe(pcm))

    def _transcribe(self, pcm: bytes) -> None:
        segments, _ = self._model.transcribe(
            to_float(pcm),
            language="en",
            beam_size=_BEAM,
            temperature=0.0,
            max_new_tokens=_TOKENS,
            # With word times it would go on behind the last word, where random weights put it: more work than is fair.
            word_timestamps=False,
            without_timestamps=True,
            condition_on_previous_text=False,
            compression_ratio_threshold=None,
            log_prob_threshold=None,
            no_speech_threshold=None,
        )
        for _ in segments:
            pass  # it is decoded as it is read

    async def close(self) -> None:
        """Join the thread."""
        await self._worker.close()


class OneUtterance:
    """A growing utterance that is decoded anew, with at most one decoding on the way."""

    def __init__(self, hearing: OneAtATime, live: bool) -> None:
        self._hearing = hearing
        self._live = live
        self._pcm = b""
        self._asked_bytes = 0
        self._asked: asyncio.Task[None] | None = None

    async def accept(self, pcm: bytes) -> Transcript:
        """Take a block; decode when there is enough new sound."""
        self._pcm += pcm
        due_bytes = _STEP_MS * SPEECH_RATE_HZ * BYTES_PER_SAMPLE // 1000
        idle = self._asked is None or self._asked.done()
        if self._live and idle and len(self._pcm) - self._asked_bytes >= due_bytes:
            self._asked_bytes = len(self._pcm)
            self._asked = asyncio.create_task(self._hearing.hear(self._pcm))
        return Transcript()

    async def finalize(self) -> Transcript:
        """Decode all of it. What is wanted for words on the way is called off if it has not begun."""
        await self.close()
        await self._hearing.hear(self._pcm)
        return Transcript(final=True)

    async def close(self) -> None:
        """Call off what is on the way."""
        if self._asked is not None:
            self._asked.cancel()
            await asyncio.wait([self._asked])


async def ask(quick: bool, say: Callable[[str], None]) -> list[Cell]:
    """Measure all ways with 1, 4, 8 and 16 speakers; when quick, of a smaller model with up to 8."""
    shape, live_s, speakers = (TINY, 10.0, (1, 4, 8)) if quick else (BASE, 60.0, (1, 4, 8, 16))
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        say(f"recognition: a model with {shape.layers} layers of {shape.width}")
        await asyncio.to_thread(make_model, Path(folder), shape)
        for way, opened in _ways(Path(folder)):
            async with opened() as hearing:
                for count in speakers:
                    say(f"recognition: {way}, {count} speakers")
                    cells.append(await _cell(way, hearing, count, live_s))
    return cells


def _ways(folder: Path) -> list[tuple[str, Callable[[], Any]]]:
    import ctranslate2

    device = choose(ctranslate2, "auto", "auto")

    @asynccontextmanager
    async def one() -> AsyncIterator[Hearing]:
        hearing = await asyncio.to_thread(OneAtATime, folder, device.name, device.compute_type)
        await hearing.hear(_clips()[0])
        try:
            yield hearing
        finally:
            await hearing.close()

    def batched(final_window_s: float) -> Callable[[], Any]:
        @asynccontextmanager
        async def many() -> AsyncIterator[Hearing]:
            engine = Engine(
                Config(
                    model=str(folder),
                    language="en",
                    beam_size=_BEAM,
                    max_new_tokens=_TOKENS,
                    interim_step_ms=_STEP_MS,
                    final_window_s=final_window_s,
                )
            )
            await engine.start()
            try:
                yield engine
            finally:
                await engine.close()

        return many

    return [("one at a time", one), ("batched", batched(30.0)), ("batched, final words in 10 s windows", batched(10.0))]


async def _cell(way: str, hearing: Hearing, speakers: int, live_s: float) -> Cell:
    chance = random.Random(speakers)
    final_ms: list[float] = []
    begun_cpu_s = time.process_time()
    heard = await asyncio.gather(
        *(_speak(hearing, random.Random(chance.random()), live_s, final_ms) for _ in range(speakers))
    )
    live_cpu_s = time.process_time() - begun_cpu_s
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    read = await asyncio.gather(*(_read(hearing, n) for n in range(speakers)))
    took_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
    return Cell(
        way,
        speakers,
        [round(ms, 1) for ms in final_ms],
        round(sum(heard), 2),
        round(live_cpu_s, 2),
        round(sum(read) / took_s, 3),
        round(cpu_s / sum(read), 4),
    )


async def _speak(hearing: Hearing, chance: random.Random, live_s: float, final_ms: list[float]) -> float:
    """One speaker, in real time."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(chance.uniform(0, 2))
    began_s, heard_s = loop.time(), 0.0
    while loop.time() - began_s < live_s:
        pcm = chance.choice(_clips())
        recognizer, clip_s = hearing.open(AsrOptions(language="en")), loop.time()
        for start in range(0, len(pcm), _BLOCK_BYTES):
            block_s = (start + _BLOCK_BYTES) / BYTES_PER_SAMPLE / SPEECH_RATE_HZ
            await asyncio.sleep(clip_s + block_s - loop.time())
            await recognizer.accept(pcm[start : start + _BLOCK_BYTES])
        ended_s = loop.time()
        await recognizer.finalize()
        final_ms.append(1000 * (loop.time() - ended_s))
        await recognizer.close()
        heard_s += len(pcm) / BYTES_PER_SAMPLE / SPEECH_RATE_HZ
        await asyncio.sleep(_PAUSE_S)
    return heard_s


async def _read(hearing: Hearing, first: int) -> float:
    """Each recording once, one after the other, as fast as they are heard."""
    seconds = 0.0
    for n in range(len(_CLIPS)):
        pcm = _clips()[(first + n) % len(_CLIPS)]
        recognizer = hearing.open(AsrOptions(language="en", live=False))
        await recognizer.accept(pcm)
        await recognizer.finalize()
        await recognizer.close()
        seconds += len(pcm) / BYTES_PER_SAMPLE / SPEECH_RATE_HZ
    return seconds


def _clips() -> Sequence[bytes]:
    clips = []
    for name in _CLIPS:
        with wave.open(str(_DATA / f"{name}.wav")) as file:
            clips.append(file.readframes(file.getnframes()))
    return clips


def table(cells: Sequence[Cell]) -> Table:
    """A row for each way and number of speakers."""
    alone = {cell.speakers: cell for cell in cells if cell.way == cells[0].way}
    rows = []
    for cell in cells:
        final, base = Spread.of(cell.final_ms), alone[cell.speakers]
        times = round(cell.speech_per_s / base.speech_per_s, 2)
        live_cpu = round(cell.live_cpu_s / cell.live_s, 3) if cell.live_s else None
        rows.append(
            (
                cell.way,
                cell.speakers,
                final.count,
                final.p50,
                final.p95,
                cell.speech_per_s,
                times,
                cell.cpu_per_speech,
                live_cpu,
            )
        )
    return Table(
        "Recognition: final words, and speech heard in a second",
        (
            "way",
            "speakers",
            "utterances",
            "final words p50 ms",
            "p95",
            "speech s/s",
            "× one at a time",
            "CPU s/speech s",
            "live CPU s/speech s",
        ),
        rows,
        f"Random weights of a true shape; {_TOKENS} tokens at most and beam {_BEAM} for all. Live: spoken in real "
        f"time, decoded again after each {_STEP_MS} ms. Speech s/s: recordings one after the other, final words alone. "
        "Word times are found by the batched ways only. "
        "Aims: × ≥ 2 at 8 speakers on a CPU, ≥ 6 at 16 on a GPU; p95 at 4 ≤ 1.3 × that at 1.",
    )


def panels(cells: Sequence[Cell]) -> list[Panel]:
    """Latency and throughput over speakers."""
    late, much = [], []
    for way in dict.fromkeys(cell.way for cell in cells):
        own = [cell for cell in cells if cell.way == way]
        late.append(Curve(way, [(cell.speakers, Spread.of(cell.final_ms).p95) for cell in own if cell.final_ms]))
        much.append(Curve(way, [(cell.speakers, cell.speech_per_s) for cell in own]))
    return [
        Panel("Final words, p95", "speakers", "ms", late),
        Panel("Speech heard", "speakers", "seconds per second", much),
    ]
