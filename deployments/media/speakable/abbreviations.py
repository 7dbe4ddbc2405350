"""Abbreviations that a voice would stumble over."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from deployments.media.speakable.languages import Language
from deployments.media.speakable.spoken import Change

_WORDS: Final = {
    "en": {
        "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "vs.": "versus", "approx.": "approximately",
        "Dr.": "Doctor", "Mr.": "Mister", "Mrs.": "Missus", "Prof.": "Professor", "No.": "number", "&": "and",
        "w/o": "without", "Ave.": "Avenue", "Blvd.": "Boulevard", "Rd.": "Road", "Apt.": "apartment",
    },
    "de": {
        "z. B.": "zum Beispiel", "z.B.": "zum Beispiel", "d. h.": "das heißt", "d.h.": "das heißt",
        "u. a.": "unter anderem", "u.a.": "unter anderem", "usw.": "und so weiter", "bzw.": "beziehungsweise",
        "ca.": "circa", "Nr.": "Nummer", "Dr.": "Doktor", "Prof.": "Professor", "Str.": "Straße", "&": "und",
        "evtl.": "eventuell", "ggf.": "gegebenenfalls", "inkl.": "inklusive",
    },
    "fr": {
        "p. ex.": "par exemple", "c.-à-d.": "c'est-à-dire", "etc.": "et cetera", "env.": "environ",
        "M.": "Monsieur", "Mme": "Madame", "Dr": "Docteur", "n°": "numéro", "&": "et", "av.": "avenue",
    },
    "es": {
        "p. ej.": "por ejemplo", "etc.": "etcétera", "Sr.": "Señor", "Sra.": "Señora", "Dr.": "Doctor",
        "Dra.": "Doctora", "n.º": "número", "aprox.": "aproximadamente", "&": "y", "Avda.": "Avenida",
    },
    "it": {
        "ecc.": "eccetera", "es.": "esempio", "Sig.": "Signor", "Sig.ra": "Signora", "Dott.": "Dottor",
        "n.": "numero", "ca.": "circa", "&": "e",
    },
}  # fmt: skip
_ONLY_BEFORE_FIGURE: Final = frozenset(("No.", "Nr.", "n.", "n°", "n.º", "av."))
_STREET: Final = re.compile(r"(?<=[a-z]\s)St\b\.?(?=\s*(?:,|$|\d|[a-z]))")
_SENTENCE_END: Final = re.compile(r"\s*$")


def finders(language: Language) -> tuple[Callable[[str], Iterator[Change]], ...]:
    """In the order in which they are to be asked."""
    words = _WORDS[language.code]
    names = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
    return (partial(_find, pattern=re.compile(rf"(?<![\w.])(?:{names})(?!\w)"), words=words, code=language.code),)


def _find(text: str, *, pattern: re.Pattern[str], words: dict[str, str], code: str) -> Iterator[Change]:
    for match in pattern.finditer(text):
        if match[0] in _ONLY_BEFORE_FIGURE and not re.match(r"\s?[\d]", text[match.end() :]):
            continue
        ends = match[0].endswith(".") and _SENTENCE_END.match(text, match.end())
        yield Change(match.start(), match.end(), words[match[0]] + ("." if ends else ""))
    if code == "en":
        for match in _STREET.finditer(text):
            yield Change(match.start(), match.end(), "Street")
