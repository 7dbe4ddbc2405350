"""A request in the words of OpenAI's chat completions."""

from typing import Any

from deployments.llm.contract import LlmRequest, Message, Tool, ToolCall
from deployments.llm.upstream.settings import UpstreamConfig

_NO_RESULT = '{"status": "still running, no result yet"}'
_BROKEN_OFF = " —"


def body_of(request: LlmRequest, config: UpstreamConfig) -> dict[str, Any]:
    """The JSON that is posted."""
    known = (config.model, *config.more_models)
    body: dict[str, Any] = {
        "model": request.model if request.model in known else config.model,
        "messages": [_message(message) for message in paired(request.messages)],
        "stream": True,
    }
    if config.asks_usage:
        body["stream_options"] = {"include_usage": True}
    # Servers that know no `tool_choice` would call a tool that is forbidden: it is not shown to them.
    if request.tools and request.tool_choice != "none":
        body["tools"] = [_tool(tool) for tool in request.tools]
        body["tool_choice"] = _choice(request.tool_choice)
    if request.json_schema is not None:
        body["response_format"] = _format(request.json_schema)
    options = {
        config.max_tokens_field: request.max_output_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": list(request.stop) or None,
        "seed": request.seed,
    }
    return body | {name: value for name, value in options.items() if value is not None} | config.body


def paired(messages: tuple[Message, ...]) -> list[Message]:
    """The conversation as servers insist on it: right behind a message with calls, the result of each of them.

    In a conversation by voice a result may come after the user and the assistant have said more. A call then moves down
    to its result: the model answers what comes last. A call without a result is told to be running. Empty messages of
    the assistant and results of unknown calls are left out.
    """
    results = {message.tool_call_id: index for index, message in enumerate(messages) if message.role == "tool"}
    calls = {call.call_id: call for message in messages for call in message.tool_calls}
    shown: list[Message] = []
    done: set[str] = set()
    for index, message in enumerate(messages):
        if message.role == "tool":
            call = calls.get(message.tool_call_id)
            if call is not None and call.call_id not in done:
                done.add(call.call_id)
                shown += [Message("assistant", tool_calls=(call,)), message]
            continue
        here = [call for call in message.tool_calls if _belongs(call, index, messages, results)]
        if message.role != "assistant" or message.text or here:
            shown.append(Message(message.role, message.text, tuple(here), interrupted=message.interrupted))
        for call in here:
            done.add(call.call_id)
            at = results.get(call.call_id)
            shown.append(messages[at] if at is not None else Message("tool", _NO_RESULT, tool_call_id=call.call_id))
    return shown


def _belongs(call: ToolCall, index: int, messages: tuple[Message, ...], results: dict[str, int]) -> bool:
    """Whether a call stays where it is: it has no result yet, or nothing but results stands before it."""
    at = results.get(call.call_id)
    return at is None or (at > index and all(each.role == "tool" for each in messages[index + 1 : at]))


def _message(message: Message) -> dict[str, Any]:
    text = _encodable(message.text)
    shown: dict[str, Any] = {"role": message.role, "content": text}
    if message.role == "tool":
        shown["tool_call_id"] = message.tool_call_id
    elif message.tool_calls:
        shown["content"] = text or None
        shown["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": _encodable(call.arguments)},
            }
            for call in message.tool_calls
        ]
    elif message.interrupted and text:
        shown["content"] = text + _BROKEN_OFF
    return shown


def _tool(tool: Tool) -> dict[str, Any]:
    schema = {"type": "object", "properties": {}} | tool.parameters
    function: dict[str, Any] = {"name": tool.name, "parameters": schema}
    if tool.description:
        function["description"] = _encodable(tool.description)
    return {"type": "function", "function": function}


def _choice(choice: str) -> str | dict[str, Any]:
    return choice if choice in ("auto", "required") else {"type": "function", "function": {"name": choice}}


def _format(schema: dict[str, Any]) -> dict[str, Any]:
    if not schema:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _encodable(text: str) -> str:
    """Half a surrogate pair, which a client may send, cannot be written to a socket."""
    return text.encode(errors="replace").decode()
