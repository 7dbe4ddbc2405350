"""Conversations in a voice that somebody recorded."""

import numpy as np
import pytest

from configs.session import SessionConfig
from deployments.media.audio import VOICE_RATE_HZ, from_float, to_float
from deployments.runtime.errors import NotFound
from deployments.tts.contract import VoiceSample
from serve_app.session import events as ev
from serve_app.session.closing import CLIENT_LEFT
from tests.conversations.scene import Scene

PITCH_HZ = 170


class Shelf:
    """One recorded voice."""

    def __init__(self) -> None:
        self.sent = 0

    async def check(self, voice: str) -> None:
        if voice != "voice_ann":
            raise NotFound(f"There is no voice '{voice}'.", "voice_not_found", "voice")

    async def sample(self, voice: str) -> VoiceSample:
        await self.check(voice)
        self.sent += 1
        t = np.arange(6 * VOICE_RATE_HZ) / VOICE_RATE_HZ
        return VoiceSample(from_float(0.3 * np.sin(2 * np.pi * PITCH_HZ * t)))


@pytest.mark.parametrize("voice", ["voice_ann", {"id": "voice_ann"}])
def test_replies_are_spoken_in_the_cloned_voice(voice: object) -> None:
    shelf = Shelf()
    settings = {"audio": {"output": {"voice": voice}}}
    log = Scene(user=[(0.5, 1.0), (5.0, 5.5)], settings=settings, recordings=shelf).play()
    assert [done.response.status for done in log.all(ev.ResponseDone)] == ["completed", "completed"]
    sound = to_float(b"".join(event.pcm for event in log.all(ev.OutputAudioDelta)))
    loudest = np.argmax(np.abs(np.fft.rfft(sound))) * VOICE_RATE_HZ / sound.size
    assert loudest == pytest.approx(PITCH_HZ, abs=3)
    assert shelf.sent == 1, "the stage is sent the recording once"


def test_a_voice_that_was_deleted_fails_the_reply_in_words_and_the_session_lives() -> None:
    config = SessionConfig(voice="voice_gone")
    log = Scene(user=[(0.5, 1.0)], config=config, recordings=Shelf()).play()
    details = log.only(ev.ResponseDone).response.status_details
    assert details is not None
    assert details["error"]["code"] == "voice_not_found"
    assert log.session.closing == CLIENT_LEFT
