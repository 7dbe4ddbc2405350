"""`POST /v1/audio/transcriptions` and `/v1/audio/translations`: the words of a file of any length.

multipart   OpenAI's fields: `file`, and maybe `model`, `language`, `prompt`, `response_format`, `temperature`,
            `timestamp_granularities[]`, `stream`, `include[]`, `keywords[]`, `chunking_strategy`
back        JSON, text or subtitles; with `stream` events, while the file is being heard
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from configs.audio_api import TranscriptionApiConfig
from deployments.asr.contract import AsrOptions
from deployments.runtime.errors import InvalidRequest, ParleyError
from serve_app.gateway.audio import sse
from serve_app.gateway.audio.hearing import FileHearing, OpenFile, Passage
from serve_app.gateway.audio.sound_form import sound_form
from serve_app.gateway.audio.transcript import FileTranscript, Format, Task
from serve_app.gateway.departure import Streamed, gone, unless_it_leaves
from serve_app.gateway.places import Places
from serve_app.session.validation import validated

log = logging.getLogger(__name__)

Languages = Callable[[], Awaitable[tuple[str, ...]]]
"""ISO 639-1 codes that the Asr stage takes; empty where it takes any."""

_LISTS = ("timestamp_granularities", "include", "keywords", "languages")
_Text = Annotated[str, Field(max_length=100)]


class _Asked(BaseModel):
    """Fields of both; what is not acted on is accepted for stock clients, and named in docs/audio.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(default="", max_length=256)
    prompt: str = Field(default="", max_length=4000)
    response_format: Format = "json"
    temperature: float = Field(default=0.0, ge=0, le=1)
    stream: bool = False
    keywords: tuple[_Text, ...] = Field(default=(), max_length=100)


class _Translation(_Asked):
    """What only a translation may ask for: nothing."""

    @property
    def granularities(self) -> tuple[str, ...]:
        return ("segment",)

    @property
    def named_language(self) -> str | None:
        return None


class _Transcription(_Asked):
    """What only a transcription may ask for."""

    language: str = Field(default="", max_length=16)
    languages: tuple[_Text, ...] = Field(default=(), max_length=100)
    timestamp_granularities: tuple[Literal["word", "segment"], ...] = Field(default=("segment",), max_length=2)
    include: tuple[Literal["logprobs"], ...] = Field(default=(), max_length=1)
    chunking_strategy: str = Field(default="", max_length=1000)

    @property
    def granularities(self) -> tuple[str, ...]:
        return self.timestamp_granularities

    @property
    def named_language(self) -> str | None:
        only = self.languages[0] if len(self.languages) == 1 else ""
        return (self.language or only).replace("_", "-").partition("-")[0].lower() or None


@dataclass(frozen=True, slots=True)
class Transcriber:
    """Has files transcribed."""

    hearing: FileHearing
    languages: Languages
    config: TranscriptionApiConfig
    places: Places

    async def options(self, asked: _Transcription | _Translation, task: Task) -> AsrOptions:
        """How its segments are to be recognised. Raises InvalidRequest for a language that the engine does not take."""
        language = asked.named_language
        if language is not None:
            taken = await self.languages()
            if taken and language not in taken:
                listed = ", ".join(sorted(taken))
                message = f"Speech recognition here does not take the language '{language}'; it takes: {listed}."
                raise InvalidRequest(message, "unsupported_language", "language")
        return AsrOptions(language, asked.prompt, asked.keywords, task, live=False, model=asked.model)


def transcription_routes(transcriber: Transcriber) -> list[Route]:
    """The routes; errors before the first event go through `http_errors.exception_handlers`."""

    async def transcriptions(request: Request) -> Response:
        return await _answer(transcriber, request, "transcribe", _Transcription)

    async def translations(request: Request) -> Response:
        return await _answer(transcriber, request, "translate", _Translation)

    return [
        Route("/v1/audio/transcriptions", transcriptions, methods=["POST"]),
        Route("/v1/audio/translations", translations, methods=["POST"]),
    ]


async def _answer(
    transcriber: Transcriber, request: Request, task: Task, model: type[_Transcription] | type[_Translation]
) -> Response:
    config = transcriber.config
    try:
        async with AsyncExitStack() as held:
            held.enter_context(transcriber.places.one())
            form = await held.enter_async_context(
                sound_form(request, lists=_LISTS, max_bytes=config.max_upload_bytes, within_s=config.upload_s)
            )
            asked = _checked(validated(model, form.fields))
            options = await transcriber.options(asked, task)
            file = await held.enter_async_context(transcriber.hearing.opened(form.file, "file"))
            transcript = FileTranscript(task, options.language)
            if not asked.stream:
                await unless_it_leaves(request.receive, _heard(transcriber, file, options, transcript))
                return transcript.response(asked.response_format, asked.granularities, asked.temperature)
            events = _events(transcriber, file, options, transcript)
            await held.enter_async_context(aclosing(events))
            first = await unless_it_leaves(request.receive, _next(events))
            return Streamed(first, events, sse.MEDIA_TYPE, held.pop_all())
    except ClientDisconnect:
        return gone()


def _checked(asked: _Transcription | _Translation) -> _Transcription | _Translation:
    if asked.stream and asked.response_format not in ("json", "text"):
        message = f"'stream' goes with response_format 'json' or 'text', not '{asked.response_format}'."
        raise InvalidRequest(message, param="response_format")
    return asked


async def _heard(transcriber: Transcriber, file: OpenFile, options: AsrOptions, transcript: FileTranscript) -> None:
    """The whole file."""
    async with aclosing(transcriber.hearing.passages(file, options)) as passages:
        async for passage in passages:
            if isinstance(passage, Passage):
                transcript.add(passage)
    transcript.duration_s = file.looked_s


async def _next(events: AsyncGenerator[bytes, None]) -> bytes:
    return await anext(events)


async def _events(
    transcriber: Transcriber, file: OpenFile, options: AsrOptions, transcript: FileTranscript
) -> AsyncGenerator[bytes, None]:
    """`transcript.text.delta` for each caption, comments with the progress in between, `transcript.text.done`."""
    begun = False
    async with aclosing(transcriber.hearing.passages(file, options)) as passages:
        try:
            async for passage in passages:
                if not isinstance(passage, Passage):
                    begun = True
                    yield sse.comment(_progress(passage.looked_s, file.duration_s))
                    continue
                for event in _deltas(passage, transcript, file):
                    begun = True
                    yield event
        except ParleyError as error:
            if not begun:
                raise
            log.warning("a transcription broke off: %s", error)
            yield sse.error_event(error)
            return
    transcript.duration_s = file.looked_s
    done = {"type": "transcript.text.done", "text": transcript.text, "language": transcript.language}
    yield sse.event({**done, "duration": round(transcript.duration_s, 3)})


def _deltas(passage: Passage, transcript: FileTranscript, file: OpenFile) -> list[bytes]:
    events: list[bytes] = []
    before = len(transcript.captions)
    for number, caption in enumerate(transcript.add(passage), before):
        event: dict[str, Any] = {"type": "transcript.text.delta", "delta": (" " if number else "") + caption.text}
        event |= {"start": caption.start_s, "end": caption.end_s}
        events.append(sse.event({**event, "looked_s": round(file.looked_s, 3), "duration_s": file.duration_s}))
    return events


def _progress(looked_s: float, duration_s: float | None) -> str:
    return f"progress {looked_s:.1f} s" + (f" of {duration_s:.1f} s" if duration_s else "")
