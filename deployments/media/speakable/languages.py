"""The small words that numbers, dates and addresses need, in the languages that are put into words here."""

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """One language. `code` is ISO 639-1."""

    code: str
    decimal_mark: str
    group_marks: str
    """Between groups of three digits."""
    point: str
    """Between the whole and its decimals."""
    minus: str
    percent: str
    to: str
    """Between the ends of a range."""
    number: str
    """For `#` before one."""
    dot: str
    """In an address."""
    at: str
    dash: str
    underscore: str
    signs: dict[str, str]
    """Of arithmetic."""
    fractions: dict[str, str]
    degrees: str
    one: str
    """Before a masculine or neuter noun."""
    one_feminine: str
    scales: dict[str, str]
    """Behind an amount, as written: how it is said."""
    scale_of: str = ""
    """Between such a scale and the currency: "de" in Spanish."""
    magnitudes: frozenset[str] = field(default=frozenset())
    """Words behind which `scale_of` is needed."""


_VULGAR = ("½", "⅓", "⅔", "¼", "¾")

LANGUAGES: Final = {
    language.code: language
    for language in (
        Language(
            "en", ".", ",", "point", "minus", "percent", "to", "number", "dot", "at", "dash", "underscore",
            {"+": "plus", "-": "minus", "−": "minus", "*": "times", "×": "times", "÷": "divided by", "/": "divided by",
             "=": "equals", "<": "is less than", ">": "is greater than", "≈": "is about"},
            dict(zip(_VULGAR, ("one half", "one third", "two thirds", "one quarter", "three quarters"), strict=True)),
            "degrees", "one", "one",
            {"k": "thousand", "K": "thousand", "M": "million", "m": "million", "B": "billion", "bn": "billion",
             "T": "trillion", "thousand": "thousand", "million": "million", "billion": "billion",
             "trillion": "trillion"},
        ),
        Language(
            "de", ",", ". \u00a0\u202f'", "Komma", "minus", "Prozent", "bis", "Nummer", "Punkt", "ät", "Minus",
            "Unterstrich",
            {"+": "plus", "-": "minus", "−": "minus", "*": "mal", "×": "mal", "·": "mal", "÷": "geteilt durch",
             "/": "geteilt durch", "=": "ist gleich", "<": "ist kleiner als", ">": "ist größer als", "≈": "ist etwa"},
            dict(zip(_VULGAR, ("ein halb", "ein Drittel", "zwei Drittel", "ein Viertel", "drei Viertel"), strict=True)),
            "Grad", "ein", "eine",
            {"Mio.": "Millionen", "Mrd.": "Milliarden", "Tausend": "Tausend", "Millionen": "Millionen",
             "Million": "Million", "Milliarden": "Milliarden", "Milliarde": "Milliarde"},
        ),
        Language(
            "fr", ",", " \u00a0\u202f", "virgule", "moins", "pour cent", "à", "numéro", "point", "arobase", "tiret",
            "tiret bas",
            {"+": "plus", "-": "moins", "−": "moins", "*": "fois", "×": "fois", "÷": "divisé par", "/": "divisé par",
             "=": "égale", "<": "est inférieur à", ">": "est supérieur à", "≈": "environ"},
            dict(zip(_VULGAR, ("un demi", "un tiers", "deux tiers", "un quart", "trois quarts"), strict=True)),
            "degrés", "un", "une",
            {"M": "millions", "Md": "milliards", "mille": "mille", "million": "million", "millions": "millions",
             "milliard": "milliard", "milliards": "milliards"},
            "de", frozenset(("million", "millions", "milliard", "milliards")),
        ),
        Language(
            "es", ",", ". \u00a0\u202f", "coma", "menos", "por ciento", "a", "número", "punto", "arroba", "guion",
            "guion bajo",
            {"+": "más", "-": "menos", "−": "menos", "*": "por", "×": "por", "÷": "entre", "/": "entre",
             "=": "es igual a", "<": "es menor que", ">": "es mayor que", "≈": "es casi"},
            dict(zip(_VULGAR, ("un medio", "un tercio", "dos tercios", "un cuarto", "tres cuartos"), strict=True)),
            "grados", "un", "una",
            {"M": "millones", "mil": "mil", "millón": "millón", "millones": "millones"},
            "de", frozenset(("millón", "millones")),
        ),
        Language(
            "it", ",", ". \u00a0\u202f", "virgola", "meno", "per cento", "a", "numero", "punto", "chiocciola",
            "trattino", "trattino basso",
            {"+": "più", "-": "meno", "−": "meno", "*": "per", "×": "per", "÷": "diviso", "/": "diviso",
             "=": "uguale a", "<": "è minore di", ">": "è maggiore di", "≈": "circa"},
            dict(zip(_VULGAR, ("un mezzo", "un terzo", "due terzi", "un quarto", "tre quarti"), strict=True)),
            "gradi", "un", "una",
            {"mila": "mila", "milione": "milione", "milioni": "milioni", "miliardo": "miliardo",
             "miliardi": "miliardi"},
            "di", frozenset(("milione", "milioni", "miliardo", "miliardi")),
        ),
    )
}  # fmt: skip
"""By code. In another language numbers stay as they are written, for the engine to read."""


def language_of(code: str | None) -> Language | None:
    """From `de`, `de-AT` or `de_CH`; None for one that is not here."""
    return LANGUAGES.get((code or "").replace("_", "-").partition("-")[0].lower())
