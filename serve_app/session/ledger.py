"""What the sound of one reply says, sample by sample: which text is due with it, and which text was heard.

Word times come from the engine where it has them. A clause without any is shared out over its sound by the number of
letters and digits.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from deployments.media.audio import VOICE_RATE_HZ
from deployments.media.timing import WordTime

_TRAIL = re.compile(r"[^\w]*")
_WORD = re.compile(r"\w+[^\w]*")
_SAMPLES_PER_LETTER = VOICE_RATE_HZ * 65 // 1000
"""Until a clause's length is known: 65 ms a letter, an unhurried English voice."""


@dataclass(slots=True)
class _Clause:
    text_start: int
    text_end: int
    first_sample: int
    words: list[WordTime]
    end_sample: int | None = None


class Ledger:
    """Sound and text of one reply, side by side. Samples are at 24 kHz from the reply's first."""

    def __init__(self) -> None:
        self.text = ""
        """All clauses so far, heard or not."""
        self._clauses: list[_Clause] = []
        self._due_end = 0
        self._due_clauses = 0
        """So many clauses are due as a whole."""

    def begin_clause(self, text: str, first_sample: int) -> None:
        """A clause's sound begins at `first_sample`."""
        start = len(self.text)
        self.text += text
        self._clauses.append(_Clause(start, len(self.text), first_sample, []))

    def add_words(self, words: tuple[WordTime, ...]) -> None:
        """Word times of the present clause, relative to it."""
        self._clauses[-1].words.extend(words)

    def end_clause(self, end_sample: int) -> None:
        """The present clause's sound ends before `end_sample`."""
        clause = self._clauses[-1]
        clause.end_sample = end_sample
        if not clause.words:
            clause.words = _shares(self.text[clause.text_start : clause.text_end], end_sample - clause.first_sample)

    def due(self, sent_samples: int) -> str:
        """The text that goes out with the sound before `sent_samples`, as far as it has not gone out."""
        end = self._due_end
        for clause in self._clauses[self._due_clauses :]:
            if clause.first_sample >= sent_samples:
                break
            if clause.end_sample is not None and clause.end_sample <= sent_samples:
                end = max(end, clause.text_end)
                self._due_clauses += 1
            else:
                end = max(end, self._text_before(clause, lambda word: word.start_sample, sent_samples))
        text = self.text[self._due_end : end]
        self._due_end = end
        return text

    def heard(self, heard_samples: int) -> str:
        """The text of the sound before `heard_samples`. A word was heard when more than half of it was."""
        end = 0
        for clause in self._clauses:
            if clause.end_sample is not None and clause.end_sample <= heard_samples:
                end = max(end, clause.text_end)
            else:
                # To its middle: one that lies right there counts.
                end = max(end, self._text_before(clause, _middle, heard_samples + 1))
        return self.text[:end].rstrip()

    def word_ends(self) -> list[tuple[int, int]]:
        """For each word that has sound, the sample of its middle and where the text ends that is heard by then."""
        return [
            (clause.first_sample + _middle(word), self._behind(clause, word.text_end))
            for clause in self._clauses
            for word in self._words(clause)
        ]

    def _text_before(self, clause: _Clause, moment: Callable[[WordTime], int], samples: int) -> int:
        """Where the text of the clause's words ends whose `moment` lies before `samples`; 0 if there are none."""
        before = samples - clause.first_sample
        ends = [word.text_end for word in self._words(clause) if moment(word) < before]
        return self._behind(clause, max(ends)) if ends else 0

    def _words(self, clause: _Clause) -> list[WordTime]:
        # An engine's first word times may come behind the sound they belong to: espeak's come one block later.
        if clause.words or clause.end_sample is not None:
            return clause.words
        text = self.text[clause.text_start : clause.text_end]
        return _shares(text, sum(map(str.isalnum, text)) * _SAMPLES_PER_LETTER)

    def _behind(self, clause: _Clause, word_end: int) -> int:
        # A word takes the punctuation and spaces behind it along.
        end = min(clause.text_start + word_end, clause.text_end)
        trail = _TRAIL.match(self.text, end, clause.text_end)
        return trail.end() if trail else end


def _middle(word: WordTime) -> int:
    return (word.start_sample + word.end_sample) // 2


def _shares(text: str, samples: int) -> list[WordTime]:
    """Words of `text` with a share of the sound by their letters and digits."""
    found = list(_WORD.finditer(text))
    weights = [sum(map(str.isalnum, match.group())) for match in found]
    total = sum(weights) or 1
    words = []
    before = 0
    for match, weight in zip(found, weights, strict=True):
        start, before = before, before + weight
        words.append(WordTime(samples * start // total, samples * before // total, match.start(), match.end()))
    return words
