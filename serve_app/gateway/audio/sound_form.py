"""A form with one file of sound, which may be large: it waits on the disk, in a file that has no name."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from deployments.runtime.errors import InvalidRequest
from serve_app.gateway.uploads import bounded

_MAX_FIELDS: Final = 200
"""Those that are lists come one by one."""
_MAX_FIELD_BYTES: Final = 2**16


@dataclass(frozen=True, slots=True)
class SoundForm:
    """What was sent."""

    fields: dict[str, Any]
    file: BinaryIO
    """At its beginning. To be read in a worker thread."""


class _OnDisk(MultiPartParser):
    """Starlette's parser: what is over 1 MiB goes to the disk."""

    def discard(self) -> None:
        """Close what was begun, which the parser itself does for its own errors only."""
        for file in self._files_to_close_on_error:
            file.close()


@asynccontextmanager
async def sound_form(
    request: Request, *, lists: Iterable[str], max_bytes: int, within_s: float
) -> AsyncGenerator[SoundForm, None]:
    """The form, whose file `file` is closed at the end. `lists` are the fields that may come several times, as
    `name` or `name[]`.

    Raises TooLarge over `max_bytes`, as soon as they have arrived, and InvalidRequest for what cannot be read, for
    other files and a body that is slower than `within_s`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise InvalidRequest(f"Send multipart/form-data with the recording as 'file', not {kind[:80]!r}.")
    parser = _OnDisk(
        request.headers,
        bounded(request, max_bytes),
        max_files=1,
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD_BYTES,
    )
    try:
        async with asyncio.timeout(within_s):
            sent = await parser.parse()
    except TimeoutError as error:
        parser.discard()
        raise InvalidRequest(f"The body did not arrive within {within_s:g} s.", "upload_timeout") from error
    except MultiPartException as error:
        raise InvalidRequest(f"The form cannot be read: {error.message.rstrip('.')}.", "invalid_form") from error
    except BaseException:
        parser.discard()
        raise
    try:
        yield _sorted(sent, frozenset(lists))
    finally:
        await sent.close()


def _sorted(sent: FormData, lists: frozenset[str]) -> SoundForm:
    fields: dict[str, Any] = {}
    file: BinaryIO | None = None
    for key, value in sent.multi_items():
        name = key.removesuffix("[]")
        if isinstance(value, UploadFile):
            if name != "file":
                raise InvalidRequest(f"Unknown file: '{name[:80]}'.", "unknown_parameter", name[:80])
            file = value.file
        elif name == "file":
            raise InvalidRequest("'file' must be a file.", param="file")
        elif name in lists:
            fields.setdefault(name, []).append(value)
        elif name in fields:
            raise InvalidRequest(f"'{name[:80]}' was sent twice.", param=name[:80])
        else:
            fields[name] = value
    if file is None:
        raise InvalidRequest("Missing required file: 'file'.", "missing_required_parameter", "file")
    return SoundForm(fields, file)
