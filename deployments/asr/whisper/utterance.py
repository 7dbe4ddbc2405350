"""What one utterance says so far: windows over its sound, what is stable, what is to be asked next. No waiting here."""

from dataclasses import dataclass, replace
from math import exp
from typing import Final

from deployments.asr.contract import AsrOptions, Transcript
from deployments.asr.whisper.agreement import Agreement
from deployments.asr.whisper.guards import Guards, believed, is_silence
from deployments.asr.whisper.heard import SECONDS_MOST, UNSPACED, Answer, Question, Word, text_of, tokens_of
from deployments.asr.whisper.windows import cut
from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ
from deployments.media.timing import WordTime

WINDOW_BYTES: Final = round(SECONDS_MOST * SPEECH_RATE_HZ) * BYTES_PER_SAMPLE
LEAST_BYTES: Final = SPEECH_RATE_HZ // 10 * BYTES_PER_SAMPLE
"""Less than 100 ms is not listened to: no word is as short."""
DETECTED_FROM_S: Final = 2.0
"""Once detected from so much sound, or surely, the language stays."""
SURE: Final = 0.8
SAID_BEFORE: Final = 32
"""Tokens of earlier windows that the next is told. Always so many or none, so that utterances share batches."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How an utterance is listened to."""

    interim_step_ms: int
    """After so much new sound it is decoded again."""
    language: str | None
    """Where the options name none; None has it detected."""
    follow: bool
    """A language that was detected may change."""
    guards: Guards


@dataclass(frozen=True, slots=True)
class _Placed:
    """A word of the utterance."""

    word: Word
    offset_s: float
    """Of its window in the utterance."""


class Utterance:
    """Blocks of sound in, questions out, answers in, transcripts out."""

    def __init__(self, options: AsrOptions, rules: Rules, hints: tuple[int, ...]) -> None:
        self._options = options
        self._rules = rules
        self._hints = hints
        self._pcm = bytearray()
        """Of the present window on."""
        self._offset_s = 0.0
        self._heard_samples = 0
        self._asked_bytes = 0
        """Of the window, in the last question about words on the way."""
        self._earlier: list[_Placed] = []
        self._agreement = Agreement()
        self._words: tuple[Word, ...] = ()
        """Of the present window."""
        self._language = options.language or rules.language
        self._detects = self._language is None
        self._logprob: float | None = None
        self._final: Transcript | None = None

    def hear(self, pcm: bytes) -> None:
        """Take the next block."""
        if pcm:
            self._pcm += pcm
            self._heard_samples += len(pcm) // BYTES_PER_SAMPLE
            self._final = None

    @property
    def overlong(self) -> bool:
        """Whether the present window is full, so that it is to be cut with the words of a final question."""
        return len(self._pcm) > WINDOW_BYTES

    @property
    def due(self) -> bool:
        """Whether enough new sound came to ask for words on the way."""
        new_bytes = len(self._pcm) - self._asked_bytes
        return new_bytes * 1000 >= self._rules.interim_step_ms * SPEECH_RATE_HZ * BYTES_PER_SAMPLE

    @property
    def silent(self) -> bool:
        """Whether there is nothing in the present window that could be words."""
        window = bytes(self._pcm[:WINDOW_BYTES])
        return len(window) < LEAST_BYTES or is_silence(window, self._rules.guards)

    @property
    def seconds(self) -> float:
        """Of the present window, as far as the model can hear it."""
        return min(len(self._pcm), WINDOW_BYTES) / BYTES_PER_SAMPLE / SPEECH_RATE_HZ

    @property
    def hints(self) -> tuple[int, ...]:
        """What the next question tells besides its sound."""
        said = tokens_of([placed.word for placed in self._earlier[-SAID_BEFORE:]])[-SAID_BEFORE:]
        return (*self._hints, *said) if len(said) == SAID_BEFORE else self._hints

    def question(self, *, final: bool) -> Question:
        """About all that is in the window by now."""
        window = bytes(self._pcm[:WINDOW_BYTES])
        if not final:
            self._asked_bytes = len(window)
        detects = self._detects and (self._language is None or self._rules.follow)
        return Question(
            pcm=window,
            final=final,
            language=None if detects else self._language,
            task=self._options.task,
            hints=self.hints,
            prefix=tokens_of(self._agreement.stable),
        )

    def take(self, question: Question, answer: Answer) -> None:
        """Learn the answer to a question about the present window."""
        self._logprob = answer.mean_logprob
        seconds = len(question.pcm) / BYTES_PER_SAMPLE / SPEECH_RATE_HZ
        if self._detects and (self._rules.follow or seconds >= DETECTED_FROM_S or answer.language_probability >= SURE):
            self._language = answer.language
        self._agree(believed(answer, self._rules.guards), agreeing=not question.final)
        if question.final and self.overlong:
            self._cut(seconds)

    def take_silence(self) -> None:
        """Learn that the present window has no words."""
        self._asked_bytes = len(self._pcm)
        self._agree((), agreeing=False)
        if self.overlong:
            self._cut(self.seconds)

    def _agree(self, words: tuple[Word, ...], *, agreeing: bool) -> None:
        """Take words of the window; of those that contradict what is stable, that alone is left."""
        stable = self._agreement.stable
        if words and self._earlier and self._language not in UNSPACED:
            words = (replace(words[0], spaced=True), *words[1:])  # the model may not know that it goes on
        if not text_of(words).startswith(text_of(stable)):
            words = stable
        elif agreeing:
            self._agreement.add(words)
        self._words = words

    def _cut(self, seconds: float) -> None:
        place = cut(self._words, seconds, len(self._agreement.stable))
        self._earlier += [_Placed(word, self._offset_s) for word in self._words[: place.words]]
        samples = round(place.at_s * SPEECH_RATE_HZ)
        del self._pcm[: samples * BYTES_PER_SAMPLE]
        self._offset_s += samples / SPEECH_RATE_HZ
        self._agreement, self._words, self._asked_bytes = Agreement(), (), 0

    def interim(self) -> Transcript:
        """The words so far."""
        stable = [placed.word for placed in self._earlier] + list(self._agreement.stable)
        words = self._placed()
        return Transcript(
            text=text_of([placed.word for placed in words]),
            language=self._language,
            confidence=self._confidence if words else None,
            stable_chars=len(text_of(stable)),
        )

    @property
    def final(self) -> Transcript | None:
        """The final words, once they are known and until more is heard."""
        return self._final

    def finish(self) -> Transcript:
        """Make the words so far final."""
        words = self._placed()
        interim = self.interim()
        self._final = Transcript(
            text=interim.text,
            final=True,
            language=interim.language,
            confidence=interim.confidence,
            words=self._times(words),
            stable_chars=interim.stable_chars,
        )
        return self._final

    @property
    def _confidence(self) -> float | None:
        return None if self._logprob is None else min(1.0, exp(self._logprob))

    def _placed(self) -> list[_Placed]:
        return [*self._earlier, *(_Placed(word, self._offset_s) for word in self._words)]

    def _times(self, placed: list[_Placed]) -> tuple[WordTime, ...]:
        """Places in text and sound; none at all where a word was left without a time."""
        if any(each.word.end_s <= each.word.start_s for each in placed):
            return ()
        times: list[WordTime] = []
        chars = end = 0
        for n, each in enumerate(placed):
            chars += bool(n and each.word.spaced)
            start = max(end, round((each.offset_s + each.word.start_s) * SPEECH_RATE_HZ))
            end = max(start + 1, round((each.offset_s + each.word.end_s) * SPEECH_RATE_HZ))
            end = min(end, self._heard_samples)
            if start >= end:
                return ()
            times.append(WordTime(start, end, chars, chars + len(each.word.text)))
            chars += len(each.word.text)
        return tuple(times)
