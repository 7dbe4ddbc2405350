"""Whose sound is heard next, on a virtual clock with a model that only takes time."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from deployments.asr.whisper.scheduler import PASSED_OVER_MOST, Scheduler, Urgency
from deployments.runtime.clock import now_s
from deployments.runtime.errors import ServerFull, StageUnavailable
from tests.virtual_time import run_virtual

FINAL, LIVE, FILE = Urgency


class SlowModel:
    """Takes so long for each question; answers it with itself. Half-way it looks whether it is to give way."""

    def __init__(self, each_s: float) -> None:
        self.each_s = each_s
        self.steps: list[list[str]] = []
        self.given_way: list[list[str]] = []

    async def step(self, questions: Sequence[str], give_way: Callable[[], bool]) -> Sequence[str | Exception] | None:
        await asyncio.sleep(self.each_s * len(questions) / 2)
        if give_way():
            self.given_way.append(list(questions))
            return None
        await asyncio.sleep(self.each_s * len(questions) / 2)
        self.steps.append(list(questions))
        return [RuntimeError(each) if each.startswith("bad") else each for each in questions]


class Scene:
    """A scheduler and who asks it."""

    def __init__(self, each_s: float = 0.1, **options: Any) -> None:
        self.model = SlowModel(each_s)
        chosen = {"max_batch": 4, "max_waiting": 64, "budget_s": 10.0, **options}
        self.scheduler: Scheduler[str, str] = Scheduler(self.model.step, **chosen)

    def ask(self, urgency: Urgency, name: str, shape: object = "same") -> "asyncio.Task[str]":
        return asyncio.create_task(self.scheduler.ask(urgency, lambda: shape, lambda: name))


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run_virtual(main())


def test_what_waits_together_is_one_step_of_one_shape() -> None:
    async def main() -> None:
        scene = Scene()
        asked = [scene.ask(LIVE, name, shape) for name, shape in (("a", 1), ("b", 2), ("c", 1), ("d", 1))]
        assert await asyncio.gather(*asked) == ["a", "b", "c", "d"]
        assert scene.model.steps == [["a", "c", "d"], ["b"]]
        assert scene.scheduler.steps == {3: 1, 1: 1}

    run(main)


def test_who_has_stopped_speaking_goes_first_then_who_speaks_then_files() -> None:
    async def main() -> None:
        scene = Scene(max_batch=1)
        busy = scene.ask(FINAL, "busy")
        await asyncio.sleep(0.01)
        asked = [scene.ask(FILE, "file"), scene.ask(LIVE, "live"), scene.ask(FINAL, "final")]
        await asyncio.gather(busy, *asked)
        assert scene.model.steps == [["busy"], ["final"], ["live"], ["file"]]

    run(main)


def test_a_step_for_who_still_speaks_gives_way_but_not_for_ever() -> None:
    async def main() -> None:
        scene = Scene()
        live = scene.ask(LIVE, "live")
        for n in range(3):
            await asyncio.sleep(0.02)
            await scene.ask(FINAL, f"final {n}")
        assert await live == "live"
        assert scene.model.given_way == [["live"], ["live"]]
        assert scene.model.steps == [["final 0"], ["final 1"], ["live"], ["final 2"]]

    run(main)


@pytest.mark.parametrize("waits", [LIVE, FILE])
def test_nobody_waits_for_ever(waits: Urgency) -> None:
    async def main() -> None:
        scene = Scene(max_batch=1)

        async def always(urgency: Urgency) -> None:
            for n in range(40):
                await scene.ask(urgency, f"{urgency.name} {n}")

        more_urgent = [each for each in Urgency if each < waits]
        others = [asyncio.create_task(always(each)) for each in more_urgent for _ in range(2)]
        await asyncio.sleep(0.05)
        assert await scene.ask(waits, "waits") == "waits"
        before = [step for step in scene.model.steps if step != ["waits"]]
        assert PASSED_OVER_MOST[waits] <= len(before) <= 2 * PASSED_OVER_MOST[waits] + 3
        await asyncio.gather(*others)

    run(main)


def test_the_question_is_read_when_its_step_begins() -> None:
    async def main() -> None:
        scene = Scene(max_batch=1)
        heard = "hel"
        busy = scene.ask(FINAL, "busy")
        await asyncio.sleep(0.05)
        asked = asyncio.create_task(scene.scheduler.ask(LIVE, lambda: 1, lambda: heard))
        await asyncio.sleep(0.01)
        heard = "hello"
        assert await asked == "hello"
        assert await busy == "busy"

    run(main)


def test_cancelled_it_drops_out() -> None:
    async def main() -> None:
        scene = Scene(max_batch=1)
        busy, dropped, kept = scene.ask(FINAL, "busy"), scene.ask(FINAL, "dropped"), scene.ask(FINAL, "kept")
        await asyncio.sleep(0.01)
        dropped.cancel()
        await asyncio.gather(busy, kept)
        assert scene.model.steps == [["busy"], ["kept"]]
        assert dropped.cancelled()
        assert scene.scheduler.waiting == 0

    run(main)


def test_cancelled_while_it_is_answered_the_others_get_their_answers() -> None:
    async def main() -> None:
        scene = Scene()
        first, second = scene.ask(FINAL, "first"), scene.ask(FINAL, "second")
        await asyncio.sleep(0.05)
        first.cancel()
        assert await second == "second"

    run(main)


def test_steps_are_as_large_as_their_budget_allows() -> None:
    async def main() -> None:
        scene = Scene(each_s=0.1, budget_s=0.25, max_batch=8)
        await scene.ask(FINAL, "learn")
        await asyncio.gather(*(scene.ask(FINAL, str(n)) for n in range(5)))
        assert [len(step) for step in scene.model.steps] == [1, 2, 2, 1]

    run(main)


def test_words_on_the_way_leave_the_machine_its_share_and_final_ones_do_not_wait_for_it() -> None:
    async def main() -> None:
        scene = Scene(each_s=0.1, interim_share=0.5)
        await scene.ask(LIVE, "one")
        live = scene.ask(LIVE, "two")
        await asyncio.sleep(0.05)
        assert scene.model.steps == [["one"]]
        began_s = now_s()
        await scene.ask(FINAL, "final")
        assert now_s() - began_s == pytest.approx(0.1)
        await live
        assert now_s() == pytest.approx(0.35)

    run(main)


def test_an_error_is_told_to_who_asked_and_no_other() -> None:
    async def main() -> None:
        scene = Scene()
        good, bad = scene.ask(FINAL, "good"), scene.ask(FINAL, "bad one")
        assert await good == "good"
        with pytest.raises(RuntimeError, match="bad one"):
            await bad
        scene.model.step = None  # type: ignore[assignment, method-assign]
        assert await scene.ask(FINAL, "again") == "again"

    run(main)


def test_too_many_are_refused_and_closing_refuses_who_waits() -> None:
    async def main() -> None:
        scene = Scene(max_waiting=2, max_batch=1)
        busy = scene.ask(FINAL, "busy")
        await asyncio.sleep(0.01)
        waiting = [scene.ask(LIVE, "a"), scene.ask(FILE, "b")]
        await asyncio.sleep(0)
        with pytest.raises(ServerFull):
            await scene.ask(FINAL, "c")
        await scene.scheduler.close()
        assert await busy == "busy"
        for each in waiting:
            with pytest.raises(StageUnavailable):
                await each
        with pytest.raises(StageUnavailable):
            await scene.ask(FINAL, "d")
        await scene.scheduler.close()

    run(main)
