"""What does the server add to a speech engine, does its sound come without gaps, and do two clauses at once help?

    python -m benchmarks.speech [--quick]

Three questions. First audio: from the request to the first sound, of the bare engine in this process, and of the Tts
deployment in a replica of Ray Serve, asked as a session asks it. Streams: so many at once, each reading at once what
comes, as a listener would hear it; C100 is the share of requests in several blocks whose worst under-run is at most
100 ms. Reply: five sentences on an engine that takes its time, played through a session's own playout, with one clause
at a time and with two.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from benchmarks.report import Table
from benchmarks.server import ROOT
from benchmarks.spread import Spread
from configs.schema import EngineChoice
from deployments.media.audio import VOICE_RATE_HZ, samples_of
from deployments.runtime.engines import load_engine
from deployments.runtime.local import LocalStream
from deployments.runtime.ports import StreamPort
from deployments.tts.client import TtsClient
from deployments.tts.contract import SpeechBlock, SpeechRequest
from deployments.tts.server import TtsServer
from serve_app.session.clause_streams import ClauseStreams
from serve_app.session.playout import Playout

NAME = "speech"
STREAMS = (1, 4, 16)
UNDER_RUN_S = 0.1
"""C100: a request passes with an under-run of at most so much."""
TEXTS = (
    "The train to Paris leaves at seven in the morning from the platform on the left.",
    "It will rain this afternoon, so take an umbrella, and perhaps a warm coat as well.",
    "I have put the meeting with the team on Thursday, right after lunch, as you asked.",
    "The recipe takes two eggs, a little flour, a glass of milk and a good pinch of salt.",
)
REPLY = (
    "Sure. ",
    "Take the first train of the day tomorrow. ",
    "It gets you there an hour before the meeting begins. ",
    "I can book it now. ",
    "Shall I? ",
)
"""As models answer: a short beginning, longer sentences, a short end. Of five sentences of one length two workers could
make no more than 5/3 as fast a reply: the last one is made alone."""
WORD_DELAY_MS = 400
"""What the engine that takes its time needs for a word of 100 ms: four times as long as it sounds."""


class Speaks(Protocol):
    """A way to have text spoken."""

    def __call__(self, request: SpeechRequest) -> AsyncGenerator[SpeechBlock, None]: ...


@dataclass(frozen=True, slots=True)
class Spoken:
    """One request."""

    first_ms: float
    audio_s: float
    blocks: int
    under_run_s: float
    """The worst, for one who plays each block as soon as it is there and the one before is over."""


@dataclass(frozen=True, slots=True)
class Cell:
    """So many streams at once, through one way."""

    way: str
    streams: int
    wall_s: float
    spoken: list[Spoken]

    @property
    def c100(self) -> float:
        """Share of the requests in several blocks, NaN without any."""
        several = [spoken for spoken in self.spoken if spoken.blocks > 1]
        passed = sum(spoken.under_run_s <= UNDER_RUN_S for spoken in several)
        return passed / len(several) if several else float("nan")

    @property
    def audio_s_per_s(self) -> float:
        """Sound made in a second."""
        return sum(spoken.audio_s for spoken in self.spoken) / self.wall_s


@dataclass(frozen=True, slots=True)
class Reply:
    """Five sentences, so many clauses at once."""

    at_once: int
    seconds: float
    """From the reply's text to the last of its sound being made."""
    worst_gap_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Answers to all three questions."""

    engine: str
    cells: list[Cell]
    replies: list[Reply]


def _now_s() -> float:
    return asyncio.get_running_loop().time()


async def listen(speaks: Speaks, text: str, rate_hz: int) -> Spoken:
    """Have a text spoken, and time it."""
    begin_s = _now_s()
    first_s: float | None = None
    played_until_s = worst_s = audio_s = 0.0
    blocks = 0
    async with aclosing(speaks(SpeechRequest(text))) as stream:
        async for block in stream:
            if not block.pcm:
                continue
            now_s = _now_s()
            if first_s is None:
                first_s = played_until_s = now_s
            worst_s = max(worst_s, now_s - played_until_s)
            length_s = samples_of(block.pcm) / rate_hz
            played_until_s = max(played_until_s, now_s) + length_s
            audio_s += length_s
            blocks += 1
    if first_s is None:
        raise RuntimeError(f"nothing was said of {text!r}")
    return Spoken((first_s - begin_s) * 1000, audio_s, blocks, worst_s)


async def at_once(way: str, speaks: Speaks, rate_hz: int, streams: int, requests: int) -> Cell:
    """`streams` listeners, each with `requests` texts, one after the other."""

    async def listener(number: int) -> list[Spoken]:
        return [await listen(speaks, TEXTS[(number + turn) % len(TEXTS)], rate_hz) for turn in range(requests)]

    begin_s = _now_s()
    heard = await asyncio.gather(*(listener(number) for number in range(streams)))
    wall_s = _now_s() - begin_s
    return Cell(way, streams, wall_s, [spoken for each in heard for spoken in each])


async def spoken_reply(width: int) -> Reply:
    """Play five sentences of the fake engine with delays, as a turn does, from a server without Ray."""
    engine = load_engine(
        "tts",
        "fake",
        {"word_ms": 100, "block_ms": 100, "first_block_delay_ms": WORD_DELAY_MS, "block_delay_ms": WORD_DELAY_MS},
    )
    server = TtsServer(engine)
    await server.start()
    tts = TtsClient(LocalStream(server.synthesize), deadline_s=60)
    playout = Playout(lambda pcm, end: None, lead_ms=240, block_ms=80)
    texts: asyncio.Queue[str | None] = asyncio.Queue(len(REPLY) + 1)
    for text in (*REPLY, None):
        texts.put_nowait(text)

    streams = ClauseStreams(tts, SpeechRequest, width)

    async def room() -> bool:
        await playout.room(lambda: streams.held_samples)
        return True

    begin_s = _now_s()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(playout.run())
        async with streams.reading(texts, room) as clauses:
            async for clause in clauses:
                async with aclosing(clause.blocks()) as blocks:
                    async for block in blocks:
                        await playout.put(block.pcm)
        seconds = _now_s() - begin_s
        playout.finish()
    await server.close()
    return Reply(width, seconds, playout.worst_gap_s)


@asynccontextmanager
async def bare(engine: str, options: dict[str, Any]) -> AsyncGenerator[tuple[Speaks, int], None]:
    """The engine alone, in this process, and its rate."""
    running = load_engine("tts", engine, options)
    await running.start()
    try:
        yield running.synthesize, running.rate_hz
    finally:
        await running.close()


@asynccontextmanager
async def deployed(engine: str, options: dict[str, Any]) -> AsyncGenerator[Speaks, None]:
    """The Tts deployment in a Ray of its own, asked as a session asks it."""
    # Ray is heavy, and only this question needs it.
    os.environ["RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP"] = "0"
    import ray
    from ray import serve

    from deployments.runtime.calls import ServeStream
    from deployments.tts.deployment import Tts

    paths = {"PYTHONPATH": str(ROOT), "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0"}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": paths})
    try:
        serve.start(proxy_location="Disabled")
        tts = serve.deployment(name="Tts", max_ongoing_requests=200, ray_actor_options={"num_cpus": 0})(Tts)
        app = tts.bind(EngineChoice(engine=engine, options=options))
        handle = await asyncio.to_thread(serve.run, app, name="speech", route_prefix=None)
        port: StreamPort[SpeechRequest, SpeechBlock] = ServeStream(handle, "synthesize")
        yield TtsClient(port, deadline_s=30).speak
    finally:
        serve.shutdown()
        ray.shutdown()


async def ask(
    quick: bool, say: Callable[[str], None], engine: str = "espeak", options: dict[str, Any] | None = None
) -> Measured:
    """Measure all of it."""
    requests = 6 if quick else 40
    cells = []
    async with bare(engine, options or {}) as (speaks, rate_hz):
        await at_once("bare", speaks, rate_hz, 1, 2)  # not counted: everything is loaded once
        for streams in STREAMS:
            say(f"speech: {engine} alone, {streams} streams")
            cells.append(await at_once("bare engine", speaks, rate_hz, streams, requests))
    async with deployed(engine, options or {}) as speaks:
        await at_once("warm", speaks, VOICE_RATE_HZ, 4, 2)
        for streams in STREAMS:
            say(f"speech: {engine} in the graph, {streams} streams")
            cells.append(await at_once("graph", speaks, VOICE_RATE_HZ, streams, requests))
    replies = []
    for width in (1, 2):
        say(f"speech: a reply of five sentences, {width} at once")
        replies.append(await spoken_reply(width))
    return Measured(engine, cells, replies)


def tables(measured: Measured) -> list[Table]:
    """First audio and streams; the reply."""
    alone = {cell.streams: Spread.of([spoken.first_ms for spoken in cell.spoken]) for cell in measured.cells[:3]}
    rows = []
    for cell in measured.cells:
        first = Spread.of([spoken.first_ms for spoken in cell.spoken])
        graph = cell.way == "graph"
        share = (first.p50 - alone[cell.streams].p50, first.p95 - alone[cell.streams].p50) if graph else (None, None)
        worst_ms = max(spoken.under_run_s for spoken in cell.spoken) * 1000
        counts = (first.count, first.p50, first.p95, *share, cell.audio_s_per_s, 100 * cell.c100, worst_ms)
        rows.append((cell.way, cell.streams, *counts))
    columns = (
        "way", "streams", "requests", "first audio p50 (ms)", "p95", "server's share p50 (ms)", "p95",
        "audio s per s", "C100 (%)", "worst under-run (ms)",
    )  # fmt: skip
    one, two = measured.replies
    return [
        Table(
            f"Speech with {measured.engine}",
            columns,
            rows,
            "The share is against the median of the bare engine at as many streams. Aims with espeak on 2 cores: "
            "share p95 at most 10 ms at 1 stream, C100 = 100 % at 16.",
        ),
        Table(
            "A reply of five sentences, an engine that takes four times as long as it sounds",
            ("clauses at once", "all sound made (s)", "faster", "worst gap (s)"),
            [(reply.at_once, reply.seconds, one.seconds / reply.seconds, reply.worst_gap_s) for reply in (one, two)],
            "The fake engine, which only waits. The sentences have 1, 8, 10, 5 and 2 words; with five of one length "
            "1.67 would be the most. Aim: 1.8 times as fast with 2.",
        ),
    ]


async def _main(quick: bool) -> None:
    measured = await ask(quick, lambda line: print(line, file=sys.stderr, flush=True))
    for table in tables(measured):
        print(f"\n{table.text()}\n")


def as_json(measured: Measured) -> dict[str, Any]:
    """Everything that was measured."""
    return asdict(measured)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What the server adds to a speech engine")
    parser.add_argument("--quick", action="store_true")
    asyncio.run(_main(parser.parse_args().quick))
