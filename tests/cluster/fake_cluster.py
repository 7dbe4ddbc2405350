"""Fake nodes: raylets on this machine that say what CPUs, GPUs and labels they have."""

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve.context import _get_global_client
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ServeDeploySchema

from tests.cluster.seats import Seat, with_seats
from tests.serve.processes import ROOT, free_port

POLL_S = 0.2


class FakeCluster:
    """One head, and nodes that come and go. Nodes have names here and ids in Ray."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where replicas write down their seats."""
        self._folder = folder
        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 4,
                "num_gpus": 2,
                "labels": {"parley/role": "front"},
                "include_dashboard": False,
            },
        )
        self._nodes: dict[str, Any] = {"head": self._cluster.head_node}
        self._names = {self._nodes["head"].node_id: "head"}
        ray.init(address=self._cluster.address, log_to_driver=False, namespace="serve")
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": free_port()})

    def add(self, name: str, role: str) -> None:
        """A node with one GPU."""
        node = self._cluster.add_node(num_cpus=4, num_gpus=1, labels={"parley/role": role})
        self._nodes[name] = node
        self._names[node.node_id] = name

    def kill(self, name: str) -> None:
        """End all processes of a node at once."""
        self._cluster.remove_node(self._nodes.pop(name), allow_graceful=False)

    def deploy(self, config: dict[str, Any]) -> None:
        """Give Serve a configuration, its engines replaced; returns before it runs."""
        for seat in self._folder.iterdir():
            seat.unlink()
        self._client.deploy_apps(ServeDeploySchema.model_validate(with_seats(config, ROOT, self._folder)))

    def delete(self) -> None:
        """End the application."""
        serve.delete("parley")

    def handle(self) -> DeploymentHandle[Any]:
        """Of the Caller."""
        return serve.get_app_handle("parley")

    def seats(self) -> list[Seat]:
        """Of the replicas that run now, with the names of nodes."""
        details = ray.get(self._client._controller.get_serve_instance_details.remote())
        application = details["applications"].get("parley", {"deployments": {}})
        replicas = [each for one in application["deployments"].values() for each in one["replicas"]]
        running = [each["pid"] for each in replicas if each["state"] == "RUNNING"]
        return [self._seat(pid) for pid in running if (self._folder / f"{pid}.json").exists()]

    def seated(self) -> Counter[tuple[str, str]]:
        """How many replicas of a deployment run on a node: ("Llm", "head") → 1."""
        return Counter((seat.deployment, seat.node_id) for seat in self.seats())

    def wait_for(
        self, condition: Callable[[Counter[tuple[str, str]]], bool], within_s: float
    ) -> Counter[tuple[str, str]]:
        """The seats as soon as they are so."""
        began_s = time.monotonic()
        while not condition(seated := self.seated()):
            assert time.monotonic() - began_s < within_s, f"after {within_s} s: {dict(seated)}"
            time.sleep(POLL_S)
        return seated

    def close(self) -> None:
        """End everything."""
        serve.shutdown()
        ray.shutdown()
        self._cluster.shutdown()

    def _seat(self, pid: int) -> Seat:
        seat = json.loads((self._folder / f"{pid}.json").read_text())
        return Seat(seat["deployment"], self._names[seat["node_id"]], tuple(seat["gpus"]), seat["visible"])

    @property
    def _client(self) -> Any:
        client = _get_global_client()
        assert client is not None
        return client
