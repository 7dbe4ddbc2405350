"""`POST /api/v1/conversation`: one turn of a conversation in one request, with files instead of streams.

multipart   `audio`: a recorded question. Maybe `video` (true: with a face), `avatar`, `voice`, `speed`, `language`, and
            `conversation_id` of a turn before, which it then goes on with
JSON back   the transcript, the reply's text, its sound as WAV and the face as MP4, both in base64
"""

import asyncio
import base64
from contextlib import aclosing
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deployments.avatar.client import FaceClient
from deployments.media.audio import SPEECH_RATE_HZ, VOICE_RATE_HZ, samples_of, samples_to_ms
from serve_app.gateway.ahead import ahead
from serve_app.gateway.departure import gone, unless_it_leaves
from serve_app.gateway.media_files import wav
from serve_app.gateway.models import REALTIME_MODEL
from serve_app.gateway.mp4 import Mp4Writer
from serve_app.gateway.speaking_face import filmed
from serve_app.gateway.speech import Speech, SpokenReply, whole
from serve_app.gateway.studio import Manner, Question, Studio
from serve_app.gateway.uploads import Form, read_form, required
from serve_app.session.closing import CLIENT_LEFT
from serve_app.session.ids import new_id
from serve_app.session.items import Item, Part
from serve_app.session.recording import Recorder
from serve_app.session.resuming import item_of
from serve_app.session.validation import validated
from serve_app.store import Store

_BLOCKS_AHEAD = 4


class _Turn(Manner):
    """A request's fields."""

    video: bool = False
    conversation_id: str | None = None


def single_turn_routes(studio: Studio, store: Store) -> list[Route]:
    """The route; errors go through `http_errors.exception_handlers`."""

    async def conversation(request: Request) -> Response:
        config = studio.config
        try:
            with studio.places.one():
                form = await read_form(
                    request, files=("audio",), max_bytes=config.max_upload_bytes, within_s=config.upload_s
                )
                answer = await unless_it_leaves(request.receive, _turn(studio, store, form))
        except ClientDisconnect:
            return gone()
        return JSONResponse(answer)

    return [Route("/api/v1/conversation", conversation, methods=["POST"])]


async def _turn(studio: Studio, store: Store, form: Form) -> dict[str, Any]:
    asked = validated(_Turn, form.fields)
    recording = required(form, "audio")
    face = await studio.face(asked) if asked.video else None
    question = await studio.ask(recording, "audio", asked.language)
    conversation_id = asked.conversation_id or new_id("conv")
    known: tuple[dict[str, Any], ...] = ()
    if asked.conversation_id is None:
        recorder: Recorder = store.recorder(conversation_id)
        recorder.conversation_started(
            session_id="", model=REALTIME_MODEL, voice=asked.voice or studio.live().voice, metadata={}
        )
    else:
        recorder, known = await store.go_on_with(conversation_id)
    try:
        items = [*map(item_of, known[1 - studio.live().max_items :]), question.item]
        recorder.item_put(items[-1].wire())
        speech = studio.reply(items, question, asked)
        pcm, film = await _made(speech, face)
        _record(recorder, speech, question, pcm)
    finally:
        recorder.conversation_ended(CLIENT_LEFT.reason)
    return {
        "object": "conversation.turn",
        "conversation_id": conversation_id,
        "transcript": question.text,
        "language": question.language,
        "reply": speech.text,
        "audio": {"format": "wav", "data": base64.b64encode(wav(pcm, VOICE_RATE_HZ)).decode()},
        "video": None if film is None else {"format": "mp4", "data": base64.b64encode(film).decode()},
    }


async def _made(speech: Speech, face: FaceClient | None) -> tuple[bytes, bytes | None]:
    """The reply's sound (24 kHz) and, with a face, the film."""
    if face is None:
        return await whole(speech), None
    writer, film, pcm = Mp4Writer(), bytearray(), bytearray()
    async with aclosing(ahead(filmed(face, speech), _BLOCKS_AHEAD)) as blocks:
        async for block in blocks:
            pcm += block.pcm
            film += await asyncio.to_thread(writer.add, block)
    film += await asyncio.to_thread(writer.finish)
    return bytes(pcm), bytes(film)


def _record(recorder: Recorder, speech: SpokenReply, question: Question, pcm: bytes) -> None:
    reply = Item(new_id("item"), "message", role="assistant", content=(Part("output_audio", speech.text),))
    spoken_ms = round(samples_to_ms(samples_of(pcm), VOICE_RATE_HZ))
    recorder.item_put(reply.wire())
    recorder.heard(reply.id, spoken_ms, reply.text)
    recorder.usage(
        new_id("resp"),
        input_tokens=speech.usage.input_tokens,
        output_tokens=speech.usage.output_tokens,
        input_audio_ms=round(samples_to_ms(samples_of(question.pcm), SPEECH_RATE_HZ)),
        output_audio_ms=spoken_ms,
    )
