"""`POST /v1/realtime/client_secrets`: short-lived keys that a server hands to its browsers, session settings inside.

A secret is `ek_` + payload + signature (HMAC-SHA-256), so every replica that has the signing key can check one, and
nothing is kept. As with OpenAI it opens any number of sessions until it expires; a session may outlast it.
"""

import base64
import hashlib
import hmac
import os
import secrets
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import Field

from deployments.runtime.errors import TooLarge, Unauthorized
from serve_app.gateway.realtime.client_items import Strict
from serve_app.gateway.realtime.wire import session_object
from serve_app.session.ids import new_id
from serve_app.session.settings import SessionSettings
from serve_app.session.validation import validated

PREFIX = "ek_"
VARIABLE = "PARLEY_SIGNING_KEY"
"""Names the signing key for replicas that share no disk."""
MAX_CHARS = 7000
"""It travels in a header, and websockets takes no header line over 8192 bytes."""
_SIGNATURE_BYTES = 32


class _ExpiresAfter(Strict):
    anchor: Literal["created_at"] = "created_at"
    seconds: int | None = Field(None, ge=10, le=7200)


class _Request(Strict):
    expires_after: _ExpiresAfter = _ExpiresAfter()
    session: dict[str, Any] = Field(default_factory=dict)


class ClientSecrets:
    """Issues and opens secrets."""

    def __init__(self, signing_key: bytes, default_ttl_s: float) -> None:
        self._signing_key = signing_key
        self._default_ttl_s = default_ttl_s

    def issue(self, request: Any, defaults: SessionSettings, now_s: float) -> dict[str, Any]:
        """Answer a request's body. Raises InvalidRequest, and TooLarge for settings that no header can carry."""
        asked = validated(_Request, request)
        settings = defaults.updated(asked.session)
        expires_at = int(now_s + (asked.expires_after.seconds or self._default_ttl_s))
        payload = zlib.compress(orjson.dumps({"expires_at": expires_at, "session": asked.session}), 9)
        value = PREFIX + _text(payload + self._sign(payload))
        if len(value) > MAX_CHARS:
            raise TooLarge(
                f"session: too long for a client secret ({len(value)} characters, {MAX_CHARS} are allowed). "
                "Send the instructions with session.update once connected.",
                param="session",
            )
        # OpenAI leaves `expires_at` of the session itself open too: it begins when somebody connects.
        return {"value": value, "expires_at": expires_at, "session": session_object(settings, new_id("sess"))}

    def open(self, secret: str, now_s: float) -> dict[str, Any]:
        """The `session` that a secret carries. Raises Unauthorized for one that is not ours or has expired."""
        try:
            sealed = _bytes(secret.removeprefix(PREFIX))
        except ValueError:
            sealed = b""
        payload, signature = sealed[:-_SIGNATURE_BYTES], sealed[-_SIGNATURE_BYTES:]
        if not hmac.compare_digest(self._sign(payload), signature):
            raise Unauthorized("The client secret is not valid here: ask for a new one.")
        content = orjson.loads(zlib.decompress(payload))
        if content["expires_at"] <= now_s:
            raise Unauthorized("The client secret has expired: ask for a new one.", "client_secret_expired")
        session: dict[str, Any] = content["session"]
        return session

    def _sign(self, payload: bytes) -> bytes:
        return hmac.digest(self._signing_key, payload, hashlib.sha256)


def load_signing_key(directory: Path, environment: Mapping[str, str] = os.environ) -> bytes:
    """The key of all replicas: from `PARLEY_SIGNING_KEY`, else of a file beside the store, made by who comes first.

    Does I/O: call it off the loop.
    """
    if given := environment.get(VARIABLE):
        return hashlib.sha256(given.encode()).digest()
    path = directory / "signing.key"
    directory.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # A file that has its name is whole: it gets it by one link, which fails for all but the first.
        draft = path.with_suffix(f".{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
