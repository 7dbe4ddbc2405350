"""What XTTS takes at once, without XTTS."""

import pytest

from deployments.runtime.errors import ConfigError, InvalidRequest
from deployments.tts.engines.xtts import Config, Engine
from deployments.tts.xtts.texts import LANGUAGES, language_of, takes


class Words:
    """A tokenizer: a token a word, which keeps what it was asked."""

    def __init__(self, tokens_per_word: int = 1) -> None:
        self.asked: list[str] = []
        self._tokens_per_word = tokens_per_word

    def __call__(self, text: str) -> list[int]:
        self.asked.append(text)
        return [len(word) for word in text.split() for _ in range(self._tokens_per_word)]


def test_a_long_text_is_spoken_in_pieces_within_the_limit_of_its_language() -> None:
    text = "One sentence after the other, so that it lasts. " * 20
    for language, most_chars in LANGUAGES.items():
        words = Words()
        spoken = list(takes(text, language, words, 400))
        assert len(spoken) > 1
        assert max(map(len, words.asked)) <= most_chars
        assert " ".join(words.asked).split() == text.lower().split()


def test_a_piece_of_too_many_tokens_is_halved_until_it_fits() -> None:
    words = Words(tokens_per_word=10)
    spoken = list(takes("one two three four five six seven eight", "en", words, 30))
    assert max(map(len, spoken)) <= 30
    assert sum(map(len, spoken)) == 80


def test_one_character_of_too_many_tokens_is_cut() -> None:
    assert list(takes("a", "en", Words(tokens_per_word=50), 30)) == [[1] * 30]


@pytest.mark.parametrize("text", ["", " ", "...", "?!", "\u200b", "[]", "—"])
def test_nothing_to_say_is_nothing(text: str) -> None:
    assert list(takes(text, "en", Words(), 400)) == []


def test_a_text_cannot_name_control_tokens_and_a_long_number_is_told_digit_by_digit() -> None:
    words = Words()
    list(takes("hi [STOP] there\x00", "en", words, 400))
    list(takes("7" * 20, "en", words, 400))
    assert words.asked == ["hi  stop  there", " ".join("7" * 20)]


def test_a_language_is_one_of_seventeen() -> None:
    assert len(LANGUAGES) == 17
    assert [language_of(tag, "en") for tag in (None, "", "pt-BR", "zh_CN")] == ["en", "en", "pt", "zh"]
    with pytest.raises(InvalidRequest, match="tlh") as error:
        language_of("tlh", "en")
    assert error.value.param == "language"


def test_a_default_language_that_it_does_not_speak_is_refused() -> None:
    with pytest.raises(ConfigError, match="sv"):
        Engine(Config(language="sv"))
