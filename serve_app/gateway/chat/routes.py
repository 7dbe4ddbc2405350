"""The route of `POST /v1/chat/completions`."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deployments.llm.client import LlmClient
from deployments.llm.contract import Finished, LlmItem, LlmRequest, TextPiece, ToolCall
from deployments.runtime.clock import wall_s
from deployments.runtime.errors import EngineFailed, ParleyError
from serve_app.gateway.ahead import ahead
from serve_app.gateway.chat.asking import llm_request
from serve_app.gateway.chat.request import ChatRequest, read_request
from serve_app.gateway.chat.wire import DONE, Heading, call_fields, error_event
from serve_app.gateway.departure import Streamed, gone, unless_it_leaves
from serve_app.gateway.json_body import json_body
from serve_app.gateway.places import Places
from serve_app.session.ids import new_id

MAX_BODY_BYTES = 3 * 2**20
"""A request crosses to the Llm deployment in one message, of which Serve takes 4 MiB."""
_ITEMS_AHEAD = 4


def chat_routes(llm: LlmClient, places: Places) -> list[Route]:
    """The route; errors go through `http_errors.exception_handlers`. `places`: replies written at a time."""

    async def completions(request: Request) -> Response:
        try:
            asked = read_request(await json_body(request, MAX_BODY_BYTES))
            heading = Heading(new_id("chatcmpl"), asked.model, int(wall_s()))
            if asked.stream:
                return await _streamed(request, llm, places, asked, heading)
            with places.one():
                return JSONResponse(await unless_it_leaves(request.receive, _whole(llm, asked, heading)))
        except ClientDisconnect:
            return gone()

    return [Route("/v1/chat/completions", completions, methods=["POST"])]


async def _whole(llm: LlmClient, asked: ChatRequest, heading: Heading) -> dict[str, object]:
    text, calls = "", list[ToolCall]()
    async with aclosing(_reply(llm, llm_request(asked), asked)) as items:
        async for item in items:
            if isinstance(item, TextPiece):
                text += item.text
            elif isinstance(item, ToolCall):
                calls.append(item)
            else:
                return heading.completion(text, calls, item)
    raise EngineFailed("the language model's reply has no end")


async def _streamed(request: Request, llm: LlmClient, places: Places, asked: ChatRequest, heading: Heading) -> Response:
    """What fails before the first item is an HTTP error; after it, an event. The place is kept to the end."""
    async with AsyncExitStack() as stack:
        stack.enter_context(places.one())
        # In a task of its own: the items are read here first, and then in the response.
        items = ahead(_reply(llm, llm_request(asked), asked), _ITEMS_AHEAD)
        await stack.enter_async_context(aclosing(items))
        first = await unless_it_leaves(request.receive, _first(items))
        events = await stack.enter_async_context(aclosing(_events(first, items, asked, heading)))
        begin = heading.chunk({"role": "assistant", "content": "", "refusal": None})
        return Streamed(begin, events, "text/event-stream", stack.pop_all())
    raise AssertionError("the stack suppresses nothing")


async def _first(items: AsyncGenerator[LlmItem, None]) -> LlmItem:
    return await anext(items)


async def _events(
    first: LlmItem, items: AsyncGenerator[LlmItem, None], asked: ChatRequest, heading: Heading
) -> AsyncGenerator[bytes, None]:
    calls = 0
    item: LlmItem | None = first
    try:
        while item is not None and not isinstance(item, Finished):
            if isinstance(item, TextPiece):
                yield heading.chunk({"content": item.text})
            else:
                yield heading.chunk({"tool_calls": [{"index": calls, **call_fields(item)}]})
                calls += 1
            item = await anext(items, None)
    except ParleyError as error:
        yield error_event(error)
        return
    if item is None:
        return
    yield heading.chunk({}, item.reason)
    if asked.stream_options is not None and asked.stream_options.include_usage:
        yield heading.usage_chunk(item.usage)
    yield DONE


async def _reply(llm: LlmClient, request: LlmRequest, asked: ChatRequest) -> AsyncGenerator[LlmItem, None]:
    """The stage's items; with `parallel_tool_calls: false` the first call alone."""
    called = False
    async with aclosing(llm.reply(request)) as items:
        async for item in items:
            if isinstance(item, ToolCall):
                if called and asked.parallel_tool_calls is False:
                    continue
                called = True
            yield item
