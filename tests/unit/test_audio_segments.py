"""Long recordings, cut where nobody speaks; damaged and odd files."""

import io
import struct
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from deployments.asr.contract import Transcript
from deployments.media.timing import WordTime
from deployments.runtime.errors import InvalidRequest, TooLarge
from serve_app.gateway.audio.captions import captions, segment_json, srt, vtt
from serve_app.gateway.audio.hearing import Passage
from serve_app.gateway.audio.segments import Segment, SegmentCutter
from serve_app.gateway.audio.sound_file import SoundFile
from serve_app.session.speech_model import SpeechStream
from tests.audio_scene import clip, encoded, music, noise, pause, silero, wav_of

RATE = 16_000
Sound = npt.NDArray[np.int16]


def cut(sound: Sound, longest_s: float = 30, block_s: float = 10) -> list[Segment]:
    stream = SpeechStream()
    cutter = SegmentCutter(lambda pcm: silero().run([(stream, pcm)])[0], longest_s)
    step = 2 * round(block_s * RATE)
    pcm = sound.astype("<i2").tobytes()
    found = [segment for at in range(0, len(pcm), step) for segment in cutter.feed(pcm[at : at + step])]
    return [*found, *cutter.flush()]


def scripted(chances: list[float], longest_s: float = 30) -> list[Segment]:
    """Segments of sound in which each chunk has its number as its samples."""
    cutter = SegmentCutter(lambda pcm: [chances[n] for n in numbers(pcm)], longest_s)
    pcm = np.repeat(np.arange(100, 100 + len(chances), dtype="<i2"), 512).tobytes()
    return [*cutter.feed(pcm), *cutter.flush()]


def numbers(pcm: bytes) -> list[int]:
    return [int(n) - 100 for n in np.frombuffer(pcm, "<i2")[::512]]


def test_each_utterance_is_a_segment_at_its_place() -> None:
    first, second = clip("thank_you"), clip("hi_how_are_you")
    sound = np.concatenate([pause(5), first, pause(4), second, pause(3)])
    segments = cut(sound)
    assert len(segments) == 2
    for segment, begins_s, words in zip(segments, (5, 9 + len(first) / RATE), (first, second), strict=True):
        assert begins_s - 0.4 <= segment.start_sample / RATE <= begins_s + 0.5
        assert segment.pcm == sound[segment.start_sample :][: len(segment.pcm) // 2].astype("<i2").tobytes()
        assert len(segment.pcm) / 2 <= len(words) + RATE
        assert segment.speech > 0.3


def test_how_a_file_is_fed_changes_nothing() -> None:
    sound = np.concatenate([pause(1), clip("thank_you"), pause(3), clip("hello")])
    assert cut(sound, block_s=10) == cut(sound, block_s=0.37)


def test_long_speech_is_cut_in_pauses_and_nothing_of_it_is_lost() -> None:
    speech = clip("jfk")
    sound = np.concatenate([speech] * 6)
    segments = cut(sound, longest_s=10)
    assert all(len(segment.pcm) / 2 / RATE <= 10 for segment in segments)
    assert len(segments) <= 13, "each is half full at least"
    heard = sum(len(segment.pcm) // 2 for segment in segments)
    assert heard > 0.95 * len(sound)
    ends = [(s.start_sample, s.start_sample + len(s.pcm) // 2) for s in segments]
    assert all(before[1] <= after[0] for before, after in pairwise(ends))


def test_speech_without_a_pause_is_cut_where_there_is_least_of_it() -> None:
    longest = 30 * RATE // 512
    chances = [0.9] * (2 * longest)
    dip = longest - 60
    chances[dip : dip + 8] = [0.5] * 8
    first, *rest = scripted(chances)
    assert numbers(first.pcm)[-1] == dip + 3
    joined = [n for segment in (first, *rest) for n in numbers(segment.pcm)]
    assert joined == list(range(len(chances)))


@pytest.mark.parametrize(
    "sound", [pause(8), noise(8, 30), noise(8, 3000), music(8)], ids=["silence", "faint noise", "loud noise", "music"]
)
def test_where_nobody_speaks_there_is_no_segment(sound: Sound) -> None:
    assert cut(sound) == []


def read(data: bytes, max_s: float = 60) -> Sound:
    file = SoundFile(io.BytesIO(data), RATE, max_s, "file")
    try:
        return np.frombuffer(b"".join(file.blocks(1.0)), "<i2")
    finally:
        file.close()


SPEECH = clip("hi_how_are_you")


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz", "layout"),
    [
        ("wav", "pcm_s16le", 8_000, "mono"),
        ("wav", "pcm_s16le", 96_000, "stereo"),
        ("flac", "flac", 96_000, "stereo"),
        ("mp3", "libmp3lame", 8_000, "mono"),
        ("ogg", "libopus", 48_000, "stereo"),
        ("mp4", "aac", 44_100, "stereo"),
        ("matroska", "libopus", 48_000, "mono"),
    ],
)
def test_containers_rates_and_channels(container: str, codec: str, rate_hz: int, layout: str) -> None:
    data = encoded(SPEECH, container, codec, rate_hz, layout)
    sound = read(data)
    assert sound.size == pytest.approx(SPEECH.size, abs=0.15 * RATE)
    assert np.abs(sound).max() > 0.4 * np.abs(SPEECH).max()


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz"),
    [("mp3", "libmp3lame", 16_000), ("ogg", "libopus", 48_000), ("flac", "flac", 16_000), ("wav", "pcm_s16le", 16_000)],
)
def test_a_cut_file_is_read_as_far_as_it_goes(container: str, codec: str, rate_hz: int) -> None:
    speech = clip("jfk")
    data = encoded(speech, container, codec, rate_hz)
    sound = read(data[: len(data) // 2])
    assert 0.25 * speech.size < sound.size < 0.75 * speech.size


def test_damage_in_the_middle_costs_only_what_is_damaged() -> None:
    data = bytearray(encoded(SPEECH, "mp3", "libmp3lame", 16_000))
    data[len(data) // 2 : len(data) // 2 + 200] = b"\xa5" * 200
    assert read(bytes(data)).size > 0.8 * SPEECH.size


@pytest.mark.parametrize("data", [b"", b"I am a text.", b"\0" * 5000, encoded(SPEECH, "mp4", "aac", 44_100)[:400]])
def test_what_is_no_recording_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(data)
    assert refused.value.code == "invalid_audio"


def test_a_small_file_that_becomes_hours_is_stopped() -> None:
    hours = encoded(np.zeros(RATE * 600, np.int16), "flac", "flac", 16_000)
    assert len(hours) < 300_000
    with pytest.raises(TooLarge, match="longer than 60 s"):
        read(hours)
    unsized = hours[:18] + bytes([hours[18], hours[19], hours[20], hours[21] & 0xF0, 0, 0, 0, 0]) + hours[26:]
    with pytest.raises(TooLarge, match="longer than 60 s"):
        read(unsized)


def test_a_rate_of_one_hertz_is_refused() -> None:
    data = bytearray(wav_of(SPEECH[:2000]))
    data[24:32] = struct.pack("<II", 1, 2)
    with pytest.raises((InvalidRequest, TooLarge)):
        read(bytes(data), max_s=1e6)


def passage(words: list[tuple[str, float, float]], start_s: float = 100, text: str | None = None) -> Passage:
    said = " ".join(word for word, _, _ in words) if text is None else text
    times, at = [], 0
    for word, begins_s, ends_s in words:
        times.append(WordTime(round(begins_s * RATE), round(ends_s * RATE), at, at + len(word)))
        at += len(word) + 1
    segment = Segment(round(start_s * RATE), bytes(2 * 20 * RATE), 0.8)
    return Passage(segment, Transcript(said, final=True, words=tuple(times), confidence=0.5))


def test_captions_end_with_sentences_and_in_pauses() -> None:
    said = passage([("Hello.", 0, 0.5), ("How", 0.6, 0.8), ("are", 0.8, 1.0), ("you", 2.0, 2.5)])
    shown = captions(said)
    assert [(each.text, each.start_s, each.end_s) for each in shown] == [
        ("Hello.", 100.0, 100.5),
        ("How are", 100.6, 101.0),
        ("you", 102.0, 102.5),
    ]
    assert srt(shown).startswith("1\n00:01:40,000 --> 00:01:40,500\nHello.\n\n2\n")
    assert vtt(shown).startswith("WEBVTT\n\n00:01:40.000 --> 00:01:40.500\nHello.\n\n")
    number = segment_json(1, shown[1], 0.0)
    assert (number["seek"], number["no_speech_prob"], round(number["avg_logprob"], 3)) == (10_000, 0.2, -0.693)


def test_no_caption_is_longer_than_two_lines() -> None:
    words = [(f"word{n:02}", 0.3 * n, 0.3 * n + 0.2) for n in range(60)]
    shown = captions(passage(words))
    assert " ".join(each.text for each in shown) == " ".join(word for word, _, _ in words)
    assert all(len(each.text) <= 84 and each.end_s - each.start_s <= 7 for each in shown)


def test_without_times_of_words_a_caption_is_the_passage() -> None:
    (shown,) = captions(passage([], text="All <of> it & more."))
    assert (shown.start_s, shown.end_s, shown.words) == (100.0, 120.0, ())
    assert "All &lt;of&gt; it &amp; more." in vtt([shown])
    assert captions(passage([], text=" ")) == []
