"""How an engine with several models keeps them in memory: a field of its `Config`."""

from pydantic import BaseModel, ConfigDict, Field


class ResidencyConfig(BaseModel):
    """Which models are loaded at the start, how much memory they may take together, and when one has to go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: str = ""
    """Taken by requests that name no model; loaded at the start. Empty: the engine's first."""
    preload: tuple[str, ...] = ()
    """Loaded at the start too. These and the default are not unloaded for being idle, and last when room is needed."""
    budget_gib: float | None = Field(default=None, gt=0)
    """For all models of a replica together. None: no bound."""
    idle_s: float | None = Field(default=900, gt=0)
    """A model that nobody has used for so long is unloaded. None: never."""
    max_loads: int = Field(default=1, ge=1)
    """Models that are loaded at the same time."""
    max_waiting: int = Field(default=64, ge=1)
    """Requests that wait for a model; the one beyond is refused."""
    retry_s: float = Field(default=30, ge=0)
    """After a load that failed, requests for the model fail at once for so long."""
