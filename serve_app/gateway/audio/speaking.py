"""`POST /v1/audio/speech`: a text, spoken, sent while it is made.

JSON        OpenAI's fields: {"model", "input", "voice", "instructions", "response_format", "speed", "stream_format"},
            and "language"
back        the file (`stream_format: audio`), or events with pieces of it in base64 (`sse`)
"""

import asyncio
import base64
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from configs.audio_api import SpeechApiConfig
from configs.session import SessionConfig
from deployments.runtime.clock import now_s
from deployments.runtime.errors import InvalidRequest, ParleyError, TooLarge
from deployments.tts.client import TtsClient
from deployments.tts.contract import SpeechRequest
from serve_app.gateway.ahead import ahead
from serve_app.gateway.audio import sse
from serve_app.gateway.audio.encoders import MEDIA_TYPES, Encoder, Format, encoder
from serve_app.gateway.audio.pace import Pace, Stopwatch
from serve_app.gateway.departure import Streamed, gone, unless_it_leaves
from serve_app.gateway.places import Places
from serve_app.gateway.speech import SpokenText, clauses_of
from serve_app.gateway.uploads import read_form
from serve_app.session.validation import validated
from serve_app.session.wording import speaker_of

log = logging.getLogger(__name__)

_BODY_S = 60.0
_BLOCK_S = 0.2
"""What the Tts stage sends at a time, as a rule."""
_NO_LIMIT_S = float(10**6)
_TOKENS_PER_S = 20
"""Of sound, as in the Realtime API's usage: one for 50 ms."""


class _Asked(BaseModel):
    """A request's fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: str
    model: str = Field(default="", max_length=256)
    """Any: a server has one voice engine."""
    voice: str = Field(default="", max_length=64)
    """Empty: the configured one."""
    instructions: str | None = Field(default=None, max_length=50_000)
    """Accepted, without effect: the engines take none."""
    response_format: Format = "mp3"
    speed: float = Field(default=1.0, ge=0.25, le=4.0)
    stream_format: Literal["audio", "sse"] = "audio"
    language: str | None = Field(default=None, min_length=2, max_length=16)
    """ISO 639-1; not OpenAI's."""

    @field_validator("voice", mode="before")
    @classmethod
    def _voice_by_id(cls, value: Any) -> Any:
        return value["id"] if isinstance(value, dict) and set(value) == {"id"} else value


@dataclass(frozen=True, slots=True)
class Reader:
    """Has texts read out."""

    tts: TtsClient
    config: SpeechApiConfig
    live: Callable[[], SessionConfig]
    places: Places
    pace: Pace

    def sound(self, asked: _Asked, watch: Stopwatch) -> AsyncGenerator[bytes, None]:
        """The text's sound, at most the lead ahead of its reader."""
        live = self.live()
        voice = asked.voice or live.voice
        request = SpeechRequest("", voice, asked.language or live.language, asked.speed)
        speaker = speaker_of(live.speakable, request.language, voice)
        spoken = SpokenText(self.tts, clauses_of(asked.input), request, _NO_LIMIT_S, speaker)
        return ahead(watch.timed(spoken.sound()), max(1, round(self.config.lead_s / _BLOCK_S)))


def speech_routes(reader: Reader) -> list[Route]:
    """The route; errors before the first sound go through `http_errors.exception_handlers`."""

    async def speech(request: Request) -> Response:
        watch = Stopwatch(now_s())
        try:
            async with AsyncExitStack() as held:
                held.enter_context(reader.places.one())
                form = await read_form(request, files=(), max_bytes=2**20, within_s=_BODY_S)
                asked = _checked(validated(_Asked, form.fields), reader.config.max_text_chars)
                first, rest = await unless_it_leaves(request.receive, _begun(reader, asked, watch, held))
                kind = sse.MEDIA_TYPE if asked.stream_format == "sse" else MEDIA_TYPES[asked.response_format]
                answer = Streamed(first, rest, kind, held.pop_all())
                answer.headers.update(_figures(watch, reader.pace))
                return answer
        except ClientDisconnect:
            return gone()

    return [Route("/v1/audio/speech", speech, methods=["POST"])]


def _checked(asked: _Asked, max_chars: int) -> _Asked:
    if len(asked.input) > max_chars:
        raise TooLarge(f"The text has {len(asked.input)} characters: send at most {max_chars}.", param="input")
    if not asked.input.strip():
        raise InvalidRequest("The text is empty.", param="input")
    return asked


def _figures(watch: Stopwatch, pace: Pace) -> dict[str, str]:
    """What is known when the first sound is there. This text's own factor is known at its end: see `_whole_event`."""
    assert watch.first_audio_ms is not None
    figures = {"Server-Timing": f"first-audio;dur={watch.first_audio_ms:.1f}"}
    figures["X-Parley-First-Audio-Ms"] = f"{watch.first_audio_ms:.1f}"
    if pace.factor is not None:
        figures["X-Parley-Real-Time-Factor"] = f"{pace.factor:.4f}"
    return figures


async def _begun(
    reader: Reader, asked: _Asked, watch: Stopwatch, held: AsyncExitStack
) -> tuple[bytes, AsyncGenerator[bytes, None]]:
    """The first bytes and the rest: what cannot be spoken is refused before the answer begins."""
    file = _file(reader.sound(asked, watch), encoder(asked.response_format))
    chunks = _as_events(file, asked, watch) if asked.stream_format == "sse" else file
    chunks = _noted(chunks, watch, reader.pace)
    await held.enter_async_context(aclosing(chunks))
    first = b""
    while not first:
        first = await anext(chunks)
    return first, chunks


async def _file(sound: AsyncGenerator[bytes, None], writer: Encoder) -> AsyncGenerator[bytes, None]:
    """The file's bytes, an item a block at most. Raises InvalidRequest where there is no sound."""
    silent = True
    async with aclosing(sound):
        async for pcm in sound:
            silent = silent and not pcm
            if written := await asyncio.to_thread(writer.add, pcm):
                yield written
    if silent:
        raise InvalidRequest("There is nothing in it that can be said.", param="input")
    yield await asyncio.to_thread(writer.finish)


async def _as_events(file: AsyncGenerator[bytes, None], asked: _Asked, watch: Stopwatch) -> AsyncGenerator[bytes, None]:
    """`speech.audio.delta` for each piece, `speech.audio.done` at the end; an error that comes late is one, too."""
    begun = False
    async with aclosing(file):
        try:
            async for written in file:
                if written:
                    begun = True
                    yield sse.event({"type": "speech.audio.delta", "audio": base64.b64encode(written).decode()})
        except ParleyError as error:
            if not begun:
                raise
            log.warning("a text broke off: %s", error)
            yield sse.error_event(error)
            return
    yield _whole_event(asked, watch)


def _whole_event(asked: _Asked, watch: Stopwatch) -> bytes:
    spent, made = len(asked.input), round(_TOKENS_PER_S * watch.sound_s)
    usage = {"input_tokens": spent, "output_tokens": made, "total_tokens": spent + made}
    figures = {"first_audio_ms": watch.first_audio_ms, "real_time_factor": watch.factor, "audio_s": watch.sound_s}
    return sse.event({"type": "speech.audio.done", "usage": usage, "parley": figures})


async def _noted(chunks: AsyncGenerator[bytes, None], watch: Stopwatch, pace: Pace) -> AsyncGenerator[bytes, None]:
    """The same; however it ends, what was made counts."""
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk
    finally:
        if watch.sound_s:
            pace.add(watch.worked_s, watch.sound_s)
            log.info("spoke %.1f s, real-time factor %.3f", watch.sound_s, watch.factor)
