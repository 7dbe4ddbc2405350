"""What Serve itself calls, by the names that `serve_config.yaml` gives it."""

from deployments.runtime.draining import proxies_leave_last
from deployments.runtime.logs import warnings_to_terminal


def in_controller() -> None:
    """RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH: called by the controller before it does anything."""
    proxies_leave_last()
    warnings_to_terminal()
