"""What all tests share: the browser's tests are left out, in words, where there is no browser."""

import shutil
from pathlib import Path

import pytest

from tests.serving import parley_url, serve_config, serve_url

__all__ = ["parley_url", "serve_config", "serve_url"]

BROWSER_TESTS = Path(__file__).parent / "browser"
_LEFT_OUT = "Left out: the tests in tests/browser, because there is no Chromium (Debian: apt-get install chromium)."


def _no_browser() -> bool:
    return not (shutil.which("chromium") or shutil.which("chromium-browser"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what needs a browser if there is none."""
    if not _no_browser():
        return
    left_out = [item for item in items if item.get_closest_marker("browser")]
    items[:] = [item for item in items if item not in left_out]
    if left_out:
        config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out. With xdist only the workers know the items, so the arguments tell."""
    asked = [Path(str(arg).partition("::")[0]).resolve() for arg in config.args]
    concerned = any(path in (BROWSER_TESTS, *BROWSER_TESTS.parents) or BROWSER_TESTS in path.parents for path in asked)
    if concerned and _no_browser():
        terminalreporter.write_line(_LEFT_OUT, yellow=True, bold=True)
