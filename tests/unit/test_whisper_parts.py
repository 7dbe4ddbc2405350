"""Whisper without a model: agreement, guards, windows, times, and what an utterance makes of answers."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.asr.contract import AsrOptions
from deployments.asr.whisper.agreement import Agreement
from deployments.asr.whisper.files import check, locate
from deployments.asr.whisper.guards import Guards, believed, compression_ratio, is_silence, without_repeats
from deployments.asr.whisper.heard import Answer, Word, text_of
from deployments.asr.whisper.model import timed
from deployments.asr.whisper.utterance import Rules, Utterance
from deployments.asr.whisper.windows import LEAST_S, cut, fitted_s
from deployments.media.audio import SPEECH_RATE_HZ, silence
from deployments.runtime.errors import ConfigError

GUARDS = Guards()
LOUD = b"\x00\x20\x00\xe0"
"""Two samples."""


def words(text: str, *, each_s: float = 0.0) -> tuple[Word, ...]:
    return tuple(
        Word(word, (hash(word) % 50_000,), True, n * each_s, (n + 1) * each_s) for n, word in enumerate(text.split())
    )


def sound(seconds: float) -> bytes:
    return LOUD * round(seconds * SPEECH_RATE_HZ / 2)


def utterance(options: AsrOptions | None = None, *, language: str | None = "en", follow: bool = False) -> Utterance:
    rules = Rules(interim_step_ms=500, language=language, follow=follow, guards=GUARDS)
    return Utterance(options or AsrOptions(), rules, hints=())


def answer(text: str, *, each_s: float = 0.0, language: str = "en", logprob: float = -0.2) -> Answer:
    return Answer(words(text, each_s=each_s), language, 0.6, logprob)


def tell(subject: Utterance, text: str, *, final: bool = False, each_s: float = 0.0) -> None:
    question = subject.question(final=final)
    subject.take(question, answer(text, each_s=each_s))


def test_what_two_decodings_agree_on_is_stable_but_for_the_last_word() -> None:
    agreement = Agreement()
    for text, stable in (
        ("the whether", ""),
        ("the weather in", "the"),
        ("the weather in pairs", "the weather in"),
        ("the weather in Paris today", "the weather in"),
        ("the weather in Paris today", "the weather in Paris"),
    ):
        assert agreement.add(words(text))
        assert text_of(agreement.stable) == stable
    assert not agreement.add(words("a feather"))
    assert text_of(agreement.stable) == "the weather in Paris"


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=12))
def test_nothing_stable_is_ever_taken_back(decodings: Sequence[Sequence[str]]) -> None:
    subject, before = utterance(), ""
    for decoding in decodings:
        subject.hear(sound(0.5))
        tell(subject, " ".join(decoding))
        interim = subject.interim()
        assert interim.text.startswith(before)
        stable = interim.text[: interim.stable_chars]
        assert stable.startswith(before)
        before = stable
    tell(subject, "d e f", final=True)
    assert subject.finish().text.startswith(before)


def test_a_question_begins_with_what_is_stable() -> None:
    subject = utterance()
    subject.hear(sound(1))
    tell(subject, "one two three")
    tell(subject, "one two four")
    assert subject.question(final=True).prefix == tuple(token for word in words("one two") for token in word.tokens)


def test_it_is_decoded_again_after_so_much_new_sound() -> None:
    subject = utterance()
    subject.hear(sound(0.4))
    assert not subject.due
    subject.hear(sound(0.1))
    assert subject.due
    subject.question(final=False)
    subject.hear(sound(0.4))
    assert not subject.due


def test_final_words_have_times_and_confidence_and_stay_until_more_is_heard() -> None:
    subject = utterance()
    subject.hear(sound(2))
    tell(subject, "hello there", final=True, each_s=0.5)
    final = subject.finish()
    assert (final.text, final.final, final.language) == ("hello there", True, "en")
    assert final.confidence == pytest.approx(math.exp(-0.2))
    assert [(time.start_sample, time.end_sample) for time in final.words] == [(0, 8_000), (8_000, 16_000)]
    assert [final.text[time.text_start : time.text_end] for time in final.words] == ["hello", "there"]
    assert subject.final is final
    subject.hear(sound(0.1))
    assert subject.final is None


def test_an_utterance_of_more_than_30_s_is_cut_between_words_and_goes_on() -> None:
    subject = utterance()
    subject.hear(sound(31))
    assert subject.overlong
    question = subject.question(final=True)
    assert len(question.pcm) == 2 * 30 * SPEECH_RATE_HZ
    subject.take(question, answer(" ".join(f"w{n}" for n in range(29)), each_s=1.0))
    assert not subject.overlong
    # w0 to w24 end 5 s before the end at the latest; the next begins at 25 s.
    assert subject.seconds == pytest.approx(31 - 25, abs=0.11)
    assert subject.interim().text == " ".join(f"w{n}" for n in range(25))
    assert subject.interim().stable_chars == len(subject.interim().text)
    tell(subject, "w25 w26", final=True, each_s=1.0)
    final = subject.finish()
    assert final.text == " ".join(f"w{n}" for n in range(27))
    assert final.words[25].start_sample == pytest.approx(25 * SPEECH_RATE_HZ, abs=SPEECH_RATE_HZ // 5)
    assert final.words[-1].end_sample <= 31 * SPEECH_RATE_HZ


def test_half_a_minute_of_silence_is_dropped() -> None:
    subject = utterance()
    subject.hear(silence(31_000, SPEECH_RATE_HZ))
    assert subject.silent
    subject.take_silence()
    assert subject.seconds == pytest.approx(6)
    assert subject.finish().text == ""


def test_a_language_is_detected_once_or_followed() -> None:
    once, follow, told = utterance(language=None), utterance(language=None, follow=True), utterance(language="de")
    for subject in (once, follow, told):
        subject.hear(sound(3))
    for subject in (once, follow):
        assert subject.question(final=False).language is None
        subject.take(subject.question(final=False), answer("bonjour", language="fr"))
        assert subject.interim().language == "fr"
    assert once.question(final=False).language == "fr"
    assert follow.question(final=False).language is None
    assert told.question(final=False).language == "de"


def test_a_language_guessed_from_little_sound_may_still_change() -> None:
    subject = utterance(language=None)
    subject.hear(sound(0.5))
    subject.take(subject.question(final=False), answer("ja", language="de"))
    assert subject.question(final=False).language is None


@given(
    st.lists(st.tuples(st.floats(0, 30), st.floats(0, 3)), max_size=20).map(
        lambda pairs: sorted((start, min(30.0, start + length)) for start, length in pairs)
    ),
    st.integers(0, 20),
)
def test_each_cut_brings_the_end_nearer(spans: list[tuple[float, float]], stable: int) -> None:
    place = cut([Word("a", (1,), True, start, end) for start, end in spans], 30.0, min(stable, len(spans)))
    assert place.words >= min(stable, len(spans))
    assert LEAST_S - 0.11 <= place.at_s <= 30.0


@pytest.mark.parametrize(
    ("seconds", "least_s", "window_s"),
    [(0.5, 10, 10), (9.5, 10, 15), (9, 5, 10), (14.5, 5, 20), (30, 5, 30), (1, 30, 30)],
)
def test_a_window_fits_in_steps(seconds: float, least_s: float, window_s: float) -> None:
    assert fitted_s(seconds, least_s) == window_s


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("no no no", "no no no"),
        ("no no no no", "no"),
        ("thank you. Thank you, thank you thank you. bye", "thank you. bye"),
        ("well " + "I do not know " * 9 + "yet", "well I do not know yet"),
        ("", ""),
    ],
)
def test_a_phrase_said_again_and_again_is_kept_once(said: str, kept: str) -> None:
    assert text_of(without_repeats(words(said), GUARDS.most_repeats)) == kept


def test_what_was_probably_not_said_is_not_believed() -> None:
    said = words("thanks for watching")
    assert believed(Answer(said, "en", 1.0, -1.5, 0.9), GUARDS) == ()
    assert believed(Answer(said, "en", 1.0, -0.5, 0.9), GUARDS) == said
    assert believed(Answer(said, "en", 1.0, -1.5, 0.1), GUARDS) == said
    assert believed(Answer(words("ha" * 200), "en"), GUARDS) == ()
    assert compression_ratio("") == 0.0


def test_silence_is_not_listened_to() -> None:
    assert is_silence(b"", GUARDS)
    assert is_silence(silence(500, SPEECH_RATE_HZ), GUARDS)
    assert is_silence(b"\x01\x00\xff\xff" * 4_000, GUARDS)
    assert not is_silence(silence(5_000, SPEECH_RATE_HZ) + sound(0.1), GUARDS)


def test_words_end_where_the_next_begin() -> None:
    said = (Word("one", (5, 6)), Word("two", (7,)))
    path = [(0, 0), (0, 10), (1, 12), (2, 25), (2, 30), (3, 50)]
    assert [(word.start_s, word.end_s) for word in timed(said, path, 2.0)] == [(0.0, 0.5), (0.5, 1.0)]


@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), max_size=40), st.floats(0.1, 30))
def test_no_word_is_empty_or_overlaps_or_ends_after_the_sound(
    count: int, moves: list[tuple[int, int]], seconds: float
) -> None:
    path, place = [(0, 0)], (0, 0)
    for tokens, frames in moves:
        place = (place[0] + tokens, place[1] + frames)
        path.append(place)
    end_s = 0.0
    for word in timed([Word("a", (1,))] * count, path, seconds):
        assert end_s <= word.start_s < word.end_s <= seconds + 1e-9
        end_s = word.end_s


def test_a_folder_that_lacks_a_file_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        locate(str(tmp_path / "none"), tmp_path, download=True)
    for name in ("config.json", "model.bin", "vocabulary.txt"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=r"lacks tokenizer\.json\."):
        locate(str(tmp_path), tmp_path, download=True)
    (tmp_path / "tokenizer.json").touch()
    check(tmp_path)
    (tmp_path / "vocabulary.txt").unlink()
    with pytest.raises(ConfigError, match=r"lacks vocabulary\.json or vocabulary\.txt"):
        check(tmp_path)
