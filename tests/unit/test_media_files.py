"""Recordings in the containers that people have, and what only looks like one."""

import asyncio
import io
import struct
import wave
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.media.audio import to_float
from deployments.runtime.errors import InvalidRequest, TooLarge
from serve_app.gateway.media_files import decoded, wav
from tests.files_scene import recording


def read(data: bytes, rate_hz: int = 16_000, max_s: float = 10) -> bytes:
    return asyncio.run(decoded(data, rate_hz, max_s, "audio"))


def tone_hz(pcm: bytes, rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(to_float(pcm)))
    return float(np.argmax(spectrum) * rate_hz / len(to_float(pcm)))


def packed(container: str, codec: str, rate_hz: int, with_picture: bool = False) -> bytes:
    """One second of 440 Hz, stereo, encoded."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        if with_picture:
            video = out.add_stream("libx264", rate=5)
            video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        stream = out.add_stream(codec, rate=rate_hz, layout="stereo")
        assert isinstance(stream, av.AudioStream)
        for _ in range(5 if with_picture else 0):
            out.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64), np.uint8), format="gray")))
        t = np.arange(rate_hz) / rate_hz
        samples = np.repeat(0.3 * np.sin(2 * np.pi * 440 * t)[None], 2, axis=0).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate = rate_hz
        frame.pts = 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if with_picture:
            out.mux(video.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz"),
    [
        ("wav", "pcm_s16le", 44_100),
        ("mp3", "libmp3lame", 44_100),
        ("ogg", "libopus", 48_000),
        ("webm", "libopus", 48_000),
        ("mp4", "aac", 48_000),
        ("adts", "aac", 22_050),
        ("flac", "flac", 32_000),
        ("aiff", "pcm_s16be", 8_000),
        ("matroska", "flac", 96_000),
    ],
)
def test_usual_containers_are_read(container: str, codec: str, rate_hz: int) -> None:
    data = packed(container, codec, rate_hz)
    for wanted_hz in (16_000, 24_000):
        pcm = read(data, wanted_hz)
        assert len(pcm) / 2 / wanted_hz == pytest.approx(1.0, abs=0.1), "encoders pad"
        assert tone_hz(pcm, wanted_hz) == pytest.approx(440, abs=2)


def test_the_sound_of_a_film_is_read() -> None:
    assert tone_hz(read(packed("mp4", "aac", 48_000, with_picture=True)), 16_000) == pytest.approx(440, abs=2)


def test_a_film_without_sound_has_none() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        video = out.add_stream("libx264", rate=5)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        out.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64), np.uint8), format="gray")))
        out.mux(video.encode(None))
    with pytest.raises(InvalidRequest, match="no sound"):
        read(file.getvalue())


@pytest.mark.parametrize("rate_hz", [16_000, 24_000])
def test_plain_sound_comes_back_as_it_was(rate_hz: int) -> None:
    data = recording(0.5, rate_hz)
    with wave.open(io.BytesIO(data)) as reader:
        pcm = reader.readframes(10**6)
    assert read(data, rate_hz) == pcm
    again = wav(pcm, rate_hz)
    assert read(again, rate_hz) == pcm
    with wave.open(io.BytesIO(again)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, rate_hz)


def test_one_that_is_too_long_is_refused_however_small_it_is() -> None:
    with pytest.raises(TooLarge, match="longer than 10 s"):
        read(recording(10.1))
    assert len(read(recording(10.0))) == 320_000
    # FLAC packs ten minutes of silence into 110 kB.
    with pytest.raises(TooLarge, match="longer"):
        read(packed_silence(600))


def packed_silence(duration_s: int) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as out:
        stream = out.add_stream("flac", rate=8_000, layout="mono")
        for _ in range(duration_s):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 8_000), np.int16), format="s16", layout="mono")
            frame.sample_rate = 8_000
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert file.tell() < 200_000
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello, I am a text",
        b"{}",
        b"RIFF",
        bytes(5000),
        recording(1)[:30],
        recording(0),
        b"\xff\xfb" + bytes(100),
    ],
    ids=["empty", "text", "json", "riff", "zeros", "cut", "silent", "mp3 head"],
)
def test_what_is_no_recording_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(data)
    assert (refused.value.param, refused.value.code) == ("audio", "invalid_audio")


def test_a_broken_recording_gives_what_it_has_or_is_refused() -> None:
    data = bytearray(packed("ogg", "libopus", 48_000))
    for at in range(200, len(data), 97):
        data[at] ^= 0xFF
    with suppress(InvalidRequest):
        assert len(read(bytes(data))) <= 16_000 * 2.2


@pytest.mark.parametrize("scheme", ["file:", ""])
def test_a_playlist_opens_no_file_of_this_machine(tmp_path: Path, scheme: str) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(recording(1))
    playlists = [
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{scheme}{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{scheme}{secret}'\n",
        f"[playlist]\nFile1={scheme}{secret}\n",
    ]
    for text in playlists:
        with pytest.raises(InvalidRequest):
            read(text.encode())


@given(
    st.binary(max_size=200),
    st.sampled_from([b"RIFF\xff\0\0\0WAVEfmt ", b"OggS\0\x02", b"ID3\x04", b"fLaC", b"\x1a\x45\xdf\xa3"]),
)
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_sound_or_refused(rest: bytes, head: bytes) -> None:
    with suppress(InvalidRequest, TooLarge):
        assert len(read(head + rest, max_s=1)) <= 32_000


@pytest.mark.parametrize("rate_hz", [1, 2**31 - 1])
def test_impossible_rates_are_refused(rate_hz: int) -> None:
    data = bytearray(recording(0.1))
    data[24:28] = struct.pack("<I", rate_hz)
    with pytest.raises((InvalidRequest, TooLarge)):
        read(bytes(data))
