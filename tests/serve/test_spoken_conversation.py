"""Recorded speech goes in over a WebSocket in real time; words and a voice come out, whatever is killed meanwhile."""

import asyncio
import json
import os
import signal
import time
import urllib.request
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest
import websockets

from deployments.media.audio import VOICE_RATE_HZ, level_db
from tests.serve.talking import Client, hold, recording, replica_pids

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120)]


def test_recorded_speech_is_understood_and_answered_aloud(parley_url: str) -> None:
    async def scene(client: Client) -> None:
        # The embedded recogniser reads most of "thank you very much" right at any offset to its frames, "help me" not.
        for name, words in (("thank_you", "thank you very"), ("help_me", "")):
            client.sound = b""
            client.say(recording(name))
            heard = await client.until("conversation.item.input_audio_transcription.completed")
            assert heard["transcript"].startswith(words)
            assert heard["transcript"] != ""
            said = await client.until("response.output_audio_transcript.done")
            assert len(said["transcript"]) > 5
            done = await client.until("response.done")
            assert done["response"]["status"] == "completed"
            seconds = len(client.sound) / 2 / VOICE_RATE_HZ
            assert 0.3 < seconds < 20
            assert level_db(client.sound) > -40, "a voice that can be heard"
            loud = np.abs(np.frombuffer(client.sound, "<i2")) > 1000
            assert loud.mean() > 0.1

    hold(parley_url, scene, microphone=True)


@pytest.mark.parametrize("stage", ["Tts", "Llm", "Asr"])
def test_a_conversation_outlives_the_replica_of_a_stage(parley_url: str, stage: str) -> None:
    """SIGKILL in mid-turn: what was being said goes on or is given up, and the next turn is whole."""

    async def scene(client: Client) -> None:
        await client.ask("count from one to fifteen")
        await client.until_sound(1.0)
        if stage == "Asr":
            client.say(recording("thank_you"))
            await client.until("input_audio_buffer.speech_started")
        pids = replica_pids(stage)
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        first = await client.until("response.done", 60)
        assert first["response"]["status"] == ("cancelled" if stage == "Asr" else "completed")
        if stage == "Asr":
            heard = await client.until("conversation.item.input_audio_transcription.completed", 60)
            assert heard["transcript"].startswith("thank you very"), "what the dead replica had heard is sent again"
        else:
            await client.ask("what is two plus two")
        said = await client.until("response.output_audio_transcript.done", 60)
        assert said["transcript"] == ("You are welcome." if stage == "Asr" else "Two plus two is four.")
        await client.until("response.done")

    hold(parley_url, scene, microphone=stage == "Asr")


def test_a_client_that_vanishes_leaves_no_running_turn(parley_url: str) -> None:
    conversation = ""

    async def scene(client: Client) -> None:
        nonlocal conversation
        conversation = (await client.until("conversation.created"))["conversation"]["id"]
        await client.ask("tell me a long story")
        await client.until_sound(1.0)
        client.socket.transport.abort()

    with pytest.raises((websockets.ConnectionClosed, ExceptionGroup)):
        hold(parley_url, _then_read(scene))
    record = _wait_for(parley_url, f"/v1/conversations/{conversation}", lambda answer: answer["ended_at"] is not None)
    reply = record["items"]["data"][-1]
    assert reply["status"] == "incomplete"
    heard = reply["content"][0]["transcript"]
    assert 0 < len(heard) < 400, "the history keeps about a second of the long story"


def _then_read(scene: Any) -> Any:
    async def play(client: Client) -> None:
        await scene(client)
        await client.until("never")

    return play


def _wait_for(url: str, path: str, holds: Any, timeout_s: float = 10.0) -> Any:
    deadline_s = time.monotonic() + timeout_s
    while True:
        with urllib.request.urlopen(url + path) as response:
            answer = json.load(response)
        if holds(answer):
            return answer
        assert time.monotonic() < deadline_s, answer
        asyncio.run(_pause(0.2))


def _pause(seconds: float) -> Coroutine[Any, Any, None]:
    return asyncio.sleep(seconds)
