"""One Ray for all tests here, on loopback, with the switches of `serve_config.yaml`."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.serve.processes import ROOT, free_port

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle


@pytest.fixture(scope="session")
def serve_config() -> dict[str, Any]:
    """`serve_config.yaml` as it is shipped."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    return config


@pytest.fixture(scope="session")
def serve_url(serve_config: dict[str, Any]) -> Iterator[str]:
    """Start Ray and Serve; the base URL of its HTTP proxy."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray import serve

    paths = {"PYTHONPATH": str(ROOT)}
    app_env = serve_config["applications"][0]["runtime_env"]["env_vars"]
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {**app_env, **paths}})
    port = free_port()
    controller_env = serve_config["controller_options"]["runtime_env"]["env_vars"]
    serve.start(
        http_options={"host": "127.0.0.1", "port": port},
        controller_options={"runtime_env": {"env_vars": {**controller_env, **paths}}},
    )
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()
    ray.shutdown()


@pytest.fixture(scope="session")
def caller(serve_url: str) -> "DeploymentHandle[Any]":
    """A Caller with one Probe behind the sticky router, and a crowd of three."""
    from ray import serve
    from ray.serve.config import RequestRouterConfig

    from tests.serve.probe import Caller, Probe

    options: dict[str, Any] = {
        "ray_actor_options": {"num_cpus": 0},
        "max_ongoing_requests": 100,
        "graceful_shutdown_wait_loop_s": 0.1,
        "graceful_shutdown_timeout_s": 2.0,
    }
    sticky = RequestRouterConfig.model_validate({"request_router_class": "deployments.runtime.router:StickyRouter"})
    probe = serve.deployment(name="Probe", request_router_config=sticky, **options)(Probe).bind()
    crowd = serve.deployment(name="Crowd", num_replicas=3, request_router_config=sticky, **options)(Probe).bind()
    app = serve.deployment(name="Caller", **options)(Caller).bind(probe, crowd)
    handle: DeploymentHandle[Any] = serve.run(app, name="probes", route_prefix=None)
    return handle
