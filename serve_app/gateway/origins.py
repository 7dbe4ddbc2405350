"""Which web pages may talk to the server.

A browser lets any page connect anywhere by WebSocket and says only who it is (`Origin`). And a page can make its own
name resolve to this machine (DNS rebinding), so that it seems to be of the same host. So without keys a name is
believed only if it is configured; an address, or `localhost`, cannot be faked.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

ANY = "*"


class OriginPolicy:
    """Programs send no `Origin` and are not its business."""

    def __init__(self, allowed_origins: Iterable[str] = (), public_url: str | None = None, keyed: bool = False) -> None:
        """`keyed`: every request needs a key, so a name alone opens nothing."""
        origins = {*allowed_origins, *([public_url] if public_url else [])}
        self._any = ANY in origins
        self._origins = {origin.rstrip("/").lower() for origin in origins - {ANY}}
        self._names = {urlsplit(origin).hostname for origin in self._origins}
        self._keyed = keyed

    def refusal(self, headers: Mapping[str, str]) -> str | None:
        """Why a request is refused, in words; None when it is not. `headers` by lower-case name."""
        host = _name(f"//{headers.get('host', '')}")
        if not (self._any or self._keyed or _is_address(host) or host in self._names):
            return f"The host name {host!r} is not configured: set gateway.public_url or gateway.allowed_origins."
        origin = headers.get("origin", "").lower()
        if not origin or self._any or origin in self._origins:
            return None
        name = _name(origin)
        if name and (name == host or _is_loopback(name)):
            return None
        return f"Pages of {origin!r} may not connect: name it in gateway.allowed_origins."


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_address(name: str | None) -> bool:
    if name is None or _is_loopback(name):
        return True  # HTTP/1.0 has no Host; browsers always send it
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
