"""What can go wrong with a server, and what may be done about it."""

import json
from typing import Any, Final

from deployments.llm.upstream.api_key import ApiKey
from deployments.runtime.errors import EngineFailed, InvalidRequest, ParleyError, StageUnavailable

_MOST_CHARS: Final = 300
"""Of a server's own words."""
_TOO_LONG_CODES: Final = ("context_length_exceeded", "exceed_context_size_error")
_HINTS: Final = {
    401: "check its key (api_key_env or api_key_file)",
    403: "check its key (api_key_env or api_key_file) and what it may use",
    404: "check base_url, which usually ends in /v1, and the name of the model",
}


class Failure(Exception):
    """An attempt failed. `error` is what the reply's reader is told if nothing else helps."""

    def __init__(
        self,
        error: ParleyError,
        *,
        again: bool = False,
        elsewhere: bool = True,
        dead: bool = True,
        wait_s: float | None = None,
    ) -> None:
        """`again`: the same server may answer a retry; `elsewhere`: another one may; `dead`: the breaker counts it;
        `wait_s`: the server asks to be left alone for so long.
        """
        super().__init__(str(error))
        self.error = error
        self.again = again
        self.elsewhere = elsewhere
        self.dead = dead
        self.wait_s = wait_s


def of_status(name: str, status: int, body: bytes, key: ApiKey, wait_s: float | None) -> Failure:
    """The server answered with another status than 200."""
    said, code = _own_words(body, key)
    what = f"the language model's server {name} answered {status}"
    message = f"{what}: {said}" if said else what
    if status in (400, 413, 422):
        code = "context_length_exceeded" if code in _TOO_LONG_CODES else "invalid_value"
        return Failure(InvalidRequest(message, code), elsewhere=False, dead=False)
    if status == 429:
        return Failure(StageUnavailable(message), again=True, dead=False, wait_s=wait_s)
    if status == 408 or status >= 500:
        return Failure(StageUnavailable(message), again=True, wait_s=wait_s)
    return Failure(EngineFailed(f"{message}; {_HINTS.get(status, 'check base_url')}"))


def no_answer(name: str, error: BaseException) -> Failure:
    """It could not be reached, or hung up before it said anything."""
    return Failure(
        StageUnavailable(f"the language model's server {name} does not answer: {described(error)}"), again=True
    )


def not_a_stream(name: str, content_type: str) -> Failure:
    """It answered with a page, or all at once."""
    return Failure(
        EngineFailed(
            f"the language model's server {name} answered with {content_type[:80] or 'no content type'} in place of an "
            "event stream; check base_url, which usually ends in /v1"
        )
    )


def nonsense(name: str, what: str) -> Failure:
    """What it streams cannot be read."""
    return Failure(EngineFailed(f"the language model's server {name} sent {what}"))


def of_error_event(name: str, error: Any, key: ApiKey) -> Failure:
    """It told of an error in its stream."""
    said, _ = _words_of(error, key)
    return Failure(EngineFailed(f"the language model's server {name} failed: {said or 'it does not say why'}"))


def broken_off(name: str, cause: BaseException | None = None) -> Failure:
    """The stream ended without its end."""
    why = f": {described(cause)}" if cause else ""
    return Failure(
        StageUnavailable(f"the language model's server {name} broke off in the middle of its reply{why}"), again=True
    )


def described(error: BaseException) -> str:
    """Its class and, where it has some, its words."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _own_words(body: bytes, key: ApiKey) -> tuple[str, str]:
    """Message and code of an error's body: OpenAI's shape, or any text that is no page."""
    text = body.decode(errors="replace").strip()
    try:
        return _words_of(json.loads(text), key)
    except (ValueError, RecursionError):
        return ("a page of HTML" if text.startswith("<") else _shown(text, key)), ""


def _words_of(error: Any, key: ApiKey) -> tuple[str, str]:
    if isinstance(error, list) and error:  # Gemini's
        error = error[0]
    if isinstance(error, dict) and "error" in error:
        error = error["error"]
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or ""
        return _shown(str(message), key), str(error.get("code") or error.get("type") or "")
    return _shown(str(error), key) if isinstance(error, str) else "", ""


def _shown(text: str, key: ApiKey) -> str:
    """Printable, short, and without the key."""
    line = " ".join(key.hidden_in(text).split()).encode(errors="replace").decode()
    return line if len(line) <= _MOST_CHARS else line[:_MOST_CHARS] + "…"
