"""The body of a request with files: read within its limits, kept in memory, never on disk."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from deployments.runtime.errors import InvalidRequest, TooLarge

_MAX_FIELDS = 20
_MAX_FIELD_BYTES = 2**18
"""Of one that is no file: a text, a description."""
_MAX_JSON_BYTES = 2**20
"""It is parsed at once, on the event loop."""


@dataclass(frozen=True, slots=True)
class Form:
    """What was sent: fields by name, and files by name."""

    fields: dict[str, Any]
    files: dict[str, bytes]


class _InMemory(MultiPartParser):
    """Starlette's parser writes what is over 1 MiB to the disk; here the body is bounded instead."""

    spool_max_size = 0
    """Never."""


async def read_form(request: Request, *, files: Iterable[str], max_bytes: int, within_s: float) -> Form:
    """A form (`multipart/form-data`) or a JSON object. `files` are the names that files may have.

    Raises TooLarge over `max_bytes` (JSON: 1 MiB), as soon as they have arrived, and InvalidRequest for what cannot be
    read, for other files and a body that is slower than `within_s`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        async with asyncio.timeout(within_s):
            if kind == "multipart/form-data":
                return await _multipart(request, frozenset(files), max_bytes)
            if kind not in ("application/json", ""):
                raise InvalidRequest(f"Send multipart/form-data or application/json, not {kind[:80]!r}.")
            body = b"".join([chunk async for chunk in bounded(request, min(max_bytes, _MAX_JSON_BYTES))])
    except TimeoutError as error:
        raise InvalidRequest(f"The body did not arrive within {within_s:g} s.", "upload_timeout") from error
    return Form(_json_object(body), {})


def required(form: Form, name: str) -> bytes:
    """A file that must be there. Raises InvalidRequest."""
    if name not in form.files:
        raise InvalidRequest(f"Missing required file: '{name}'.", "missing_required_parameter", name)
    return form.files[name]


async def _multipart(request: Request, names: frozenset[str], max_bytes: int) -> Form:
    parser = _InMemory(
        request.headers,
        bounded(request, max_bytes),
        max_files=len(names),
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD_BYTES,
    )
    try:
        sent = await parser.parse()
    except MultiPartException as error:
        raise InvalidRequest(f"The form cannot be read: {error.message.rstrip('.')}.", "invalid_form") from error
    try:
        return await _sorted(sent, names)
    finally:
        await sent.close()


async def _sorted(sent: FormData, names: frozenset[str]) -> Form:
    fields: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    for name, value in sent.multi_items():
        if name in fields or name in files:
            raise InvalidRequest(f"'{name[:80]}' was sent twice.", param=name[:80])
        if isinstance(value, UploadFile):
            if name not in names:
                raise InvalidRequest(f"Unknown file: '{name[:80]}'.", "unknown_parameter", name[:80])
            files[name] = await value.read()
        elif name in names:
            raise InvalidRequest(f"'{name}' must be a file.", param=name)
        else:
            fields[name] = value
    return Form(fields, files)


async def bounded(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body as it arrives. Raises TooLarge when it gets longer."""
    taken = 0
    async for chunk in request.stream():
        taken += len(chunk)
        if taken > max_bytes:
            raise TooLarge(f"The body may have {max_bytes} bytes.")
        yield chunk


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.", "invalid_json") from error
    if not isinstance(given, dict):
        raise InvalidRequest("The body must be a JSON object.", "invalid_json")
    return given
