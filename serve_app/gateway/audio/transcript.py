"""The words of a file, gathered, and in the formats of OpenAI's API."""

import math
from typing import Any, Literal

from starlette.responses import JSONResponse, PlainTextResponse, Response

from serve_app.gateway.audio.captions import Caption, captions, segment_json, srt, vtt, word_json
from serve_app.gateway.audio.hearing import Passage

Format = Literal["json", "text", "srt", "verbose_json", "vtt"]
Task = Literal["transcribe", "translate"]


class FileTranscript:
    """What was said so far."""

    def __init__(self, task: Task, language: str | None) -> None:
        """`language`: the one that the client named."""
        self.captions: list[Caption] = []
        self.duration_s = 0.0
        self._task = task
        self._language = language

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(caption.text for caption in self.captions)

    @property
    def language(self) -> str:
        """ISO 639-1 of the text: named, else that of the first words; empty where nothing tells."""
        return "en" if self._task == "translate" else self._language or ""

    def add(self, passage: Passage) -> list[Caption]:
        """The next passage; its captions."""
        new = captions(passage)
        self.captions += new
        if new and self._language is None:
            self._language = passage.transcript.language
        return new

    def response(self, format_: Format, granularities: tuple[str, ...], temperature: float) -> Response:
        """The whole."""
        if format_ == "text":
            return PlainTextResponse(self.text + "\n")
        if format_ == "srt":
            return PlainTextResponse(srt(self.captions))
        if format_ == "vtt":
            return PlainTextResponse(vtt(self.captions), media_type="text/vtt")
        body: dict[str, Any] = {"text": self.text, "usage": self.usage}
        if format_ == "verbose_json":
            body |= {"task": self._task, "language": self.language, "duration": round(self.duration_s, 3)}
            if "segment" in granularities:
                body["segments"] = [segment_json(n, each, temperature) for n, each in enumerate(self.captions)]
            if "word" in granularities:
                body["words"] = [word_json(word) for each in self.captions for word in each.words]
        return JSONResponse(body)

    @property
    def usage(self) -> dict[str, Any]:
        """The sound's length, in seconds begun."""
        return {"type": "duration", "seconds": math.ceil(self.duration_s)}
