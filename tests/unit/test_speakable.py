"""What a voice says of written text, and where each word of it is written."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.media.clauses import ClauseCutter
from deployments.media.speakable.languages import LANGUAGES
from deployments.media.speakable.speaker import Speaker
from deployments.media.speakable.spoken import Change, Spoken, as_written, changed
from deployments.tts.clause_times import word_places

SAID = {
    "en": {
        "It costs $12.50, or **$3.5 million**.": (
            "It costs twelve dollars and fifty cents, or three point five million dollars."
        ),
        "$1, $0.99, £1,000.01": "one dollar, ninety-nine cents, one thousand pounds and one penny",
        "On March 3, 2026 at 2:30 pm.": "On March third, twenty twenty-six at two thirty p m.",
        "2026-11-21, 11/21/2026": (
            "November twenty-first, twenty twenty-six, November twenty-first, twenty twenty-six"
        ),
        "At 3:00, at 14:05, at 9am": "At three o'clock, at fourteen oh five, at nine a m",
        "It is 20°C, -5 °F, 5 km away at 120 km/h; 8GB.": (
            "It is twenty degrees Celsius, minus five degrees Fahrenheit, five kilometers away at one hundred and "
            "twenty kilometers per hour; eight gigabytes."
        ),
        "1 km, 5–10 km": "one kilometer, five to ten kilometers",
        "50% of 10-20": "fifty percent of ten to twenty",
        "3 + 4 = 7, 5 - 3, 2*3": "three plus four equals seven, five minus three, two times three",
        "the 1st, the 21st, #5": "the first, the twenty-first, number five",
        "the 1990s, in 1999, 1,234": (
            "the nineteen nineties, in nineteen ninety-nine, one thousand two hundred and thirty-four"
        ),
        "version 3.11.2, 0.05, 007": "version three point eleven point two, zero point zero five, zero zero seven",
        "½, 2½, 1/2": "one half, two and one half, one half",
        "Call +1 555-123-4567.": ("Call plus one, five five five, one two three, four five six seven."),
        "See [the manual](https://www.example.com/a/b?c=1).": "See the manual.",
        "See https://docs.example.com/3/x.html.": "See docs dot example dot com.",
        "Mail jane.doe@example.com!": "Mail jane dot doe at example dot com!",
        "# Title\n- one\n- two `code`\n": " Title.\none.\ntwo code.\n",
        "| a | b |\n|---|---|\n| c | d |\n": "a, b\nc, d\n",
        "snake_case and *this* and __that__, ~~not~~": "snake case and this and that, not",
        "> quoted\n\n---\n\n```python\nprint\n```": "quoted.\n\nprint.\n",
        "Well done 👍🏽👍!": "Well done  thumbs up !",
        "e.g. Dr. Smith, 4 Baker St, London": "for example Doctor Smith, four Baker Street, London",
        "B2B, H2O and COVID-19": "B2B, H2O and COVID-nineteen",
        "Nothing to change here.": "Nothing to change here.",
    },
    "de": {
        "Das kostet 12,50 € oder 1.234,56 Euro.": (
            "Das kostet zwölf Euro fünfzig oder eintausendzweihundertvierunddreißig Komma fünf sechs Euro."
        ),
        "Am 3. März 2026 um 14:30 Uhr.": "Am dritten März zweitausendsechsundzwanzig um vierzehn Uhr dreißig.",
        "der 3.3.2026": "der dritte März zweitausendsechsundzwanzig",
        "1 km, 1 h, 2,5 GB, 20 °C": "ein Kilometer, eine Stunde, zwei Komma fünf Gigabyte, zwanzig Grad Celsius",
        "1999 waren es 50 %, z. B. 3.14 und 1.000.000.": (
            "neunzehnhundertneunundneunzig waren es fünfzig Prozent, zum Beispiel drei Komma eins vier und eine "
            "Million."
        ),
    },
    "fr": {
        "12,50 € le 1er mars 2026 à 14h30.": (
            "douze euros cinquante le premier mars deux mille vingt-six à quatorze heures trente."
        ),
        "1 234,5 km, 50 %": "mille deux cent trente-quatre virgule cinq kilomètres, cinquante pour cent",
    },
    "es": {
        "12,50 € el 3 de marzo de 2026 a las 14:30.": (
            "doce euros con cincuenta céntimos el tres de marzo de dos mil veintiséis a las catorce y treinta."
        ),
        "2 millones €": "dos millones de euros",
    },
    "it": {
        "12,50 € il 3 marzo 2026 alle 14:30.": (
            "dodici euro e cinquanta centesimi il tre marzo duemilaventisei alle quattordici e trenta."
        ),
        "12,5 km e 50 %": "dodici virgola cinque chilometri e cinquanta per cento",
    },
    "pl": {"12 **zł** to https://www.x.pl/abc": "12 zł to x.pl"},
}
CASES = [(language, written, said) for language, table in SAID.items() for written, said in table.items()]
TEXTS = st.text(st.sampled_from("ab1 09.,:/-–$€%°Ckm*_#`[]()|>\n@\\😀½+="), max_size=60) | st.text(max_size=40)


@pytest.mark.parametrize(("language", "written", "said"), CASES)
def test_it_is_said_so(language: str, written: str, said: str) -> None:
    assert Speaker(language).spoken(written).text == said


def test_without_a_language_figures_are_left_to_the_engine() -> None:
    assert Speaker(None).spoken("**12** km at https://www.example.com/a 😀").text == "12 km at example.com "


def test_a_region_does_not_matter() -> None:
    assert Speaker("de-AT").spoken("5 km").text == Speaker("de_CH").spoken("5 km").text == "fünf Kilometer"


def test_the_lexicon_goes_first_and_knows_whole_words() -> None:
    speaker = Speaker("en", {"SQL": "sequel", "C++": "see plus plus", "v2": "version two", "sql": "squirrel"})
    assert speaker.spoken("SQL, sql, Sql, MySQL, C++ v2").text == (
        "sequel, squirrel, sequel, MySQL, see plus plus version two"
    )


def place(spoken: Spoken, word: str, written: str) -> str:
    start = spoken.text.index(word)
    begin, end = spoken.written(start, start + len(word))
    return written[begin:end]


def test_a_word_that_is_said_knows_where_it_is_written() -> None:
    written = "It **costs** $12.50 on [the page](http://x.org/y)."
    spoken = Speaker("en").spoken(written)
    assert [place(spoken, word, written) for word in ("It", "costs", "twelve", "fifty", "the", "page")] == [
        "It", "costs", "$12.50", "$12.50", "the", "page",
    ]  # fmt: skip
    end = spoken.text.index("dollars") + len("dollars")
    assert not spoken.completes(end)
    assert spoken.completes(spoken.text.index("cents") + len("cents"))
    assert spoken.completes(2)


@given(TEXTS, st.sampled_from([*LANGUAGES, "pl", None]))
def test_whatever_is_written_its_words_have_places_in_order(text: str, language: str | None) -> None:
    spoken = Speaker(language).spoken(text)
    before = (0, 0)
    for start, end in word_places(spoken.text):
        begin, stop = spoken.written(start, end)
        assert 0 <= begin < stop <= len(text)
        assert begin >= before[0]
        assert stop >= before[1]
        before = (begin, stop)


@given(st.lists(st.text("ab ", max_size=4), min_size=1, max_size=6))
def test_what_is_not_changed_keeps_its_place(pieces: list[str]) -> None:
    text, changes, kept = "", [], []
    for index, piece in enumerate(pieces):
        if index % 2:
            changes.append(Change(len(text), len(text) + len(piece) + 1, "X Y"))
            text += piece + "."
        else:
            kept.append((len(text), piece))
            text += piece
    spoken = changed(text, changes)
    at = 0
    for start, piece in kept:
        if piece.strip():
            at = spoken.text.index(piece, at)
            assert spoken.written(at, at + len(piece)) == (start, start + len(piece))
            at += len(piece)


def test_text_that_is_said_as_written_maps_to_itself() -> None:
    assert as_written("abc").written(1, 2) == (1, 2)
    assert as_written("abc").completes(2)


@pytest.mark.parametrize("language", [*LANGUAGES, None])
@pytest.mark.parametrize(
    "text",
    ["**bold** and _it_ `x`.", "## Head\n\n1. **one**: a\n2. *two*\n\n> q\n", "~~x~~ [a](b) ![c](d) <br> \\* ***z***"],
)
def test_no_mark_is_ever_said(language: str | None, text: str) -> None:
    cutter = ClauseCutter()
    clauses = [*cutter.feed(text), *cutter.flush()]
    said = "".join(Speaker(language).spoken(clause).text for clause in clauses)
    assert not set(said) & set("*_`#~[]<>\\")


def test_a_clause_takes_less_than_a_millisecond() -> None:
    """Processor time, of the fullest of the examples: a machine that is busy elsewhere does not count."""
    speaker = Speaker("en")
    texts = list(SAID["en"])
    for text in texts:
        speaker.spoken(text)
    before_s = time.process_time()
    for _ in range(10):
        for text in texts:
            speaker.spoken(text)
    assert (time.process_time() - before_s) / (10 * len(texts)) < 0.001
