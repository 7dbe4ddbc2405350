"""Who may use the API, and who may change what is loaded: keys from the environment, compared by their hashes."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from deployments.runtime.errors import Forbidden, Unauthorized

VARIABLE = "PARLEY_API_KEYS"
"""Keys separated by commas. Without any, every key is as good as none: for a server that only listens on loopback."""

ADMIN_VARIABLE = "PARLEY_ADMIN_KEYS"
"""Keys that open `/v1/admin/`, separated by commas, and nothing else."""


class ApiKeys:
    """The keys that open this server."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._digests = tuple(_digest(key) for key in keys)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], variable: str = VARIABLE) -> "ApiKeys":
        """Those named in `PARLEY_API_KEYS`, or in another variable."""
        return cls(key.strip() for key in environment.get(variable, "").split(",") if key.strip())

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


class AdminKeys:
    """The keys that open `/v1/admin/`. Who may talk to the server may not unload its models.

    A server without any keys, which only listens on loopback, is open here too.
    """

    def __init__(self, keys: ApiKeys, api: ApiKeys) -> None:
        self._keys = keys
        self._api = api

    def check(self, key: str | None) -> None:
        """Raise Unauthorized for a wrong key, and Forbidden where there are keys, but none for this."""
        if self._api.required and not self._keys.required:
            raise Forbidden(f"Set {ADMIN_VARIABLE} on the server to use /v1/admin.")
        self._keys.check(key)


def bearer(authorization: str | None) -> str | None:
    """The key in an `Authorization` header."""
    scheme, _, key = (authorization or "").strip().partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
