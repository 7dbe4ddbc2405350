"""Engines with their real code, each in its own environment: `make test-engines`. Left out of `make test`."""

import os
from pathlib import Path

import pytest

from deployments.avatar.ditto.checkout import Checkout
from tests.engines.ditto_models import Checkpoint, make_checkpoint

CHECKOUT_VARIABLE = "PARLEY_DITTO_CHECKOUT"


def _checkout() -> Path | None:
    named = os.environ.get(CHECKOUT_VARIABLE)
    return Path(named) if named else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect, and say so at the end, what needs a checkout if none is named."""
    for item in items:
        # The checkout's code and torch warn of each other's versions; that is not ours to mend.
        item.add_marker(pytest.mark.filterwarnings("default:::"))
    if _checkout() is not None:
        return
    left_out = [item for item in items if "checkout" in getattr(item, "fixturenames", ())]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
    config.stash[_LEFT_OUT] = len(left_out)


_LEFT_OUT: pytest.StashKey[int] = pytest.StashKey()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out, and why."""
    left_out = config.stash.get(_LEFT_OUT, 0)
    if left_out:
        terminalreporter.write_line(
            f"Left out: {left_out} tests of ditto, because {CHECKOUT_VARIABLE} does not name a clone of "
            "antgroup/ditto-talkinghead.",
            yellow=True,
            bold=True,
        )


@pytest.fixture(scope="session")
def checkout() -> Checkout:
    """The user's own, imported as the engine does it."""
    folder = _checkout()
    assert folder is not None
    return Checkout(folder)


@pytest.fixture(scope="session")
def checkpoint(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Small random weights for it."""
    folder = _checkout()
    assert folder is not None
    return make_checkpoint(checkout, folder, tmp_path_factory.mktemp("ditto"))
