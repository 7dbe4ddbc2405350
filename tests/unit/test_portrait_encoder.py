"""H.264: one access unit a picture, keyframes when wanted, a bitrate that follows."""

import functools
import logging

import av
import numpy as np
import pytest

from deployments.avatar.encoder import KEYFRAME_EVERY, H264Encoder, check, chosen
from deployments.avatar.picture import Picture
from deployments.avatar.portrait_model import Performer
from deployments.media.video import FRAME_RATE_HZ, VideoFrame
from deployments.runtime.errors import ConfigError, EngineFailed
from tests.portraits import drawn, drawn_model, talking
from tests.video_decoding import decoded

START_CODE = b"\x00\x00\x00\x01"


@functools.cache
def performance() -> list[Picture]:
    """Two seconds of a face that speaks: 33 MB."""
    performer = Performer(drawn_model(), "someone")
    return [performer.frame(number, talking(number), "speaking") for number in range(50)]


def pictures(count: int) -> list[Picture]:
    """The performance forwards and backwards, so that nothing jumps."""
    shown = performance()
    return [shown[min(index % 100, 99 - index % 100)] for index in range(count)]


def kbps(frames: list[VideoFrame]) -> float:
    return sum(len(frame.data) for frame in frames) * 8 * FRAME_RATE_HZ / len(frames) / 1000


def unit_types(data: bytes) -> list[int]:
    """Kinds of the network abstraction layer units: 7 and 8 parameter sets, 5 keyframe, 1 other (H.264, table 7-1)."""
    return [unit[0] & 31 for unit in data.split(b"\x00\x00\x01")[1:]]


def test_every_picture_comes_back_at_once_and_as_it_was() -> None:
    shown = pictures(30)
    encoder = H264Encoder(384, 580, "libx264")
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    for picture in shown:
        frame = encoder.encode(picture)
        (seen,) = decoder.decode(av.Packet(frame.data))
        assert (seen.width, seen.height) == (384, 580)
        assert np.abs(seen.to_ndarray(format="bgr24").astype(int) - picture).mean() < 4
    encoder.close()


def test_a_keyframe_brings_its_parameter_sets_and_stands_alone() -> None:
    encoder = H264Encoder(384, 580, "libx264")
    frames = [encoder.encode(picture, keyframe=index == 7) for index, picture in enumerate(pictures(12))]
    assert [index for index, frame in enumerate(frames) if frame.keyframe] == [0, 7]
    for frame in frames:
        assert frame.data.startswith(START_CODE)
        types = unit_types(frame.data)
        if frame.keyframe:
            assert types.index(7) < types.index(8) < types.index(5)
        else:
            assert 1 in types
            assert not {5, 7, 8} & set(types)
    assert len(decoded(frames[7:])) == 5


def test_a_keyframe_comes_at_least_every_two_seconds() -> None:
    encoder = H264Encoder(384, 580, "libx264")
    frames = [encoder.encode(picture, keyframe=index == 30) for index, picture in enumerate(pictures(85))]
    assert [n for n, frame in enumerate(frames) if frame.keyframe] == [0, 30, 80]
    assert KEYFRAME_EVERY == 2 * FRAME_RATE_HZ


def test_it_is_baseline_without_pictures_out_of_order() -> None:
    encoder = H264Encoder(384, 580, "libx264")
    data = encoder.encode(pictures(1)[0]).data
    profile = data[data.index(START_CODE + b"\x67") + 5]
    assert profile == 66


def test_the_bitrate_moves_down_and_up_in_a_running_stream() -> None:
    shown = pictures(300)
    encoder = H264Encoder(384, 580, "libx264", 250)
    slow = [encoder.encode(picture) for picture in shown[:100]]
    fast = [encoder.encode(picture, bitrate_kbps=900) for picture in shown[100:200]]
    slow_again = [encoder.encode(picture, bitrate_kbps=200) for picture in shown[200:]]
    assert kbps(slow[25:]) < 300
    assert kbps(fast[25:]) > 1.4 * kbps(slow[25:])
    assert kbps(fast[25:]) < 1000
    assert kbps(slow_again[25:]) < 260
    assert len(decoded([*slow, *fast, *slow_again])) == 300
    assert [n for n, frame in enumerate([*slow, *fast, *slow_again]) if frame.keyframe] == [0, 50, 100, 150, 200, 250]


def test_the_same_pictures_give_the_same_bytes() -> None:
    def stream() -> list[VideoFrame]:
        encoder = H264Encoder(384, 580, "libx264")
        return [encoder.encode(picture) for picture in pictures(20)]

    assert stream() == stream()


@pytest.mark.parametrize(("width", "height"), [(101, 98), (98, 101), (383, 579)])
def test_odd_sizes_grow_by_a_repeated_edge(width: int, height: int) -> None:
    picture = np.ascontiguousarray(drawn()[0][:height, :width])
    encoder = H264Encoder(width, height, "libx264", 4000)
    assert (encoder.width_px, encoder.height_px) == (width + width % 2, height + height % 2)
    shown = decoded([encoder.encode(picture)])[0][..., ::-1]
    assert shown.shape == (height + height % 2, width + width % 2, 3)
    assert np.abs(shown[:height, :width].astype(int) - picture).mean() < 4
    assert np.abs(shown[-1, :width].astype(int) - picture[-1]).mean() < 8


def test_a_picture_of_another_size_is_refused() -> None:
    encoder = H264Encoder(384, 580, "libx264")
    with pytest.raises(EngineFailed, match="100×100"):
        encoder.encode(np.zeros((100, 100, 3), np.uint8))


def test_a_closed_encoder_encodes_no_more() -> None:
    encoder = H264Encoder(384, 580, "libx264")
    assert encoder.name == "libx264"
    encoder.close()
    encoder.close()
    with pytest.raises(EngineFailed, match="closed"):
        encoder.encode(pictures(1)[0])


def test_auto_takes_what_works_here(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        name = chosen("auto")
    encoder = H264Encoder(384, 580, "auto")
    assert encoder.name == name
    assert encoder.encode(pictures(1)[0]).keyframe
    if name == "libx264":
        with pytest.raises(ConfigError, match="h264_nvenc"):
            check("h264_nvenc")
    else:
        check("h264_nvenc")
