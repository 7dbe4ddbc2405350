"""What the benchmark of the face computes from what a client received. The measuring itself is `make bench`."""

import asyncio
import math
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.avatar import First, Measured, Way, panels, reckon, tables
from benchmarks.in_step import (
    Edges,
    Heard,
    Shown,
    drift_ms,
    edges_of_picture,
    edges_of_sound,
    freezes_ms,
    lost_and_repeated,
    offsets,
    shut_after_ms,
    spoken,
)
from benchmarks.report import draw
from benchmarks.socket_rule import SocketPlayer
from benchmarks.viewers import Received
from deployments.media.audio import VOICE_RATE_HZ, ms_to_samples, to_float
from deployments.tts.contract import SpeechRequest
from deployments.tts.engines import fake

BEAT_S = 0.8


def open_at(at_s: float) -> bool:
    """The metronome's tone, from second 0 on."""
    return at_s >= 0 and round(1000 * at_s) % 800 < 400


def pictures(seconds: float, *, late_s: float = 0.0, begin_s: float = -0.2) -> list[Shown]:
    """What shows a metronome that begins at second 0."""
    count = round((seconds - begin_s) * 25)
    at = [round(begin_s + n / 25, 6) for n in range(count)]
    return [Shown(at_s + late_s, at_s + late_s, at_s, n, 0.8 if open_at(at_s) else 0.0) for n, at_s in enumerate(at)]


def sound(seconds: float, piece_ms: float = 20, late_s: float = 0.0) -> list[Heard]:
    """A metronome in pieces."""
    at = np.arange(round(seconds * VOICE_RATE_HZ))
    tone = at % ms_to_samples(800, VOICE_RATE_HZ) < ms_to_samples(400, VOICE_RATE_HZ)
    wave = 8192 * np.sin(2 * np.pi * 440 * at / VOICE_RATE_HZ) * tone
    pcm = np.rint(wave).astype(np.int16)
    size = ms_to_samples(piece_ms, VOICE_RATE_HZ)
    begins = [start / VOICE_RATE_HZ for start in range(0, pcm.size, size)]
    return [
        Heard(begin + late_s, begin + late_s, begin, pcm[n * size : (n + 1) * size], VOICE_RATE_HZ)
        for n, begin in enumerate(begins)
    ]


@pytest.mark.parametrize("piece_ms", [10, 20, 200, 170])
def test_edges_of_sound_are_the_tones_however_it_is_cut(piece_ms: float) -> None:
    edges = edges_of_sound(sound(2.4, piece_ms))
    assert edges.begins_s == pytest.approx([0.0, 0.8, 1.6], abs=0.001)
    assert edges.ends_s == pytest.approx([0.4, 1.2, 2.0], abs=0.002)


def test_silence_has_no_edges() -> None:
    assert edges_of_sound([]) == Edges([], [])
    assert edges_of_sound([replace(piece, pcm=piece.pcm * 0) for piece in sound(1)]) == Edges([], [])


def test_edges_of_picture_are_the_first_that_differ() -> None:
    edges = edges_of_picture(pictures(2.0))
    assert edges.begins_s == pytest.approx([0.0, 0.8, 1.6])
    assert edges.ends_s == pytest.approx([0.4, 1.2])


@pytest.mark.parametrize("late_s", [-0.2, -0.04, 0.0, 0.013, 0.3])
def test_offset_is_how_late_the_picture_is(late_s: float) -> None:
    found = offsets(edges_of_picture(pictures(8.0, late_s=late_s)), edges_of_sound(sound(8.0)), BEAT_S)
    assert len(found.ms) >= 19
    assert [ms for _, ms in found.ms] == pytest.approx([1000 * late_s] * len(found.ms), abs=2)


def test_edge_without_a_partner_is_counted() -> None:
    seen = edges_of_picture(pictures(4.0))
    heard = edges_of_sound(sound(4.0))
    assert offsets(seen, heard, BEAT_S).alone == 0
    blind = replace(seen, begins_s=[*seen.begins_s[:2], *seen.begins_s[3:]])
    assert offsets(blind, heard, BEAT_S).alone == 1
    assert offsets(Edges([], []), heard, BEAT_S).alone == 10
    assert offsets(replace(seen, ends_s=[*seen.ends_s, 9.0]), heard, BEAT_S).alone == 1


def test_an_edge_is_nobodys_partner_twice() -> None:
    found = offsets(Edges([1.0], []), Edges([0.9, 1.05], []), BEAT_S)
    assert len(found.ms) == 1
    assert found.alone == 1


@pytest.mark.parametrize("gained_ms", [-50.0, 0.0, 20.0])
def test_drift_is_what_the_sender_gains_whatever_the_jitter(gained_ms: float) -> None:
    random = np.random.default_rng(1)
    media = np.arange(15_000) / 25
    arrived = 1000.0 + media * (1 - gained_ms / 1000 / media[-1]) + random.exponential(0.008, media.size)
    assert drift_ms(media.tolist(), arrived.tolist()) == pytest.approx(gained_ms, abs=1)


def test_drift_of_blocks_is_not_that_of_their_five_frames() -> None:
    """All frames of a block arrive at once."""
    media = np.arange(1500) / 25
    arrived = 5.0 + media // 0.2 * 0.2
    assert drift_ms(media.tolist(), arrived.tolist()) == pytest.approx(0, abs=1)


def test_drift_of_nothing_is_no_number() -> None:
    assert math.isnan(drift_ms([], []))
    assert math.isnan(drift_ms([1.0], [1.0]))


def test_freeze_is_a_gap_of_more_than_three_pictures() -> None:
    assert freezes_ms([0.0, 0.04, 0.16, 0.2]) == []
    assert freezes_ms([0.0, 0.04, 0.2, 0.24]) == pytest.approx([160])


@pytest.mark.parametrize(
    ("numbers", "lost", "repeated"),
    [
        ([], 0, 0),
        ([5, 6, 7], 0, 0),
        ([5, 7, 8], 1, 0),
        ([5, 6, 6, 7], 0, 1),
        ([5, 6, 5, 7], 0, 1),
        ([5, None, 7], 1, 0),
        ([None, 5, 6], 0, 0),
        ([5, 20], 14, 0),
    ],
)
def test_numbers_say_what_was_lost_or_came_again(numbers: list[int | None], lost: int, repeated: int) -> None:
    assert lost_and_repeated(numbers) == (lost, repeated)


def test_mouth_is_shut_when_it_stays_shut() -> None:
    seen = [each for each in pictures(2.4) if each.shown_s < 1.0 or not each.is_open]
    assert shut_after_ms(seen, 0.95) == pytest.approx(250)  # the next that is left is that of second 1.2
    assert shut_after_ms(seen, 0.1) == pytest.approx(1100)  # it was open again after the first pause


def test_mouth_that_is_shut_already_or_never_says_nothing() -> None:
    assert shut_after_ms(pictures(2.0), 0.5) is None
    assert shut_after_ms(pictures(2.0), 1.7) is None
    assert shut_after_ms([], 1.0) is None


def test_spoken_is_from_the_first_open_mouth_to_the_last() -> None:
    talk = spoken(pictures(2.2))
    assert (talk[0].media_s, talk[-1].media_s) == pytest.approx((0.0, 1.96))
    assert spoken(pictures(0.0)) == []


def test_player_shows_a_spoken_block_with_its_sound() -> None:
    player = SocketPlayer()
    for n in range(3):
        player.sound(10.0 + 0.01 * n, bytes(9600))
        player.block(10.001 + 0.01 * n, 200 * n, 5, 200, "silence" if not n else None)
    assert [place.shown_s for place in player.shown[::5]] == pytest.approx([10.0, 10.2, 10.4])
    assert [piece.heard_s for piece in player.heard] == pytest.approx([10.0, 10.2, 10.4])


def test_player_shows_silence_behind_what_it_has() -> None:
    player = SocketPlayer()
    player.block(5.0, 0, 5, 0, None)
    player.block(5.08, 200, 5, 0, None)
    player.block(6.0, 400, 5, 0, None)
    assert [place.shown_s for place in player.shown[::5]] == pytest.approx([5.0, 5.2, 6.0])


def test_reply_voids_the_silence_that_was_not_shown() -> None:
    player = SocketPlayer()
    player.block(5.0, 0, 5, 0, None)
    player.block(5.08, 200, 5, 0, None)
    player.sound(5.1, bytes(9600))
    player.block(5.1, 400, 5, 200, "silence")
    assert [place.index for place in player.shown] == [0, 1, 2, 10, 11, 12, 13, 14]
    assert player.shown[3].shown_s == pytest.approx(5.1)
    assert player.received == 15


def test_stopped_client_shows_the_next_block_at_once() -> None:
    player = SocketPlayer()
    for n in range(2):
        player.sound(1.0, bytes(9600))
        player.block(1.0, 200 * n, 5, 200, None)
    player.drop(1.1)
    player.block(1.13, 400, 5, 0, "all")
    assert [place.index for place in player.shown] == [0, 1, 2, 10, 11, 12, 13, 14]
    assert player.shown[3].shown_s == pytest.approx(1.13)
    assert sum(piece.pcm.size for piece in player.heard) == ms_to_samples(100, VOICE_RATE_HZ)


def test_blocks_on_their_way_when_it_stopped_are_void_with_the_cut() -> None:
    player = SocketPlayer()
    player.sound(1.0, bytes(9600))
    player.block(1.0, 0, 5, 200, None)
    player.drop(1.1)
    player.sound(1.11, bytes(9600))
    player.block(1.11, 200, 5, 200, None)
    player.block(1.13, 400, 5, 0, "all")
    assert [place.index for place in player.shown] == [0, 1, 2, 5, 10, 11, 12, 13, 14]


def watched(late_s: float = 0.01) -> Way:
    """A metronome of 8 s, then two replies that are interrupted in their third tone, at 12.9 s and at 16.1 s."""
    asked_s = [12.9, 16.1]
    seen = [
        replace(each, openness=0.0) if any(at_s + 0.1 < each.shown_s < at_s + 1.5 for at_s in asked_s) else each
        for each in pictures(17.4, late_s=late_s)
    ]
    return reckon("WebRTC", Received(seen, sound(17.4), ["too late"]), began_s=0.0, ended_s=7.8, asked_s=asked_s)


def test_what_was_received_becomes_a_row() -> None:
    way = watched()
    assert [ms for _, ms in way.offsets_ms] == pytest.approx([10] * 20, abs=2)
    assert (way.edges_alone, way.freezes_ms, way.lost, way.repeated) == (0, [], 0, 0)
    assert (way.picture_drift_ms, way.sound_drift_ms) == pytest.approx((0, 0), abs=0.1)
    assert way.shut_ms == pytest.approx([110, 110])
    assert (way.interruptions, way.errors) == (2, ["too late"])


def test_report_has_a_row_a_way_and_a_row_a_face(tmp_path: Path) -> None:
    measured = Measured([watched()], [First("pattern", [10.0, 12.0], [13.0, 16.0], [14.0, 17.0])])
    in_step, begin = tables(measured)
    assert {len(row) for row in in_step.rows} == {len(in_step.columns)}
    assert begin.rows[0][-4:] == pytest.approx((3.5, 4.85, 4.5, 5.85))  # against 11 ms, the median without a face
    assert len(begin.rows[0]) == len(begin.columns)
    draw(panels(measured), tmp_path / "plot.png", "on a machine")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("block_ms", [33, 100, 1000])
def test_fake_speech_is_a_metronome(block_ms: float) -> None:
    engine = fake.Engine(fake.Config(word_ms=400, gap_ms=400, block_ms=block_ms))

    async def spoken_words() -> tuple[bytes, list[int]]:
        async with aclosing(engine.synthesize(SpeechRequest("one two three"))) as blocks:
            made = [block async for block in blocks]
        return b"".join(b.pcm for b in made), [word.start_sample for block in made for word in block.words]

    pcm, starts = asyncio.run(spoken_words())
    step = ms_to_samples(800, VOICE_RATE_HZ)
    assert starts == [0, step, 2 * step]
    halves = np.abs(to_float(pcm)).reshape(6, -1).max(axis=1)
    assert halves == pytest.approx([0.25, 0, 0.25, 0, 0.25, 0], abs=0.001)
