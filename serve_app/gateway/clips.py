"""`POST /v1/avatar/clips`: a face says something, as an MP4 that is sent while it is made.

JSON        {"input": text, "voice", "avatar", "speed", "language", "format": "mp4"}
multipart   the same as fields; instead of `input` a file: `audio` is said by the face as it is, `question` is answered
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Literal

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from deployments.media.audio import VOICE_RATE_HZ
from deployments.media.video import BLOCK_MS
from deployments.runtime.errors import InvalidRequest, TooLarge
from serve_app.gateway.ahead import ahead
from serve_app.gateway.departure import Streamed, gone, unless_it_leaves
from serve_app.gateway.media_files import decoded
from serve_app.gateway.mp4 import MEDIA_TYPE
from serve_app.gateway.pace import paced
from serve_app.gateway.speaking_face import as_mp4, filmed
from serve_app.gateway.speech import Recording, Speech
from serve_app.gateway.studio import Manner, Studio
from serve_app.gateway.uploads import Form, read_form
from serve_app.session.validation import validated

_SOURCES = ("input", "audio", "question")


class _Clip(Manner):
    """A request's fields."""

    input: str | None = None
    format: Literal["mp4"] = "mp4"


def clip_routes(studio: Studio) -> list[Route]:
    """The route; errors before the first byte go through `http_errors.exception_handlers`."""

    async def clip(request: Request) -> Response:
        config = studio.config
        try:
            async with AsyncExitStack() as held:
                held.enter_context(studio.places.one())
                form = await read_form(
                    request, files=("audio", "question"), max_bytes=config.max_upload_bytes, within_s=config.upload_s
                )
                first, rest = await unless_it_leaves(request.receive, _begun(studio, form, held))
                return Streamed(first, rest, MEDIA_TYPE, held.pop_all())
        except ClientDisconnect:
            return gone()

    return [Route("/v1/avatar/clips", clip, methods=["POST"])]


async def _begun(studio: Studio, form: Form, held: AsyncExitStack) -> tuple[bytes, AsyncGenerator[bytes, None]]:
    """The clip's first bytes and the rest: what cannot be made is refused before the answer begins."""
    asked = validated(_Clip, form.fields)
    face = await studio.face(asked)
    config = studio.config
    film = filmed(face, await _speech(studio, form, asked))
    if config.speed is not None:
        film = paced(film, BLOCK_MS / 1000, burst_s=config.burst_s, speed=config.speed)
    chunks = ahead(as_mp4(film), max(1, int(1000 * config.lead_s / BLOCK_MS)))
    await held.enter_async_context(aclosing(chunks))
    first = b""
    while not first:  # a film has an end, which is never empty
        first = await anext(chunks)
    return first, chunks


async def _speech(studio: Studio, form: Form, asked: _Clip) -> Speech:
    sent = [name for name in _SOURCES if name in form.files or name in form.fields]
    if len(sent) != 1:
        raise InvalidRequest(
            "Send one of 'input' (a text), 'audio' (a recording to be said) and 'question' (one to be answered).",
            "missing_required_parameter" if not sent else "invalid_value",
            sent[-1] if sent else "input",
        )
    if "audio" in form.files:
        return Recording(await decoded(form.files["audio"], VOICE_RATE_HZ, studio.config.max_audio_s, "audio"))
    if "question" in form.files:
        question = await studio.ask(form.files["question"], "question", asked.language)
        return studio.reply([question.item], question, asked)
    return studio.text(_text(asked.input or "", studio.config.max_text_chars), asked)


def _text(text: str, at_most: int) -> str:
    if len(text) > at_most:
        raise TooLarge(f"The text has {len(text)} characters: send at most {at_most}.", param="input")
    if not text.strip():
        raise InvalidRequest("The text is empty.", param="input")
    return text
