"""The pure parts of asking a server: no socket, no clock."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.llm.contract import LlmRequest, Message, Tool, ToolCall, Usage
from deployments.llm.upstream.api_key import ApiKey, read_key
from deployments.llm.upstream.body import body_of, paired
from deployments.llm.upstream.breaker import TABLE, Breaker, Event, State
from deployments.llm.upstream.chunks import CallPart, Unreadable, read_chunk
from deployments.llm.upstream.failures import of_status
from deployments.llm.upstream.retries import backoff_s, retry_after_s
from deployments.llm.upstream.settings import BreakerConfig, UpstreamConfig
from deployments.llm.upstream.sse import MOST_BYTES, EventReader, EventTooLong
from deployments.llm.upstream.thoughts import ThoughtSplitter
from deployments.llm.upstream.tool_calls import CallAssembler
from deployments.runtime.errors import ConfigError, EngineFailed, InvalidRequest, StageUnavailable

CONFIG = UpstreamConfig(model="small")
STREAM = b': hello\n\ndata: {"a": 1}\r\n\r\nevent: x\ndata: one\ndata: two\n\ndata: [DONE]\n\n'


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_events_do_not_depend_on_how_bytes_arrive(cuts: list[int]) -> None:
    reader = EventReader()
    places = [0, *sorted(cuts), len(STREAM)]
    events = [event for start, end in itertools.pairwise(places) for event in reader.feed(STREAM[start:end])]
    assert events + reader.flush() == ['{"a": 1}', "one\ntwo", "[DONE]"]


def test_a_last_event_without_its_empty_line_counts() -> None:
    reader = EventReader()
    assert reader.feed(b"data: [DONE]") == []
    assert reader.flush() == ["[DONE]"]


def test_an_endless_event_is_refused() -> None:
    reader = EventReader()
    assert reader.feed(b"data: " + b"x" * (MOST_BYTES // 2) + b"\n") == []
    with pytest.raises(EventTooLong):
        reader.feed(b"data: " + b"x" * (MOST_BYTES // 2 + 1) + b"\n")


def test_the_breaker_has_a_row_for_all_that_can_happen() -> None:
    possible = set(itertools.product(State, Event)) - {
        (state, Event.RESTED) for state in (State.CLOSED, State.HALF_OPEN)
    }
    assert set(TABLE) == possible


def test_the_breaker_opens_tries_and_closes() -> None:
    breaker = Breaker(BreakerConfig(failures=2, rest_s=10))
    assert breaker.admit(0)
    breaker.failed(0)
    assert breaker.admit(1)
    breaker.failed(1)
    assert not breaker.admit(10.9)
    assert breaker.rests_for_s(4) == 7
    assert breaker.admit(11)
    assert not breaker.admit(11), "one tries at a time"
    breaker.failed(12)
    assert not breaker.admit(21.9)
    assert breaker.admit(22)
    breaker.succeeded()
    assert breaker.admit(22)
    breaker.failed(23)
    assert breaker.admit(23), "the row begins anew"


def test_a_try_that_taught_nothing_is_made_again_at_once() -> None:
    breaker = Breaker(BreakerConfig(failures=1, rest_s=10))
    breaker.failed(0)
    assert breaker.admit(10)
    breaker.given_up()
    assert breaker.admit(10)


@given(
    st.lists(st.sampled_from(["ask", "succeeded", "failed", "given_up"]), max_size=60),
    st.lists(st.floats(0, 20)),
)
def test_a_breaker_never_stays_shut(steps: list[str], waits: list[float]) -> None:
    breaker = Breaker(BreakerConfig(failures=2, rest_s=10))
    now_s, under_way = 0.0, 0
    for step, wait_s in zip(steps, itertools.chain(waits, itertools.repeat(1.0)), strict=False):
        now_s += wait_s
        if step == "ask":
            under_way += breaker.admit(now_s)
        elif under_way:
            under_way -= 1
            breaker.failed(now_s) if step == "failed" else getattr(breaker, step)()
    for _ in range(under_way):
        breaker.given_up()
    assert breaker.admit(now_s + 10)


def test_pauses_grow_and_heed_the_server() -> None:
    assert [backoff_s(n, 0.5, None, lambda: 0.0) for n in range(3)] == [0.5, 1, 2]
    assert backoff_s(0, 0.5, None, lambda: 1.0) == 0.25
    assert backoff_s(0, 0.5, 7, lambda: 0.0) == 7
    assert backoff_s(0, 0.5, 0, lambda: 0.0) == 0.5


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after_s("3", 0) == 3
    assert retry_after_s("-3", 0) == 0
    assert retry_after_s("Thu, 01 Jan 1970 00:01:40 GMT", 90) == 10
    assert [retry_after_s(odd, 0) for odd in (None, "", "soon", "inf", "nan")] == [None] * 5


@given(st.text("<think>/ab\n", max_size=30), st.data())
def test_thoughts_do_not_depend_on_how_text_arrives(text: str, data: st.DataObject) -> None:
    def said(pieces: list[str]) -> str:
        splitter = ThoughtSplitter()
        return "".join([*map(splitter.feed, pieces), splitter.flush()])

    cut = data.draw(st.integers(0, len(text)))
    assert said([text[:cut], text[cut:]]).strip() == said(list(text)).strip()


def test_thoughts_are_not_said() -> None:
    splitter = ThoughtSplitter()
    pieces = ["\n<th", "ink>is it 4? </thi", "nk>\n\n", "It is <think> 4."]
    assert "".join(map(splitter.feed, pieces)) == "It is <think> 4."
    assert ThoughtSplitter().feed("Hello") == "Hello"


def parts(*given: tuple[int | None, str, str, str]) -> list[ToolCall]:
    assembler = CallAssembler(frozenset())
    for part in given:
        assembler.feed(CallPart(*part))
    return assembler.take()


def test_parallel_calls_are_told_apart_however_servers_mark_them() -> None:
    by_index = parts((0, "a", "f", ""), (1, "b", "g", ""), (0, "", "", '{"x"'), (1, "", "", "{}"), (0, "", "", ": 1}"))
    same_index = parts((0, "a", "f", '{"x": 1}'), (0, "b", "g", "{}"))
    no_index = parts((None, "a", "f", '{"x": '), (None, "a", "", "1}"), (None, "b", "g", ""))
    expected = [ToolCall("a", "f", '{"x": 1}'), ToolCall("b", "g", "{}")]
    assert by_index == same_index == no_index == expected
    no_ids = parts((None, "", "f", "{}"), (None, "", "f", '{"x": 2}'))
    assert [(call.name, call.arguments) for call in no_ids] == [("f", "{}"), ("f", '{"x": 2}')]
    assert len({call.call_id for call in no_ids}) == 2


def test_an_id_that_the_conversation_has_is_replaced() -> None:
    assembler = CallAssembler(frozenset({"call_0"}))
    assembler.feed(CallPart(0, "call_0", "f", "{}"))
    (call,) = assembler.take()
    assert call.call_id not in ("", "call_0")


@pytest.mark.parametrize("arguments", ['{"x": ', "[1]", '"x"', "[" * 100_000])
def test_half_a_call_is_refused(arguments: str) -> None:
    with pytest.raises(Unreadable):
        parts((0, "a", "f", arguments))


@pytest.mark.parametrize(
    "data",
    [
        "{", "[]", "3", '{"choices": 3}', '{"choices": [1]}', '{"choices": [{"delta": 1}]}', "[" * 100_000,
        '{"choices": [{"delta": {"content": 1}}]}', '{"choices": [{"delta": {"tool_calls": [1]}}]}',
        '{"choices": [{"delta": {"tool_calls": [{"function": 1}]}}]}',
    ],
)  # fmt: skip
def test_what_is_no_chunk_is_refused(data: str) -> None:
    with pytest.raises(Unreadable):
        read_chunk(data)


def test_a_chunk_is_read_leniently() -> None:
    assert read_chunk('{"choices": []}') == read_chunk("{}") == read_chunk('{"choices": [{"delta": null}]}')
    thought = read_chunk('{"choices": [{"delta": {"content": null, "reasoning_content": "hm"}}]}')
    assert (thought.text, thought.says_something) == ("", True)
    assert read_chunk('{"choices": [{"delta": {"content": "\\ud83d"}}]}').text == "\ufffd"
    usage = '{"usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}}'
    assert read_chunk(usage).usage == Usage(9, 2, 4)


CALL = ToolCall("c1", "look", "{}")
CALLED = Message("assistant", "One moment.", (CALL,))
RESULT = Message("tool", "sunny", tool_call_id="c1")
ASKED, LATER = Message("user", "Is it sunny?"), Message("user", "Are you there?")


def test_a_result_stands_behind_its_call() -> None:
    assert paired((ASKED, CALLED, RESULT)) == [ASKED, CALLED, RESULT]


def test_a_call_moves_down_to_a_late_result() -> None:
    moved = [Message("assistant", tool_calls=(CALL,)), RESULT]
    assert paired((ASKED, CALLED, LATER, RESULT)) == [ASKED, Message("assistant", "One moment."), LATER, *moved]


def test_a_call_without_a_result_is_told_to_be_running() -> None:
    shown = paired((ASKED, CALLED, LATER))
    assert shown[:2] == [ASKED, CALLED]
    assert (shown[2].tool_call_id, shown[3]) == ("c1", LATER)
    assert "still running" in shown[2].text


def test_what_servers_refuse_is_left_out() -> None:
    assert paired((Message("tool", "42", tool_call_id="unknown"), Message("assistant", ""), ASKED)) == [ASKED]


@given(
    st.lists(
        st.sampled_from([ASKED, CALLED, RESULT, LATER, Message("assistant", tool_calls=(ToolCall("c2", "g", "{}"),))]),
        max_size=8,
    )
)
def test_every_call_that_is_shown_has_its_result_right_behind(messages: list[Message]) -> None:
    shown = paired(tuple(messages))
    while shown:
        message = shown.pop(0)
        assert message.role != "tool"
        for call in message.tool_calls:
            assert shown.pop(0).tool_call_id == call.call_id


def test_a_request_has_what_was_asked_for_and_no_more() -> None:
    plain = body_of(LlmRequest((ASKED,)), CONFIG)
    assert plain == {
        "model": "small",
        "messages": [{"role": "user", "content": "Is it sunny?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    tool = Tool("look", "Looks.", {"properties": {"at": {"type": "string"}}})
    request = LlmRequest((ASKED,), (tool,), "look", 30, 0.0, 0.5, ("\n",), 7, {"type": "object"}, "large")
    config = CONFIG.model_copy(update={"more_models": ("large",), "max_tokens_field": "max_completion_tokens"})
    full = body_of(request, config)
    assert full["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert full["tools"][0]["function"]["parameters"]["type"] == "object"
    assert full["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert (full["model"], full["max_completion_tokens"], full["temperature"]) == ("large", 30, 0.0)
    assert (full["top_p"], full["stop"], full["seed"]) == (0.5, ["\n"], 7)
    assert "tools" not in body_of(LlmRequest((ASKED,), (tool,), "none"), CONFIG)
    assert body_of(LlmRequest((ASKED,), json_schema={}), CONFIG)["response_format"] == {"type": "json_object"}


def test_a_key_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-file\n")
    by_name = CONFIG.model_copy(update={"api_key_env": "THE_KEY"})
    by_file = CONFIG.model_copy(update={"api_key_file": tmp_path / "key"})
    assert read_key(by_name, {"THE_KEY": " sk-env "}).headers == {"Authorization": "Bearer sk-env"}
    assert read_key(by_file, {}).headers == {"Authorization": "Bearer sk-file"}
    assert read_key(CONFIG, {}).headers == {}
    for config, hint in [
        (by_name, "THE_KEY"),
        (CONFIG.model_copy(update={"api_key_file": tmp_path / "none"}), "none"),
        (by_name.model_copy(update={"api_key_file": tmp_path / "key"}), "not both"),
    ]:
        with pytest.raises(ConfigError, match=hint):
            read_key(config, {})
    with pytest.raises(ConfigError) as refused:
        read_key(by_name, {"THE_KEY": "sk-secret\nsk-other"})
    assert "secret" not in str(refused.value)


def test_a_key_is_never_shown() -> None:
    key = ApiKey("sk-very-secret")
    body = b'{"error": {"message": "Incorrect API key provided: sk-very-secret. Get one."}}'
    failure = of_status("example.org", 401, body, key, None)
    assert "sk-very-secret" not in f"{key!r} {failure} {failure.error!r}"
    assert "Incorrect API key" in failure.error.message


@pytest.mark.parametrize("url", ["ftp://x/v1", "localhost:1", "http://", "http://me:key@x/v1", "http://x/v1?key=1"])
def test_an_address_that_cannot_be_or_holds_a_key_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        UpstreamConfig(model="m", base_url=url)


def test_a_key_among_the_headers_is_refused() -> None:
    with pytest.raises(ValueError, match="api_key_env"):
        UpstreamConfig(model="m", headers={"Authorization": "Bearer x"})


@pytest.mark.parametrize(
    ("status", "kind", "again", "elsewhere", "dead"),
    [
        (400, InvalidRequest, False, False, False),
        (422, InvalidRequest, False, False, False),
        (401, EngineFailed, False, True, True),
        (404, EngineFailed, False, True, True),
        (302, EngineFailed, False, True, True),
        (429, StageUnavailable, True, True, False),
        (408, StageUnavailable, True, True, True),
        (500, StageUnavailable, True, True, True),
        (503, StageUnavailable, True, True, True),
    ],
)
def test_what_a_status_means(status: int, kind: type[Exception], again: bool, elsewhere: bool, dead: bool) -> None:
    failure = of_status("here:1", status, b"<html>no</html>", ApiKey(), None)
    assert isinstance(failure.error, kind)
    assert (failure.again, failure.elsewhere, failure.dead) == (again, elsewhere, dead)
    assert str(status) in failure.error.message
    assert "<html>" not in failure.error.message


def test_a_prompt_over_the_window_is_called_that() -> None:
    body = b'{"error": {"message": "too long", "code": "context_length_exceeded"}}'
    assert of_status("here:1", 400, body, ApiKey(), None).error.code == "context_length_exceeded"
