"""Whatever the client asks, the user says and the stages do, in whatever order: what always holds."""

import asyncio
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.interruption import InterruptionConfig
from configs.session import BackchannelConfig, RepromptConfig, SessionConfig, ToolsConfig
from deployments.asr.engines import fake as fake_asr
from deployments.llm.contract import Tool
from deployments.llm.engines import fake as fake_llm
from deployments.media.audio import VOICE_RATE_HZ
from deployments.tts.engines import fake as fake_tts
from serve_app.session import events as ev
from serve_app.session.closing import CLIENT_LEFT
from serve_app.session.commands import CancelResponse, Clear, Command, Commit, CreateResponse, ResponseOptions, Update
from serve_app.session.interruption import policy
from tests.conversations.scene import Log, Scene

REPLIES = ("one two three four, five six. Seven eight nine ten eleven.", "Fine.", " ".join("abcdefghijklmnop") + ".")
FADE_S = 0.01
ASKED = "Are you still there?"
HASTY = ToolsConfig(filler_after_s=0.5, timeout_s=2)
QUIET = SessionConfig(tools=HASTY)
TALKATIVE = SessionConfig(
    backchannel=BackchannelConfig(after_s=1, pause_ms=200, room_ms=200),
    reprompt=RepromptConfig(after_s=1),
    tools=HASTY,
)
WEATHER, CLOCK = (fake_llm.Call(name=name) for name in ("weather", "clock"))
SCRIPT = ("tell me", "mm-hm", "stop it", "", "what is the time", "yeah")
LASTS_S = 10.0


class Functions:
    """Of the server: they take their time and count how often they ran."""

    def __init__(self, takes_s: float) -> None:
        self.tools = tuple(Tool(call.name, "", {"type": "object"}) for call in (WEATHER, CLOCK))
        self.takes_s = takes_s
        self.runs = 0

    async def call(self, name: str, arguments: str) -> str:
        self.runs += 1
        await asyncio.sleep(self.takes_s)
        return f"the {name}"


moments = st.floats(0.1, 9.0).map(lambda at_s: round(at_s, 2))
lengths = st.sampled_from([0.1, 0.3, 0.5, 0.9, 1.5, 2.5])
commands: st.SearchStrategy[Command] = st.sampled_from(
    [
        CancelResponse(),
        CancelResponse("resp_unknown"),
        CreateResponse(),
        CreateResponse(ResponseOptions(output_modalities=("text",))),
        Clear(),
        Commit(),
        Update({"audio": {"input": {"turn_detection": None}}}),
        Update({"audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}}),
        Update({"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}}}}),
    ]
)
models = st.builds(
    fake_llm.Config,
    replies=st.just(REPLIES),
    first_token_ms=st.sampled_from([0, 150, 900]),
    token_ms=st.sampled_from([0, 20]),
    fail_after_tokens=st.sampled_from([None, None, None, 0, 4]),
    tool_calls=st.sampled_from([(), (), (WEATHER,), (WEATHER, CLOCK)]),
)
voices = st.builds(
    fake_tts.Config,
    word_ms=st.sampled_from([120, 300]),
    first_block_delay_ms=st.sampled_from([0, 80]),
    fail_at_block=st.sampled_from([None, None, None, 0, 3]),
)
recognisers = st.builds(
    fake_asr.Config,
    script=st.permutations(SCRIPT).map(tuple),
    finalize_ms=st.sampled_from([0, 60, 400]),
    fail_at=st.sampled_from([None, None, None, "open", "finalize"]),
)


@st.composite
def spoken(draw: st.DrawFn) -> list[tuple[float, float]]:
    """When the user speaks: in order, with gaps."""
    at_s, said = 0.2, []
    for gap_s, length_s in draw(st.lists(st.tuples(st.floats(0.1, 3.0), lengths), max_size=6)):
        at_s += round(gap_s, 2)
        if at_s + length_s < LASTS_S:
            said.append((at_s, at_s + length_s))
        at_s += length_s
    return said


scenes = st.builds(
    Scene,
    user=spoken(),
    asr=recognisers,
    llm=models,
    tts=voices,
    do=st.lists(st.tuples(moments, commands), max_size=6),
    lasts_s=st.just(LASTS_S),
    interruption=st.just(policy(InterruptionConfig())),
    leaves_s=st.sampled_from([None, None, 3.33]),
    config=st.sampled_from([QUIET, TALKATIVE]),
    tools=st.builds(Functions, takes_s=st.sampled_from([0, 0.3, 1, 3])),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scene=scenes)
def test_a_conversation_keeps_its_promises(scene: Scene) -> None:
    log = scene.play()
    assert log.session.closing == CLIENT_LEFT, "nothing broke"
    _one_response_at_a_time(log)
    _sound_in_order(log, scene.tts.word_ms)
    _history_is_what_was_heard(log)
    _every_call_is_answered_once(log, scene)
    assert (log.llm.active, log.tts.active) == (0, 0), "no work outlives its turn"


def _one_response_at_a_time(log: Log) -> None:
    """A backchannel, too, is over when a reply begins."""
    active: str | None = None
    for _, event in log.entries:
        if isinstance(event, ev.ResponseCreated):
            assert active is None
            active = event.response.id
        elif isinstance(event, ev.ResponseDone):
            assert event.response.id == active
            active = None
        elif isinstance(event, ev.OutputAudioDelta | ev.OutputTextDelta | ev.OutputTranscriptDelta):
            assert event.response_id == active, "nothing goes out before or after its response"


def _sound_in_order(log: Log, word_ms: float) -> None:
    """A reply's sound is at most that of its words, each once, and the fades of holds."""
    holds = len(log.all(ev.PlaybackHeld)) + 20
    for created in log.all(ev.ResponseCreated):
        spoken_s = log.sound_s(created.response.id)
        most_words = max(len(reply.split()) for reply in REPLIES)
        assert spoken_s <= most_words * word_ms / 1000 + holds * FADE_S + 1 / VOICE_RATE_HZ


def _history_is_what_was_heard(log: Log) -> None:
    for role, text in log.history:
        if role == "assistant":
            assert any(said.startswith(text.rstrip()) for said in (*REPLIES, ASKED)), (
                "what was said, from its beginning"
            )


def _every_call_is_answered_once(log: Log, scene: Scene) -> None:
    """Whatever became of the reply that made it; unless the conversation ended before."""
    assert isinstance(scene.tools, Functions)
    items = log.session.conversation.history.items
    calls = [item.call_id for item in items if item.type == "function_call" and item.status == "completed"]
    answers = Counter(item.call_id for item in items if item.type == "function_call_output")
    assert len(calls) == len(set(calls)) == scene.tools.runs, "each is made once"
    assert set(answers) <= set(calls)
    assert set(answers.values()) <= {1}
    waits_s = min(scene.tools.takes_s, HASTY.timeout_s)
    for at_s, event in log.entries:
        if isinstance(event, ev.ItemDone) and event.item.type == "function_call" and event.item.call_id in calls:
            assert answers[event.item.call_id] == 1 or at_s + waits_s >= (scene.leaves_s or scene.lasts_s) - 0.1
