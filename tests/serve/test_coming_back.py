"""The connection breaks, or the Gateway is killed; the client comes back and loses nothing but the time."""

import asyncio
import os
import signal
from typing import Any

import pytest
import websockets

from tests.serve.talking import Client, hold, realtime_address, replica_pids

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120)]
COUNTED = "One, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve."


async def _leaves(client: Client) -> dict[str, Any]:
    """Ask for something long, hear two seconds of it, and lose the connection; the session's `parley`."""
    created = next(event for event in client.events if event["type"] == "session.created")
    await client.ask("count from one to twelve")
    await client.until_sound(2.0)
    parley: dict[str, Any] = created["parley"]
    return parley


async def _comes_back(url: str, token: str) -> Client:
    """Try until the server is there; a token stays good until it has opened a conversation."""
    async with asyncio.timeout(60):
        while True:
            try:
                socket = await websockets.connect(realtime_address(url, resume=token), max_size=2**24)
                client = Client(socket)
                await client.until("parley.session.resumed")
                return client
            except (OSError, websockets.WebSocketException):
                await asyncio.sleep(0.3)


def _transcript(client: Client) -> str:
    return "".join(e["delta"] for e in client.events if e["type"] == "response.output_audio_transcript.delta")


async def _heard_of(client: Client, item_id: str) -> str:
    await client.send(type="conversation.item.retrieve", item_id=item_id)
    item = (await client.until("conversation.item.retrieved"))["item"]
    text: str = item["content"][0]["transcript"]
    return text


def test_a_broken_connection_costs_no_word(parley_url: str) -> None:
    async def scene(client: Client) -> None:
        parley = await _leaves(client)
        assert parley["resume_within_s"] == 60
        client.socket.transport.abort()
        again = await _comes_back(parley_url, parley["resume_token"])
        resumed = again.events[-1]
        await again.until("response.done")
        heard = await _heard_of(again, resumed["continued_item_id"])
        assert 3 <= len(heard.split()) <= 9
        assert f"{heard} {_transcript(again)}" == COUNTED
        await again.socket.close()
        # The token has done its work.
        async with websockets.connect(realtime_address(parley_url, resume=parley["resume_token"])) as third:
            assert "cannot be resumed" in await third.recv()

    hold(parley_url, scene)


def test_a_conversation_outlives_its_gateway(parley_url: str) -> None:
    async def scene(client: Client) -> None:
        parley = await _leaves(client)
        (pid,) = replica_pids("Gateway")
        os.kill(pid, signal.SIGKILL)
        again = await _comes_back(parley_url, parley["resume_token"])
        question, cut_off = again.events[-1]["item_ids"]
        heard = await _heard_of(again, cut_off)
        # The record is at most half a second and a write behind.
        assert COUNTED.startswith(heard)
        assert 2 <= len(heard.split()) <= 9
        await again.send(type="conversation.item.retrieve", item_id=question)
        asked = (await again.until("conversation.item.retrieved"))["item"]["content"][0]["text"]
        assert asked == "count from one to twelve"
        # What the model had not said is asked of it again.
        await again.until("response.done")
        assert _transcript(again) != ""
        await again.socket.close()

    hold(parley_url, scene)
