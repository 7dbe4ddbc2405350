"""From a client's messages to commands, in order."""

import asyncio
import binascii
from collections.abc import Sequence

from deployments.runtime.errors import InvalidRequest, ParleyError
from serve_app.gateway.realtime.audio_codec import AudioDecoder, decode_base64
from serve_app.gateway.realtime.client_events import build_command
from serve_app.gateway.realtime.envelope import APPEND, Envelope, Refused, open_envelope
from serve_app.gateway.realtime.limits import Limits
from serve_app.session.commands import Append, Clear, Command, Commit, Update
from serve_app.session.settings import SessionSettings

_PIECE_MS = 100
"""Of sound in one command, so that a long append does not keep the session from its other work."""
_SLICE_CHARS = 2**18
"""Of base64 decoded in one go, 1.3 ms; between two the loop gets a turn."""
_ENVELOPE_FIELDS = {"type", "event_id"}


class Inbound:
    """One client's stream of messages. Knows the settings in force at each, since they say what format sound has."""

    def __init__(self, settings: SessionSettings, limits: Limits) -> None:
        self._settings = settings
        self._limits = limits
        self._decoder = AudioDecoder(settings.audio.input.format.type)

    async def commands(self, text: str) -> Sequence[Command]:
        """What a message asks for. Raises Refused."""
        return await self.obeyed(open_envelope(text, self._limits))

    async def obeyed(self, envelope: Envelope) -> Sequence[Command]:
        """What an opened message asks for. Raises Refused."""
        try:
            if envelope.type == APPEND:
                return await self._append(envelope)
            command = build_command(envelope, self._settings, self._limits)
            return self._around(command)
        except ParleyError as error:
            raise Refused(error, envelope.event_id) from error

    async def _append(self, envelope: Envelope) -> Sequence[Command]:
        if not envelope.fields.keys() <= _ENVELOPE_FIELDS:
            unknown = min(envelope.fields.keys() - _ENVELOPE_FIELDS)
            raise InvalidRequest(f"Unknown parameter: '{unknown}'.", "unknown_parameter", unknown)
        audio = envelope.audio
        if not isinstance(audio, str):
            raise InvalidRequest("Missing required parameter: 'audio'.", "missing_required_parameter", "audio")
        sound = decode_base64(audio, "audio") if len(audio) <= _SLICE_CHARS else await _decode_slices(audio)
        self._decoder.check(sound)
        piece_bytes = self._decoder.bytes_of(_PIECE_MS)
        if len(sound) <= piece_bytes:
            return (Append(self._decoder.decode(sound), envelope.event_id),)
        pieces: list[Command] = []
        for start in range(0, len(sound), piece_bytes):
            pieces.append(Append(self._decoder.decode(sound[start : start + piece_bytes]), envelope.event_id))
            if len(pieces) % 10 == 0:
                await asyncio.sleep(0)
        return pieces

    def _around(self, command: Command) -> Sequence[Command]:
        """The command, and what it means for the stream of sound."""
        if isinstance(command, Commit):
            rest = self._decoder.flush()
            return (Append(rest), command) if rest else (command,)
        if isinstance(command, Clear):
            self._decoder.flush()
        elif isinstance(command, Update):
            self._foresee(command)
        return (command,)

    def _foresee(self, update: Update) -> None:
        """Sound that follows an update is in the new format, though the session has not read the update yet.

        An update that it will refuse changes nothing.
        """
        try:
            self._settings = self._settings.updated(update.patch)
        except InvalidRequest:
            return
        audio_format = self._settings.audio.input.format.type
        if audio_format != self._decoder.format:
            self._decoder = AudioDecoder(audio_format)


async def _decode_slices(audio: str) -> bytes:
    """Decode a long text without keeping the loop: 15 MiB take 79 ms."""
    slices: list[bytes] = []
    for start in range(0, len(audio), _SLICE_CHARS):
        piece = audio[start : start + _SLICE_CHARS]
        try:
            slices.append(binascii.a2b_base64(piece, strict_mode=True))
        except ValueError as error:
            raise InvalidRequest(f"audio is not valid base64: {error}", param="audio") from error
        # Padding is for the end alone.
        if len(slices[-1]) * 4 != len(piece) * 3 and start + len(piece) < len(audio):
            raise InvalidRequest("audio is not valid base64: padding within", param="audio")
        await asyncio.sleep(0)
    return b"".join(slices)
