"""From the session's events to what is heard and seen: which sound is played, and which is dropped."""

from collections import deque

from deployments.media.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ, ms_to_samples
from serve_app.gateway.webrtc.face import FaceControl
from serve_app.gateway.webrtc.output_buffer import OutputBuffer, Reply
from serve_app.gateway.webrtc.pictures import Pictures
from serve_app.session import events as ev
from serve_app.session.commands import CancelResponse, Command, TruncateItem

_BEHIND_MS = 60
"""The session reckons what is heard from what it has sent; it is told if so much less was played."""
_CLIENT_HOLDS_MS = 40
"""Of what was played here, the client's own jitter buffer still holds about two packets."""


class VoiceOut:
    """Of one call."""

    def __init__(self, face: FaceControl) -> None:
        self.sound = OutputBuffer()
        self.pictures = Pictures(face.request_keyframe)
        self._asides: set[str] = set()
        """Responses outside the conversation that are under way."""
        self._faced = False
        """The session has a face: all sound comes in its blocks."""
        self._unshown: deque[tuple[Reply, int]] = deque()
        """Bytes of replies that the face's next blocks will say."""

    def told(self, event: ev.ServerEvent) -> Command | None:
        """The session says something; what it must be told in turn."""
        if isinstance(event, ev.OutputAudioDelta):
            self._say(event)
        elif isinstance(event, ev.VideoBlock):
            self._show(event)
        elif isinstance(event, ev.ResponseCreated):
            if event.response.conversation_id is None:
                self._asides.add(event.response.id)
        elif isinstance(event, ev.ResponseDone):
            self._done(event.response)
        elif isinstance(event, ev.ItemTruncated):
            return self._truncated(event)
        return None

    def clear(self, event_id: str | None) -> list[Command]:
        """`output_audio_buffer.clear`: drop what was not played, and stop what would go on."""
        commands: list[Command] = []
        for reply in self.sound.sounding:
            if not self._faced:  # else the session's next block cuts it, and the mouth closes with it
                self._drop(reply)
            if reply.id not in self._asides:
                heard_ms = max(0, reply.played_ms - _CLIENT_HOLDS_MS)
                commands.append(TruncateItem(reply.item_id, 0, heard_ms, event_id))
            elif not reply.complete:
                commands.append(CancelResponse(reply.id, event_id))
        return commands

    def _say(self, event: ev.OutputAudioDelta) -> None:
        reply = self.sound.reply(event.response_id, event.item_id)
        if reply.over:
            return  # it was cleared while this was on its way
        if event.in_block:
            self._unshown.append((reply, len(event.pcm)))
            reply.waiting += len(event.pcm)
        else:
            self.sound.say(reply, event.pcm)

    def _show(self, block: ev.VideoBlock) -> None:
        self._faced = True
        if block.cut:
            from_sample = self.sound.cut_face(all_of_it=block.cut == "all")
            self.pictures.cut(from_sample)
        begin = self.sound.show(block.pcm, self._spoken(block))
        self.pictures.put(block.frames, begin)

    def _spoken(self, block: ev.VideoBlock) -> list[tuple[Reply, int]]:
        """Whose the block's sound is: replies in the order in which they were sent. A fade counts as nobody's."""
        left = min(len(block.pcm), BYTES_PER_SAMPLE * ms_to_samples(block.spoken_ms, VOICE_RATE_HZ))
        spoken = []
        while left and self._unshown:
            reply, size = self._unshown.popleft()
            taken = min(size, left)
            spoken.append((reply, taken))
            reply.waiting -= taken
            left -= taken
            reply.waiting -= size - taken
        for reply, size in self._unshown:
            reply.waiting -= size
        self._unshown.clear()
        return spoken

    def _done(self, response: ev.ResponseInfo) -> None:
        self._asides.discard(response.id)
        reply = self.sound.find(response_id=response.id)
        if reply is None:
            return
        reply.complete = True
        if response.status == "cancelled":
            self._drop(reply)

    def _truncated(self, event: ev.ItemTruncated) -> Command | None:
        """A reply was cut off: by the user, who is speaking, or by the client. All of it may have been sent before."""
        reply = self.sound.find(item_id=event.item_id)
        if reply is None:
            return None
        self._drop(reply)
        if reply.played_ms < event.audio_end_ms - _BEHIND_MS:
            return TruncateItem(reply.item_id, 0, reply.played_ms)
        return None

    def _drop(self, reply: Reply) -> None:
        self._unshown = deque(each for each in self._unshown if each[0] is not reply)
        self.sound.clear(reply)
