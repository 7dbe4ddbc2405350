"""The data files of languages."""

from importlib.resources import files

import pytest

from serve_app.session.lexicon import lexicon, words_of

LANGUAGES = sorted(file.name.removesuffix(".yaml") for file in (files("configs") / "languages").iterdir())


def test_there_are_languages() -> None:
    assert {"de", "en", "es", "fr", "it"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_file_holds_whole_lists_in_lower_case(language: str) -> None:
    known = lexicon(language)
    assert known is not None
    for words in (known.dangling, known.prepositions, known.askers, known.operators, known.digits, known.fillers):
        assert words
        assert all(word == word.casefold() for word in words)
    assert len(known.digits) >= 10
    assert len(known.tens) >= 16
    for words in (known.ranges, known.scales, known.joins, known.separators, known.dates, known.links):
        assert words
    assert known.introductions
    assert set(known.announcements) >= {1, 4, 7, 15}
    assert not known.backchannels & known.takers


def test_a_tag_is_its_language_and_nothing_is_english() -> None:
    assert lexicon("de-AT") is lexicon("DE")
    assert lexicon(None) is lexicon("en")
    assert lexicon("xx") is None
    assert lexicon("../en") is None


def test_content_is_what_is_no_backchannel_and_no_filler() -> None:
    english = lexicon("en")
    assert english is not None
    assert english.content(words_of("Uh, yeah. I see: all right!")) == []
    assert english.content(words_of("Yeah, I see the house")) == ["the", "house"]
    assert english.content(words_of("Mm-hm uh-huh")) == []


def test_phrases_that_take_the_turn_are_found_anywhere() -> None:
    english = lexicon("en")
    assert english is not None
    assert english.wants_turn(words_of("yeah hold on please"))
    assert not english.wants_turn(words_of("hold my hand on"))


def test_a_number_is_announced_by_the_longest_phrase_before_it() -> None:
    english = lexicon("en")
    assert english is not None
    assert english.announced_digits(words_of("and my number")) == 7
    assert english.announced_digits(words_of("and my room number")) == 1
    assert english.announced_digits(words_of("my number is")) is None


@pytest.mark.parametrize(
    ("language", "number", "other"),
    [
        ("de", "dreiundzwanzig", "zwanzig"),
        ("fr", "soixante-dix-huit", "dixième"),
        ("es", "veintidós", "dieta"),
        ("it", "ventuno", "ventola"),
    ],
)
def test_numbers_written_in_one_word(language: str, number: str, other: str) -> None:
    known = lexicon(language)
    assert known is not None
    assert known.is_compound_number(number)
    assert not known.is_compound_number(other)
