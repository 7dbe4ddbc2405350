from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from configs.vad import Eagerness, EndpointingConfig, ProsodyConfig, SemanticWaits
from serve_app.session.completeness import Completeness
from serve_app.session.cues import completeness
from serve_app.session.endpointing import Pause, SemanticEndpointing, SilenceEndpointing
from serve_app.session.prosody import Ending

FINISHED, OPEN, UNFINISHED = Completeness.FINISHED, Completeness.OPEN, Completeness.UNFINISHED
HALFWAY = Completeness.HALFWAY
WAITS = SemanticWaits(finished_ms=400, open_ms=1000, unfinished_ms=4000)


def semantic(waits: SemanticWaits) -> SemanticEndpointing:
    return SemanticEndpointing(waits, ProsodyConfig())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", OPEN),
        ("   ", OPEN),
        ("...", OPEN),
        ("yes", FINISHED),
        ("mm-hm", OPEN),
        ("Thank you very much.", FINISHED),
        ("what is the weather in paris", FINISHED),
        ("Where are you from?", FINISHED),
        ("where are you from", OPEN),
        ("what is", HALFWAY),
        ("my name is", HALFWAY),
        ("i live in berlin", OPEN),
        ("I live in Berlin.", FINISHED),
        ("I live in Berlin, ", UNFINISHED),
        ("well…", UNFINISHED),
        ("i would like to", UNFINISHED),
        ("I would like to.", UNFINISHED),
        ("remind me to buy milk and", UNFINISHED),
        ("tell me about the", UNFINISHED),
        ("what is the", UNFINISHED),
        ("i want um", UNFINISHED),
        ("five plus", UNFINISHED),
        ("three point", UNFINISHED),
        ("that is not the point", OPEN),
        ("is the game over", FINISHED),
        ("She said “is it you?”", FINISHED),
        ("I’m", UNFINISHED),
    ],
)
def test_english_sentences(text: str, expected: Completeness) -> None:
    assert completeness(text, "en") is expected
    assert completeness(text, "en-GB") is expected
    assert completeness(text, None) is expected


@pytest.mark.parametrize(
    ("language", "finished", "unfinished"),
    [
        ("de", "wie spät ist es", "ich möchte einen"),
        ("de", "danke schön", "ich komme nicht weil"),
        ("de", "wo ist er", "ich hätte gern ähm"),
        ("fr", "si", "je crois que"),
        ("fr", "comment ça va", "je voudrais un"),
        ("fr", "merci beaucoup", "je viens avec"),
        ("es", "cómo te llamas", "quiero ir a"),
        ("es", "muchas gracias", "me gusta el té y"),
        ("it", "come ti chiami", "vorrei andare a"),
        ("it", "va bene", "non vengo perché"),
        ("ja", "元気ですか？", "それは、"),
        ("zh", "谢谢。", "我想，"),
    ],
)
def test_other_languages(language: str, finished: str, unfinished: str) -> None:
    assert completeness(finished, language) is FINISHED
    assert completeness(unfinished, language) is UNFINISHED


def test_a_language_without_a_list_is_judged_by_punctuation() -> None:
    assert completeness("jag vill ha en", "sv") is OPEN
    assert completeness("jag vill ha en kaffe.", "sv") is FINISHED


@given(st.text(max_size=60), st.sampled_from([None, "en", "de", "fr", "es", "it", "ja", "xx"]))
def test_any_text_gets_one_of_the_configured_waits(text: str, language: str | None) -> None:
    waits = SemanticWaits(finished_ms=1, open_ms=2, unfinished_ms=3)
    assert semantic(waits).required_silence_ms(Pause(text, language)) in (1, 2, pytest.approx(2.2), 3)


@pytest.mark.parametrize("ending", Ending)
def test_silence_endpointing_ignores_words_and_melody(ending: Ending) -> None:
    policy = SilenceEndpointing(silence_duration_ms=450)
    assert policy.required_silence_ms(Pause("", None, ending)) == 450
    assert policy.required_silence_ms(Pause("and", "en", ending)) == 450


@pytest.mark.parametrize(("eagerness", "longest_ms"), [("low", 8000), ("medium", 4000), ("high", 2000), ("auto", 4000)])
def test_eagerness_has_the_longest_waits_that_openai_documents(eagerness: Eagerness, longest_ms: float) -> None:
    policy = semantic(EndpointingConfig().waits(eagerness))
    assert policy.required_silence_ms(Pause("i want to", "en")) == longest_ms


@pytest.mark.parametrize("ending", Ending)
def test_the_more_eager_the_shorter_and_finished_before_open_before_unfinished(ending: Ending) -> None:
    config = EndpointingConfig()
    for text in ("yes", "i live in berlin", "i want to"):
        pause = Pause(text, "en", ending)
        waits = [semantic(w).required_silence_ms(pause) for w in (config.low, config.medium, config.high)]
        assert waits == sorted(waits, reverse=True)
        assert len(set(waits)) == 3
    for eagerness in get_args(Eagerness):
        waits_of = config.waits(eagerness)
        assert waits_of.finished_ms < waits_of.open_ms < waits_of.unfinished_ms
        assert waits_of.finished_ms >= config.finalize_after_ms


@pytest.mark.parametrize(
    ("text", "ending", "expected_ms"),
    [
        ("yes", Ending.UNKNOWN, 400),
        ("yes", Ending.FALLING, 400),
        ("yes", Ending.LEVEL, 700),
        ("where is it?", Ending.RISING, 400),
        ("i live in berlin", Ending.UNKNOWN, 1000),
        ("i live in berlin", Ending.FALLING, 580),
        ("i live in berlin", Ending.LEVEL, 1600),
        ("i live in berlin", Ending.RISING, 1600),
        *(("my name is", ending, 1600) for ending in Ending),
        ("i want to", Ending.UNKNOWN, 4000),
        ("i want to", Ending.FALLING, 4000),
        ("i want to", Ending.LEVEL, 4000),
    ],
)
def test_melody_moves_the_wait_that_the_words_choose(text: str, ending: Ending, expected_ms: float) -> None:
    assert semantic(WAITS).required_silence_ms(Pause(text, "en", ending)) == pytest.approx(expected_ms)


def test_melody_without_weight_changes_nothing() -> None:
    policy = SemanticEndpointing(WAITS, ProsodyConfig(falling=0, finished_held=0, open_held=0))
    for text, wait_ms in (("yes", 400), ("i live in berlin", 1000), ("i want to", 4000)):
        assert {policy.required_silence_ms(Pause(text, "en", ending)) for ending in Ending} == {wait_ms}


def test_waits_and_endpointing_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValidationError, match="unfinished_ms"):
        SemanticWaits(finished_ms=100, open_ms=200, unfinished_ms=0)
    with pytest.raises(ValidationError, match="silence_ms"):
        EndpointingConfig.model_validate({"silence_ms": 500})
    with pytest.raises(ValidationError, match="falling"):
        EndpointingConfig.model_validate({"prosody": {"falling": 1.5}})
