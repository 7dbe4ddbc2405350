"""The listening side takes frames as they come."""

import asyncio

import pytest

from configs.session import SessionConfig
from serve_app.gateway.realtime.audio_codec import AudioDecoder
from serve_app.session.ear import FRAME_BYTES, Ear
from serve_app.session.hearing import Hearing
from serve_app.session.prosody import Prosody
from serve_app.session.settings import SemanticVad, ServerVad
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


def test_only_semantic_detection_listens_to_the_melody(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []
    monkeypatch.setattr(Prosody, "hear", lambda _, frame: heard.append(frame))
    ear = Ear(LoudnessModel(), SessionConfig(), deaf)

    def hear_by(detection: ServerVad | SemanticVad) -> int:
        ear.configure(detection, None)
        asyncio.run(ear.hear(bytes(FRAME_BYTES)))
        return len(heard)

    assert hear_by(ServerVad()) == 0
    assert hear_by(SemanticVad(type="semantic_vad")) == 1
    assert hear_by(ServerVad()) == 1
