"""`GET /metrics`: the figures of this node's replicas, as Prometheus reads them.

Every process of Ray hands its figures (`ray.serve.metrics`, ours among them) to the metrics agent of its node, which
exports them on a port of Ray's choice. This passes on those of Serve and ours. On a cluster let Prometheus scrape every
node itself, since this shows one node of those behind the address.
"""

import asyncio
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import ray
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deployments.runtime.errors import StageUnavailable

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FAMILIES = ("ray_serve_", "ray_parley_")
_TIMEOUT_S = 2.0


def metrics_route(address: Callable[[], str]) -> Route:
    """`address`: the URL of the metrics agent; called off the loop."""

    async def metrics(_: Request) -> Response:
        text = await asyncio.to_thread(_fetch, address)
        return Response("".join(_ours(text)), media_type=CONTENT_TYPE)

    return Route("/metrics", metrics)


def agent_address() -> str:
    """Where this node's metrics agent exports. Asks Ray's control store: call it off the loop."""
    node_id = ray.get_runtime_context().get_node_id()
    node = next(node for node in ray.nodes() if node["NodeID"] == node_id)
    return f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"


def _fetch(address: Callable[[], str]) -> str:
    try:
        with urllib.request.urlopen(address(), timeout=_TIMEOUT_S) as response:
            text: str = response.read().decode()
    except (OSError, urllib.error.URLError) as error:
        raise StageUnavailable(f"this node's metrics agent does not answer: {error}") from error
    return text


def _ours(text: str) -> Iterator[str]:
    """The lines of our families, `# HELP` and `# TYPE` included."""
    for line in text.splitlines(keepends=True):
        name = line.split(" ", 3)[2] if line.startswith("# ") else line
        if name.startswith(_FAMILIES):
            yield line
