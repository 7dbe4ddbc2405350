"""What all tests share: the browser's tests are left out, in words, where there is no browser."""

import functools
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from deployments.runtime.memory import keep_what_is_loaded, load_quickly
from tests import stalls
from tests.contract.kept_engine import close_kept
from tests.serving import graphs, parley, parley_url, serve_config, serve_url, shipped

__all__ = ["graphs", "parley", "parley_url", "serve_config", "serve_url", "shipped"]

# The same examples every time. Others: pytest --hypothesis-profile default
settings.register_profile("same", derandomize=True)
settings.load_profile("same")

RAY_FILES = (
    "tests/serve/test_coming_back.py",
    "tests/serve/test_realtime_clients.py",
    "tests/serve/test_spoken_conversation.py",
    "tests/browser/test_page.py",
    "tests/serve/test_launch.py",  # ends what these four use
    "tests/serve/test_calls.py",
    "tests/serve/test_router.py",
    "tests/serve/test_clips.py",
    "tests/serve/test_graph.py",
    "tests/serve/test_stopping.py",
)
"""In the order in which each application is started once."""
BROWSER_TESTS = Path(__file__).parent / "browser"
ENGINE_TESTS = Path(__file__).parent / "engines"
CLUSTER_TESTS = Path(__file__).parent / "cluster"
_LEFT_OUT = "Left out: the tests in tests/browser, because there is no Chromium (Debian: apt-get install chromium)."


def pytest_configure() -> None:
    """Collecting makes much that stays, and nothing to be thrown away."""
    load_quickly()


def pytest_collection_finish() -> None:
    keep_what_is_loaded()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Only when asked for: engines with their real code, in their own environments (make test-engines), and clusters of
    fake nodes, which take minutes and a Ray of their own (make test-cluster).
    """
    if collection_path not in (ENGINE_TESTS, CLUSTER_TESTS):
        return None
    asked = [Path(str(arg).partition("::")[0]).resolve() for arg in config.args]
    return None if any(path == collection_path or collection_path in path.parents for path in asked) else True


def _no_browser() -> bool:
    return not (shutil.which("chromium") or shutil.which("chromium-browser"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what needs a browser if there is none; begin with what takes longest."""
    left_out = [item for item in items if item.get_closest_marker("browser")] if _no_browser() else []
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    items.sort(key=_place)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Tests that look at the clock go by `stalls.run`."""
    if not _looks_at_the_clock(item.nodeid):
        return None
    stalls.run(item, nextitem, _watch())
    return True


@functools.cache
def _watch() -> stalls.Watch:
    return stalls.Watch()


def _looks_at_the_clock(nodeid: str) -> bool:
    return _needs_ray(nodeid) or nodeid.startswith("tests/browser/")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logstart(nodeid: str) -> None:
    """What only computes lets those go first that look at the clock.

    A process may make itself less urgent, not more: a worker comes to what only computes last.
    """
    if "PYTEST_XDIST_WORKER" in os.environ and not _looks_at_the_clock(nodeid):
        os.nice(max(0, 10 - os.nice(0)))


def _place(item: pytest.Item) -> tuple[int, int]:
    """Ray, the browsers, then what only computes."""
    if _needs_ray(item.nodeid):
        return 0, RAY_FILES.index(item.nodeid.partition("::")[0])
    return (1 if item.get_closest_marker("browser") else 2), 0


def _needs_ray(nodeid: str) -> bool:
    return nodeid.partition("::")[0] in RAY_FILES


class _FilesTogether(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped
    """One worker has Ray, one the browsers, which mostly wait; the rest is spread file by file."""

    def _split_scope(self, nodeid: str) -> str:
        if _needs_ray(nodeid):
            return "ray"
        return "browser" if nodeid.startswith("tests/browser/") else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Not xdist's `loadgroup`: with pytest 9.2 it finds no groups."""
    config.option.loadscopereorder = False
    return _FilesTogether(config, log)


def pytest_sessionfinish() -> None:
    """Heavy engines are started once for all tests."""
    close_kept()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was run again and what was left out. With xdist only workers know the items, so the arguments tell."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, what in getattr(report, "user_properties", ()):
                if name == stalls.RAN_AGAIN:
                    terminalreporter.write_line(f"Run again: {what}", yellow=True)
    asked = [Path(str(arg).partition("::")[0]).resolve() for arg in config.args]
    concerned = any(path in (BROWSER_TESTS, *BROWSER_TESTS.parents) or BROWSER_TESTS in path.parents for path in asked)
    if concerned and _no_browser():
        terminalreporter.write_line(_LEFT_OUT, yellow=True, bold=True)
