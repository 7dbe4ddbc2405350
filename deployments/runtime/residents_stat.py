"""How a replica tells the routers which models it has. Rests on Serve's alpha routing stats."""

from collections.abc import Mapping
from typing import Any, Final

from ray import serve

RESIDENTS: Final = "parley_residents"
"""Key of the routing stats: names of models."""


def residents_in(stats: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The models that a replica has, as far as it has said so."""
    return tuple((stats or {}).get(RESIDENTS, ()))


def replica_name() -> str:
    """Serve's name of this replica. Raises RayServeException outside of one."""
    return serve.get_replica_context().replica_id.unique_id
