"""What was recognised, with its times: as OpenAI's segments and words, and as subtitles (SRT, WebVTT)."""

import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from deployments.asr.contract import Transcript
from deployments.media.audio import SPEECH_RATE_HZ, samples_of
from deployments.media.timing import WordTime
from serve_app.gateway.audio.hearing import Passage

_PAUSE_SAMPLES: Final = SPEECH_RATE_HZ // 2
"""A caption ends where nothing is said for so long,"""
_LONGEST_SAMPLES: Final = 7 * SPEECH_RATE_HZ
"""or before it is shown for longer,"""
_LONGEST_CHARS: Final = 84
"""or has more text than two lines."""
_ENDS: Final = (".", "!", "?", "…", "。", "！", "？")


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it is heard in the file."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Caption:
    """Some words of a passage."""

    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...]
    confidence: float | None
    speech: float
    """Mean probability of speech in its passage."""
    passage_s: float
    """Where its passage begins."""


def captions(passage: Passage) -> list[Caption]:
    """A passage's words in pieces to be read; the whole passage where its engine tells no times of words."""
    transcript, start = passage.transcript, passage.segment.start_sample
    if not transcript.text.strip():
        return []
    runs = list(_runs(transcript)) if transcript.words else []
    if not runs:
        end = start + samples_of(passage.segment.pcm)
        return [_caption(passage, transcript.text.strip(), start, end, ())]
    return [
        _caption(
            passage,
            transcript.text[run[0].text_start : run[-1].text_end].strip(),
            start + run[0].start_sample,
            start + run[-1].end_sample,
            tuple(
                Word(
                    transcript.text[word.text_start : word.text_end],
                    _s(start + word.start_sample),
                    _s(start + word.end_sample),
                )
                for word in run
            ),
        )
        for run in runs
    ]


def segment_json(number: int, caption: Caption, temperature: float) -> dict[str, Any]:
    """As in OpenAI's `verbose_json`. `tokens` are not known; `avg_logprob` is that of the engine's confidence, if any.

    `compression_ratio` is Whisper's: bytes of the text by those of it after zlib.
    """
    text = caption.text.encode()
    known = caption.confidence is not None and caption.confidence > 0
    return {
        "id": number,
        "seek": round(100 * caption.passage_s),
        "start": caption.start_s,
        "end": caption.end_s,
        "text": caption.text,
        "tokens": [],
        "temperature": temperature,
        "avg_logprob": math.log(caption.confidence) if known and caption.confidence else None,
        "compression_ratio": round(len(text) / len(zlib.compress(text)), 4),
        "no_speech_prob": round(1 - caption.speech, 4),
    }


def word_json(word: Word) -> dict[str, Any]:
    """As in OpenAI's `verbose_json`."""
    return {"word": word.text, "start": word.start_s, "end": word.end_s}


def srt(shown: Iterable[Caption]) -> str:
    """SubRip."""
    return "".join(
        f"{number}\n{_clock(caption.start_s, ',')} --> {_clock(caption.end_s, ',')}\n{caption.text}\n\n"
        for number, caption in enumerate(shown, 1)
    )


def vtt(shown: Iterable[Caption]) -> str:
    """WebVTT."""
    cues = (f"{_clock(each.start_s, '.')} --> {_clock(each.end_s, '.')}\n{_escaped(each.text)}\n\n" for each in shown)
    return "WEBVTT\n\n" + "".join(cues)


def _runs(transcript: Transcript) -> Iterator[list[WordTime]]:
    run: list[WordTime] = []
    for word in transcript.words:
        if run and _ends_before(transcript.text, run, word):
            yield run
            run = []
        run.append(word)
    if run:
        yield run


def _ends_before(text: str, run: list[WordTime], word: WordTime) -> bool:
    said = text[run[-1].text_start : run[-1].text_end].rstrip("\"'”’)")
    return (
        said.endswith(_ENDS)
        or word.start_sample - run[-1].end_sample >= _PAUSE_SAMPLES
        or word.end_sample - run[0].start_sample > _LONGEST_SAMPLES
        or word.text_end - run[0].text_start > _LONGEST_CHARS
    )


def _caption(passage: Passage, text: str, start: int, end: int, words: tuple[Word, ...]) -> Caption:
    began = _s(passage.segment.start_sample)
    return Caption(text, _s(start), _s(end), words, passage.transcript.confidence, passage.segment.speech, began)


def _s(samples: int) -> float:
    return round(samples / SPEECH_RATE_HZ, 3)


def _clock(at_s: float, point: str) -> str:
    ms = round(1000 * at_s)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
