"""What the mouth does for each phoneme: from IPA, as espeak and piper write it, to mouth shapes.

The shapes stand on the 15 visemes of OpenXR (sil, PP, FF, TH, DD, kk, CH, SS, nn, RR, aa, E, ih, oh, ou), refined by
vowel: how open, how spread, how round (IPA chart: height, backness, rounding).
"""

import functools
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

from deployments.avatar.mouth import MouthPose

Closure = Literal["", "lips", "teeth"]
"""What must touch what: the lips each other (p, b, m), the lower lip the upper teeth (f, v)."""


@dataclass(frozen=True, slots=True)
class Viseme:
    """A target of the mouth and how much it insists on it."""

    name: str
    """OpenXR's."""
    pose: MouthPose
    weight: float
    """Against its neighbours: 1 for a vowel, near 0 for a sound that is made behind the lips whatever these do."""
    closure: Closure = ""
    bursts: bool = False
    """A voiceless stop: the lips are shut in the silence before it is heard."""


def _vowel(name: str, jaw: float, width: float = 0.0, rounding: float = 0.0, weight: float = 1.0) -> Viseme:
    return Viseme(name, MouthPose(jaw=jaw, width=width, rounding=rounding), weight)


REST: Final = Viseme("sil", MouthPose(), 1.0)
NEUTRAL: Final = Viseme("E", MouthPose(jaw=0.3), 0.4)
"""For a symbol that nobody has heard of."""

_P: Final = Viseme("PP", MouthPose(jaw=0.08, press=1.0), 0.8, "lips", bursts=True)
_B: Final = Viseme("PP", MouthPose(jaw=0.08, press=1.0), 0.8, "lips")
_F: Final = Viseme("FF", MouthPose(jaw=0.15, bite=1.0), 0.8, "teeth")
_TH: Final = Viseme("TH", MouthPose(jaw=0.2, width=0.1, tongue=1.0), 0.6)
_D: Final = Viseme("DD", MouthPose(jaw=0.16, width=0.15, tongue=0.3), 0.5)
_N: Final = Viseme("nn", MouthPose(jaw=0.18, width=0.1, tongue=0.4), 0.5)
_L: Final = Viseme("nn", MouthPose(jaw=0.28, width=0.1, tongue=0.9), 0.5)
_K: Final = Viseme("kk", MouthPose(jaw=0.25), 0.3)
_H: Final = Viseme("kk", MouthPose(jaw=0.35), 0.12)
_S: Final = Viseme("SS", MouthPose(jaw=0.1, width=0.4), 0.8)
_SH: Final = Viseme("CH", MouthPose(jaw=0.14, width=-0.3, rounding=0.6), 0.8)
_R: Final = Viseme("RR", MouthPose(jaw=0.22, width=-0.25, rounding=0.4), 0.5)
_TAP: Final = Viseme("RR", MouthPose(jaw=0.25, tongue=0.2), 0.35)
_W: Final = Viseme("ou", MouthPose(jaw=0.12, width=-0.9, rounding=1.0), 0.9)
_J: Final = Viseme("ih", MouthPose(jaw=0.18, width=0.7), 0.6)
_BETA: Final = Viseme("PP", MouthPose(jaw=0.1, press=0.7), 0.7)

_VOWELS: Final = {
    "a": _vowel("aa", 0.95, 0.2),
    "ä": _vowel("aa", 0.95, 0.1),
    "æ": _vowel("aa", 0.85, 0.45),
    "ɐ": _vowel("aa", 0.7, 0.1),
    "ɑ": _vowel("aa", 1.0),
    "ʌ": _vowel("aa", 0.65, 0.05),
    "ɒ": _vowel("oh", 0.8, -0.2, 0.45),
    "ɶ": _vowel("oh", 0.8, -0.1, 0.4),
    "e": _vowel("E", 0.45, 0.6),
    "ɛ": _vowel("E", 0.6, 0.5),
    "ɜ": _vowel("E", 0.45, 0.05),
    "ɝ": _vowel("RR", 0.4, -0.1, 0.25),
    "ɞ": _vowel("E", 0.5, -0.2, 0.4),
    "ə": _vowel("E", 0.35, weight=0.7),
    "ɚ": _vowel("RR", 0.32, -0.1, 0.25, weight=0.7),
    "ɘ": _vowel("E", 0.35, 0.1, weight=0.8),
    "i": _vowel("ih", 0.22, 0.95),
    "ɪ": _vowel("ih", 0.3, 0.6),
    "ɨ": _vowel("ih", 0.25, 0.4),
    "y": _vowel("ou", 0.22, -0.6, 0.9),
    "ʏ": _vowel("ou", 0.28, -0.4, 0.7),
    "ø": _vowel("ou", 0.4, -0.45, 0.8),
    "œ": _vowel("oh", 0.55, -0.3, 0.65),
    "ɵ": _vowel("ou", 0.38, -0.35, 0.65),
    "o": _vowel("oh", 0.48, -0.55, 0.8),
    "ɔ": _vowel("oh", 0.65, -0.4, 0.65),
    "ɤ": _vowel("E", 0.45),
    "u": _vowel("ou", 0.22, -0.85, 1.0),
    "ʊ": _vowel("ou", 0.3, -0.5, 0.65),
    "ʉ": _vowel("ou", 0.24, -0.65, 0.9),
    "ɯ": _vowel("ih", 0.25, 0.2),
}

_CONSONANTS: Final = {
    **dict.fromkeys("pʘ", _P),
    **dict.fromkeys("bmɓʙ", _B),
    **dict.fromkeys("fvɱⱱ", _F),
    "ʋ": Viseme("FF", MouthPose(jaw=0.18, bite=0.7), 0.6),
    **dict.fromkeys("βɸ", _BETA),
    **dict.fromkeys("θð", _TH),
    **dict.fromkeys("tdʈɖɗǀǃ", _D),
    **dict.fromkeys("nɳɲ", _N),
    **dict.fromkeys("lɭɫʎɬɮʟǁɺ", _L),
    **dict.fromkeys("kɡgcɟŋɠʄɴqɢʛ", _K),
    **dict.fromkeys("xɣχʁħʕhɦʔʜʢçʝɰ", _H),
    **dict.fromkeys("sz", _S),
    **dict.fromkeys("ʃʒɕʑʂʐɧ", _SH),
    **dict.fromkeys("ɹɻʀ", _R),
    **dict.fromkeys("rɾɽ", _TAP),
    **dict.fromkeys("wʍɥ", _W),
    "j": _J,
}

_SOUNDS: Final = {**_VOWELS, **_CONSONANTS}
_STOPS_WITH_BREATH: Final = frozenset("ptkcqbdɡgʈɕs")
"""An "h" right after one of these in the same symbol is breath: Mandarin's "ph" is no "p" and "h"."""
_JOINED: Final = {"tʃ": "ʃ", "dʒ": "ʒ", "tɕ": "ɕ", "dʑ": "ʑ", "ts": "s", "dz": "z", "ʈʂ": "ʂ", "ɖʐ": "ʐ"}
"""Affricates look like their second half."""
_LENGTH: Final = "ːˑ:"


@functools.lru_cache(maxsize=4096)
def visemes_of(symbol: str) -> tuple[Viseme, ...]:
    """What a phoneme shows, one after the other: two for a diphthong. Empty for a mark without a sound of its own.

    A symbol that is in no table is taken by its base letter, and if that says nothing either as a small opening.
    """
    sounds = _letters(symbol)
    for both, second in _JOINED.items():
        sounds = sounds.replace(both, second)
    visemes: list[Viseme] = []
    for index, letter in enumerate(sounds):
        if letter == "h" and index and sounds[index - 1] in _STOPS_WITH_BREATH:
            continue
        viseme = _SOUNDS.get(letter, NEUTRAL)
        if not visemes or visemes[-1] is not viseme:
            visemes.append(viseme)
    return tuple(visemes)


def lengthens(symbol: str) -> bool:
    """Whether a symbol of its own only says that the one before it lasts (piper)."""
    return bool(symbol) and all(letter in _LENGTH for letter in symbol)


def _letters(symbol: str) -> str:
    """The letters of a symbol, each as the table has it: no stress, tone, length, pause or punctuation."""
    letters = []
    for letter in unicodedata.normalize("NFC", symbol[:16]):
        if letter not in _SOUNDS:
            base = unicodedata.normalize("NFD", letter)[0].lower()
            if base not in _SOUNDS and unicodedata.category(letter) not in ("Ll", "Lu", "Lo"):
                continue
            letter = base
        letters.append(letter)
    return "".join(letters)
