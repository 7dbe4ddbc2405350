"""Numbers in words and digits, and sums with them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.llm.rules.numbers import ordinal, parse, say, written
from deployments.llm.rules.phrasing import symbols
from deployments.llm.rules.words import split
from tests.unit.rules_talk import Talk
from tests.unit.rules_talk import say as ask


@given(st.integers(min_value=-(10**33) + 1, max_value=10**33 - 1))
def test_a_whole_number_is_read_back_from_its_words(value: int) -> None:
    words = split(say(value))
    assert parse(words) == (Fraction(value), len(words))


@given(st.fractions(min_value=-1000, max_value=1000, max_denominator=1).map(lambda f: f / 8))
def test_a_decimal_is_read_back_from_its_words_and_digits(value: Fraction) -> None:
    words = split(say(value))
    assert parse(words) == (value, len(words))
    assert Fraction(written(value)) == value


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("a hundred", 100),
        ("one hundred and five", 105),
        ("twelve hundred", 1200),
        ("two million three hundred thousand and one", 2_300_001),
        ("2 million", 2_000_000),
        ("1,234.5", Fraction("1234.5")),
        ("three point one four", Fraction("3.14")),
        ("zero point oh five", Fraction("0.05")),
        ("minus seven", -7),
        ("twenty-one", 21),
    ],
)
def test_numbers_as_people_say_them(words: str, value: Fraction) -> None:
    found = split(words)
    assert parse(found) == (value, len(found))


@pytest.mark.parametrize("words", ["", "and", "hello", "point five of", "minus", "minus minus two", "hundredweight"])
def test_what_is_no_number(words: str) -> None:
    assert parse(split(words)) is None


def test_ordinals() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 5, 8, 12, 20, 21, 30, 31)] == [
        *("first", "second", "third", "fifth", "eighth", "twelfth", "twentieth", "twenty-first", "thirtieth"),
        "thirty-first",
    ]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("what is seven times eight", "Seven times eight is fifty-six."),
        ("12 plus 30 divided by 4", "Twelve plus thirty divided by four is nineteen point five."),
        ("What's (2 + 3) * 4?", "(two plus three) times four is twenty."),
        ("square root of 81", "The square root of eighty-one is nine."),
        ("what is the square root of two", "The square root of two is about one point four one four two."),
        ("what is the cube root of 27", "The cube root of twenty-seven is three."),
        ("15 percent of 80", "Fifteen percent of eighty is twelve."),
        ("what is 80 plus 15%", "Eighty plus fifteen percent is ninety-two."),
        ("ten minus two minus three", "Ten minus two minus three is five."),
        ("2^3^2", "Two to the power of three to the power of two is five hundred and twelve."),
        ("five squared", "Five squared is twenty-five."),
        ("five factorial", "Five factorial is one hundred and twenty."),
        ("half of ninety", "Half of ninety is forty-five."),
        ("two thirds of nine", "Two thirds of nine is six."),
        ("twice five plus one", "Twice five plus one is eleven."),
        ("seventeen modulo five", "Seventeen modulo five is two."),
        ("add 5 and 7", "Five plus seven is twelve."),
        ("can you subtract three from ten", "Ten minus three is seven."),
        ("multiply six by seven please", "Six times seven is forty-two."),
        ("divide one hundred by eight", "One hundred divided by eight is twelve point five."),
        ("what is the sum of one hundred and five and two", "One hundred and five plus two is one hundred and seven."),
        ("add one, two and three", "One plus two plus three is six."),
        ("what is the difference between ten and four", "Ten minus four is six."),
        ("what is minus five plus three", "Minus five plus three is minus two."),
        ("one divided by three", "One divided by three is about zero point three three three three."),
        ("one million times one million", "One million times one million is one trillion."),
        ("um can you tell me what ten minus three is", "Ten minus three is seven."),
        ("7*8=", "Seven times eight is fifty-six."),
        ("what is 1 divided by 1000000", "One divided by one million is zero point zero zero zero zero zero one."),
    ],
)
def test_sums(question: str, answer: str) -> None:
    assert ask(question) == answer


@pytest.mark.parametrize(
    ("heard", "answer"),
    [
        ("what is two plus to", "Two plus two is four."),
        ("two times for", "Two times four is eight."),
        ("to plus too", "Two plus two is four."),
        ("what is won plus ate", "One plus eight is nine."),
    ],
)
def test_sums_misheard(heard: str, answer: str) -> None:
    assert ask(heard) == answer


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("what is ten divided by zero", "divide by zero"),
        ("what is 0 to the power of minus 1", "divide by zero"),
        ("5 modulo 0", "divide by zero"),
        ("square root of minus four", "no real square root"),
        ("what is 9 to the power of 9 to the power of 9", "too big"),
        ("what is 100 factorial factorial", "too big"),
        ("what is 2.5 factorial", "whole numbers"),
        ("what is minus eight to the power of 0.5", "not a real number"),
    ],
)
def test_sums_that_have_no_answer(question: str, part: str) -> None:
    assert part in ask(question)


def test_a_very_big_result_is_rounded() -> None:
    assert ask("what is 10 to the power of 50").endswith("is about one times ten to the power of fifty.")


def test_sums_go_on_from_the_last_result() -> None:
    talk = Talk()
    talk.say("what is two plus three")
    assert talk.say("times four") == "Five times four is twenty."
    assert talk.say("and divide that by eight") == "Twenty divided by eight is two point five."
    assert talk.say("thank you") == "You are welcome."
    assert talk.say("what is the result squared") == "Two point five squared is six point two five."


def test_sums_use_what_the_user_said() -> None:
    talk = Talk()
    talk.say("my favourite number is seven")
    assert talk.say("what is my favourite number times three") == "Seven times three is twenty-one."


@pytest.mark.parametrize(
    "text",
    [
        "i have two dogs and three cats",
        "i have been there five times",
        "my number is 555-1234",
        "it was twenty to five",
    ],
)
def test_numbers_alone_are_no_sum(text: str) -> None:
    assert " is " not in ask(text).replace("number is", "")


@pytest.mark.parametrize(
    ("text", "written_down"),
    [
        ("what is two plus three times 4", "2 + 3 * 4"),
        ("subtract three from ten", "10 - 3"),
        ("(1 + 2) * 3", "( 1 + 2 ) * 3"),
        ("hello", ""),
    ],
)
def test_a_sum_in_symbols(text: str, written_down: str) -> None:
    assert symbols(text) == written_down
