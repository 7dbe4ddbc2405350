import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from benchmarks.endpointing import count_onsets, hear
from benchmarks.speech_scenes import CONDITIONS, Condition, not_speech, pcm_of, read_clip, scenes
from configs.vad import SileroConfig
from deployments.runtime.errors import EngineFailed, StageUnavailable
from serve_app.gateway.silero import SileroBatcher, SileroModel
from serve_app.session.speech_model import CHUNK_SAMPLES, SpeechStream
from serve_app.session.vad import SpeechDetector, SpeechOffset, SpeechOnset
from tests.virtual_time import run_virtual

DATA = Path(__file__).parents[1] / "data"
ON_LOOP = SileroConfig(batch_window_ms=5, inline_rows=64)
"""For the virtual clock, which knows no threads."""
CHUNK_BYTES = 2 * CHUNK_SAMPLES
SPEECH = pcm_of(read_clip(DATA / "jfk.wav"))[5400 * 32 :]


@pytest.fixture(scope="module")
def model() -> SileroModel:
    return SileroModel()


class CountingModel(SileroModel):
    """Silero that remembers the size of each run and the thread it ran in; may be told to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []
        self.threads: list[str] = []
        self.failure: Exception | None = None

    def run(self, batch: list[tuple[SpeechStream, bytes]]) -> list[list[float]]:
        self.rows.append(len(batch))
        self.threads.append(threading.current_thread().name)
        if self.failure is not None:
            raise self.failure
        return super().run(batch)


@asynccontextmanager
async def batcher_of(model: SileroModel, config: SileroConfig | None = None) -> AsyncIterator[SileroBatcher]:
    batcher = SileroBatcher(model, config)
    try:
        yield batcher
    finally:
        await batcher.close()


def chunk(n: int, count: int = 1) -> bytes:
    return SPEECH[n * CHUNK_BYTES : (n + count) * CHUNK_BYTES]


def test_speech_is_likely_and_silence_is_not(model: SileroModel) -> None:
    speech, silence = model.run([(SpeechStream(), chunk(0, 40)), (SpeechStream(), bytes(40 * CHUNK_BYTES))])
    assert np.mean(speech) > 0.9
    assert max(silence) < 0.1


def test_rows_do_not_touch_each_other(model: SileroModel) -> None:
    alone = [model.run([(SpeechStream(), chunk(start, 12))])[0] for start in (0, 17, 31)]
    together = model.run([(SpeechStream(), chunk(start, 12)) for start in (0, 17, 31)])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_a_stream_goes_on_where_it_was(model: SileroModel) -> None:
    stream = SpeechStream()
    whole = model.run([(SpeechStream(), chunk(0, 9))])[0]
    pieces = [model.run([(stream, chunk(start, 3))])[0] for start in (0, 3, 6)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-4)


def test_rows_may_have_different_numbers_of_chunks(model: SileroModel) -> None:
    long, short = model.run([(SpeechStream(), chunk(0, 5)), (SpeechStream(), chunk(0, 2))])
    assert (len(long), len(short)) == (5, 2)
    np.testing.assert_allclose(long[:2], short, atol=1e-4)


def test_those_who_ask_together_share_a_run() -> None:
    async def script() -> None:
        counting = CountingModel()
        async with batcher_of(counting, ON_LOOP) as batcher:
            streams = [SpeechStream() for _ in range(6)]
            for n in range(3):
                await asyncio.gather(*(batcher.probabilities(stream, chunk(n)) for stream in streams))
        assert counting.rows == [6, 6, 6]

    run_virtual(script())


def test_a_session_alone_never_waits() -> None:
    async def script() -> float:
        async with batcher_of(SileroModel()) as batcher:
            stream = SpeechStream()
            for n in range(50):
                await batcher.probabilities(stream, chunk(n))
            return asyncio.get_running_loop().time()

    assert run_virtual(script()) == 0


def test_sessions_out_of_step_wait_for_each_other_at_most_the_window() -> None:
    waits_s: list[float] = []

    async def session(batcher: SileroBatcher, delay_s: float) -> None:
        loop, stream = asyncio.get_running_loop(), SpeechStream()
        await asyncio.sleep(delay_s)
        for n in range(20):
            asked_s = loop.time()
            await batcher.probabilities(stream, chunk(n))
            waits_s.append(loop.time() - asked_s)
            await asyncio.sleep(0.032)

    async def script() -> list[int]:
        counting = CountingModel()
        async with batcher_of(counting, ON_LOOP) as batcher, asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(session(batcher, number * 0.0037))
        return counting.rows

    rows = run_virtual(script())
    assert sum(rows) == 8 * 20
    assert max(waits_s) <= 0.005 + 1e-9
    assert len(rows) < 8 * 20 * 0.9


def test_a_run_takes_no_more_sessions_than_it_may() -> None:
    async def script() -> None:
        counting = CountingModel()
        async with batcher_of(counting, SileroConfig(max_batch=4, batch_window_ms=0, inline_rows=4)) as batcher:
            answers = await asyncio.gather(*(batcher.probabilities(SpeechStream(), chunk(0)) for _ in range(10)))
        assert counting.rows == [4, 4, 2]
        np.testing.assert_allclose(answers, answers[:1] * 10, atol=1e-4)

    run_virtual(script())


def test_large_runs_go_to_the_worker_and_small_ones_stay() -> None:
    async def script() -> None:
        counting = CountingModel()
        async with batcher_of(counting, SileroConfig(inline_rows=8)) as batcher:
            for sessions in (8, 9, 40):
                answers = await asyncio.gather(
                    *(batcher.probabilities(SpeechStream(), chunk(0)) for _ in range(sessions))
                )
                assert len(answers) == sessions
        assert counting.rows == [8, 9, 40]
        assert [name.startswith("silero") for name in counting.threads] == [False, True, True]

    asyncio.run(script())


@pytest.mark.parametrize("sessions", [3, 20])
def test_a_failing_run_fails_those_in_it_and_no_others(sessions: int) -> None:
    async def script() -> None:
        counting = CountingModel()
        async with batcher_of(counting) as batcher:
            counting.failure = RuntimeError("broken graph")
            asked = (batcher.probabilities(SpeechStream(), chunk(0)) for _ in range(sessions))
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(answer) for answer in answers] == [EngineFailed] * sessions
            assert all(isinstance(a, EngineFailed) and a.__cause__ is counting.failure for a in answers)
            counting.failure = None
            assert len(await batcher.probabilities(SpeechStream(), chunk(0))) == 1

    asyncio.run(script())


def test_one_who_is_cancelled_disturbs_nobody() -> None:
    async def script() -> None:
        counting = CountingModel()
        async with batcher_of(counting) as batcher:
            await asyncio.gather(*(batcher.probabilities(SpeechStream(), chunk(0)) for _ in range(2)))
            leaver, stayer = SpeechStream(), SpeechStream()
            leaving = asyncio.create_task(batcher.probabilities(leaver, chunk(0)))
            staying = asyncio.create_task(batcher.probabilities(stayer, chunk(0)))
            await asyncio.sleep(0.001)
            leaving.cancel()
            assert len(await staying) == 1
            assert leaving.cancelled()
            assert leaver.memory is None
        assert counting.rows == [2, 1]

    run_virtual(script())


def test_all_who_wait_cancelled_leaves_nothing_behind() -> None:
    async def script() -> None:
        counting = CountingModel()
        async with batcher_of(counting) as batcher:
            await asyncio.gather(*(batcher.probabilities(SpeechStream(), chunk(0)) for _ in range(2)))
            task = asyncio.create_task(batcher.probabilities(SpeechStream(), chunk(0)))
            await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.sleep(0.1)
            assert len(await batcher.probabilities(SpeechStream(), chunk(0))) == 1
        assert counting.rows == [2, 1]

    run_virtual(script())


def test_closing_refuses_what_waits_and_what_comes() -> None:
    async def script() -> None:
        batcher = SileroBatcher(SileroModel())
        await asyncio.gather(*(batcher.probabilities(SpeechStream(), chunk(0)) for _ in range(2)))
        waiting = asyncio.create_task(batcher.probabilities(SpeechStream(), chunk(0)))
        await asyncio.sleep(0.001)
        await batcher.close()
        with pytest.raises(StageUnavailable):
            await waiting
        with pytest.raises(StageUnavailable):
            await batcher.probabilities(SpeechStream(), chunk(0))
        await batcher.close()

    run_virtual(script())


def test_closing_lets_the_run_in_progress_end() -> None:
    class SlowModel(SileroModel):
        def run(self, batch: list[tuple[SpeechStream, bytes]]) -> list[list[float]]:
            time.sleep(0.05)
            return super().run(batch)

    async def script() -> list[float]:
        batcher = SileroBatcher(SlowModel(), SileroConfig(inline_rows=0))
        running = asyncio.create_task(batcher.probabilities(SpeechStream(), chunk(0)))
        await asyncio.sleep(0.01)
        await batcher.close()
        return await running

    assert len(asyncio.run(script())) == 1


@pytest.mark.parametrize("size", [0, 2, CHUNK_BYTES - 2, CHUNK_BYTES + 2])
def test_part_of_a_chunk_is_refused(size: int, model: SileroModel) -> None:
    async def script() -> None:
        async with batcher_of(model) as batcher:
            with pytest.raises(ValueError, match="whole chunks"):
                await batcher.probabilities(SpeechStream(), bytes(size))

    run_virtual(script())


def run_with(model: SileroModel, script: Callable[[SileroBatcher], Awaitable[None]]) -> None:
    async def main() -> None:
        async with batcher_of(model) as batcher:
            await script(batcher)

    run_virtual(main())


@pytest.mark.parametrize("condition", [c for c in CONDITIONS if c.snr_db >= 20], ids=lambda c: c.name)
def test_recorded_speech_is_found_early_and_its_end_exactly(condition: Condition, model: SileroModel) -> None:
    async def script(batcher: SileroBatcher) -> None:
        heard = [await hear(batcher, scene) for scene in scenes(DATA, condition, offsets=(0, 270))]
        assert all(h.onsets >= 1 and h.early_endpoints == 0 for h in heard)
        latencies = [h.onset_latency_ms for h in heard if h.onset_latency_ms is not None]
        errors = [abs(h.decision_error_ms) for h in heard if h.decision_error_ms is not None]
        assert len(latencies) == len(errors) == len(heard)
        assert np.percentile(latencies, 50) <= 120
        assert np.percentile(latencies, 80) <= 200
        assert np.percentile(errors, 50) <= 20
        assert np.percentile(errors, 95) <= 40

    run_with(model, script)


def test_dog_bark_telephone_and_noise_start_no_turn(model: SileroModel) -> None:
    async def script(batcher: SileroBatcher) -> None:
        found = {name: await count_onsets(batcher, pcm) for name, pcm in not_speech(DATA) if "burst" not in name}
        assert set(found.values()) == {0}, found
        assert len(found) >= 16

    run_with(model, script)


def test_pauses_between_words_end_no_turn_at_500_ms_and_pauses_between_clauses_do(model: SileroModel) -> None:
    async def script(batcher: SileroBatcher) -> None:
        detector = SpeechDetector(batcher)
        pcm = pcm_of(read_clip(DATA / "jfk.wav")) + bytes(32_000)
        ends_ms: list[float] = []
        in_turn = False
        edges: list[SpeechOnset | SpeechOffset] = []
        for start in range(0, len(pcm), 640):
            found = await detector.push(pcm[start : start + 640])
            edges += found
            in_turn = in_turn or any(isinstance(edge, SpeechOnset) for edge in found)
            if in_turn and detector.silence_ms >= 500 and not detector.undecided:
                ends_ms.append(detector.last_speech_sample / 16)
                in_turn = False
        # "And so, my fellow Americans | ask … not | what your country can do for you | ask what you can do for your
        # country": the pause after the first "ask" lasts 210 ms, those at the bars 1150, 1070 and 620 ms.
        # It breaks off in the word after that, which begins at 10760.
        assert ends_ms == pytest.approx([2110, 4330, 7550, 10390, 11000], abs=60)
        assert len(edges) % 2 == 0

    run_with(model, script)


def test_the_packages_import_without_warnings() -> None:
    command = [sys.executable, "-W", "error", "-c", "import webrtcvad, onnxruntime; webrtcvad.Vad(2)"]
    assert subprocess.run(command, check=False, capture_output=True, text=True).stderr == ""
