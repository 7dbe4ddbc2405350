"""Taking a conversation over, from a session that has ended, one that has not noticed, or one that was killed."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from configs.session import SessionConfig
from configs.store import StoreConfig
from deployments.runtime.errors import NotFound
from serve_app.gateway import coming_back
from serve_app.gateway.coming_back import ComingBack
from serve_app.gateway.sessions import LiveSession, Resumed, Sessions
from serve_app.session.closing import TAKEN_OVER
from serve_app.session.resuming import Rest, digest_of
from serve_app.session.settings import SessionSettings
from serve_app.store import Store
from tests.scripted_sessions import ScriptedSession, until

TOKEN = "t" * 22


class Replica:
    """What a Gateway holds, as far as this goes: a store and sessions that hand over when they are closed."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.sessions = Sessions(self.make, 4)
        self.coming_back = ComingBack(store, self.sessions, SessionConfig)
        self.made: list[ScriptedSession] = []
        self.deaf = False

    def make(self, settings: SessionSettings, resumed: Resumed | None = None) -> LiveSession:
        session = ScriptedSession(settings)
        session.conversation_id = resumed.carried.conversation_id if resumed else "conv_1"
        self.made.append(session)
        return session

    async def talk(self) -> None:
        """A conversation, from its first word to the close of its session."""
        digest = digest_of(TOKEN)
        assert digest is not None
        recorder = self.store.recorder("conv_1")
        with self.sessions.enter(SessionSettings()) as session:
            recorder.conversation_started(session_id="sess_1", model="parley", voice="en")
            recorder.resumable(token_digest=digest, settings=SessionSettings(model="kept").model_dump(mode="json"))
            await session.run()
        if not self.deaf:
            recorder.left_open(within_s=60, rest={"item_id": "item_1", "text": "One two.", "words": [[300, 4]]})
            recorder.conversation_ended(TAKEN_OVER.reason)


def with_replicas(path: Path, body: Callable[[Replica, Replica], Awaitable[None]]) -> None:
    async def main() -> None:
        config = StoreConfig(path=path / "parley.db", flush_ms=10)
        async with await Store.open(config) as one, await Store.open(config) as other, asyncio.timeout(10):
            replicas = Replica(one), Replica(other)
            watches = [asyncio.create_task(replica.coming_back.watch()) for replica in replicas]
            await body(*replicas)
            for watch in watches:
                watch.cancel()
            await asyncio.wait(watches)

    asyncio.run(main())


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_session_that_has_not_noticed_hands_over(tmp_path: Path, elsewhere: bool) -> None:
    """A telephone changes its network: the old connection is dead, but nobody has said so."""

    async def body(one: Replica, other: Replica) -> None:
        talking = asyncio.create_task(one.talk())
        await until(lambda: len(one.made) == 1 and one.made[0].running)
        await one.store.flush()
        resumed = await (other if elsewhere else one).coming_back.take(TOKEN, heard_ms=400)
        assert one.made[0].closing is TAKEN_OVER
        assert resumed.carried.settings.model == "kept"
        assert resumed.carried.session_id == "sess_1"
        assert resumed.carried.rest == Rest("item_1", "One two.", 4, ((300, 4),))
        assert resumed.carried.rest.unheard_text == "two."
        await talking

    with_replicas(tmp_path, body)


def test_a_process_that_is_silent_is_not_waited_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coming_back, "_HAND_OVER_S", 0.2)

    async def body(one: Replica, other: Replica) -> None:
        one.deaf = True
        talking = asyncio.create_task(one.talk())
        await until(lambda: len(one.made) == 1 and one.made[0].running)
        await one.store.flush()
        resumed = await other.coming_back.take(TOKEN, None)
        assert resumed.carried.rest == Rest()
        # It learns of it with its next look.
        await talking
        assert one.made[0].closing is TAKEN_OVER

    with_replicas(tmp_path, body)


@pytest.mark.parametrize("token", ["", "x", "t" * 22, "t" * 23, "\u0661" * 22, "../../../../etc/passwd"])
def test_what_opens_nothing_is_refused(tmp_path: Path, token: str) -> None:
    async def body(one: Replica, other: Replica) -> None:
        with pytest.raises(NotFound, match="cannot be resumed"):
            await other.coming_back.take(token, None)

    with_replicas(tmp_path, body)
