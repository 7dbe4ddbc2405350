"""Which processes are whose."""

import ray
from ray.serve.context import _get_global_client


def replica_pids(app: str, deployment: str) -> list[int]:
    """Process ids of the running replicas, asked of Serve's controller."""
    client = _get_global_client()
    assert client is not None
    details = ray.get(client._controller.get_serve_instance_details.remote())
    return [replica["pid"] for replica in details["applications"][app]["deployments"][deployment]["replicas"]]
