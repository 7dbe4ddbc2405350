"""From a session's events to the messages of OpenAI's Realtime API."""

from base64 import b64encode
from dataclasses import fields
from typing import Any, get_args

import orjson

from serve_app.gateway.realtime.audio_codec import AudioEncoder
from serve_app.session import events as ev
from serve_app.session.items import Item
from serve_app.session.settings import SessionSettings

_FIELDS: dict[type[Any], tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind)) for kind in get_args(ev.ServerEvent)
}


def session_object(settings: SessionSettings, session_id: str, expires_at: int | None = None) -> dict[str, Any]:
    """The `session` of events and of client secrets. `expires_at`: seconds since the epoch; None has no end."""
    shown = settings.model_dump(mode="json")
    if shown["video"] is None:
        del shown["video"]  # ours, and no business of who has no face
    if shown["assistant"] is None:
        del shown["assistant"]
    heard = shown["audio"]["input"]
    for name in ("transcription", "noise_reduction"):
        # Their newer fields are unknown to some clients: pipecat 1.14 takes no `delay`, not even null.
        if heard[name] is not None:
            heard[name] = {key: value for key, value in heard[name].items() if value is not None}
    return {"id": session_id, "object": "realtime.session", "expires_at": expires_at, **shown}


class Outbound:
    """One client's stream of events, made into text messages one after another."""

    def __init__(self, session_id: str, extensions: bool) -> None:
        """`extensions`: whether the client has asked for events named `parley.*`."""
        self._session_id = session_id
        self._extensions = extensions
        self._sent = 0
        self._event_ids = f"event_{session_id.removeprefix('sess_')[:16]}_"
        self._formats: dict[str, str] = {}
        self._sound = _SoundPart()

    def messages(self, event: ev.ServerEvent) -> tuple[str, ...]:
        """What to send for an event: as a rule one message."""
        if isinstance(event, ev.OutputAudioDelta):
            return self._audio_delta(event, event.pcm)
        if isinstance(event, ev.OutputAudioDone):
            return (*self._audio_delta(event, b"", last=True), self._message(event))
        if isinstance(event, ev.ResponseCreated):
            self._formats[event.response.id] = event.response.output_format["type"]
        elif isinstance(event, ev.ResponseDone):
            self._formats.pop(event.response.id, None)
        elif isinstance(event, ev.VideoBlock):  # only who asked for a face has any
            return (self._video_block(event),)
        elif not self._extensions and event.type.startswith("parley."):
            return ()
        return (self._message(event),)

    def notice(self, kind: str, **named: str) -> str:
        """The message of an event that is the transport's own: no session says it."""
        return orjson.dumps({"type": kind, "event_id": self._next_id(), **named}).decode()

    def _message(self, event: ev.ServerEvent) -> str:
        body = {"type": event.type, "event_id": self._next_id()}
        for name in _FIELDS[type(event)]:
            body[name] = getattr(event, name)
        return orjson.dumps(body, self._plain, orjson.OPT_PASSTHROUGH_DATACLASS).decode()

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Item | ev.ResponseInfo):
            return value.wire()
        if isinstance(value, SessionSettings):
            return session_object(value, self._session_id)
        raise TypeError(f"{type(value).__name__} has no form on the wire")

    def _audio_delta(
        self, event: ev.OutputAudioDelta | ev.OutputAudioDone, pcm: bytes, last: bool = False
    ) -> tuple[str, ...]:
        """By hand: its fields hold nothing that JSON would escape, and the ids were made here."""
        place = (event.response_id, event.item_id, event.output_index, event.content_index)
        if place != self._sound.place:
            self._sound = _SoundPart(place, self._formats.get(event.response_id, "audio/pcm"))
        delta = self._sound.encoder.encode(pcm, last)
        if not delta:
            return ()
        return (
            f'{{"type":"{ev.OutputAudioDelta.type}","event_id":"{self._next_id()}",{self._sound.head},"delta":"{delta}"}}',
        )

    def _video_block(self, event: ev.VideoBlock) -> str:
        """Without its sound, which the `response.output_audio.delta` before it has."""
        body = {
            "type": event.type,
            "event_id": self._next_id(),
            "at_ms": event.at_ms,
            "spoken_ms": event.spoken_ms,
            "cut": event.cut,
            "width": event.width,
            "height": event.height,
            "frames": [{"keyframe": f.keyframe, "data": b64encode(f.data).decode()} for f in event.frames],
        }
        return orjson.dumps(body).decode()

    def _next_id(self) -> str:
        self._sent += 1
        return f"{self._event_ids}{self._sent}"


class _SoundPart:
    """The content part whose sound goes out."""

    def __init__(self, place: tuple[str, str, int, int] = ("", "", 0, 0), audio_format: str = "audio/pcm") -> None:
        response_id, item_id, output_index, content_index = self.place = place
        self.encoder = AudioEncoder(audio_format)
        self.head = (
            f'"response_id":"{response_id}","item_id":"{item_id}",'
            f'"output_index":{output_index},"content_index":{content_index}'
        )
