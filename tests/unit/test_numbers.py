"""Numbers that are read out with pauses, and numbers that are complete."""

import pytest

from serve_app.session.completeness import Completeness
from serve_app.session.cues import completeness

FINISHED, OPEN, UNFINISHED = Completeness.FINISHED, Completeness.OPEN, Completeness.UNFINISHED
HALFWAY = Completeness.HALFWAY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my number is", UNFINISHED),
        ("my number is five five five", UNFINISHED),
        ("My number is 555.", UNFINISHED),
        ("my number is five five five one two three", UNFINISHED),
        ("my number is five five five one two three four", HALFWAY),
        ("my number is double five oh", UNFINISHED),
        ("My number is 555-123-4567.", FINISHED),
        ("My number is (555) 123 4567.", FINISHED),
        ("my phone number is plus four nine one seven oh", UNFINISHED),
        ("my card number is 4111 1111 1111", UNFINISHED),
        ("my card number is 4111 1111 1111 1111", OPEN),
        ("my pin is one two", UNFINISHED),
        ("my pin is one two three four", OPEN),
        ("my code is b c", UNFINISHED),
        ("my code is b c four seven", OPEN),
        ("my date of birth is the fifth", UNFINISHED),
        ("my date of birth is the fifth of", UNFINISHED),
        ("my date of birth is the fifth of march nineteen eighty five", OPEN),
        ("it's five five", UNFINISHED),
        ("it is 4 9 1.", UNFINISHED),
        ("five five five", UNFINISHED),
        ("five five five dash", UNFINISHED),
        ("five five five one two", HALFWAY),
        ("can you call five five five", UNFINISHED),
        ("one hundred and", UNFINISHED),
    ],
)
def test_a_number_that_is_read_out_waits_for_its_last_digits(text: str, expected: Completeness) -> None:
    assert completeness(text, "en") is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("what is seven times eight", FINISHED),
        ("what is seven times twenty", FINISHED),
        ("what is one hundred and twenty three", FINISHED),
        ("what is three point five", FINISHED),
        ("count from one to ten", FINISHED),
        ("spell it from b to d", FINISHED),
        ("tell me a number between one and ten", FINISHED),
        ("what is my number", FINISHED),
        ("tell me what my number is", HALFWAY),
        ("is my lucky number seven", FINISHED),
        ("tell me about the number one", OPEN),
        ("it's five", OPEN),
        ("It's 12:30.", FINISHED),
        ("It's 3.14.", FINISHED),
        ("I was born in 1985.", FINISHED),
        ("my room number is twelve", OPEN),
        ("I would like twenty.", FINISHED),
        ("i would like twenty", OPEN),
        ("what is the best iphone15pro", FINISHED),
    ],
)
def test_other_numbers_are_no_dictation(text: str, expected: Completeness) -> None:
    assert completeness(text, "en") is expected


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("de", "meine nummer ist", UNFINISHED),
        ("de", "meine nummer ist null eins siebzig", UNFINISHED),
        ("de", "meine Nummer ist null eins siebzig dreiundzwanzig fünfunddreißig", HALFWAY),
        ("de", "wie viel ist sieben mal acht", FINISHED),
        ("de", "zähle von eins bis zehn", FINISHED),
        ("de", "es ist drei vier", UNFINISHED),
        ("fr", "mon numéro est le", UNFINISHED),
        ("fr", "mon numéro est le zéro six douze", UNFINISHED),
        ("fr", "mon numéro est le zéro six douze trente-quatre cinquante-six soixante-dix-huit", OPEN),
        ("fr", "combien font deux plus un", FINISHED),
        ("fr", "compte de un à dix", FINISHED),
        ("es", "mi número es", UNFINISHED),
        ("es", "mi número es seis uno", UNFINISHED),
        ("es", "mi teléfono es seis uno dos treinta y cuatro cincuenta y seis", HALFWAY),
        ("es", "cuánto es siete por ocho", FINISHED),
        ("es", "cuánto es tres más uno", FINISHED),
        ("es", "cuenta de uno a diez", FINISHED),
        ("it", "il mio numero è", UNFINISHED),
        ("it", "il mio numero è tre due otto", UNFINISHED),
        ("it", "il mio numero è tre due otto ventiquattro trentuno", HALFWAY),
        ("it", "quanto fa due più uno", FINISHED),
        ("it", "conta da uno a dieci", FINISHED),
    ],
)
def test_numbers_of_other_languages(language: str, text: str, expected: Completeness) -> None:
    assert completeness(text, language) is expected


@pytest.mark.parametrize("groups", ["5 5 5|1 2 3", "555|123", "five five five|one two", "double five|one two"])
def test_the_groups_of_an_announced_number_are_held_together(groups: str) -> None:
    said = "my phone number is"
    for group in groups.split("|"):
        said = f"{said} {group}"
        assert completeness(said, "en") is UNFINISHED
