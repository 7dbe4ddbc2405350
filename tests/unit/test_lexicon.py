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
