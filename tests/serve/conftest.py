"""What the tests on the one Ray share: processes that start slowly."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.serving import Graphs

SCRIPTED = "scripted"
"""Name and route of the graph with scripted engines."""

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle


@pytest.fixture
def caller(graphs: Graphs) -> "DeploymentHandle[Any]":
    """A Caller with one Probe behind the sticky router, a crowd of three, and a pair that takes one call at a time and
    whose sessions may leave a full replica.
    """
    handle: DeploymentHandle[Any] = graphs.run("probes", _probes, None)
    return handle


def _probes() -> Any:
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
    return serve.deployment(name="Caller", **options)(Caller).bind(probe, crowd, pair)


@pytest.fixture
def scripted_url(graphs: Graphs, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The graph of `build_app` with scripted engines; its voice is not much faster than real time."""
    graphs.run(SCRIPTED, lambda: _scripted(tmp_path_factory.mktemp("store") / "parley.db"), f"/{SCRIPTED}")
    return f"{graphs.url}/{SCRIPTED}"


def _scripted(store: Path) -> Any:
    from configs.schema import AppConfig
    from serve_app.app import build_app

    config = AppConfig.model_validate(
        {
            "asr": {"engine": "fake", "options": {"script": ["what time is it"]}},
            "llm": {"engine": "fake", "options": {"replies": ["It is noon. Every clock says so."]}},
            "tts": {"engine": "fake", "options": {"block_delay_ms": 150}},
            "avatar": {
                "engine": "fake",
                "options": {
                    "avatars": ["pattern", "torn"],
                    "failing_avatar": "torn",
                    "fail_at": "render",
                    "fail_at_block": 12,
                },
            },
            "store": {"path": str(store)},
        }
    )
    return build_app(config)
