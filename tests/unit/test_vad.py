import asyncio
import itertools
import math
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from configs.vad import VadConfig
from deployments.media.audio import level_db, silence
from serve_app.session.levels import SILENCE_DB, Levels, NoiseFloor
from serve_app.session.speech_model import CHUNK_SAMPLES, SpeechStream
from serve_app.session.vad import Edge, SpeechDetector, SpeechOffset, SpeechOnset
from tests.virtual_time import run_virtual

DATA = Path(__file__).parents[1] / "data"
RATE = 16_000
CHUNK_BYTES = 2 * CHUNK_SAMPLES


class LoudnessModel:
    """Takes a chunk louder than -40 dB for speech; counts what it was asked."""

    def __init__(self, wait_s: float = 0.0) -> None:
        self.wait_s = wait_s
        self.asked: list[int] = []

    async def probabilities(self, stream: SpeechStream, pcm: bytes) -> list[float]:
        assert len(pcm) % CHUNK_BYTES == 0
        await asyncio.sleep(self.wait_s)
        stream.memory = True
        self.asked.append(len(pcm) // CHUNK_BYTES)
        return [0.9 if level_db(pcm[at : at + CHUNK_BYTES]) > -40 else 0.05 for at in range(0, len(pcm), CHUNK_BYTES)]


class ScriptedModel:
    """Says what it was told, chunk by chunk, then 0. It must not be asked about several chunks at once."""

    def __init__(self, probabilities: list[float]) -> None:
        self._next = iter(probabilities)

    async def probabilities(self, stream: SpeechStream, pcm: bytes) -> list[float]:
        stream.memory = True
        return [next(self._next, 0.0) for _ in range(0, len(pcm), CHUNK_BYTES)]


def clip(name: str) -> bytes:
    with wave.open(str(DATA / f"{name}.wav")) as file:
        pcm: bytes = file.readframes(file.getnframes())
    return pcm


def hiss(duration_ms: float, rms: float, seed: int = 0) -> bytes:
    samples = np.random.default_rng(seed).normal(size=round(duration_ms * 16)) * rms
    pcm: bytes = np.clip(samples, -32768, 32767).astype("<i2").tobytes()
    return pcm


YES = silence(300, RATE) + clip("yes") + silence(700, RATE)
TWO_WORDS = YES + clip("no")[: 500 * 32] + hiss(800, 5)


async def edges_of(detector: SpeechDetector, pieces: list[bytes]) -> list[Edge]:
    return [edge for piece in pieces for edge in await detector.push(piece)]


def detect(pcm: bytes, config: VadConfig | None = None) -> list[Edge]:
    return run_virtual(edges_of(SpeechDetector(LoudnessModel(), config), [pcm]))


def test_a_word_has_one_onset_and_one_offset_where_its_sound_is() -> None:
    onset, offset = detect(YES)
    assert isinstance(onset, SpeechOnset)
    assert isinstance(offset, SpeechOffset)
    # The recording is 560 ms long: audible from 130 ms and until 510 ms, where it is 40 dB below its peak. That the
    # noise before is none of it cannot be known so early: the loudest is yet to come.
    assert 300 * 16 <= onset.at_sample <= (300 + 130) * 16
    assert offset.last_speech_sample == pytest.approx((300 + 510) * 16, abs=30 * 16)
    assert offset.onset_sample == onset.at_sample
    assert onset.at_sample < onset.detected_sample < offset.last_speech_sample < offset.detected_sample
    assert onset.padded_sample == onset.at_sample - 300 * 16


def test_padding_never_reaches_before_the_first_sample() -> None:
    onset = detect(YES, VadConfig(prefix_padding_ms=2000))[0]
    assert isinstance(onset, SpeechOnset)
    assert onset.padded_sample == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(min_value=1, max_value=5000), min_size=1, max_size=40))
def test_how_sound_is_cut_changes_nothing(sizes: list[int]) -> None:
    ends = [0, *itertools.takewhile(lambda end: end < len(TWO_WORDS) // 2, itertools.accumulate(sizes))]
    pieces = [TWO_WORDS[2 * start : 2 * end] for start, end in itertools.pairwise(ends)] + [TWO_WORDS[2 * ends[-1] :]]
    assert b"".join(pieces) == TWO_WORDS
    edges = run_virtual(edges_of(SpeechDetector(LoudnessModel()), pieces))
    assert edges == detect(TWO_WORDS)
    assert len(edges) == 4


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["word", "hiss", "zeros", "loud hiss"]), st.integers(min_value=10, max_value=900)),
        max_size=8,
    ),
    st.lists(st.floats(min_value=0, max_value=1), max_size=200),
)
def test_onsets_and_offsets_alternate_and_move_forward(
    parts: list[tuple[str, int]], probabilities: list[float]
) -> None:
    sounds = {"word": clip("hello"), "hiss": hiss(900, 20), "zeros": silence(900, RATE), "loud hiss": hiss(900, 4000)}
    pcm = b"".join(sounds[kind][: 32 * duration_ms] for kind, duration_ms in parts)
    detector = SpeechDetector(ScriptedModel(probabilities))
    edges = run_virtual(edges_of(detector, [pcm, silence(1500, RATE)]))
    kinds = [type(edge) for edge in edges]
    assert kinds == [SpeechOnset, SpeechOffset] * (len(kinds) // 2)
    assert not detector.speaking
    places = [edge.at_sample if isinstance(edge, SpeechOnset) else edge.last_speech_sample for edge in edges]
    assert places == sorted(places)
    detections = [edge.detected_sample for edge in edges]
    assert detections == sorted(detections)
    assert all(place <= found <= detector.heard_samples for place, found in zip(places, detections, strict=True))


@settings(max_examples=20, deadline=None)
@given(st.integers(min_value=0, max_value=60_000), st.integers(min_value=1, max_value=3000))
def test_digital_silence_has_no_edges_and_costs_no_model(samples: int, piece: int) -> None:
    model = LoudnessModel()
    pieces = [bytes(2 * min(piece, samples - start)) for start in range(0, samples, piece)]
    assert run_virtual(edges_of(SpeechDetector(model), pieces)) == []
    assert model.asked == []


@pytest.mark.parametrize("rms", [5, 100, 3000])
def test_steady_noise_leaves_the_model_at_rest(rms: float) -> None:
    model = LoudnessModel()
    run_virtual(edges_of(SpeechDetector(model), [hiss(20_000, rms)]))
    # While the noise floor is not yet known, the gate may open for its hold time.
    assert sum(model.asked) <= 30


def test_the_model_is_warmed_up_with_what_came_before_the_gate_opened() -> None:
    model = LoudnessModel()
    run_virtual(edges_of(SpeechDetector(model, VadConfig(preroll_ms=160)), [YES]))
    assert model.asked[0] == 1 + 160 // 32
    assert set(model.asked[1:]) == {1}


FIVE_AHEAD = VadConfig(preroll_ms=160)
"""Five chunks are judged before the one that opened the gate."""


def test_one_chunk_is_never_an_onset_and_two_at_the_threshold_are() -> None:
    word = clip("hello")[80 * 32 : 580 * 32]
    for probabilities, onsets in (([1.0], 0), ([0.5, 0.5], 1), ([0.24] * 20, 0), ([0.4] * 10, 0), ([0.4, 0.5, 0.4], 1)):
        edges = run_virtual(
            edges_of(SpeechDetector(ScriptedModel([0.0] * 6 + probabilities), FIVE_AHEAD), [silence(500, RATE) + word])
        )
        assert sum(isinstance(edge, SpeechOnset) for edge in edges) == onsets, probabilities


def test_a_dip_shorter_than_the_release_is_part_of_the_speech() -> None:
    word = clip("hello")[80 * 32 : 500 * 32]
    edges = detect(silence(500, RATE) + word + silence(100, RATE) + word + silence(600, RATE))
    assert [type(edge) for edge in edges] == [SpeechOnset, SpeechOffset]


def test_facts_follow_the_sound() -> None:
    async def script() -> None:
        detector = SpeechDetector(LoudnessModel())
        await detector.push(hiss(1000, 10))
        assert detector.heard_samples == 16_000
        assert detector.silence_ms == 1000
        assert not detector.speaking
        assert detector.noise_floor_db == pytest.approx(-70, abs=2)
        assert detector.level_db == pytest.approx(-70, abs=2)
        await detector.push(clip("hello")[: 400 * 32])
        assert detector.speaking
        assert detector.silence_samples == 0
        assert detector.last_speech_sample == detector.heard_samples
        await detector.push(hiss(400, 10))
        assert not detector.speaking
        assert detector.silence_ms == pytest.approx(400, abs=20)

    run_virtual(script())


def test_undecided_from_the_first_sign_of_speech_until_the_onset() -> None:
    async def script() -> list[tuple[bool, bool]]:
        detector = SpeechDetector(ScriptedModel([0.0] * 8 + [0.6, 0.0, 0.0, *[0.6] * 50]), FIVE_AHEAD)
        word = silence(500, RATE) + clip("hello")[80 * 32 : 480 * 32]
        seen = []
        for start in range(0, len(word), 640):
            await detector.push(word[start : start + 640])
            seen.append((detector.undecided, detector.speaking))
        return [facts for facts, _ in itertools.groupby(seen)]

    nothing, undecided, speech = (False, False), (True, False), (False, True)
    assert run_virtual(script()) == [nothing, undecided, nothing, undecided, speech]


def test_a_doubt_that_lasts_does_not_hold_up_the_end_of_a_turn() -> None:
    async def script() -> list[bool]:
        detector = SpeechDetector(ScriptedModel([0.0] * 6 + [0.26] * 100), FIVE_AHEAD)
        word = silence(500, RATE) + clip("hello")[80 * 32 : 480 * 32]
        seen = []
        for start in range(0, len(word), 640):
            await detector.push(word[start : start + 640])
            seen.append(detector.undecided)
        return seen

    seen = run_virtual(script())
    assert 5 <= sum(seen) <= 11
    assert not seen[-1]


def test_parts_of_a_frame_wait_for_the_rest() -> None:
    async def script() -> None:
        detector = SpeechDetector(LoudnessModel())
        await detector.push(bytes(2 * 319))
        assert detector.heard_samples == 0
        await detector.push(bytes(2 * 2))
        assert detector.heard_samples == 320

    run_virtual(script())


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="whole 16-bit samples"):
        run_virtual(edges_of(SpeechDetector(LoudnessModel()), [bytes(641)]))


def test_forgotten_speech_has_no_offset_and_what_goes_on_is_a_new_onset() -> None:
    async def script() -> None:
        detector = SpeechDetector(LoudnessModel())
        word = clip("hello")
        assert [type(edge) for edge in await detector.push(silence(500, RATE) + word[: 300 * 32])] == [SpeechOnset]
        forgotten_at = detector.heard_samples
        detector.forget()
        assert not detector.speaking
        assert detector.silence_samples == 0
        onset, offset = await detector.push(word[300 * 32 :] + silence(600, RATE))
        assert isinstance(onset, SpeechOnset)
        assert isinstance(offset, SpeechOffset)
        assert onset.at_sample >= forgotten_at

    run_virtual(script())


def test_settings_change_in_mid_stream() -> None:
    async def script() -> None:
        detector = SpeechDetector(LoudnessModel())
        detector.configure(VadConfig(threshold=0.95))
        assert await detector.push(YES) == ()
        detector.configure(VadConfig(threshold=0.5))
        assert [type(edge) for edge in await detector.push(YES)] == [SpeechOnset, SpeechOffset]

    run_virtual(script())


def test_a_long_push_lets_others_run() -> None:
    async def script() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        task = asyncio.create_task(other())
        await SpeechDetector(LoudnessModel()).push(silence(10_000, RATE))
        task.cancel()
        return turns

    assert run_virtual(script()) >= 9


def test_a_push_waits_for_the_model() -> None:
    async def script() -> float:
        await SpeechDetector(LoudnessModel(wait_s=0.004)).push(YES)
        return asyncio.get_running_loop().time()

    assert run_virtual(script()) > 0.05


def test_edges_are_the_same_at_any_level_of_the_microphone() -> None:
    samples = np.frombuffer(YES, "<i2")
    loud = detect(YES)
    quiet = detect((samples * 0.1).astype("<i2").tobytes())
    assert [type(edge) for edge in quiet] == [type(edge) for edge in loud]


def test_thresholds_out_of_range_are_refused() -> None:
    for wrong in ({"threshold": 0}, {"threshold": 1}, {"release_ms": 10}, {"gate_mode": 4}, {"speech_ms": 1}):
        with pytest.raises(ValidationError):
            VadConfig.model_validate(wrong)
    assert VadConfig(threshold=0.1).release_threshold == 0.01


def test_levels_of_steps_take_out_what_is_slow() -> None:
    levels = Levels()
    levels.append((np.ones(320) * 8000).astype("<i2").tobytes())
    assert levels.latest_db == pytest.approx(20 * math.log10(8000 / 32768), abs=0.01)
    assert levels.between(0, 320) == [SILENCE_DB, SILENCE_DB]
    for _ in range(100):
        levels.append(bytes(640))
    assert levels.peak_db == SILENCE_DB
    assert levels.between(0, 320) == []


def test_the_end_is_two_loud_steps_in_a_row() -> None:
    levels = Levels()
    loud, quiet = hiss(10, 3000), hiss(10, 3)
    levels.append(loud + loud)
    levels.append(quiet + loud)
    levels.append(quiet + quiet)
    assert levels.last_above(-40, 0, 960) == 320
    assert levels.last_above(-40, 320, 960) is None
    assert levels.rise_before(-40, 640, 0) == 0


def test_the_noise_floor_falls_at_once_and_rises_within_two_seconds() -> None:
    floor = NoiseFloor()
    assert floor.db == SILENCE_DB
    for _ in range(100):
        floor.update(-40)
    assert floor.db == pytest.approx(-40)
    for _ in range(15):
        floor.update(-60)
    assert floor.db == pytest.approx(-60, abs=0.5)
    for _ in range(100):
        floor.update(-40)
    assert floor.db == pytest.approx(-40, abs=0.5)
