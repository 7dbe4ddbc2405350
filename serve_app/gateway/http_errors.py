"""Every HTTP error in OpenAI's one shape: `{"error": {"message", "type", "code", "param"}}`."""

import logging
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ExceptionHandler

from deployments.runtime.errors import ParleyError

log = logging.getLogger(__name__)

RETRY_AFTER_S = 1

_CODES = {404: "not_found", 405: "method_not_allowed"}


def exception_handlers() -> dict[Any, ExceptionHandler]:
    """For `Starlette(exception_handlers=…)`."""
    handlers: dict[Any, Any] = {ParleyError: parley_error, HTTPException: http_exception, Exception: unhandled}
    return handlers


def error_response(error: ParleyError) -> JSONResponse:
    """A ParleyError as a response, for code that answers outside Starlette's exception handling."""
    headers = {"Retry-After": str(RETRY_AFTER_S)} if error.retryable else None
    return _response(error.http_status, error.message, error.realtime_type, error.code, error.param, headers)


async def parley_error(connection: HTTPConnection, error: ParleyError) -> JSONResponse:
    """An error that was raised on purpose; its message is meant for the client."""
    if error.http_status >= 500:
        log.error("%s: %s: %s", connection.scope["path"], type(error).__name__, error, exc_info=error)
    return error_response(error)


async def http_exception(connection: HTTPConnection, error: HTTPException) -> JSONResponse:
    """Starlette's own: no such address, a method that is not allowed, a malformed request."""
    status = error.status_code
    if error.detail != HTTPStatus(status).phrase:
        message = error.detail
    elif status == 404:
        message = "There is nothing at this address."
    elif status == 405:
        message = f"This address does not take {connection.scope.get('method')}."
    else:
        message = error.detail
    kind = "invalid_request_error" if status < 500 else "server_error"
    return _response(status, message, kind, _CODES.get(status, kind), None, dict(error.headers or {}))


async def unhandled(connection: HTTPConnection, error: Exception) -> JSONResponse:
    """A bug: the client learns nothing of it. Starlette raises it again after this, so that the server logs it."""
    message = "The server had an error while handling this request. Its log says more."
    return _response(500, message, "server_error", "server_error", None, None)


def _response(
    status: int, message: str, kind: str, code: str, param: str | None, headers: dict[str, str] | None
) -> JSONResponse:
    error = {"message": message, "type": kind, "code": code, "param": param}
    return JSONResponse({"error": error}, status_code=status, headers=headers)
