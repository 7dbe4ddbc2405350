"""Why nobody answers for a deployment."""

import pytest
from ray.serve._private.common import DeploymentStatus, DeploymentStatusTrigger, ReplicaState
from ray.serve.schema import DeploymentStatusOverview

from deployments.runtime.replicas import in_words


def overview(message: str = "", **replicas: int) -> DeploymentStatusOverview:
    return DeploymentStatusOverview(
        status=DeploymentStatus.UPDATING,
        status_trigger=DeploymentStatusTrigger.CONFIG_UPDATE_STARTED,
        replica_states={ReplicaState(state): count for state, count in replicas.items()},
        message=message,
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (overview(RUNNING=1), ""),
        (overview("1 replica is late", RUNNING=1, STARTING=1), ""),
        (overview(), "no replica runs, none starting"),
        (overview(STARTING=2), "no replica runs, 2 starting"),
        (
            overview('Resources required for each replica: {"GPU": 0.5}', STARTING=1),
            'no replica runs, 1 starting; Serve says: Resources required for each replica: {"GPU": 0.5}',
        ),
    ],
)
def test_it_says_what_serve_knows(found: DeploymentStatusOverview, said: str) -> None:
    assert in_words(found) == said
