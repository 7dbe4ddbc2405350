"""The server as `make run` starts it, and one Ray for graphs made for tests, with the switches of `serve_config.yaml`.

All on loopback, one graph at a time.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from serve_app.launch import environment
from tests.serve.launching import Launched
from tests.serve.processes import ROOT, free_port


@pytest.fixture(scope="session")
def serve_config() -> dict[str, Any]:
    """`serve_config.yaml` as it is shipped."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    return config


@pytest.fixture(scope="session")
def serve_url(serve_config: dict[str, Any]) -> Iterator[str]:
    """Start Ray and Serve; the base URL of its HTTP proxy."""
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _inherited(serve_config).items():
            patch.setenv(name, value)
        import ray
        from ray import serve

        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        serve.start(http_options={"host": "127.0.0.1", "port": port})
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()
    ray.shutdown()


def _inherited(serve_config: dict[str, Any]) -> dict[str, str]:
    """What Ray's processes have from this one's environment: one of their own would keep them from being started ahead,
    as the launcher has them started (`serve_app/launch.py`), which saves a fifth of their time.
    """
    controller = serve_config["controller_options"]["runtime_env"]["env_vars"]
    app = serve_config["applications"][0]["runtime_env"]["env_vars"]
    # Not its token: Ray has been imported here without.
    ahead = {name: value for name, value in environment({}).items() if name != "RAY_AUTH_MODE"}
    return {**ahead, **controller, **app, "RAY_prestart_worker_first_driver": "1", "PYTHONPATH": str(ROOT)}


class Graphs:
    """Runs one application at a time: those of other tests would take their share of the processor while idle.

    `RAY_FILES` in `tests/conftest.py` brings the files that use the same one together.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._name = ""
        self._handle: Any = None

    def run(self, name: str, build: Callable[[], Any], route: str | None) -> Any:
        """The handle of this application, once it is ready."""
        from ray import serve

        if name != self._name:
            self.delete()
            self._handle = serve.run(build(), name=name, route_prefix=route)
            self._name = name
        return self._handle

    def delete(self) -> None:
        """End the one that runs."""
        from ray import serve

        if self._name:
            name, self._name = self._name, ""
            serve.delete(name)


@pytest.fixture(scope="session")
def graphs(serve_url: str) -> Graphs:
    """For the fixtures that need an application."""
    return Graphs(serve_url)


@pytest.fixture(scope="session")
def shipped(serve_config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """What `make run` starts, with a port and a store of its own."""
    folder = tmp_path_factory.mktemp("shipped")
    config = json.loads(json.dumps(serve_config))
    config["http_options"]["port"] = free_port()
    config["applications"][0]["args"]["store"] = {"path": str(folder / "parley.db")}
    path = folder / "serve_config.yaml"
    path.write_text(yaml.safe_dump(config))
    launched = Launched(path)
    yield launched
    launched.kill()


@pytest.fixture
def parley(shipped: Launched) -> Launched:
    """The shipped server, ready."""
    shipped.start()
    return shipped


@pytest.fixture
def parley_url(parley: Launched) -> str:
    """Its address."""
    return parley.url
