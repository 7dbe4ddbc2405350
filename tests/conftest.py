"""What all tests share: the browser's tests are left out, in words, where there is no browser."""

import shutil
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.contract.kept_engine import close_kept
from tests.serving import parley_url, serve_config, serve_url

__all__ = ["parley_url", "serve_config", "serve_url"]

BROWSER_TESTS = Path(__file__).parent / "browser"
ENGINE_TESTS = Path(__file__).parent / "engines"
_LEFT_OUT = "Left out: the tests in tests/browser, because there is no Chromium (Debian: apt-get install chromium)."


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Engines with their real code are tested in their own environments, and only when asked for: make test-engines."""
    if collection_path != ENGINE_TESTS:
        return None
    asked = [Path(str(arg).partition("::")[0]).resolve() for arg in config.args]
    return None if any(path == ENGINE_TESTS or ENGINE_TESTS in path.parents for path in asked) else True


def _no_browser() -> bool:
    return not (shutil.which("chromium") or shutil.which("chromium-browser"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what needs a browser if there is none; bring the rest into order."""
    left_out = [item for item in items if item.get_closest_marker("browser")] if _no_browser() else []
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    """Ray first, since it takes longest; browsers last, when the cores are free of what only computes."""
    if _needs_ray(item.nodeid):
        return 0
    return 2 if item.get_closest_marker("browser") else 1


def _needs_ray(nodeid: str) -> bool:
    return nodeid.startswith(("tests/serve/", "tests/browser/test_page.py"))


class _FilesTogether(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped
    """One worker has Ray; the rest is spread file by file."""

    def _split_scope(self, nodeid: str) -> str:
        return "ray" if _needs_ray(nodeid) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Not xdist's `loadgroup`: with pytest 9.2 it finds no groups."""
    config.option.loadscopereorder = False
    return _FilesTogether(config, log)


def pytest_sessionfinish() -> None:
    """Heavy engines are started once for all tests."""
    close_kept()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out. With xdist only the workers know the items, so the arguments tell."""
    asked = [Path(str(arg).partition("::")[0]).resolve() for arg in config.args]
    concerned = any(path in (BROWSER_TESTS, *BROWSER_TESTS.parents) or BROWSER_TESTS in path.parents for path in asked)
    if concerned and _no_browser():
        terminalreporter.write_line(_LEFT_OUT, yellow=True, bold=True)
