"""Start the server: `python -m serve_app.launch [CONFIG]` is `serve run CONFIG` with the settings that only the
environment of its process can give, after a look whether it can work at all.
"""

import os
import socket
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml

DEFAULT_CONFIG: Final = "serve_config.yaml"

ENVIRONMENT: Final = {
    # Whoever reaches Ray's ports without the token (~/.ray/auth_token) could run code here.
    "RAY_AUTH_MODE": "token",
    # Ray would otherwise report its use to its makers.
    "RAY_USAGE_STATS_ENABLED": "0",
    # Two idle workers of 80 MB, of no use to replicas, which have an environment of their own.
    "RAY_prestart_worker_first_driver": "0",
    # Lines of replicas as they wrote them, without "(ServeReplica:parley:Gateway pid=…)".
    "RAY_DISABLE_WORKER_LOG_PREFIX": "1",
    "RAY_COLOR_PREFIX": "0",
}

_LONGEST_TMPDIR: Final = 40
"""Ray puts Unix sockets below it, whose paths may have 107 characters; it needs about 65 of its own."""


def environment(inherited: dict[str, str]) -> dict[str, str]:
    """The environment for `serve run`; what the user has set stays."""
    env = {**ENVIRONMENT, **inherited}
    if "RAY_TMPDIR" not in env and len(env.get("TMPDIR", "")) > _LONGEST_TMPDIR:
        env["RAY_TMPDIR"] = "/tmp"
    return env


def problem(config_path: Path) -> str:
    """What keeps this configuration from being served here, in words; empty if nothing is known to."""
    try:
        config: dict[str, Any] = yaml.safe_load(config_path.read_text())
    except OSError as error:
        return f"cannot read {config_path}: {error.strerror}"
    except yaml.YAMLError as error:
        return f"{config_path} is not YAML: {error}"
    http = config.get("http_options", {})
    address = (http.get("host", "0.0.0.0"), http.get("port", 8000))
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as probe:
        # As the proxy does: connections of a server just stopped may still be closing.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            return (
                f"cannot listen on {address[0]}:{address[1]}: {error.strerror}. Stop what uses it, "
                f"or choose another `port` under `http_options` in {config_path}"
            )
    return ""


def main() -> NoReturn:
    """Become `serve run`."""
    config_path = Path(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_CONFIG)
    if wrong := problem(config_path):
        sys.exit(f"Parley cannot start: {wrong}.")
    serve = Path(sys.executable).with_name("serve")
    os.execve(serve, [str(serve), "run", str(config_path)], environment(dict(os.environ)))


if __name__ == "__main__":
    main()
