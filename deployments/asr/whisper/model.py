"""The model: features, encoder, language, words and their times for several utterances at once. All of it blocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from deployments.asr.whisper.device import Device
from deployments.asr.whisper.files import import_part
from deployments.asr.whisper.heard import SECONDS_MOST, Answer, Question, Word
from deployments.asr.whisper.tokens import Tokens
from deployments.asr.whisper.windows import fitted_s
from deployments.media.audio import BYTES_PER_SAMPLE, SPEECH_RATE_HZ, to_float

FRAMES_PER_S: Final = 100
"""Of the spectrogram."""
ENCODED_PER_S: Final = 50
"""Of what the encoder makes of it, which is what word times are counted in."""
TEXT_POSITIONS: Final = 448
TOKENS_AT_ONCE: Final = 16
TOKENS_PER_S: Final = 20
"""An answer has at most so many tokens, and so many more for each second of sound: faster than anyone speaks, even
where a letter takes three tokens. It bounds what a model that has gone astray costs."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard is looked for words."""

    beam_size: int = 5
    """For final words; words on the way are the likeliest token each."""
    max_new_tokens: int = 224
    interim_window_s: float = 10.0
    """The least sound, silence included, that is encoded for words on the way."""
    final_window_s: float = SECONDS_MOST
    languages: tuple[str, ...] = ()
    """Those that may be detected; empty for all."""


class WhisperModel:
    """CTranslate2's Whisper. Used by one thread at a time."""

    def __init__(self, folder: Path, device: Device, threads: int, effort: Effort) -> None:
        """Load it. Raises what CTranslate2 raises for files that it cannot read and memory that it cannot have."""
        self._ctranslate2 = import_part("ctranslate2")
        tokenizers, extractor = import_part("tokenizers"), import_part("faster_whisper.feature_extractor")
        self._model = self._ctranslate2.models.Whisper(
            str(folder), device=device.name, compute_type=device.compute_type, intra_threads=threads
        )
        self.multilingual: bool = self._model.is_multilingual
        self.tokens = Tokens(
            tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")), multilingual=self.multilingual
        )
        self._features = extractor.FeatureExtractor(feature_size=self._model.n_mels)
        self._effort = effort

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """ISO 639-1 codes, and Whisper's own where there is none."""
        codes = import_part("faster_whisper.tokenizer")._LANGUAGE_CODES
        known = [code for code in codes if self.tokens.language_token(code) is not None]
        return tuple(known) if self.multilingual else ("en",)

    def shape(self, seconds: float, *, final: bool, hints: int) -> tuple[int, int]:
        """Questions of the same shape, and of the same finality, can be answered together: frames and hints.

        CTranslate2 wants the beginning of the answer at the same place in all.
        """
        least_s = self._effort.final_window_s if final else self._effort.interim_window_s
        return round(fitted_s(seconds, least_s) * FRAMES_PER_S), hints

    def answer(self, questions: Sequence[Question], give_way: Callable[[], bool]) -> list[Answer | Exception] | None:
        """One batch; all have the same shape. None when it was to give way before the words were sought."""
        lengths = [len(question.pcm) / BYTES_PER_SAMPLE / SPEECH_RATE_HZ for question in questions]
        final = questions[0].final
        frames, _ = self.shape(max(lengths), final=final, hints=0)
        features = np.stack([self._spectrogram(question.pcm, frames) for question in questions])
        if give_way():
            return None
        encoded = self._model.encode(self._ctranslate2.StorageView.from_array(features))
        if give_way():
            return None
        languages = self._languages(questions, encoded)
        prompts = [self.tokens.prompt(question, code) for question, (code, _) in zip(questions, languages, strict=True)]
        results = self._generate(encoded, prompts, questions, max(lengths))
        answers: list[Answer | Exception] = []
        for result, (code, probability) in zip(results, languages, strict=True):
            # The mean over the tokens and the mark that ends them, as CTranslate2 gives it for a length penalty of 1.
            count = len(result.sequences_ids[0])
            logprob = result.scores[0] * count / (count + 1)
            words = self.tokens.words(self.tokens.text_only(result.sequences_ids[0]), code)
            answers.append(Answer(words, code, probability, logprob, result.no_speech_prob))
        if final:
            self._time(encoded, questions, answers, lengths)
        return answers

    def _spectrogram(self, pcm: bytes, frames: int) -> Floats:
        """Shape: (mels, frames). After the sound comes what silence would give."""
        wanted = frames * SPEECH_RATE_HZ // FRAMES_PER_S
        samples = to_float(pcm)[:wanted]
        # So much silence that the last frame sees nothing but it; the others are all alike.
        features: Floats = self._features(samples, padding=min(wanted - len(samples), SPEECH_RATE_HZ // 10))
        loudest = float(features.max()) * 4.0 - 4.0
        silence = (max(-10.0, loudest - 8.0) + 4.0) / 4.0
        whole = np.full((features.shape[0], frames), silence, np.float32)
        count = min(frames, features.shape[1])
        whole[:, :count] = features[:, :count]
        return whole

    def _languages(self, questions: Sequence[Question], encoded: Any) -> list[tuple[str, float]]:
        if not self.multilingual:
            return [("en", 1.0)] * len(questions)
        if all(question.language for question in questions):
            return [(question.language or "", 1.0) for question in questions]
        allowed = set(self._effort.languages) or set(self.languages)
        found: list[tuple[str, float]] = []
        for question, ranked in zip(questions, self._model.detect_language(encoded), strict=True):
            codes = ((token.strip("<|>"), float(probability)) for token, probability in ranked)
            best = next((each for each in codes if each[0] in allowed), ("en", 0.0))
            found.append((question.language, 1.0) if question.language else best)
        return found

    def _generate(
        self, encoded: Any, prompts: list[list[int]], questions: Sequence[Question], longest_s: float
    ) -> Sequence[Any]:
        prefix = max(len(question.prefix) for question in questions)
        before = len(prompts[0]) - len(questions[0].prefix)
        new = min(self._effort.max_new_tokens, TOKENS_AT_ONCE + round(TOKENS_PER_S * longest_s))
        # CTranslate2 writes at most half of max_length, and no more than is left after what precedes.
        written = prefix + new
        results: Sequence[Any] = self._model.generate(
            encoded,
            prompts,
            beam_size=self._effort.beam_size if questions[0].final else 1,
            max_length=min(TEXT_POSITIONS, max(2 * written, before + written)),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self.tokens.suppressed,
        )
        return results

    def _time(
        self, encoded: Any, questions: Sequence[Question], answers: list[Answer | Exception], lengths: Sequence[float]
    ) -> None:
        """Give the words of the answers their times; those of one language and task together."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for row, (question, answer) in enumerate(zip(questions, answers, strict=True)):
            if isinstance(answer, Answer) and answer.words:
                groups.setdefault(tuple(self.tokens.start(question, answer.language)), []).append(row)
        for start, rows in groups.items():
            said = [answers[row] for row in rows]
            words = [answer.words for answer in said if isinstance(answer, Answer)]
            aligned = self._model.align(
                self._rows(encoded, rows, len(questions)),
                list(start),
                [[token for word in each for token in word.tokens] for each in words],
                [max(2, round(lengths[row] * FRAMES_PER_S)) for row in rows],
            )
            for row, each, result in zip(rows, words, aligned, strict=True):
                answer = answers[row]
                if isinstance(answer, Answer):
                    answers[row] = replace(answer, words=timed(each, result.alignments, lengths[row]))

    def _rows(self, encoded: Any, rows: list[int], count: int) -> Any:
        """Some of the batch's sounds."""
        if len(rows) == count:
            return encoded
        here = np.asarray(encoded.to_device(self._ctranslate2.Device.cpu))
        return self._ctranslate2.StorageView.from_array(np.ascontiguousarray(here[rows]))


def timed(words: Sequence[Word], path: Sequence[tuple[int, int]], seconds: float) -> tuple[Word, ...]:
    """The words with the times of an alignment: pairs (token, place in the encoder's output), both growing.

    A word begins where its first token does and ends where the next word begins. None is empty, none overlaps
    another, and none ends after the sound.
    """
    begins: dict[int, int] = {}
    for token, place in path:
        begins.setdefault(token, place)
    known = sorted(begins)
    starts: list[float] = []
    count = 0
    for word in words:
        # Every token is on the path; the last known one stands in for what a cut path would lack.
        token = count if count in begins else max((each for each in known if each <= count), default=-1)
        starts.append(begins.get(token, 0) / ENCODED_PER_S)
        count += len(word.tokens)
    end = begins.get(count)
    ends = [*starts[1:], seconds if end is None else end / ENCODED_PER_S]
    least_s = min(0.02, seconds / max(1, len(words)))
    placed: list[Word] = []
    earliest_s = 0.0
    for n, (word, start_s, end_s) in enumerate(zip(words, starts, ends, strict=True)):
        room_s = seconds - (len(words) - n) * least_s
        start_s = max(min(start_s, room_s), earliest_s)
        end_s = min(max(end_s, start_s + least_s), room_s + least_s)
        placed.append(replace(word, start_s=start_s, end_s=end_s))
        earliest_s = end_s
    return tuple(placed)
