"""The calls of one replica, from offer to end, and how one is hung up whichever replica holds it."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from configs.webrtc import WebRtcConfig
from deployments.runtime.clock import now_s
from deployments.runtime.errors import ConfigError, NotFound, ServerFull, StoreUnavailable
from serve_app.gateway.realtime.limits import Limits
from serve_app.gateway.sessions import LiveSession, Sessions
from serve_app.gateway.webrtc.face import FaceControl, NoFace
from serve_app.gateway.webrtc.offer import Offer
from serve_app.session.closing import CLIENT_LEFT, Closing
from serve_app.session.ids import new_id
from serve_app.session.settings import SessionSettings

if TYPE_CHECKING:
    from serve_app.gateway.webrtc.peer import Peer

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5
"""For calls that another replica was asked to hang up."""
_ASK_EVERY_S = 0.1
_HANG_UP_S = 5.0
"""How long the replica that has the call may take, before it is taken for dead."""


class CallBook(Protocol):
    """Where replicas find each other's calls: the store. Each raises StoreUnavailable."""

    async def call_began(self, call_id: str) -> None:
        """It is held here."""
        ...

    async def call_ended(self, call_id: str) -> None:
        """It is held no more."""
        ...

    async def ask_to_end_call(self, call_id: str) -> bool:
        """Ask whoever holds it to hang up; False when nobody does."""
        ...

    async def calls_to_end(self, call_ids: Sequence[str]) -> tuple[str, ...]:
        """Of these, the ones that somebody asks to end."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client that calls wants."""

    settings: SessionSettings
    extensions: bool = False
    """Events named `parley.*`."""


class _Held:
    """A call that is here."""

    def __init__(self) -> None:
        self.hung_up = asyncio.Event()
        self.over = asyncio.Event()
        self.session: LiveSession | None = None

    def hang_up(self, closing: Closing = CLIENT_LEFT) -> None:
        """End it, connected or not."""
        self.hung_up.set()
        if self.session is not None:
            self.session.close(closing)


class Calls:
    """Each call is one task of `run`, which owns all that belongs to it."""

    def __init__(
        self,
        config: WebRtcConfig,
        sessions: Sessions,
        limits: Callable[[], Limits],
        book: CallBook,
        *,
        local_only: bool,
        face_of: Callable[[LiveSession], FaceControl] = lambda _: NoFace(),
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """`local_only`: no keys are configured, so only clients on this host are served. Raises ConfigError."""
        self._config = config
        self._sessions = sessions
        self._limits = limits
        self._book = book
        self._local_only = local_only
        self._face_of = face_of
        self._ice_servers = [_ice_server(config, index, environment) for index in range(len(config.ice_servers))]
        self._held: dict[str, _Held] = {}
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def ice_servers_for_clients(self) -> list[dict[str, str]]:
        """As browsers take them (`RTCIceServer`)."""
        return [
            {"urls": url, **({"username": username, "credential": credential} if credential else {})}
            for configured, (url, username, credential) in zip(self._config.ice_servers, self._ice_servers, strict=True)
            if configured.for_clients
        ]

    def __len__(self) -> int:
        return len(self._held)

    async def run(self) -> None:
        """Hold calls until cancelled; run by the replica for as long as it lives."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._tasks.create_task(self._watch())
        finally:
            self._tasks = None

    async def take(self, offer: Offer, wish: Wish) -> tuple[str, str]:
        """Take a call: its id and the SDP answer. Raises InvalidRequest, ServerFull."""
        if self._tasks is None:
            raise ServerFull("the server is not ready for calls")
        call_id = new_id("rtc")
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        held = self._held[call_id] = _Held()
        self._tasks.create_task(self._hold(call_id, held, offer, wish, answered), name=call_id)
        try:
            return call_id, await answered
        except asyncio.CancelledError:
            held.hang_up()
            raise

    async def hang_up(self, call_id: str) -> None:
        """End a call, here or elsewhere; returns when it is over. Raises NotFound, StoreUnavailable."""
        held = self._held.get(call_id)
        if held is not None:
            held.hang_up()
            await held.over.wait()
            return
        deadline_s = now_s() + _HANG_UP_S
        asked = False
        while await self._book.ask_to_end_call(call_id):
            asked = True
            if now_s() >= deadline_s:
                log.warning("call %s was held by a process that is silent", call_id)
                await self._book.call_ended(call_id)
                asked = False
                break
            await asyncio.sleep(_ASK_EVERY_S)
        if not asked:
            raise NotFound(f"No call with id '{call_id[:64]}' is under way.", param="call_id")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                wanted = await self._book.calls_to_end(tuple(self._held)) if self._held else ()
            except StoreUnavailable:
                continue  # its writer says so
            except Exception:
                log.exception("calls that other replicas want to end could not be looked up")
                continue
            for call_id in wanted:
                if call_id in self._held:
                    self._held[call_id].hang_up()

    async def _hold(self, call_id: str, held: _Held, offer: Offer, wish: Wish, answered: "asyncio.Future[str]") -> None:
        """One call. A bug in it is logged and ends no other."""
        try:
            await self._connect_and_carry(call_id, held, offer, wish, answered)
        except Exception as error:
            if not answered.done():
                answered.set_exception(error)
            elif not isinstance(error, ServerFull):
                log.exception("a call broke")
        finally:
            answered.cancel()
            del self._held[call_id]
            held.over.set()

    async def _connect_and_carry(
        self, call_id: str, held: _Held, offer: Offer, wish: Wish, answered: "asyncio.Future[str]"
    ) -> None:
        with self._sessions.reserved():
            peer = await self._new_peer()
            try:
                answer = await peer.answer(offer)
                await self._write_down(call_id)
                if not answered.done():
                    answered.set_result(answer)
                connected = await self._connected(peer, held)
            except BaseException:
                await self._let_go(call_id, peer)
                raise
        try:
            if connected:
                await self._carry(peer, held, wish)
        finally:
            await self._let_go(call_id, peer)

    async def _new_peer(self) -> "Peer":
        # Imported with the first call, off the loop: it takes 0.4 s of CPU, and many servers are never called.
        await asyncio.to_thread(__import__, "serve_app.gateway.webrtc.carrier")
        from serve_app.gateway.webrtc.media_ports import MediaPorts
        from serve_app.gateway.webrtc.peer import Peer

        return Peer(MediaPorts(self._config, self._local_only), self._ice_servers)

    async def _carry(self, peer: "Peer", held: _Held, wish: Wish) -> None:
        from serve_app.gateway.webrtc.carrier import Carrier

        with self._sessions.enter(wish.settings) as session:
            held.session = session
            face = self._face_of(session)
            carrier = Carrier(
                session, peer, self._limits(), face, extensions=wish.extensions, lost_s=self._config.lost_s
            )
            await carrier.carry()

    async def _let_go(self, call_id: str, peer: "Peer") -> None:
        await peer.close()
        await self._cross_out(call_id)

    async def _connected(self, peer: "Peer", held: _Held) -> bool:
        """Wait for the connection; False when it does not come about, or was hung up before."""
        waits = [asyncio.create_task(event.wait()) for event in (peer.connected, peer.gone, held.hung_up)]
        try:
            await asyncio.wait(waits, timeout=self._config.setup_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if held.hung_up.is_set():
            return False
        if not peer.connected.is_set():
            log.info("a call did not connect within %g s", self._config.setup_s)
        return peer.connected.is_set()

    async def _write_down(self, call_id: str) -> None:
        try:
            await self._book.call_began(call_id)
        except StoreUnavailable as error:
            log.warning("a call cannot be hung up by other replicas: %s", error)

    async def _cross_out(self, call_id: str) -> None:
        try:
            await self._book.call_ended(call_id)
        except StoreUnavailable as error:
            log.warning("the end of a call could not be written: %s", error)


def _ice_server(config: WebRtcConfig, index: int, environment: Mapping[str, str]) -> tuple[str, str, str]:
    server = config.ice_servers[index]
    credential = environment.get(server.credential_env, "") if server.relays else ""
    if server.relays and not credential:
        raise ConfigError(f"webrtc.ice_servers[{index}]: {server.credential_env} is not set in the environment")
    return server.url, server.username, credential
