"""Who may use the API: keys from the environment, compared by their hashes."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from deployments.runtime.errors import Unauthorized

VARIABLE = "PARLEY_API_KEYS"
"""Keys separated by commas. Without any, every key is as good as none: for a server that only listens on loopback."""


class ApiKeys:
    """The keys that open this server."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._digests = tuple(_digest(key) for key in keys)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "ApiKeys":
        """Those named in `PARLEY_API_KEYS`."""
        return cls(key.strip() for key in environment.get(VARIABLE, "").split(",") if key.strip())

    @property
    def required(self) -> bool:
        """Whether a request needs a key."""
        return bool(self._digests)

    def check(self, key: str | None) -> None:
        """Raise Unauthorized for a key that is missing or not known."""
        if not self.required:
            return
        if not key:
            raise Unauthorized("You did not provide an API key: send it as 'Authorization: Bearer …'.")
        digest = _digest(key)
        if not any(hmac.compare_digest(digest, each) for each in self._digests):
            raise Unauthorized("Incorrect API key provided.")


def bearer(authorization: str | None) -> str | None:
    """The key in an `Authorization` header."""
    scheme, _, key = (authorization or "").strip().partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
