"""POST /v1/realtime/calls over loopback: real ICE, DTLS, SRTP and SCTP, aiortc as the client, scripted sessions."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import httpx
import numpy as np
import pytest
from openai import AsyncOpenAI
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from configs.webrtc import IceServer, WebRtcConfig
from deployments.media.audio import SPEECH_RATE_HZ
from serve_app.session import events as ev
from serve_app.session.closing import CLIENT_LEFT, CONNECTION_LOST, IDLE
from serve_app.session.commands import Append, CancelResponse, Command, TruncateItem, Update
from serve_app.session.settings import SessionSettings
from tests.scripted_sessions import ScriptedSession, SessionMaker, faces_without
from tests.webrtc_caller import RATE_HZ, SECRETS, Callee, Caller, tone, until

_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
REPLY = ev.ResponseInfo("resp_1", "in_progress", "conv_1", ("audio",), "", {"type": "audio/pcm", "rate": 24000}, "inf")


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(55):
            await test

    asyncio.run(bounded())


def sound(session: ScriptedSession, pcm: bytes, response_id: str = "resp_1", item_id: str = "item_1") -> None:
    session.say(ev.OutputAudioDelta(response_id, item_id, 0, 0, pcm))


async def command(session: ScriptedSession) -> Command:
    """The next but sound."""
    while isinstance(asked := await session.next_command(), Append):
        pass
    return asked


def frequency(samples: np.ndarray[Any, Any], rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples.astype(float) * np.hanning(samples.size)))
    return float(np.argmax(spectrum) * rate_hz / samples.size)


def test_a_call_hears_and_speaks_and_its_events_are_openais() -> None:
    async def test() -> None:
        make = SessionMaker()
        callee = Callee(make)
        async with callee.serving() as address, Caller(address, tone(440, 5)) as caller:
            await caller.call(query="?model=gpt-realtime")
            created = await caller.event("session.created")
            session = make.made[-1]
            assert created["session"]["id"] == session.id
            assert created["session"]["model"] == "gpt-realtime"

            pieces: list[bytes] = []
            while len(pieces) < 50:
                piece = await session.next_command()
                assert isinstance(piece, Append)
                assert len(piece.pcm) <= 2 * SPEECH_RATE_HZ // 25
                pieces.append(piece.pcm)
            heard = np.frombuffer(b"".join(pieces), "<i2")[-8000:]
            assert frequency(heard, SPEECH_RATE_HZ) == pytest.approx(440, abs=4)

            session.say(ev.ResponseCreated(REPLY))
            sound(session, tone(1000, 0.24, 24_000).tobytes())
            session.say(ev.OutputAudioDone("resp_1", "item_1", 0, 0))
            started = await caller.event("output_audio_buffer.started")
            assert started["response_id"] == "resp_1"
            session.say(ev.ResponseDone(REPLY))
            await caller.event("response.done")
            stopped = await caller.event("output_audio_buffer.stopped")
            assert _EVENT.validate_python(started).type == "output_audio_buffer.started"
            assert _EVENT.validate_python(stopped).type == "output_audio_buffer.stopped"
            await until(lambda: len(loud(caller)) > 0.23 * RATE_HZ)
            assert frequency(loud(caller)[2000:9000], RATE_HZ) == pytest.approx(1000, abs=10)
            assert len(loud(caller)) == pytest.approx(0.24 * RATE_HZ, abs=0.03 * RATE_HZ)

            caller.send("session.update", session={"type": "realtime", "instructions": "Be brief."})
            asked = await command(session)
            assert isinstance(asked, Update)
            assert asked.patch["instructions"] == "Be brief."
        assert await session.closed() is CLIENT_LEFT

    run(test())


def loud(caller: Caller) -> np.ndarray[Any, Any]:
    """From the first to the last loud sample."""
    samples = caller.sound()
    at = np.flatnonzero(np.abs(samples) > 1000)
    return samples[at[0] : at[-1] + 1] if at.size else samples[:0]


def test_an_interruption_drops_what_was_not_played() -> None:
    async def test() -> None:
        make = SessionMaker()
        async with Callee(make).serving() as address, Caller(address) as caller:
            await caller.call()
            await caller.event("session.created")
            session = make.made[-1]
            session.say(ev.ResponseCreated(REPLY))
            sound(session, tone(500, 3.0, 24_000).tobytes())
            await caller.event("output_audio_buffer.started")
            await asyncio.sleep(0.3)
            # As the session says it: 2 s sent, of which it reckons 1.9 s to have been heard.
            session.say(ev.SpeechStarted(0, "item_2"), ev.ItemTruncated("item_1", 0, 1900))
            cleared = await caller.event("output_audio_buffer.cleared")
            assert _EVENT.validate_python(cleared).response_id == "resp_1"
            told = await command(session)
            assert isinstance(told, TruncateItem)
            assert told.item_id == "item_1"
            assert 250 <= told.audio_end_ms <= 800
            await asyncio.sleep(0.5)
            assert len(loud(caller)) / RATE_HZ == pytest.approx(told.audio_end_ms / 1000, abs=0.05)

    run(test())


def test_a_client_clears_the_output_after_it_has_cancelled() -> None:
    async def test() -> None:
        make = SessionMaker()
        async with Callee(make).serving() as address, Caller(address) as caller:
            await caller.call()
            await caller.event("session.created")
            session = make.made[-1]
            session.say(ev.ResponseCreated(REPLY))
            sound(session, tone(500, 2.0, 24_000).tobytes())
            await caller.event("output_audio_buffer.started")
            caller.send("response.cancel")
            caller.send("output_audio_buffer.clear", event_id="e1")
            assert await command(session) == CancelResponse()
            told = await command(session)
            assert isinstance(told, TruncateItem)
            assert told.event_id == "e1"
            assert told.audio_end_ms < 500
            assert (await caller.event("output_audio_buffer.cleared"))["response_id"] == "resp_1"

    run(test())


def test_what_belongs_to_websockets_is_refused() -> None:
    async def test() -> None:
        make = SessionMaker()
        async with Callee(make).serving() as address, Caller(address) as caller:
            await caller.call()
            await caller.event("session.created")
            for message, code in (
                ('{"type":"input_audio_buffer.append","audio":"AAAA","event_id":"e1"}', "invalid_value"),
                ("{", "invalid_json"),
                (b"\0", "invalid_frame"),
                ('{"type":"response.sing"}', "invalid_value"),
            ):
                caller.channel.send(message)
                assert (await caller.event("error"))["error"]["code"] == code

    run(test())


@pytest.mark.parametrize("how", ["DELETE", "hangup"])
def test_it_is_hung_up_by_its_address(how: str) -> None:
    async def test() -> None:
        make = SessionMaker()
        callee = Callee(make)
        async with callee.serving() as address, Caller(address) as caller, httpx.AsyncClient() as http:
            await caller.call()
            await caller.event("session.created")
            url = f"http://{address}{caller.location}"
            answer = await (http.delete(url) if how == "DELETE" else http.post(url + "/hangup"))
            assert answer.status_code == (204 if how == "DELETE" else 200)
            assert len(callee.calls) == 0
            assert make.made[-1].closing is CLIENT_LEFT
            await until(lambda: caller.channel.readyState == "closed")
            again = await http.delete(url)
            assert (again.status_code, again.json()["error"]["code"]) == (404, "not_found")

    run(test())


def test_a_client_that_vanishes_is_noticed() -> None:
    async def test() -> None:
        make = SessionMaker()
        callee = Callee(make, config=WebRtcConfig(addresses=("127.0.0.1",), lost_s=2))
        async with callee.serving() as address, Caller(address) as caller:
            await caller.call()
            await caller.event("session.created")
            # Its network is gone: nothing is sent any more, not even a goodbye.
            assert caller.connection.sctp is not None
            for protocol in caller.connection.sctp.transport.transport._connection._protocols:
                protocol.transport.abort()
            assert await make.made[-1].closed() is CONNECTION_LOST
            await until(lambda: len(callee.calls) == 0)

    run(test())


def test_one_that_never_connects_is_given_up() -> None:
    async def test() -> None:
        make = SessionMaker()
        callee = Callee(make, max_sessions=1, config=WebRtcConfig(addresses=("127.0.0.1",), setup_s=0.5))
        async with callee.serving() as address, Caller(address) as caller, httpx.AsyncClient() as http:
            offer = {"content": await caller.offer(), "headers": {"Content-Type": "application/sdp"}}
            url = f"http://{address}/v1/realtime/calls"
            assert (await http.post(url, **offer)).status_code == 201  # type: ignore[arg-type]
            refused = await http.post(url, **offer)  # type: ignore[arg-type]
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "server_full")
            await until(lambda: len(callee.calls) == 0)
            assert make.made == []

    run(test())


def test_two_calls_at_once_are_apart_and_a_third_is_one_too_many() -> None:
    async def test() -> None:
        make = SessionMaker()
        callee = Callee(make, max_sessions=2)
        async with (
            callee.serving() as address,
            Caller(address) as one,
            Caller(address) as other,
            Caller(address) as third,
            httpx.AsyncClient() as http,
        ):
            await one.call()
            await one.event("session.created")
            await other.call()
            await other.event("session.created")
            sound(make.made[0], tone(500, 0.5, 24_000).tobytes())
            sound(make.made[1], tone(2000, 0.5, 24_000).tobytes())
            await until(lambda: len(loud(one)) > 20_000 and len(loud(other)) > 20_000)
            assert frequency(loud(one)[4000:12_000], RATE_HZ) == pytest.approx(500, abs=10)
            assert frequency(loud(other)[4000:12_000], RATE_HZ) == pytest.approx(2000, abs=10)
            refused = await http.post(
                f"http://{address}/v1/realtime/calls",
                content=await third.offer(),
                headers={"Content-Type": "application/sdp"},
            )
            assert refused.status_code == 429
            assert refused.headers["retry-after"] == "1"

    run(test())


def test_a_session_that_ends_says_why_and_closes_the_call() -> None:
    async def test() -> None:
        make = SessionMaker()
        callee = Callee(make)
        async with callee.serving() as address, Caller(address) as caller:
            await caller.call()
            await caller.event("session.created")
            make.made[-1].close(IDLE)
            error = (await caller.event("error"))["error"]
            assert (error["code"], error["message"]) == ("session_closed", IDLE.reason)
            await until(lambda: caller.channel.readyState == "closed" and len(callee.calls) == 0)

    run(test())


def test_without_a_data_channel_it_is_sound_alone() -> None:
    async def test() -> None:
        make = SessionMaker()
        async with Callee(make).serving() as address, Caller(address, channel=False) as caller:
            await caller.call()
            await until(lambda: bool(make.made))
            sound(make.made[0], tone(500, 0.3, 24_000).tobytes())
            await until(lambda: len(loud(caller)) > 0.28 * RATE_HZ)
            assert isinstance(await make.made[0].next_command(), Append)
        assert await make.made[0].closed() is CLIENT_LEFT

    run(test())


def test_keys_and_client_secrets_open_as_for_the_websocket() -> None:
    async def test() -> None:
        make = SessionMaker()
        secret = SECRETS.issue({"session": {"type": "realtime", "instructions": "Be brief."}}, SessionSettings(), 4e9)
        async with (
            Callee(make, keys=("sk-right",)).serving() as address,
            Caller(address) as caller,
            httpx.AsyncClient() as http,
        ):
            url = f"http://{address}/v1/realtime/calls"
            for headers in ({}, {"Authorization": "Bearer sk-wrong"}, {"Authorization": "Bearer ek_forged"}):
                for refused in (
                    await http.post(url, headers=headers),
                    await http.delete(url + "/rtc_1", headers=headers),
                ):
                    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
            await caller.call({"Authorization": f"Bearer {secret['value']}"})
            assert (await caller.event("session.created"))["session"]["instructions"] == "Be brief."
            gone = await http.delete(f"http://{address}{caller.location}", headers={"Authorization": "Bearer sk-right"})
            assert gone.status_code == 204

    run(test())


def test_an_avatar_that_was_deleted_is_not_called() -> None:
    async def test() -> None:
        callee = Callee(SessionMaker(), faces=faces_without("av_1"))
        async with callee.serving() as address, Caller(address) as caller, httpx.AsyncClient() as http:
            body, head = await caller.offer(), {"Content-Type": "application/sdp"}
            refused = await http.post(f"http://{address}/v1/realtime/calls?avatar=av_1", content=body, headers=head)
            assert refused.status_code == 404
            assert refused.json()["error"]["code"] == "avatar_not_found"
            assert len(callee.calls) == 0

    run(test())


def test_clients_that_may_call_are_told_the_ice_servers() -> None:
    servers = (
        IceServer(url="stun:stun.example.org:3478"),
        IceServer(url="turn:turn.example.org", username="parley", credential_env="TURN"),
        IceServer(url="turn:inside.example.org", username="parley", credential_env="TURN", for_clients=False),
    )

    async def test() -> None:
        config = WebRtcConfig(addresses=("127.0.0.1",), ice_servers=servers)
        callee = Callee(SessionMaker(), keys=("secret",), config=config, environment={"TURN": "open sesame"})
        async with callee.serving() as address, httpx.AsyncClient(base_url=f"http://{address}") as http:
            path = "/v1/realtime/calls/ice_servers"
            assert (await http.get(path)).status_code == 401
            told = await http.get(path, headers={"Authorization": "Bearer secret"})
            assert told.json()["data"] == [
                {"urls": "stun:stun.example.org:3478"},
                {"urls": "turn:turn.example.org", "username": "parley", "credential": "open sesame"},
            ]
            assert told.headers["cache-control"] == "no-store"
            secret = SECRETS.issue({}, SessionSettings(), time.time())["value"]
            assert (await http.get(path, headers={"Authorization": f"Bearer {secret}"})).status_code == 200

    run(test())


def test_openais_client_calls_with_a_form() -> None:
    async def test() -> None:
        make = SessionMaker()
        async with (
            Callee(make).serving() as address,
            Caller(address) as caller,
            AsyncOpenAI(api_key="sk-any", base_url=f"http://{address}/v1") as client,
        ):
            answer = await client.realtime.calls.create(
                sdp=await caller.offer(),
                session={"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief."},
            )
            await caller.connect(answer.text)
            session = (await caller.event("session.created"))["session"]
            assert (session["model"], session["instructions"]) == ("gpt-realtime", "Be brief.")
            call_id = answer.response.headers["location"].rpartition("/")[2]
            await client.realtime.calls.hangup(call_id)
            assert make.made[-1].closing is CLIENT_LEFT

    run(test())
