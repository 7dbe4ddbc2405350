"""Blocks of a face as a file."""

import asyncio

import numpy as np
import pytest

from deployments.avatar.contract import BLOCK_SAMPLES, AvatarReply, FaceBlock
from deployments.avatar.engines import fake
from deployments.media.audio import VOICE_RATE_HZ
from serve_app.gateway.mp4 import Mp4Writer
from tests.files_scene import watched


def blocks(count: int, loud: int) -> list[AvatarReply]:
    """So many blocks of the test pattern, of which one sounds."""

    async def main() -> list[AvatarReply]:
        face = fake.Engine(fake.Config()).open("pattern")
        made = []
        for n in range(count):
            tone = 8000 * np.sin(np.arange(BLOCK_SAMPLES) / 5) * (n == loud)
            block = FaceBlock(n, tone.astype("<i2").tobytes(), keyframe=n == 0)
            made.append(AvatarReply(n, block.pcm, await face.render(block), 160, 128))
        return made

    return asyncio.run(main())


def test_a_player_sees_every_frame_in_its_place_and_hears_the_sound_with_it() -> None:
    writer = Mp4Writer()
    film = watched(b"".join([*map(writer.add, blocks(25, loud=12)), writer.finish()]))
    assert film.codecs == ("h264", "aac")
    assert film.numbers == list(range(125))
    assert film.frame_times_s == pytest.approx([n / 25 for n in range(125)], abs=1e-3)
    loud = np.flatnonzero(np.abs(film.sound) > 0.1)
    begins_s, ends_s = (film.sound_at_s + loud[at] / VOICE_RATE_HZ for at in (0, -1))
    assert begins_s == pytest.approx(film.frame_times_s[60], abs=0.01)
    assert ends_s == pytest.approx(film.frame_times_s[65], abs=0.01)


def test_it_comes_block_by_block_and_can_be_watched_before_it_ends() -> None:
    writer = Mp4Writer()
    pieces = [writer.add(block) for block in blocks(25, loud=12)]
    assert all(pieces[1:]), "a fragment a block; the first waits for the second"
    seen = watched(b"".join(pieces[:15])).numbers
    assert seen == list(range(len(seen)))
    assert len(seen) >= 5 * 13
    first = b"".join(pieces[:2])
    assert first[4:8] == b"ftyp"
    assert first.count(b"moov") == 1
    assert b"mvex" in first
    assert b"moof" in first


@pytest.mark.parametrize("count", [1, 2])
def test_the_shortest_film(count: int) -> None:
    writer = Mp4Writer()
    film = watched(b"".join([*map(writer.add, blocks(count, loud=0)), writer.finish()]))
    assert film.numbers == list(range(5 * count))
    assert len(film.sound) / VOICE_RATE_HZ == pytest.approx(0.2 * count, abs=0.05)


def test_the_pictures_are_those_of_the_stage() -> None:
    made = blocks(3, loud=0)
    writer = Mp4Writer()
    mp4 = b"".join([*map(writer.add, made), writer.finish()])
    for frame in (frame for block in made for frame in block.frames):
        *_, slice_ = frame.data.split(b"\0\0\1")  # Annex B: the last unit is the picture
        assert slice_.rstrip(b"\0") in mp4


def test_a_film_begins_with_a_keyframe() -> None:
    with pytest.raises(ValueError, match="keyframe"):
        Mp4Writer().add(AvatarReply(1, bytes(2 * BLOCK_SAMPLES), blocks(2, loud=0)[1].frames))
