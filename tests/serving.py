"""One Ray for all tests that need one, on loopback, with the switches of `serve_config.yaml`, and Parley on it."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.serve.processes import ROOT, free_port


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
def parley_url(serve_url: str, serve_config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Parley as `serve_config.yaml` ships it, with a store of its own; its base URL once every stage is ready."""
    from ray import serve

    from configs.schema import AppConfig
    from serve_app.app import build_app

    store = {"path": str(tmp_path_factory.mktemp("store") / "parley.db")}
    args = AppConfig.model_validate({**serve_config["applications"][0]["args"], "store": store})
    serve.run(build_app(args), name="parley", route_prefix="/")
    return serve_url
