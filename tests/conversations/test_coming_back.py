"""The connection breaks and the client comes back: the same conversation, and the reply from the first unheard word."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from configs.session import ResumeConfig, SessionConfig
from deployments.asr.engines import fake as fake_asr
from deployments.llm.engines import fake as fake_llm
from deployments.tts.engines import fake as fake_tts
from serve_app.session import events as ev
from serve_app.session.closing import CLIENT_LEFT, CONNECTION_LOST, IDLE, SHUTTING_DOWN, Closing
from serve_app.session.commands import Command, CreateItem, CreateResponse
from serve_app.session.items import Item
from serve_app.session.recording import NullRecorder
from serve_app.session.resuming import Carried, Rest, item_of
from tests.conversations.scene import Log, Scene

CLAUSES = tuple(" ".join(f"word{n}{letter}" for n in range(5)) + "." for letter in "abcdefgh")
STORY = " ".join(CLAUSES)
SCENE = Scene(
    user=[(0.5, 1.0)],
    asr=fake_asr.Config(script=("tell me", "and now")),
    llm=fake_llm.Config(replies=(STORY, "Fine.")),
    tts=fake_tts.Config(word_ms=250),
    lasts_s=14,
)


class Keeper(NullRecorder):
    """Keeps what a client comes back to, as the store does."""

    def __init__(self) -> None:
        self.digests: list[str] = []
        self.settings: Mapping[str, Any] = {}
        self.rest: Mapping[str, Any] | None = None
        self.within_s = 0.0

    def resumable(self, *, token_digest: str, settings: Mapping[str, Any]) -> None:
        self.digests.append(token_digest)
        self.settings = settings

    def left_open(self, *, within_s: float, rest: Mapping[str, Any]) -> None:
        self.within_s, self.rest = within_s, rest


def broken(at_s: float, scene: Scene = SCENE, closing: Closing = CONNECTION_LOST) -> tuple[Log, Carried]:
    """A conversation whose connection breaks at `at_s`, and what it is picked up from."""
    keeper = Keeper()
    log = replace(scene, leaves_s=at_s, leaves_with=closing, recorder=keeper).play()
    assert keeper.rest is not None
    items = tuple(item_of(item.wire()) for item in log.session.conversation.history.items)
    rest = TypeAdapter(Rest).validate_python(keeper.rest)
    return log, Carried(log.session.id, log.session.conversation_id, log.session.settings, items, rest)


def resumed(carried: Carried, *do: tuple[float, Command], scene: Scene = SCENE) -> Log:
    """The same client comes back and listens."""
    return replace(scene, carried=carried, user=(), do=do).play()


def spoken(log: Log) -> str:
    return "".join(each.delta for each in log.all(ev.OutputTranscriptDelta))


@pytest.mark.parametrize("at_s", [2.0, 3.1, 4.7, 8.0, 11.0])
def test_every_word_of_a_reply_is_heard_once(at_s: float) -> None:
    before, carried = broken(at_s)
    after = resumed(carried)
    _, heard = before.history[1]
    assert 0 < len(heard) < len(STORY)
    assert f"{heard} {spoken(after)}".split() == STORY.split()
    assert after.history == [("user", "tell me"), ("assistant", heard), ("assistant", spoken(after))]
    (done,) = after.all(ev.ResponseDone)
    assert done.response.status == "completed"
    assert after.sound_s() == pytest.approx(0.25 * len(spoken(after).split()), abs=0.01)


def test_the_client_is_told_where_it_is() -> None:
    before, carried = broken(4.0)
    after = resumed(carried)
    assert after.session.id == before.session.id
    created, resuming = after.only(ev.SessionCreated), after.only(ev.SessionResumed)
    assert created.session == before.session.settings
    assert created.parley["resume_token"] != before.only(ev.SessionCreated).parley["resume_token"]
    assert after.only(ev.ConversationCreated).conversation["id"] == before.session.conversation_id
    items = [item.id for item in carried.items]
    assert (resuming.item_ids, resuming.continued_item_id) == (tuple(items), items[1])
    assert after.types[:3] == ["session.created", "conversation.created", "parley.session.resumed"]


def test_a_client_that_knows_what_it_played_outranks_the_servers_reckoning() -> None:
    """The server sent into a dead connection for 3 s before it noticed."""
    _, carried = broken(8.0)
    after = resumed(carried.heard_at(2000))
    heard = " ".join(STORY.split()[:8])
    assert after.history[1] == ("assistant", heard)
    assert f"{heard} {spoken(after)}" == STORY
    nothing = resumed(carried.heard_at(0))
    assert spoken(nothing) == STORY


def test_a_turn_that_was_not_answered_yet_is_answered() -> None:
    scene = replace(SCENE, llm=fake_llm.Config(replies=("Well.",), first_token_ms=2000))
    before, carried = broken(2.0, scene)
    assert before.states[-2:] == ["thinking", "closed"]
    after = resumed(carried, scene=scene)
    assert after.history == [("user", "tell me"), ("assistant", "Well.")]


def test_a_reply_that_the_model_had_not_finished_is_asked_for_again() -> None:
    scene = replace(SCENE, llm=fake_llm.Config(replies=(STORY,), token_ms=200))
    before, carried = broken(4.0, scene)
    after = resumed(carried, scene=scene)
    assert carried.rest.unanswered
    assert after.history[1] == before.history[1]
    (request,) = after.requests
    assert [(each.role, each.interrupted) for each in request.messages[-2:]] == [("user", False), ("assistant", True)]


def test_nothing_is_said_where_nothing_was_owed() -> None:
    _, carried = broken(0.3)
    assert resumed(carried).all(ev.ResponseCreated) == []
    played = replace(SCENE, llm=fake_llm.Config(replies=("Well.",)))
    _, carried = broken(6.0, played)
    assert resumed(carried, scene=played).all(ev.ResponseCreated) == []


def test_the_conversation_goes_on() -> None:
    _, carried = broken(4.0)
    after = replace(SCENE, carried=carried, asr=fake_asr.Config(script=("and now",)), user=[(9.0, 9.5)]).play()
    assert [role for role, _ in after.history] == ["user", "assistant", "assistant", "user", "assistant"]
    assert after.history[-1] == ("assistant", "Fine.")
    texts = [message.text for message in after.requests[-1].messages]
    assert texts[-1] == "and now"
    assert texts[-4] == "tell me"


def test_it_can_break_again() -> None:
    _, carried = broken(4.0)
    keeper = Keeper()
    again = replace(SCENE, carried=carried, user=(), leaves_s=2.0, leaves_with=CONNECTION_LOST, recorder=keeper).play()
    items = tuple(item_of(item.wire()) for item in again.session.conversation.history.items)
    rest = TypeAdapter(Rest).validate_python(keeper.rest)
    last = resumed(replace(carried, items=items, rest=rest))
    words = [text for role, text in last.history if role == "assistant"]
    assert " ".join(words) == STORY
    assert len(words) == 3


def test_a_functions_result_is_taken_after_the_break() -> None:
    scene = replace(
        SCENE,
        llm=fake_llm.Config(replies=("Let me see.", "So."), tool_calls=(fake_llm.Call(name="get_weather"),)),
        settings={"tools": [{"type": "function", "name": "get_weather"}]},
    )
    before, carried = broken(3.5, scene)
    call = next(item for item in carried.items if item.type == "function_call")
    result = CreateItem(Item("item_result", "function_call_output", call_id=call.call_id, output="sunny"))
    after = resumed(carried, (1.0, result), (1.0, CreateResponse()), (2.0, result), scene=scene)
    assert [role for role, _ in after.history][2:] == ["function_call", "function_call_output", "assistant"]
    assert [error["code"] for error in after.errors] != [], "a second result is refused"
    assert after.session.settings == before.session.settings


def test_settings_that_changed_are_kept() -> None:
    keeper = Keeper()
    replace(SCENE, leaves_s=1.0, recorder=keeper).play()
    assert len(set(keeper.digests)) == 1
    assert keeper.settings["audio"]["output"]["speed"] == 1.0


@pytest.mark.parametrize(
    ("closing", "open_for_s"), [(CONNECTION_LOST, 60), (SHUTTING_DOWN, 60), (CLIENT_LEFT, 0), (IDLE, 0)]
)
def test_only_who_did_not_end_it_may_come_back(closing: Closing, open_for_s: float) -> None:
    keeper = Keeper()
    replace(SCENE, leaves_s=3.0, leaves_with=closing, recorder=keeper).play()
    assert keeper.within_s == open_for_s


def test_it_can_be_forbidden() -> None:
    keeper = Keeper()
    config = SessionConfig(resume=ResumeConfig(within_s=0))
    log = replace(SCENE, leaves_s=3.0, leaves_with=CONNECTION_LOST, recorder=keeper, config=config).play()
    assert log.only(ev.SessionCreated).parley == {}
    assert (keeper.digests, keeper.rest) == ([], None)
