"""What the graph costs a language model: the Llm deployment against the bare `AsyncLLM`, same model, same machine.

    .envs/vllm-cpu/bin/python -m benchmarks.language [--quick] [--model FOLDER] [--gpu-memory-gib 12]

Without `--model` it is a random model of two layers (`tests/engines/vllm_models.py`), whose steps take a few
milliseconds: what the graph adds weighs most there. Both engines are up at the same time and take turns, so that what
else the machine does meets both.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from benchmarks import machine
from benchmarks.language_graph import Graph, graph
from benchmarks.report import Table
from deployments.llm.contract import Finished, LlmItem, LlmRequest, Message, TextPiece
from deployments.llm.engines.vllm import Config, Engine

NAME = "language"
AT_ONCE = (1, 8, 32)
REPLY_TOKENS = 64
_PROMPT = "tell me this and that, " * 12
_AIMS = "Aims: at most 10 ms added at the median, 0.95 of the throughput."

Ask = Callable[[LlmRequest], AsyncGenerator[LlmItem, None]]


@dataclass(frozen=True, slots=True)
class Round:
    """One round of replies, so many at a time."""

    first_words_ms: tuple[float, ...]
    """Of each reply, from the request to the first whole word."""
    tokens: int
    took_s: float
    usage: tuple[tuple[int, int], ...]
    """Of each request: tokens of the prompt, and those of them that were cached."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The rounds of both at one load."""

    at_once: int
    bare: tuple[Round, ...]
    graph: tuple[Round, ...]

    @property
    def row(self) -> tuple[int, float, float, float, float, float, float]:
        """Of the table."""
        first = [statistics.median(ms for each in rounds for ms in each.first_words_ms) for rounds in self._both]
        rate = [sum(each.tokens for each in rounds) / sum(each.took_s for each in rounds) for rounds in self._both]
        return self.at_once, first[0], first[1], first[1] - first[0], rate[0], rate[1], rate[1] / rate[0]

    @property
    def _both(self) -> tuple[tuple[Round, ...], tuple[Round, ...]]:
        return self.bare, self.graph


def request(conversation: str, seed: int) -> LlmRequest:
    """One whose prefix no other conversation has."""
    messages = (Message("system", f"{conversation}. {_PROMPT}"), Message("user", "Go on."))
    return LlmRequest(
        messages, max_output_tokens=REPLY_TOKENS, seed=seed, cut="word", session_id=conversation, temperature=1.0
    )


async def measured(ask: Ask, requests: Sequence[LlmRequest]) -> Round:
    """All of them at once."""
    began_s = time.perf_counter()
    replies = await asyncio.gather(*(_timed(ask, each) for each in requests))
    took_s = time.perf_counter() - began_s
    return Round(
        tuple(first_ms for first_ms, _ in replies if first_ms is not None),
        sum(end.usage.output_tokens for _, end in replies),
        took_s,
        tuple((end.usage.input_tokens, end.usage.cached_tokens) for _, end in replies),
    )


async def _timed(ask: Ask, asked: LlmRequest) -> tuple[float | None, Finished]:
    began_s, text, first_ms = time.perf_counter(), "", None
    async with aclosing(ask(asked)) as items:
        async for item in items:
            if isinstance(item, TextPiece) and first_ms is None:
                text += item.text
                if text.lstrip() != text.strip() or len(text.split()) > 1:
                    first_ms = 1000 * (time.perf_counter() - began_s)
            elif isinstance(item, Finished):
                return first_ms, item
    raise RuntimeError("a reply without an end")


async def compare(bare: Ask, asked: Graph, rounds: int) -> list[Compared]:
    """Take turns, each round with prompts that neither has seen."""
    table = []
    for at_once in AT_ONCE:
        kept: tuple[list[Round], list[Round]] = ([], [])
        for number in range(rounds + 1):
            requests = [request(f"{at_once} {number} {n}", n) for n in range(at_once)]
            done = await measured(bare, requests), await asked.rounds([requests])
            if number:  # the first warms up
                kept[0].append(done[0])
                kept[1].append(done[1][0])
        table.append(Compared(at_once, tuple(kept[0]), tuple(kept[1])))
    return table


async def second_turns(asked: Graph, conversations: int) -> dict[str, float]:
    """How much of the first turn the second finds in the cache of its replica."""
    firsts = [request(f"conversation {n}", n) for n in range(conversations)]
    told = Message("assistant", "Once upon a time.")
    seconds = [replace(each, messages=(*each.messages, told, Message("user", "And then?"))) for each in firsts]
    before, after = await asked.rounds([firsts, seconds])
    block = asked.block_tokens
    cacheable = [prompt // block * block for prompt, _ in before.usage]
    hits = [cached >= whole for (_, cached), whole in zip(after.usage, cacheable, strict=True)]
    return {
        "conversations": conversations,
        "replicas": asked.replicas,
        "hits": sum(hits) / len(hits),
        "tokens_found": sum(cached for _, cached in after.usage) / max(1, sum(cacheable)),
    }


def cost_table(compared: Sequence[Compared]) -> Table:
    """What the graph adds."""
    columns = ("replies at once", "bare first words ms", "graph", "added ms", "bare tokens/s", "graph", "ratio")
    title = "The Llm deployment against the bare AsyncLLM (medians)"
    return Table(title, columns, [each.row for each in compared], _AIMS)


def rest_table(stops_ms: Sequence[float], turns: dict[str, float]) -> Table:
    """What it does besides."""
    rows = [
        ("a reply is closed → its engine has nothing in hand, ms, the slowest of all", max(stops_ms), "≤ 100"),
        (f"second turns whose prefix was cached, {turns['replicas']:.0f} replicas", turns["hits"], "≥ 0.9"),
        ("tokens of first turns found again", turns["tokens_found"], ""),
    ]
    return Table("Cancelling, and prefixes", ("what", "measured", "aim"), rows)


async def ask(quick: bool, options: dict[str, Any]) -> tuple[list[Compared], list[float], dict[str, float]]:
    """Measure it all; takes minutes, most of them to start engines."""
    engine = Engine(Config.model_validate(options))
    await engine.start()
    try:
        async with graph(options, replicas=1, block_tokens=engine.block_tokens) as asked:
            compared = await compare(engine.generate, asked, 2 if quick else 8)
            print(f"{cost_table(compared).text()}\n", flush=True)
            stops_ms = await asked.stops([request(f"stopped {n}", n) for n in range(8)], 2 if quick else 5)
            print(f"stops: {max(stops_ms):.1f} ms\n", flush=True)
        block_tokens = engine.block_tokens
    finally:
        await engine.close()
    async with graph(options, replicas=2, block_tokens=block_tokens) as asked:
        turns = await second_turns(asked, 8 if quick else 24)
    return compared, stops_ms, turns


def _options(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    if given.model is None:
        from tests.engines.vllm_models import make_model

        os.environ.setdefault("OMP_NUM_THREADS", "1")
        return {"model": str(make_model(folder / "tiny-chat")), "kv_cache_gib": 0.25}
    return {"model": given.model, "gpu_memory_gib": given.gpu_memory_gib, "max_output_tokens": 256}


async def main(given: argparse.Namespace) -> None:
    """Measure, print, write."""
    print(machine.line(), flush=True)
    print(f"load before: {os.getloadavg()[0]:.2f}\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="parley-models-") as folder:
        compared, stops_ms, turns = await ask(given.quick, _options(given, Path(folder)))
    print(f"{rest_table(stops_ms, turns).text()}\n", flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    cells = {"rounds": [asdict(each) for each in compared], "stops_ms": stops_ms, "second_turns": turns}
    (given.out / f"{NAME}.json").write_bytes(orjson.dumps({"machine": machine.describe(), **cells}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--model", help="a folder or a name of the hub, instead of the random model")
    parser.add_argument("--gpu-memory-gib", type=float, help="for each engine, of which two run at a time")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out"))
    asyncio.run(main(parser.parse_args()))
