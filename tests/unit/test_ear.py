"""The listening side takes frames as they come."""

import pytest

from configs.session import SessionConfig
from serve_app.gateway.realtime.audio_codec import AudioDecoder
from serve_app.session.ear import FRAME_BYTES, Ear
from serve_app.session.hearing import Hearing
from tests.conversations.scene import LoudnessModel

MESSAGES = {"audio/pcm": bytes(960), "audio/pcmu": b"\xff" * 160, "audio/pcma": b"\xd5" * 160}


def deaf() -> Hearing:
    raise AssertionError("nothing was said")


@pytest.mark.parametrize("audio_format", MESSAGES)
def test_a_message_of_20_ms_is_a_frame_at_once(audio_format: str) -> None:
    ear, decoder = Ear(LoudnessModel(), SessionConfig(), deaf), AudioDecoder(audio_format)
    for _ in range(3):
        for _ in range(10):
            frames = list(ear.frames(decoder.decode(MESSAGES[audio_format])))
            assert [len(frame) for frame in frames] == [FRAME_BYTES]
        # As when the client clears its buffer.
        decoder.flush()
        ear.drop()
