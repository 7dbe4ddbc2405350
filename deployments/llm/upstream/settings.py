"""Where a server is and how patiently it is asked."""

from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

_OWN_HEADERS: Final = frozenset(("authorization", "content-type", "accept", "content-length", "host"))


class BreakerConfig(BaseModel):
    """When a server that does not answer is left alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failures: int = Field(default=5, ge=1)
    """So many requests in a row that failed open the breaker."""
    rest_s: float = Field(default=10, gt=0)
    """Then nothing is sent for so long, and one request tries whether the server is back."""


class UpstreamConfig(BaseModel):
    """One server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = "http://127.0.0.1:11434/v1"
    """What stands before `/chat/completions`. The default is Ollama's on this machine."""
    model: str = Field(min_length=1)
    """As the server names it."""
    more_models: tuple[str, ...] = ()
    """Others of the server that a request may name."""
    api_key_env: str | None = Field(default=None, min_length=1)
    """The environment variable that holds the key."""
    api_key_file: Path | None = None
    """The file that holds the key; read at the start."""
    headers: dict[str, str] = {}
    """Sent along. Keys belong in `api_key_env` or `api_key_file`."""
    body: dict[str, Any] = {}
    """Fields added to every request, such as `{"reasoning_effort": "none"}`."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """How the server calls the limit of a reply: OpenAI's own reasoning models take the second only."""
    asks_usage: bool = True
    """Ask for the token counts of a stream; off for a server that refuses `stream_options`."""

    connect_s: float = Field(default=3, gt=0)
    first_token_s: float = Field(default=15, gt=0)
    """From the request to the first token, thoughts included."""
    between_tokens_s: float = Field(default=10, gt=0)
    retries: int = Field(default=2, ge=0, le=10)
    """After the first attempt, and only before the first token."""
    backoff_s: float = Field(default=0.25, gt=0)
    """Before the first retry; doubled before each later one, and up to a half of it is left to chance."""
    breaker: BreakerConfig = BreakerConfig()

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an address like http://127.0.0.1:11434/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must hold no key, query or fragment; use api_key_env or api_key_file for a key")
        return value.rstrip("/")

    @field_validator("headers")
    @classmethod
    def _no_key_in_headers(cls, value: dict[str, str]) -> dict[str, str]:
        taken = sorted(name for name in value if name.lower() in _OWN_HEADERS)
        if taken:
            raise ValueError(f"cannot set {', '.join(taken)}; a key belongs in api_key_env or api_key_file")
        return value

    @property
    def name(self) -> str:
        """For messages: where it is."""
        parts = urlsplit(self.base_url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
