"""What Piper's engine does without Piper: its voices as files, and whose phonemes are whose."""

import json
from pathlib import Path

import pytest

from deployments.runtime.errors import ConfigError, InvalidRequest
from deployments.tts.piper.marks import PieceTimes, word_starts
from deployments.tts.piper.voice_files import VoiceFile, read_voice, voice_files


def write_voice(folder: Path, name: str, family: str = "en", rate_hz: int = 22_050, **more: object) -> Path:
    model = folder / f"{name}.onnx"
    model.write_bytes(b"")
    settings = {"audio": {"sample_rate": rate_hz}, "espeak": {"voice": family}, "language": {"family": family}, **more}
    model.with_name(f"{model.name}.json").write_text(json.dumps(settings))
    return model


def ids(files: tuple[VoiceFile, ...]) -> list[str]:
    return [file.id for file in files]


def test_the_chosen_voice_comes_first(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        write_voice(tmp_path, name)
    assert ids(voice_files(tmp_path, "")) == ["a", "b", "c"]
    assert ids(voice_files(tmp_path, "b")) == ["b", "a", "c"]


def test_a_voice_may_be_a_file_elsewhere(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "voices", tmp_path / "mine"
    folder.mkdir()
    elsewhere.mkdir()
    write_voice(folder, "a")
    mine = write_voice(elsewhere, "a", "de")
    files = voice_files(folder, str(mine))
    assert ids(files) == ["a"]
    assert files[0].model == mine


def test_no_voice_is_an_error_that_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="download_voices"):
        voice_files(tmp_path / "nowhere", "")
    write_voice(tmp_path, "a")
    with pytest.raises(ConfigError, match=r"'nobody'.*there: a"):
        voice_files(tmp_path, "nobody")


def test_a_broken_voice_is_left_out_unless_it_is_the_chosen_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_voice(tmp_path, "a")
    for name in ("half", "odd"):
        (tmp_path / f"{name}.onnx").write_bytes(b"")
    (tmp_path / "odd.onnx.json").write_text("[1, 2]")
    assert ids(voice_files(tmp_path, "a")) == ["a"]
    assert "half.onnx.json" in caplog.text
    assert "odd.onnx.json" in caplog.text
    with pytest.raises(ConfigError, match=r"half\.onnx\.json"):
        voice_files(tmp_path, "half")


@pytest.mark.parametrize(("family", "language"), [("en", "en"), ("cmn", "zh"), ("pt-br", "pt"), ("en-GB-x-rp", "en")])
def test_a_language_has_two_letters(tmp_path: Path, family: str, language: str) -> None:
    assert read_voice(write_voice(tmp_path, "v", family)).language == language


def test_a_rate_or_language_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rate 4000"):
        read_voice(write_voice(tmp_path, "slow", rate_hz=4_000))
    with pytest.raises(ConfigError, match="xyz"):
        read_voice(write_voice(tmp_path, "odd", "xyz"))


def test_speakers_by_name_and_number(tmp_path: Path) -> None:
    voice = read_voice(write_voice(tmp_path, "v", num_speakers=2, speaker_id_map={"ann": 0, "bob": 1}))
    assert [voice.speaker(name) for name in ("", "ann", "bob", "1")] == [None, 0, 1, 1]
    for wrong in ("carl", "2", "-1", "١"):
        with pytest.raises(InvalidRequest, match="ann, bob"):
            voice.speaker(wrong)


def test_joined_and_split_words_find_their_phonemes() -> None:
    # "of the" is spoken as one and with another vowel, "2nd" in letters that its word alone has too.
    written = [(0, "ˈɒv"), (3, "ðə"), (7, "sˈɛkənd"), (11, "dˈeɪ")]
    spoken = list("ʌvðə sˈɛkənd dˈeɪ.")
    starts = word_starts(written, spoken)
    assert [(spoken[index], place) for index, place in starts.items()] == [("ʌ", 0), ("ð", 3), ("s", 7), ("d", 11)]


def test_a_word_that_is_not_spoken_has_no_place() -> None:
    assert word_starts([(0, "hˈaɪ"), (3, ""), (6, "juː")], list("hˈaɪ juː")) == {0: 0, 5: 6}
    assert word_starts([(0, "a")], []) == {}


def test_times_reach_from_word_to_pause_and_marks_belong_to_their_phoneme() -> None:
    text = "hi you"
    spoken = list("hˈaɪ juː.")
    starts = word_starts([(0, "hˈaɪ"), (3, "juː")], spoken)
    times = PieceTimes(text, starts)
    timed = times.add(spoken, [10] * len(spoken), 100)
    rest = times.finish(200)
    words = [(text[w.text_start : w.text_end], w.start_sample, w.end_sample) for w in (*timed.words, *rest.words)]
    assert words == [("hi", 100, 140), ("you", 150, 180)]
    phonemes = [(p.symbol, p.start_sample, p.end_sample) for p in (*timed.phonemes, *rest.phonemes)]
    # The stress sounds as part of the vowel behind it, the length as part of the one before.
    assert phonemes == [("h", 100, 110), ("a", 110, 130), ("ɪ", 130, 140), ("j", 150, 160), ("u", 160, 180)]


def test_sentences_of_one_piece_go_on_where_the_last_one_ended() -> None:
    text = "a. b."
    starts = word_starts([(0, "a"), (3, "b")], list("a.b."))
    times = PieceTimes(text, starts)
    first = times.add(list("a."), [10, 10], 5)
    second = times.add(list("b."), [10, 10], 30)
    rest = times.finish(60)
    words = [*first.words, *second.words, *rest.words]
    assert [(w.text_start, w.start_sample, w.end_sample) for w in words] == [(0, 5, 15), (3, 30, 40)]
