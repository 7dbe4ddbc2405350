"""The GPU budget of the configuration reaches an engine that has a use for it."""

import pytest
from pydantic import BaseModel

from deployments.asr.engines import fake
from deployments.runtime.engines import load_engine, with_budget


class Budgeted(BaseModel):
    """As an engine that shares a GPU."""

    model: str
    gpu_memory_gib: float | None = None


@pytest.mark.parametrize("gpu_memory_gib", [None, 13.5])
def test_an_engine_with_the_field_gets_it(gpu_memory_gib: float | None) -> None:
    config = Budgeted.model_validate(with_budget(Budgeted, {"model": "m"}, gpu_memory_gib))
    assert config == Budgeted(model="m", gpu_memory_gib=gpu_memory_gib)


def test_an_engine_without_it_is_not_bothered() -> None:
    assert isinstance(load_engine("asr", "fake", {}, gpu_memory_gib=3), fake.Engine)
