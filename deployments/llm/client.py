"""The Llm stage as a session sees it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from deployments.llm.contract import Finished, LlmItem, LlmRequest
from deployments.runtime.errors import StageUnavailable
from deployments.runtime.ports import StreamPort


class LlmClient:
    """Asks for replies over any port."""

    def __init__(self, port: StreamPort[LlmRequest, LlmItem], deadline_s: float) -> None:
        """`deadline_s` bounds the wait for each next item."""
        self._port = port
        self._deadline_s = deadline_s

    async def reply(self, request: LlmRequest) -> AsyncGenerator[LlmItem, None]:
        """Stream one reply; read it inside `aclosing`.

        A replica that dies before the first item costs one retry. After it, what was said cannot be unsaid: raises
        StageUnavailable, as it does after the retry. Also raises StageTimeout, EngineFailed and InvalidRequest.
        """
        try:
            first, items = await self._first(request)
        except StageUnavailable:
            first, items = await self._first(request)
        async with aclosing(items):
            item: LlmItem | None = first
            while item is not None:
                yield item
                if isinstance(item, Finished):
                    return
                item = await anext(items, None)
        raise StageUnavailable("the language model's reply broke off")

    async def _first(self, request: LlmRequest) -> tuple[LlmItem, AsyncGenerator[LlmItem, None]]:
        """Begin a reply and await its first item."""
        items = self._port.stream(request, deadline_s=self._deadline_s)
        try:
            return await anext(items), items
        except StopAsyncIteration:
            raise StageUnavailable("the language model gave no reply") from None
        except BaseException:
            await items.aclose()
            raise
