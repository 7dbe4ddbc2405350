"""Where a stream of text may be cut for the voice."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.media.clauses import ClauseCutter

LATER = ClauseCutter(first_min_chars=1000, first_max_chars=1000, max_chars=2000)
"""Cuts at sentence ends only, for texts under 1,000 characters."""


def cut(text: str, cutter: ClauseCutter | None = None) -> list[str]:
    cutter = cutter or ClauseCutter()
    return cutter.feed(text) + cutter.flush()


def sentences(text: str) -> list[str]:
    return [clause.strip() for clause in cut(text, LATER)]


NEVER_INSIDE = [
    "It is 3.14 or 1,000 or 1 000 000 in all.",
    "Meet me at 5:30 or 17.45 then.",
    "Dr. Smith and Mrs. Jones met Prof. Lee.",
    "Use a tool, e.g. a hammer, i.e. the heavy one.",
    "He moved to the U.S. in spring.",
    "J. R. R. Tolkien and J.K. Rowling write.",
    "See https://example.org/a.b?c=1,2!x and www.example.org/index.html now.",
    "Well... I think... maybe … yes.",
    "Look at fig. 3 and vol. 2 and no. 5 there.",
    "We open at 9 a.m. and close at 5 p.m. every day.",
    "Apples, pears, etc. are fruit.",
    "Pay $4.50 (approx. 4.20 euros) there.",
    "Version 2.0.1 of node.js runs.",
    "Das kostet z.B. 3,50 Euro bzw. mehr.",
]


@pytest.mark.parametrize("text", NEVER_INSIDE)
def test_one_sentence_stays_whole(text: str) -> None:
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello. How are you? Fine!", ["Hello.", "How are you?", "Fine!"]),
        ('He said "Stop!" Then he left.', ['He said "Stop!"', "Then he left."]),
        ("Really?! Yes. (I think.) Good.", ["Really?!", "Yes.", "(I think.)", "Good."]),
        ("The answer is 42. Next.", ["The answer is 42.", "Next."]),
        ("It was 3.14. Then 5:30. Done", ["It was 3.14.", "Then 5:30.", "Done"]),
        ("No. I will not. See no. 5.", ["No.", "I will not.", "See no. 5."]),
        ("Pears, plums, etc. They are ripe.", ["Pears, plums, etc.", "They are ripe."]),
        ("Come at 5 p.m. We wait.", ["Come at 5 p.m.", "We wait."]),
        ("**Bold.** Plain.", ["**Bold.**", "Plain."]),
        ("List:\n1. One\n2. Two. Big.\n- Three", ["List:", "1. One", "2. Two.", "Big.", "- Three"]),
        ("First\n\nSecond", ["First", "Second"]),
        ("你好。今天天气很好！我们走吧?", ["你好。", "今天天气很好！", "我们走吧?"]),
        ("「好。」他说。", ["「好。」", "他说。"]),
        ("नमस्ते। आप कैसे हैं?", ["नमस्ते।", "आप कैसे हैं?"]),
        ("كيف حالك؟ أنا بخير.", ["كيف حالك؟", "أنا بخير."]),
        ("آپ کیسے ہیں؟ ٹھیک ہوں۔ شکریہ", ["آپ کیسے ہیں؟", "ٹھیک ہوں۔", "شکریہ"]),
        ("네. 좋아요.", ["네.", "좋아요."]),
        ("Bonjour ! Ça va ? Oui.", ["Bonjour !", "Ça va ?", "Oui."]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_sentence_end_is_cut_as_soon_as_it_is_sure() -> None:
    cutter = ClauseCutter()
    assert cutter.feed("Hello.") == []
    assert cutter.feed(" ") == ["Hello. "]
    assert cutter.feed("Bye.") == []
    assert cutter.flush() == ["Bye."]


def test_a_number_is_awaited_only_after_words_that_take_one() -> None:
    cutter = ClauseCutter()
    assert cutter.feed("No. ") == []
    assert cutter.feed("I") == ["No. "]


def test_the_first_clause_ends_at_an_early_comma() -> None:
    assert cut("Well, of course, I can tell you all about that.")[0] == "Well, of course, "


def test_a_first_clause_without_marks_ends_between_words_near_its_limit() -> None:
    first = cut("so I was walking down the road yesterday when all of a sudden there came this enormous dog")[0]
    assert 36 <= len(first) <= 72
    assert first.endswith(" ")


def test_a_long_clause_is_cut_before_a_conjunction() -> None:
    first = cut("I would like to go to the seaside today because the sun is shining so brightly up there")[0]
    assert first == "I would like to go to the seaside today "


def test_later_clauses_are_longer() -> None:
    text = ", ".join(["some more words"] * 60)
    lengths = [len(clause) for clause in cut(text)[:-1]]
    assert lengths[0] < 20
    assert lengths == sorted(lengths)
    assert max(lengths) <= 220


def test_no_clause_grows_without_end() -> None:
    cutter = ClauseCutter()
    for text in ("x" * 5000, "1 2 3 " * 900, "字" * 5000, "Dr. " * 2000):
        assert max(map(len, cut(text, cutter))) <= 810


def test_a_wide_text_without_marks_is_cut() -> None:
    assert max(map(len, cut("今天天气很好我们去公园吧" * 20))) <= 41


def test_a_clause_has_something_to_speak() -> None:
    for clause in cut("...!!! --- \n\n ??? Hello. 😀 !!! \n\n\n Bye. ")[:-1]:
        assert any(char.isalnum() for char in clause)


def test_flush_starts_afresh() -> None:
    cutter = ClauseCutter()
    text = "One thing, and then another thing, and so on, and so on, until the end."
    assert cut(text, cutter) == cut(text, cutter)


def test_sizes_must_make_sense() -> None:
    with pytest.raises(ValueError, match="first_min_chars"):
        ClauseCutter(first_min_chars=100, first_max_chars=50)


WORDS = "Dr. |e.g. |U.S. |3.14 |no. |etc. |p.m. |1. |Hello|world|because |and |5|A|字"
MARKS = '. |! |...|\n|, |。|，|\u0301|"|)|😀|  |—| - '
PARTS = st.sampled_from([*WORDS.split("|"), *MARKS.split("|")])
TEXTS = st.one_of(st.text(max_size=300), st.lists(PARTS, max_size=120).map("".join))


@given(text=TEXTS, data=st.data())
def test_any_split_into_deltas_gives_the_same_clauses(text: str, data: st.DataObject) -> None:
    whole = cut(text)
    assert "".join(whole) == text
    assert all(whole)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    deltas = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    cutter = ClauseCutter()
    assert [clause for delta in deltas for clause in cutter.feed(delta)] + cutter.flush() == whole


def test_the_work_grows_with_the_text_alone() -> None:
    """Hostile text of the longest allowed length, which would take minutes if a rule looked back without bound."""
    rng = random.Random(1)
    for text in ('"' * 50_000, "a." * 25_000, "." * 50_000, "".join(rng.choices(string.printable, k=50_000))):
        assert "".join(cut(text)) == text
