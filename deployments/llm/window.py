"""Cuts a conversation to the model's window by whole turns."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from deployments.llm.contract import LlmRequest, Message, Tool
from deployments.runtime.errors import InvalidRequest

CHARS_PER_TOKEN: Final = 3
"""Of alphabetic scripts. An estimate on the safe side, as English is commonly put at four: rather a conversation that
is too short than one that is refused.
"""
_MESSAGE_TOKENS: Final = 6
"""A message's role and the marks around it."""
_ELSEWHERE: Final = 0x2E80
"""From here on Unicode has signs for syllables, words and pictures: about a token each, and a half more."""
_REPLY_TOKENS: Final = 1024
"""Kept free for a reply without a limit, or a quarter of the window where that is less."""
_TURNS_AT_ONCE: Final = 4
"""So many turns go together: the beginning stays the same for a while, and with it the engine's cache of prefixes."""
_LEAST_TURNS: Final = 6
"""Where fewer would be left, only those go that must."""


def estimated_tokens(text: str) -> int:
    """About as many as a tokeniser would make, rather more."""
    elsewhere = sum(ord(char) >= _ELSEWHERE for char in text)
    return -(-(len(text) - elsewhere) // CHARS_PER_TOKEN) + elsewhere + elsewhere // 2


def fitted(request: LlmRequest, window_tokens: int) -> LlmRequest:
    """The same request with as many of the newest turns as the window holds beside the reply.

    Instructions stay, and a result goes with its call. Raises InvalidRequest when the last turn alone is too long.
    """
    reply_tokens = request.max_output_tokens or min(_REPLY_TOKENS, window_tokens // 4)
    room = window_tokens - reply_tokens - sum(map(_tool_tokens, request.tools))
    room -= sum(_tokens(message) for message in request.messages if message.role == "system")
    turns = _turns(request.messages)
    sizes = [sum(map(_tokens, turn)) for turn in turns]
    if sum(sizes) <= room:
        return request
    if not turns or sizes[-1] > room:
        raise InvalidRequest(
            f"the instructions, functions and last turn are over the model's window of {window_tokens} tokens: "
            "shorten them",
            "context_length_exceeded",
        )
    gone, left = 0, sum(sizes)
    while left > room:
        left -= sizes[gone]
        gone += 1
    rounded = -(-gone // _TURNS_AT_ONCE) * _TURNS_AT_ONCE
    if len(turns) - rounded >= _LEAST_TURNS:
        gone = rounded
    return replace(request, messages=_without(request.messages, turns[:gone]))


def _turns(messages: Sequence[Message]) -> list[list[Message]]:
    """All but instructions; each turn begins with what the user says."""
    turns: list[list[Message]] = []
    before = ""
    for message in messages:
        if message.role == "system":
            continue
        if not turns or (message.role == "user" and before != "user"):
            turns.append([])
        turns[-1].append(message)
        before = message.role
    return turns


def _without(messages: Sequence[Message], turns: Sequence[Sequence[Message]]) -> tuple[Message, ...]:
    gone = {id(message) for turn in turns for message in turn}
    calls = {call.call_id for turn in turns for message in turn for call in message.tool_calls}
    return tuple(
        message
        for message in messages
        if id(message) not in gone and not (message.role == "tool" and message.tool_call_id in calls)
    )


def _tokens(message: Message) -> int:
    calls = sum(estimated_tokens(call.name + call.arguments) + _MESSAGE_TOKENS for call in message.tool_calls)
    return _MESSAGE_TOKENS + estimated_tokens(message.text) + calls


def _tool_tokens(tool: Tool) -> int:
    return _MESSAGE_TOKENS + estimated_tokens(tool.name + tool.description + json.dumps(tool.parameters))
