"""One utterance against the scheduler, on a virtual clock with a model that writes a word for each half second."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Sequence
from typing import Any

import pytest

from deployments.asr.contract import AsrOptions
from deployments.asr.whisper.guards import Guards
from deployments.asr.whisper.heard import Answer, Question, Word
from deployments.asr.whisper.recognizer import GLANCE_S, WhisperRecognizer
from deployments.asr.whisper.scheduler import Scheduler
from deployments.asr.whisper.utterance import Rules, Utterance
from deployments.media.audio import SPEECH_RATE_HZ
from deployments.runtime.clock import now_s
from deployments.runtime.errors import InvalidRequest
from tests.virtual_time import run_virtual

BLOCK_S = 0.1
BLOCK = b"\x00\x20\x00\xe0" * round(BLOCK_S * SPEECH_RATE_HZ / 2)
WORD_S = 0.5


class Clerk:
    """Writes down what it is asked."""

    def __init__(self, each_s: float) -> None:
        self.each_s = each_s
        self.asked: list[tuple[bool, float]] = []
        self.broken = False

    async def step(
        self, questions: Sequence[Question], give_way: Callable[[], bool]
    ) -> Sequence[Answer | Exception] | None:
        await asyncio.sleep(self.each_s)
        if self.broken:
            raise RuntimeError("out of memory")
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> Answer:
        seconds = round(len(question.pcm) / 2 / SPEECH_RATE_HZ, 3)
        self.asked.append((question.final, seconds))
        count = round(seconds / WORD_S)
        return Answer(
            tuple(Word(f"w{n}", (n,), True, n * WORD_S, (n + 1) * WORD_S) for n in range(count)), "en", 1.0, -0.1
        )


class Scene:
    """A model and its recognisers."""

    def __init__(self, each_s: float) -> None:
        self.clerk = Clerk(each_s)
        self.scheduler: Scheduler[Question, Answer] = Scheduler(
            self.clerk.step, max_batch=8, max_waiting=8, budget_s=10.0
        )
        self.given_back: list[WhisperRecognizer] = []

    def open(self, *, live: bool = True) -> WhisperRecognizer:
        rules = Rules(interim_step_ms=500, language="en", follow=False, guards=Guards())
        utterance = Utterance(AsrOptions(live=live), rules, hints=())
        return WhisperRecognizer(utterance, self.scheduler, shape, live=live, give_back=self.given_back.append)


def shape(seconds: float, *, final: bool, hints: int) -> Hashable:
    return final


async def speak(recognizer: WhisperRecognizer, seconds: float) -> None:
    """In real time."""
    for _ in range(round(seconds / BLOCK_S)):
        began_s = now_s()
        await recognizer.accept(BLOCK)
        await asyncio.sleep(began_s + BLOCK_S - now_s())


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run_virtual(main())


def test_a_slow_model_hears_the_newest_and_skips_what_lies_between() -> None:
    async def main() -> None:
        scene = Scene(each_s=1.7)
        recognizer = scene.open()
        await speak(recognizer, 5.0)
        assert scene.clerk.asked == [(False, 0.5), (False, 2.2)]
        assert (await recognizer.accept(b"")).text == "w0 w1 w2 w3"
        await recognizer.close()

    run(main)


def test_a_block_is_never_kept_longer_than_a_glance() -> None:
    async def main() -> None:
        scene = Scene(each_s=60.0)
        recognizer = scene.open()
        for _ in range(20):
            began_s = now_s()
            await recognizer.accept(BLOCK)
            assert now_s() - began_s <= GLANCE_S + 1e-9
        await recognizer.close()

    run(main)


def test_words_that_come_at_once_are_in_the_same_reply() -> None:
    async def main() -> None:
        scene = Scene(each_s=0.02)
        recognizer = scene.open()
        for _ in range(4):
            assert (await recognizer.accept(BLOCK)).text == ""
        assert (await recognizer.accept(BLOCK)).text == "w0"
        await recognizer.close()

    run(main)


def test_the_end_is_not_kept_waiting_by_words_on_the_way() -> None:
    async def main() -> None:
        scene = Scene(each_s=0.3)
        recognizers = [scene.open() for _ in range(3)]
        await asyncio.gather(*(speak(recognizer, 1.1) for recognizer in recognizers))
        began_s = now_s()
        finals = await asyncio.gather(*(recognizer.finalize() for recognizer in recognizers))
        # What is left of the running step, and one step for all of them.
        assert now_s() - began_s <= 2 * 0.3 + 1e-9
        assert {final.text for final in finals} == {"w0 w1"}
        assert scene.scheduler.steps[3] >= 1
        assert await recognizers[0].finalize() == finals[0]
        for recognizer in recognizers:
            await recognizer.close()
        assert scene.scheduler.waiting == 0

    run(main)


def test_of_a_file_only_final_words_are_sought() -> None:
    async def main() -> None:
        scene = Scene(each_s=0.1)
        recognizer = scene.open(live=False)
        for _ in range(400):
            await recognizer.accept(BLOCK)
        final = await recognizer.finalize()
        # 30 s of the 40; then what follows the last word that ends 5 s before.
        assert [(final, round(seconds)) for final, seconds in scene.clerk.asked] == [(True, 30), (True, 15)]
        assert len(final.words) == len(final.text.split()) > 70
        await recognizer.close()

    run(main)


def test_a_failure_is_told_by_the_next_call() -> None:
    async def main() -> None:
        scene = Scene(each_s=0.1)
        recognizer = scene.open()
        scene.clerk.broken = True
        await speak(recognizer, 0.6)
        with pytest.raises(RuntimeError, match="out of memory"):
            await recognizer.accept(BLOCK)
        with pytest.raises(RuntimeError, match="out of memory"):
            await recognizer.finalize()
        scene.clerk.broken = False
        assert (await recognizer.finalize()).text == "w0"
        await recognizer.close()

    run(main)


def test_closed_it_asks_no_more_and_is_given_back_once() -> None:
    async def main() -> None:
        scene = Scene(each_s=5.0)
        busy, recognizer = scene.open(), scene.open()
        await speak(busy, 0.6)
        await speak(recognizer, 0.6)
        assert scene.scheduler.waiting == 1
        await recognizer.close()
        await recognizer.close()
        assert scene.scheduler.waiting == 0
        assert scene.given_back == [recognizer]
        with pytest.raises(InvalidRequest):
            await recognizer.accept(BLOCK)
        with pytest.raises(InvalidRequest, match="samples"):
            await busy.accept(b"x")
        await busy.close()

    run(main)
