"""What somebody said, in a form that rules can be matched against.

Recognition gives lower case and no punctuation, typing gives both: a rule sees one form.
"""

import re
from typing import Final


def vocabulary(words: str) -> frozenset[str]:
    """A set of words, written as one line of text."""
    return frozenset(words.split())


LONGEST_TEXT: Final = 1000
"""Characters of a message that are looked at, so that hostile input costs little."""

_CONTRACTIONS: Final = (
    (r"\b(?:what|who|where|when|how|that|it|there|here|name|he|she)(?='s\b)", r"\g<0>|"),
    (r"\|'s\b", " is"),
    (r"\b(what|where|that)s\b", r"\1 is"),
    (r"\blet's\b", "let us"),
    (r"\bi'?m\b", "I am"),
    (r"(?<=\w)'re\b", " are"),
    (r"(?<=\w)'ve\b", " have"),
    (r"(?<=\w)'ll\b", " will"),
    (r"(?<=\w)'d\b", " would"),
    (r"\bcan(?:'?t|not)\b", "can not"),
    (r"\bwon't\b", "will not"),
    (r"(?<=\w)n't\b", " not"),
    (r"\bdont\b", "do not"),
    (r"\bfavorite\b", "favourite"),
    (r"\bcolor\b", "colour"),
)
_CONTRACTION_RULES: Final = tuple((re.compile(pattern, re.IGNORECASE), to) for pattern, to in _CONTRACTIONS)
_TOKEN: Final = re.compile(
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+|[^\W\d_]+(?:'[^\W\d_]+)*|(?<![^\W\d_])-|[+*/×÷−^%=()]"
)
_FILLERS: Final = vocabulary("um uh er erm well so okay ok hey oh please")


def tidy(text: str) -> str:
    """White space single, quotes straight, contractions in full, letters as they were."""
    text = " ".join(text[:LONGEST_TEXT].split()).replace("’", "'").replace("‘", "'")
    text = text.replace("“", '"').replace("”", '"')
    for pattern, to in _CONTRACTION_RULES:
        text = pattern.sub(to, text)
    return text


def split(text: str) -> tuple[str, ...]:
    """Lower-case words, numbers and signs of a tidy text. A hyphen after a letter is no sign."""
    return tuple(token.replace(",", "") for token in _TOKEN.findall(text.lower()))


def plain(text: str) -> str:
    """The words of a tidy text in lower case, joined by single spaces, without fillers at the beginning."""
    words = list(split(text))
    while len(words) > 1 and words[0] in _FILLERS:
        words.pop(0)
    return " ".join(words)


def sentence(text: str) -> str:
    """With a capital and an end."""
    text = text.strip()
    if not text:
        return ""
    text = re.sub(r"\bi\b", "I", text)
    return text[0].upper() + text[1:] + ("" if text[-1] in '.!?…"' else ".")


def listed(items: list[str], last: str = "and") -> str:
    """ "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}" if items else ""


_TURNED: Final = {
    "i": "you",
    "me": "you",
    "my": "your",
    "mine": "yours",
    "myself": "yourself",
    "you": "I",
    "your": "my",
    "yours": "mine",
    "yourself": "myself",
    "am": "are",
    "was": "were",
}
_BEFORE_OBJECT: Final = vocabulary(
    "for to with at of by from about on like love hate help tell give ask show see hear know need want than and"
)
_AFTERWARDS: Final = (
    (r"\bI are\b", "I am"),
    (r"\bare I\b", "am I"),
    (r"\bI were\b", "I was"),
    (r"\bcan not\b", "cannot"),
)


def turned(text: str) -> str:
    """From the speaker's side to the listener's: "I like my dog" becomes "you like your dog"."""
    words = text.split()
    out = []
    for at, word in enumerate(words):
        new = _TURNED.get(word.lower(), word)
        if word.lower() == "you" and at and (words[at - 1].lower() in _BEFORE_OBJECT or at + 1 == len(words)):
            new = "me"
        # "was" belongs to its subject: only "I was" becomes "you were".
        if word.lower() in ("am", "was") and "i" not in (word.lower() for word in words[max(at - 1, 0) : at + 2]):
            new = word
        out.append(new)
    text = " ".join(out)
    for pattern, to in _AFTERWARDS:
        text = re.sub(pattern, to, text)
    return text
