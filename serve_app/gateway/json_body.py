"""A request's body as JSON, of bounded size."""

import orjson
from starlette.requests import Request

from deployments.runtime.errors import InvalidRequest, TooLarge

MAX_BODY_BYTES = 2**20


async def json_body(request: Request, max_bytes: int = MAX_BODY_BYTES) -> object:
    """What it says; an empty one is `{}`. Raises TooLarge and InvalidRequest."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise TooLarge(f"The body may have {max_bytes} bytes.")
    try:
        return orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.", "invalid_json") from error
