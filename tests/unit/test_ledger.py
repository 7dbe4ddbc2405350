"""Which text goes out with the sound, and which was heard."""

from hypothesis import given
from hypothesis import strategies as st

from deployments.media.speakable.speaker import Speaker
from deployments.media.timing import PhonemeTime, WordTime
from deployments.tts.clause_times import word_places
from serve_app.session.ledger import Ledger


def ledger_of(*clauses: tuple[str, list[tuple[int, int]]], with_words: bool = True) -> Ledger:
    """Clauses back to back, each with the (start, end) samples of its space-separated words."""
    ledger = Ledger()
    at = 0
    for text, times in clauses:
        ledger.begin_clause(text, at)
        place = 0
        words = []
        for word, (start, end) in zip(text.split(), times, strict=True):
            begin = text.index(word, place)
            letters = word.rstrip(".,!? ")
            place = begin + len(letters)
            words.append(WordTime(start, end, begin, place))
        if with_words:
            ledger.add_times(tuple(words))
        at += times[-1][1]
        ledger.end_clause(at)
    return ledger


HELLO = ("Hello there, friend. ", [(0, 1000), (1000, 2000), (2000, 4000)])
BYE = ("Good bye.", [(0, 1000), (1000, 2000)])


def test_words_go_out_when_their_sound_begins() -> None:
    ledger = ledger_of(HELLO, BYE)
    assert ledger.due(500) == "Hello "
    assert ledger.due(900) == ""
    assert ledger.due(2500) == "there, friend. "
    assert ledger.due(4500) == "Good "
    assert ledger.due(6000) == "bye."


def test_a_word_was_heard_when_half_of_it_was() -> None:
    ledger = ledger_of(HELLO, BYE)
    assert ledger.heard(0) == ""
    assert ledger.heard(499) == ""
    assert ledger.heard(500) == "Hello"
    assert ledger.heard(1500) == "Hello there,"
    assert ledger.heard(4499) == "Hello there, friend."
    assert ledger.heard(6000) == "Hello there, friend. Good bye."


def test_without_word_times_words_share_the_sound_by_how_long_they_take() -> None:
    ledger = Ledger()
    ledger.begin_clause("da di dudododo", 0)
    assert ledger.due(1) == "da "
    ledger.end_clause(9000)
    assert ledger.due(3000) == "di "
    assert ledger.due(9000) == "dudododo"
    assert ledger.heard(700) == ""
    assert ledger.heard(900) == "da"
    assert ledger.heard(5000) == "da di"
    assert ledger.heard(6500) == "da di dudododo"


def test_without_word_times_words_lie_on_the_phonemes_there_are() -> None:
    ledger = Ledger()
    ledger.begin_clause("da di", 0)
    ledger.add_times((), tuple(PhonemeTime("a", start, start + 500) for start in (0, 500, 5000, 5500)))
    assert ledger.due(4000) == "da "
    assert ledger.heard(4000) == "da"
    ledger.end_clause(6000)
    assert ledger.due(5100) == "di"
    assert ledger.heard(5400) == "da"
    assert ledger.heard(5500) == "da di"


def test_before_its_length_is_known_a_clause_counts_by_the_pace_of_those_before() -> None:
    text = "one two three four"
    usual, slow = Ledger(), Ledger()
    slow.begin_clause(text, 0)
    slow.end_clause(5 * 24_000)
    usual.begin_clause(text, 0)
    slow.begin_clause(text, 5 * 24_000)
    assert usual.heard(24_000) == text
    assert slow.heard(6 * 24_000) == text + "one two"
    fast = Ledger(speed=2)
    fast.begin_clause(text, 0)
    assert fast.heard(8_000) == usual.heard(16_000) != ""


@given(st.lists(st.integers(0, 7000), min_size=1, max_size=20))
def test_what_goes_out_is_the_text_once_and_in_order(steps: list[int]) -> None:
    ledger = ledger_of(HELLO, BYE)
    said = "".join(ledger.due(sent) for sent in [*sorted(steps), 6000])
    assert said == ledger.text


@given(st.integers(0, 7000), st.integers(0, 7000))
def test_hearing_more_never_takes_words_away(a: int, b: int) -> None:
    ledger = ledger_of(HELLO, BYE)
    less, more = ledger.heard(min(a, b)), ledger.heard(max(a, b))
    assert more.startswith(less)
    assert ledger.text.startswith(more)


def test_what_is_said_for_one_written_word_was_heard_when_more_than_half_of_it_was() -> None:
    text = "It costs $12.50, today."
    spoken = Speaker("en").spoken(text)
    assert spoken.text == "It costs twelve dollars and fifty cents, today."
    ledger = Ledger()
    ledger.begin_clause(text, 0, spoken)
    ledger.add_times(tuple(said_evenly(spoken.text, 100)))
    ledger.end_clause(800)
    assert ledger.heard(400) == "It costs"
    assert ledger.heard(449) == "It costs"
    assert ledger.heard(451) == "It costs $12.50,"
    assert ledger.heard(800) == text
    assert [end for _, end in ledger.word_ends()] == [3, 9, 17, 23]


def test_a_written_word_of_which_more_is_to_be_said_waits_for_its_end() -> None:
    text = "It costs $12.50, today."
    spoken = Speaker("en").spoken(text)
    words = said_evenly(spoken.text, 100)
    ledger = Ledger()
    ledger.begin_clause(text, 0, spoken)
    ledger.add_times(tuple(words[:4]))
    assert ledger.heard(399) == "It costs"
    assert ledger.due(399) == "It costs "
    ledger.add_times(tuple(words[4:]))
    assert ledger.due(399) == "$12.50, "


def test_without_word_times_the_sound_is_shared_out_by_what_is_said() -> None:
    text = "I owe $1,234.56 now."
    spoken = Speaker("en").spoken(text)
    ledger = Ledger()
    ledger.begin_clause(text, 0, spoken)
    ledger.end_clause(24_000)
    assert ledger.heard(4000) == "I owe"
    assert ledger.heard(20_000) == "I owe $1,234.56"
    assert ledger.heard(24_000) == text


def test_marks_and_the_ways_of_links_go_with_the_word_before_them() -> None:
    text = "See **[this page](http://x.org/y)** now."
    spoken = Speaker("en").spoken(text)
    ledger = Ledger()
    ledger.begin_clause(text, 0, spoken)
    ledger.add_times(tuple(said_evenly(spoken.text, 100)))
    assert ledger.due(101) == "See **[this "
    assert ledger.due(201) == "page](http://x.org/y)** "
    assert ledger.heard(260) == "See **[this page](http://x.org/y)**"


def said_evenly(text: str, samples: int) -> list[WordTime]:
    """Each spoken word takes so many samples."""
    return [
        WordTime(index * samples, (index + 1) * samples, start, end)
        for index, (start, end) in enumerate(word_places(text))
    ]
