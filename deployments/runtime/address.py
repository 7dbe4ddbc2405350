"""Where this Serve instance listens."""

import asyncio
import urllib.error
import urllib.request

from ray.serve.context import _get_global_client

_POLL_S = 0.1
_REQUEST_TIMEOUT_S = 2.0


def http_address() -> str:
    """Base URL of Serve's HTTP proxies, `http://127.0.0.1:8000` say. Call it off the loop: it asks the controller."""
    client = _get_global_client()
    if client is None:
        raise RuntimeError("Serve is not running")
    return str(client.root_url)


async def wait_until_served(url: str) -> None:
    """Return once a GET of `url` is answered with success: the proxy is up and knows the route."""
    while not await asyncio.to_thread(_answers, url):  # noqa: ASYNC110 - another process, nothing to wait on
        await asyncio.sleep(_POLL_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=_REQUEST_TIMEOUT_S) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False
