import pytest

from deployments.media.timing import PhonemeTime, WordTime
from deployments.tts.clause_times import ClauseTimes, word_places


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello there, my friend.", ["Hello", "there", "my", "friend"]),
        ("It's 10:30 — pay $12.50 (e.g. now)!", ["It's", "10:30", "pay", "$12.50", "e.g", "now"]),
        ("“Quoted” *bold* `code`", ["Quoted", "bold", "code"]),
        ("50% off & more", ["50%", "off", "&", "more"]),
        ("你好,世界。", ["你", "好", "世", "界"]),
        ("naïve Ærø Привет", ["naïve", "Ærø", "Привет"]),
        ("... — !", []),
        ("\u200b\x00 ", []),
        ("", []),
    ],
)
def test_words_are_what_stands_between_spaces(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in word_places(text)] == words


def test_a_word_ends_where_the_next_begins() -> None:
    times = ClauseTimes("one two")
    assert times.word(0, 10) == []
    assert times.word(4, 500) == [WordTime(10, 500, 0, 3)]
    assert times.finish(900) == ([WordTime(500, 900, 4, 7)], [])


def test_a_word_ends_where_the_pause_after_it_begins() -> None:
    times = ClauseTimes("one, two.")
    times.word(0, 0)
    times.phoneme("w", 0)
    assert times.phoneme("", 300) == [PhonemeTime("w", 0, 300)]
    assert times.phoneme("", 350) == []
    assert times.word(5, 400) == [WordTime(0, 300, 0, 3)]
    times.phoneme("t", 400)
    assert times.finish(700) == ([WordTime(400, 700, 5, 8)], [PhonemeTime("t", 400, 700)])


def test_a_pause_inside_a_word_does_not_end_it() -> None:
    times = ClauseTimes("apple pie")
    times.word(0, 0)
    times.phoneme("", 100)
    times.phoneme("p", 150)
    assert times.word(6, 400) == [WordTime(0, 400, 0, 5)]


def test_further_marks_in_one_word_do_not_split_it() -> None:
    times = ClauseTimes("costs 12.50 now")
    assert times.word(0, 0) == []
    assert times.word(6, 100) == [WordTime(0, 100, 0, 5)]
    assert times.word(7, 200) == []
    assert times.word(7, 300) == []
    assert times.word(12, 400) == [WordTime(100, 400, 6, 11)]


def test_words_without_a_mark_share_the_time_by_their_length() -> None:
    times = ClauseTimes("an X-ray now")
    times.word(0, 0)
    assert times.word(9, 700) == [WordTime(0, 200, 0, 2), WordTime(200, 700, 3, 8)]


def test_words_before_the_first_mark_share_its_time() -> None:
    times = ClauseTimes("aa bb")
    assert times.word(3, 50) == []
    assert times.finish(250) == ([WordTime(50, 150, 0, 2), WordTime(150, 250, 3, 5)], [])


def test_a_mark_behind_the_last_word_or_going_back_is_ignored() -> None:
    times = ClauseTimes("one two .")
    times.word(4, 0)
    assert times.word(0, 100) == []
    assert times.word(8, 200) == []
    assert times.finish(300)[0][-1] == WordTime(150, 300, 4, 7)


def test_without_marks_there_are_no_times() -> None:
    assert ClauseTimes("one two").finish(500) == ([], [])
