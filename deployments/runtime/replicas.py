"""Why nobody answers for a deployment: what Serve's controller knows of its replicas."""

from ray import serve
from ray.exceptions import RayError
from ray.serve._private.common import ReplicaState
from ray.serve.schema import DeploymentStatusOverview


def why_no_replica(app: str, deployment: str) -> str:
    """Why no replica of a deployment runs, in words for the operator; empty if one does, or nothing is known.

    Call it off the loop: it asks the controller.
    """
    try:
        applications = serve.status().applications
    except RayError:
        return ""
    found = applications[app].deployments.get(deployment) if app in applications else None
    return "" if found is None else in_words(found)


def in_words(overview: DeploymentStatusOverview) -> str:
    """As `why_no_replica`, of one deployment."""
    if overview.replica_states.get(ReplicaState.RUNNING):
        return ""
    starting = overview.replica_states.get(ReplicaState.STARTING, 0)
    state = f"{starting} starting" if starting else "none starting"
    return f"no replica runs, {state}" + (f"; Serve says: {overview.message}" if overview.message else "")
