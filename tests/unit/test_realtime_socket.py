"""WS /v1/realtime over real sockets, with scripted sessions behind it."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import orjson
import pytest
from starlette.applications import Starlette
from starlette.types import Message
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.typing import Subprotocol

from serve_app.gateway.client_secrets import ClientSecrets
from serve_app.gateway.keys import ApiKeys
from serve_app.gateway.origins import OriginPolicy
from serve_app.gateway.realtime.entrance import Entrance
from serve_app.gateway.realtime.limits import Limits
from serve_app.gateway.realtime.socket import RealtimeSocket
from serve_app.gateway.routes import build_asgi_app
from serve_app.gateway.sessions import Resumed, Sessions
from serve_app.session import events as ev
from serve_app.session.closing import CLIENT_LEFT, CONNECTION_LOST, FAILED, IDLE, SHUTTING_DOWN, SLOW_CLIENT, Closing
from serve_app.session.commands import Append, CancelResponse, Commit
from serve_app.session.recording import NullRecorder
from serve_app.session.resuming import Carried
from serve_app.session.screen import Faces
from serve_app.session.settings import SessionSettings
from serve_app.store.resuming import not_resumable
from tests.scripted_sessions import ScriptedSession, SessionMaker, faces_without, served, until
from tests.virtual_time import run_virtual

SECRETS = ClientSecrets(b"k" * 32, 600)


class Server:
    """The gateway's app without Ray."""

    def __init__(self, keys: tuple[str, ...] = (), max_sessions: int = 4, faces: Faces | None = None) -> None:
        self.make = SessionMaker()
        self.left: dict[str, Resumed] = {}
        """Conversations to come back to, by their tokens."""
        self.heard_ms: int | None = None
        self.sessions = Sessions(self.make, max_sessions)
        self.keys = ApiKeys(keys)
        self.faces = faces

    @property
    def session(self) -> ScriptedSession:
        return self.make.made[-1]

    def app(self) -> Starlette:
        entrance = Entrance(self.keys, SECRETS, self.sessions, SessionSettings, Limits, self.take, self.faces)
        return build_asgi_app(entrance, OriginPolicy(keyed=self.keys.required), [])

    async def take(self, token: str, heard_ms: int | None) -> Resumed:
        if token not in self.left:
            raise not_resumable()
        self.heard_ms = heard_ms
        return self.left.pop(token)


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test

    asyncio.run(bounded())


async def receive(client: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = orjson.loads(await client.recv())
    return message


async def closed(client: ClientConnection) -> tuple[int, str]:
    """Read to the close frame."""
    with suppress(ConnectionClosedError):
        async for _ in client:
            pass
    assert client.close_code is not None
    return client.close_code, client.close_reason or ""


def test_a_conversation() -> None:
    async def test() -> None:
        server = Server()
        async with (
            served(server.app()) as address,
            connect(f"ws://{address}/v1/realtime?model=gpt-realtime", subprotocols=[Subprotocol("realtime")]) as client,
        ):
            created = await receive(client)
            assert (created["type"], created["session"]["model"]) == ("session.created", "gpt-realtime")
            assert created["session"]["id"] == server.session.id
            assert client.subprotocol == "realtime"
            await client.send('{"type":"input_audio_buffer.append","audio":""}')
            await client.send('{"type":"input_audio_buffer.commit","event_id":"c"}')
            assert await server.session.next_command() == Append(b"")
            assert await server.session.next_command() == Commit("c")
            server.session.say(ev.StateChanged("thinking"), ev.OutputTextDelta("r", "i", 0, 0, "Hi"))
            assert (await receive(client))["delta"] == "Hi"
        assert await server.session.closed() is CLIENT_LEFT

    run(test())


def test_what_cannot_be_understood_gets_an_error_and_the_session_goes_on() -> None:
    async def test() -> None:
        server = Server()
        async with served(server.app()) as address, connect(f"ws://{address}/v1/realtime") as client:
            await receive(client)
            for sent, code, event_id in (
                ("{", "invalid_json", None),
                (b"\x00\x01", "invalid_frame", None),
                ('{"type":"response.sing","event_id":"e1"}', "invalid_value", "e1"),
                ('{"type":"input_audio_buffer.append","event_id":"e2","audio":"?"}', "invalid_value", "e2"),
                ('{"type":"output_audio_buffer.clear","event_id":"e3"}', "invalid_value", "e3"),
                ('{"type":"response.create","event_id":"e4","response":{"x":1}}', "unknown_parameter", "e4"),
                ('{"type":"x","y":"' + "z" * 2**20 + '"}', "too_large", None),
            ):
                await client.send(sent)
                answer = await receive(client)
                assert answer["type"] == "error"
                assert answer["error"]["type"] == "invalid_request_error"
                assert (answer["error"]["code"], answer["error"]["event_id"]) == (code, event_id)
            await client.send('{"type":"response.cancel"}')
            assert await server.session.next_command() == CancelResponse()

    run(test())


def test_extensions_are_for_those_who_ask() -> None:
    async def test() -> None:
        server = Server()
        async with served(server.app()) as address, connect(f"ws://{address}/v1/realtime?parley_events=1") as client:
            await receive(client)
            server.session.say(ev.StateChanged("thinking"))
            assert (await receive(client))["type"] == "parley.state"

    run(test())


@pytest.mark.parametrize(("code", "closing"), [(1000, CLIENT_LEFT), (1001, CONNECTION_LOST), (None, CONNECTION_LOST)])
def test_a_client_that_leaves_ends_its_session(code: int | None, closing: Closing) -> None:
    """Only who says goodbye does not come back."""

    async def test() -> None:
        server = Server()
        async with served(server.app()) as address:
            client = await connect(f"ws://{address}/v1/realtime")
            await receive(client)
            if code is None:
                client.transport.abort()
            else:
                await client.close(code)
            assert await server.session.closed() is closing
            await until(lambda: len(server.sessions) == 0)
            assert not server.session.running

    run(test())


def test_an_avatar_that_was_deleted_opens_nothing() -> None:
    async def test() -> None:
        server = Server(faces=faces_without("av_1"))
        async with served(server.app()) as address:
            async with connect(f"ws://{address}/v1/realtime?avatar=av_1") as client:
                assert (await receive(client))["error"]["message"] == "There is no avatar 'av_1'."
                with pytest.raises(ConnectionClosed):
                    await client.recv()
            assert not server.make.made
            async with connect(f"ws://{address}/v1/realtime?avatar=av_2") as client:
                assert (await receive(client))["session"]["video"]["avatar"] == "av_2"

    run(test())


def left(model: str) -> Resumed:
    """A conversation that was left in these settings."""
    return Resumed(Carried("sess_1", "conv_1", SessionSettings(model=model), ()), NullRecorder())


def test_who_has_the_token_goes_on_without_a_key_and_only_once() -> None:
    async def test() -> None:
        server = Server(keys=("secret",))
        server.left["token"] = left("kept")
        async with served(server.app()) as address:
            async with connect(f"ws://{address}/v1/realtime?resume=token&heard_ms=1234") as client:
                assert (await receive(client))["session"]["model"] == "kept"
                assert server.heard_ms == 1234
            async with connect(f"ws://{address}/v1/realtime?resume=token") as client:
                assert "cannot be resumed" in (await receive(client))["error"]["message"]
                with pytest.raises(ConnectionClosed) as closed:
                    await client.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1008

    run(test())


@pytest.mark.parametrize("heard_ms", ["", "-1", "1.5", "x", "9" * 30, "٣"])
def test_nonsense_about_what_was_heard_keeps_the_token(heard_ms: str) -> None:
    async def test() -> None:
        server = Server()
        server.left["token"] = left("kept")
        async with (
            served(server.app()) as address,
            connect(f"ws://{address}/v1/realtime?resume=token&heard_ms={heard_ms}") as client,
        ):
            assert (await receive(client))["error"]["param"] == "heard_ms"
        assert "token" in server.left

    run(test())


def test_a_full_server_keeps_the_token() -> None:
    async def test() -> None:
        server = Server(max_sessions=1)
        server.left["token"] = left("kept")
        async with served(server.app()) as address, connect(f"ws://{address}/v1/realtime") as first:
            await receive(first)
            async with connect(f"ws://{address}/v1/realtime?resume=token") as client:
                with pytest.raises(ConnectionClosed) as closed:
                    await client.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013
            assert "token" in server.left

    run(test())


def test_a_session_that_ends_says_all_it_had_to_say_and_why() -> None:
    async def test() -> None:
        server = Server()
        async with served(server.app()) as address, connect(f"ws://{address}/v1/realtime") as client:
            await receive(client)
            server.session.say(ev.OutputTextDone("r", "i", 0, 0, "Good bye"))
            server.session.close(IDLE)
            assert (await receive(client))["text"] == "Good bye"
            assert await closed(client) == (IDLE.code, IDLE.reason)

    run(test())


def test_a_bug_ends_one_conversation_with_a_reason() -> None:
    async def test() -> None:
        server = Server()
        async with served(server.app()) as address:
            async with connect(f"ws://{address}/v1/realtime") as client:
                await receive(client)
                server.session.say("no event")  # type: ignore[arg-type]  # that is the bug
                assert await closed(client) == (FAILED.code, FAILED.reason)
            async with connect(f"ws://{address}/v1/realtime") as client:
                await receive(client)

    run(test())


def test_one_beyond_the_cap_is_told_at_once_and_a_place_is_free_again() -> None:
    async def test() -> None:
        server = Server(max_sessions=1)
        async with served(server.app()) as address:
            async with connect(f"ws://{address}/v1/realtime") as inside:
                await receive(inside)
                async with connect(f"ws://{address}/v1/realtime") as beyond:
                    code, reason = await closed(beyond)
                    assert code == 1013
                    assert "full" in reason
                assert len(server.make.made) == 1
            await until(lambda: len(server.sessions) == 0)
            async with connect(f"ws://{address}/v1/realtime") as inside:
                await receive(inside)

    run(test())


def test_at_a_drain_all_are_sent_home_and_nobody_enters() -> None:
    async def test() -> None:
        server = Server()
        async with (
            served(server.app()) as address,
            connect(f"ws://{address}/v1/realtime") as first,
            connect(f"ws://{address}/v1/realtime") as second,
        ):
            await receive(first)
            await receive(second)
            server.sessions.close_all()
            assert await closed(first) == (1001, SHUTTING_DOWN.reason)
            assert await closed(second) == (1001, SHUTTING_DOWN.reason)
            async with connect(f"ws://{address}/v1/realtime") as late:
                assert (await closed(late))[0] == 1013

    run(test())


def _subprotocols(key: str) -> list[Subprotocol]:
    return [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{key}")]


def test_a_key_comes_in_the_header_or_as_a_subprotocol() -> None:
    async def test() -> None:
        server = Server(keys=("sk-right", "sk-other"))
        async with served(server.app()) as address:
            url = f"ws://{address}/v1/realtime"
            for right in (
                connect(url, additional_headers={"Authorization": "Bearer sk-right"}),
                connect(url, subprotocols=_subprotocols("sk-other")),
            ):
                async with right as client:
                    assert (await receive(client))["type"] == "session.created"
            for wrong in (
                connect(url),
                connect(url, additional_headers={"Authorization": "Bearer sk-wrong"}),
                connect(url, subprotocols=_subprotocols("ek_forged")),
            ):
                async with wrong as client:
                    answer = await receive(client)
                    assert answer["error"]["code"] == "invalid_api_key"
                    assert await closed(client) == (3000, "invalid_request_error.invalid_api_key")

    run(test())


def test_a_client_secret_opens_sessions_with_its_settings() -> None:
    async def test() -> None:
        server = Server(keys=("sk-right",))
        session = {"type": "realtime", "instructions": "Be brief.", "audio": {"output": {"voice": "verse"}}}
        issued = SECRETS.issue({"session": session}, SessionSettings(), 4e9)
        async with served(server.app()) as address:
            url = f"ws://{address}/v1/realtime?model=m"
            for _ in range(2):
                async with connect(url, subprotocols=_subprotocols(issued["value"])) as client:
                    created = (await receive(client))["session"]
                    assert created["instructions"] == "Be brief."
                    assert created["audio"]["output"]["voice"] == "verse"
                    assert created["model"] == "m"

    run(test())


def test_an_expired_client_secret_is_refused_even_where_no_key_is_needed() -> None:
    async def test() -> None:
        server = Server()
        issued = SECRETS.issue({}, SessionSettings(), 1e9)
        async with (
            served(server.app()) as address,
            connect(f"ws://{address}/v1/realtime", subprotocols=_subprotocols(issued["value"])) as client,
        ):
            assert (await receive(client))["error"]["code"] == "client_secret_expired"
            assert (await closed(client))[0] == 3000

    run(test())


def test_pages_of_others_are_refused() -> None:
    async def test() -> None:
        server = Server()
        async with served(server.app()) as address:
            with pytest.raises(InvalidStatus) as caught:
                await connect(f"ws://{address}/v1/realtime", origin="https://evil.example")  # type: ignore[arg-type]
            assert caught.value.response.status_code == 403
            async with connect(f"ws://{address}/v1/realtime", origin=f"http://{address}") as client:  # type: ignore[arg-type]
                await receive(client)

    run(test())


class Wire:
    """An ASGI WebSocket in memory. `stuck`: its client reads nothing."""

    def __init__(self, stuck: bool) -> None:
        self.stuck = stuck
        self.sent: list[Message] = []
        self.websocket = WebSocket({"type": "websocket", "headers": []}, self._receive, self._send)
        self._connected = False

    async def _receive(self) -> Message:
        if self._connected:
            await asyncio.Event().wait()
        self._connected = True
        return {"type": "websocket.connect"}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        if self.stuck and message["type"] != "websocket.accept":
            await asyncio.Event().wait()


def test_a_client_that_does_not_read_is_let_go() -> None:
    async def test() -> None:
        wire = Wire(stuck=True)
        await wire.websocket.accept()
        session = ScriptedSession(SessionSettings())
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(RealtimeSocket(wire.websocket, session, Limits(), False).serve())
            session.say(*[ev.OutputTextDelta("r", "i", 0, 0, "Hi")] * 100)
            await serving
        assert session.closing is SLOW_CLIENT
        assert [message["type"] for message in wire.sent] == ["websocket.accept", "websocket.send", "websocket.close"]

    run_virtual(test())


def test_a_connection_that_the_server_gives_up_ends_its_session() -> None:
    """Serve cancels the handler of a client that was lost abruptly."""

    async def test() -> None:
        wire = Wire(stuck=False)
        await wire.websocket.accept()
        session = ScriptedSession(SessionSettings())
        serving = asyncio.create_task(RealtimeSocket(wire.websocket, session, Limits(), False).serve())
        await asyncio.sleep(1)
        assert session.running
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert session.closing is CONNECTION_LOST
        assert not session.running

    run_virtual(test())
