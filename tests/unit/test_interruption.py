"""Who has the turn, by what is known so far."""

import pytest

from configs.interruption import InterruptionConfig
from serve_app.session.interruption import Decision, InterruptAtOnset, Overlap, TwoStepInterruption, policy

INTERRUPT, RESUME, WAIT = Decision.INTERRUPT, Decision.RESUME, Decision.WAIT


def decide(words: str, speech_ms: float, silence_ms: float = 0, *, final: bool = False, of: str = "en") -> Decision:
    return TwoStepInterruption(InterruptionConfig()).decide(Overlap(speech_ms, silence_ms, words, final, of))


@pytest.mark.parametrize(
    ("words", "speech_ms", "decision"),
    [
        ("", 100, WAIT),
        ("", 699, WAIT),
        ("", 700, INTERRUPT),
        ("yeah", 400, WAIT),
        ("yeah yeah right", 700, RESUME),
        ("yeah but", 300, INTERRUPT),
        ("stop", 200, INTERRUPT),
        ("weather", 300, WAIT),
        ("the weather", 300, INTERRUPT),
        ("weather", 700, INTERRUPT),
    ],
)
def test_while_the_user_goes_on(words: str, speech_ms: float, decision: Decision) -> None:
    assert decide(words, speech_ms) is decision


@pytest.mark.parametrize(
    ("words", "speech_ms", "silence_ms", "final", "decision"),
    [
        ("", 300, 199, True, WAIT),
        ("", 300, 200, True, RESUME),
        ("", 300, 200, False, WAIT),
        ("", 300, 350, False, RESUME),
        ("mm-hm", 300, 200, True, RESUME),
        ("I see", 500, 200, True, RESUME),
        ("him", 300, 200, True, RESUME),
        ("weather", 500, 200, True, INTERRUPT),
        ("no", 200, 200, True, INTERRUPT),
    ],
)
def test_when_the_user_is_silent_again(
    words: str, speech_ms: float, silence_ms: float, final: bool, decision: Decision
) -> None:
    assert decide(words, speech_ms, silence_ms, final=final) is decision


@pytest.mark.parametrize(
    ("language", "backchannel", "taker"),
    [
        ("de", "ach so", "warte"),
        ("fr", "d'accord", "attends"),
        ("es", "ya veo", "espera"),
        ("it", "ho capito", "aspetta"),
    ],
)
def test_each_language_has_its_words(language: str, backchannel: str, taker: str) -> None:
    assert decide(backchannel, 500, 200, final=True, of=language) is RESUME
    assert decide(taker, 300, of=language) is INTERRUPT


def test_without_a_list_any_two_words_take_the_turn() -> None:
    assert decide("はい そう", 300, of="ja") is INTERRUPT
    assert decide("はい", 300, 200, final=True, of="ja") is RESUME


def test_the_configuration_names_the_policy() -> None:
    assert isinstance(policy(InterruptionConfig()), TwoStepInterruption)
    assert isinstance(policy(InterruptionConfig(policy="onset")), InterruptAtOnset)
