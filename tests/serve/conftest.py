"""One Ray for all tests here, on loopback, with the switches of `serve_config.yaml`."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle


@pytest.fixture(scope="session")
def caller(serve_url: str) -> "DeploymentHandle[Any]":
    """A Caller with one Probe behind the sticky router, a crowd of three, and a pair that takes one call at a time and
    whose sessions may leave a full replica.
    """
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
    loose = sticky.model_copy(update={"request_router_kwargs": {"leave_when_full": True}})
    one_at_a_time = {**options, "max_ongoing_requests": 1}
    pair = serve.deployment(name="Pair", num_replicas=2, request_router_config=loose, **one_at_a_time)(Probe).bind()
    app = serve.deployment(name="Caller", **options)(Caller).bind(probe, crowd, pair)
    handle: DeploymentHandle[Any] = serve.run(app, name="probes", route_prefix=None)
    return handle
