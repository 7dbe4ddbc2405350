"""What the sound of one reply says, sample by sample: which text is due with it, and which text was heard.

Word times come from the engine where it has them. Else its phonemes are dealt out to the words by how many each
has, and where it tells neither, the sound by how long the words take to say (`word_lengths.py`).

What is said may be written otherwise: "$5" is two words. All that is said for it has one time, and it was heard when
more than half of that was.
"""

import bisect
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from deployments.media.audio import VOICE_RATE_HZ
from deployments.media.speakable.spoken import Spoken, as_written
from deployments.media.timing import PhonemeTime, WordTime
from serve_app.session.word_lengths import WordLength, laid_on, laid_out, total_ms, word_lengths

_SAMPLES_PER_MS = VOICE_RATE_HZ / 1000
_PRIOR_MS = 1000
"""As much speech at the estimated pace is taken to have been heard of a voice before it says anything."""


@dataclass(slots=True)
class _Clause:
    text_start: int
    text_end: int
    first_sample: int
    spoken: Spoken
    lengths: list[WordLength]
    """Of what is written, by how it is said."""
    words: list[WordTime] = field(default_factory=list)
    phonemes: list[PhonemeTime] = field(default_factory=list)
    end_sample: int | None = None
    begun: WordTime | None = None
    """What is written for the last word, of which more is to be said."""

    def hear_of(self, word: WordTime) -> None:
        """A word's time and its place in what is spoken."""
        start, end = self.spoken.written(word.text_start, word.text_end)
        if self.begun is not None and start >= self.begun.text_end:
            self.words.append(self.begun)
            self.begun = None
        first = self.begun.start_sample if self.begun is not None else word.start_sample
        begin = min(start, self.begun.text_start) if self.begun is not None else start
        written = WordTime(first, word.end_sample, begin, end)
        if self.spoken.completes(word.text_end):
            self.words.append(written)
            self.begun = None
        else:
            self.begun = written


class Ledger:
    """Sound and text of one reply, side by side. Samples are at 24 kHz from the reply's first."""

    def __init__(self, speed: float = 1.0) -> None:
        """`speed`: the voice's, against its usual one."""
        self.text = ""
        """All clauses so far, heard or not."""
        self._estimated_ms = float(_PRIOR_MS)
        self._spoken_ms = _PRIOR_MS / speed
        self._clauses: list[_Clause] = []
        self._due_end = 0
        self._due_clauses = 0
        """So many clauses are due as a whole."""

    def begin_clause(self, text: str, first_sample: int, spoken: Spoken | None = None) -> None:
        """A clause's sound begins at `first_sample`. `spoken`: how it is said, where not as it is written."""
        start = len(self.text)
        self.text += text
        said = spoken or as_written(text)
        self._clauses.append(_Clause(start, len(self.text), first_sample, said, _written_lengths(said)))

    def add_times(self, words: tuple[WordTime, ...], phonemes: tuple[PhonemeTime, ...] = ()) -> None:
        """Word and phoneme times of the present clause, relative to it. Words have their places in what is spoken."""
        for word in words:
            self._clauses[-1].hear_of(word)
        self._clauses[-1].phonemes.extend(phonemes)

    def end_clause(self, end_sample: int) -> None:
        """The present clause's sound ends before `end_sample`."""
        clause = self._clauses[-1]
        clause.end_sample = end_sample
        if clause.begun is not None:
            clause.words.append(clause.begun)
            clause.begun = None
        estimated_ms = total_ms(clause.lengths)
        samples = end_sample - clause.first_sample
        if not clause.words and clause.phonemes:
            clause.words = laid_on(clause.lengths, clause.phonemes, whole=True)
        elif not clause.words and estimated_ms:
            clause.words = laid_out(clause.lengths, samples / estimated_ms)
        self._estimated_ms += estimated_ms
        self._spoken_ms += samples / _SAMPLES_PER_MS

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

    def phonemes(self, first_sample: int, end_sample: int) -> tuple[PhonemeTime, ...] | None:
        """What is said in this stretch, counted from its first sample; None where the engine does not tell."""
        inside = [
            clause
            for clause in self._clauses
            if clause.first_sample < end_sample and (clause.end_sample is None or clause.end_sample > first_sample)
        ]
        if inside and not any(clause.phonemes for clause in inside):
            return None
        return tuple(
            PhonemeTime(phoneme.symbol, phoneme.start_sample + shift, phoneme.end_sample + shift)
            for clause in inside
            for shift in (clause.first_sample - first_sample,)
            for phoneme in clause.phonemes
            if phoneme.end_sample + shift > 0 and phoneme.start_sample + shift < end_sample - first_sample
        )

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
        if clause.phonemes:
            return laid_on(clause.lengths, clause.phonemes, whole=False)
        return laid_out(clause.lengths, _SAMPLES_PER_MS * self._spoken_ms / self._estimated_ms)

    def _behind(self, clause: _Clause, word_end: int) -> int:
        # A word takes along what is behind it and not said: punctuation, spaces, marks.
        following = bisect.bisect_left(clause.lengths, word_end, key=lambda length: length.text_start)
        if following == len(clause.lengths):
            return clause.text_end
        return min(clause.text_start + clause.lengths[following].text_start, clause.text_end)


def _written_lengths(spoken: Spoken) -> list[WordLength]:
    """How long the words of the written text take, from those that are said for them."""
    written: list[WordLength] = []
    for length in word_lengths(spoken.text):
        start, end = spoken.written(length.text_start, length.text_end)
        if written and start < written[-1].text_end:
            last = written[-1]
            written[-1] = WordLength(
                min(last.text_start, start),
                max(last.text_end, end),
                last.sound_ms + last.pause_ms + length.sound_ms,
                length.pause_ms,
                last.sounds + length.sounds,
            )
        else:
            written.append(replace(length, text_start=start, text_end=end))
    return written


def _middle(word: WordTime) -> int:
    return (word.start_sample + word.end_sample) // 2
