"""A cluster of fake nodes with fake GPUs on this machine, with Serve on it."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.fake_cluster import FakeCluster

SHORT_ENOUGH = "/tmp"
"""Ray puts Unix sockets below its directory, whose paths may have 107 characters."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeCluster]:
    """The head only: two GPUs, and the label of a front. Its own directory keeps other Rays from finding it."""
    directory = Path(tempfile.mkdtemp(prefix="parley-", dir=SHORT_ENOUGH))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", str(directory))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # On a loaded machine a node's agent takes longer than the 15 s that are allowed.
        patch.setenv("RAY_agent_register_timeout_ms", "100000")
        # A node that died is missed after 5 s instead of 15.
        patch.setenv("RAY_health_check_period_ms", "1000")
        try:
            running = FakeCluster(tmp_path_factory.mktemp("seats"))
            yield running
            running.close()
        finally:
            shutil.rmtree(directory, ignore_errors=True)
