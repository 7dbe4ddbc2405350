"""The machines that a configuration is made for: start-up adds up against them, and Kubernetes is asked for them."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$", max_length=63)]
"""The value of a label, as Ray and Kubernetes take it."""


class NodeGroup(BaseModel):
    """Machines that are alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=40)
    """On Kubernetes the name of the worker group; the first group of all is the head."""
    count: int = Field(default=1, ge=1, le=1000)
    """How many of them run at all times."""
    max_count: int | None = Field(default=None, ge=1, le=1000)
    """How many the cluster's autoscaler may add up to; None: `count`."""
    cpus: int = Field(default=4, ge=1)
    """Processor cores of one."""
    memory_gib: float = Field(default=16, gt=0)
    """Main memory of one."""
    gpus: int = Field(default=0, ge=0, le=16)
    """GPUs of one."""
    gpu_memory_gib: float | None = Field(default=None, gt=0)
    """Memory of each GPU as `nvidia-smi` reports it, in GiB: less than what it is sold as."""
    labels: dict[str, Label] = {}
    """Ray's labels of its nodes, which a deployment's `label_selector` names."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.gpus and self.gpu_memory_gib is None:
            raise ValueError("nodes with `gpus` need `gpu_memory_gib`")
        if self.max_count is not None and self.max_count < self.count:
            raise ValueError(f"max_count is {self.max_count}, below count, which is {self.count}")
        return self

    @property
    def most(self) -> int:
        """How many there may be."""
        return self.max_count or self.count


class HardwareConfig(BaseModel):
    """All machines, the one with the head of the cluster first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nodes: tuple[NodeGroup, ...] = ()
    """Empty: one machine, with the GPUs that are found when it starts."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [group.name for group in self.nodes]
        if len(set(names)) < len(names):
            raise ValueError(f"two groups of nodes have the same name: {', '.join(names)}")
        if self.nodes and self.nodes[0].most > 1:
            raise ValueError(f"the first group, {self.nodes[0].name!r}, is the head: one node")
        return self
