"""Ports and processes."""

import socket
from pathlib import Path

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def replica_pids(app: str, deployment: str) -> list[int]:
    """Process ids of the running replicas, asked of Serve's controller."""
    import ray
    from ray.serve.context import _get_global_client

    client = _get_global_client()
    assert client is not None
    details = ray.get(client._controller.get_serve_instance_details.remote())
    return [replica["pid"] for replica in details["applications"][app]["deployments"][deployment]["replicas"]]
