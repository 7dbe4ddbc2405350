"""The GPU budget of the configuration reaches an engine that has a use for it."""

import pytest
from pydantic import BaseModel

from configs.schema import EngineChoice
from deployments.runtime.budget import options_of, with_budget


class Budgeted(BaseModel):
    """As an engine that shares a GPU."""

    model: str
    gpu_memory_gib: float | None = None


@pytest.mark.parametrize("gpu_memory_gib", [None, 13.5])
def test_an_engine_with_the_field_gets_it(gpu_memory_gib: float | None) -> None:
    choice = EngineChoice(engine="any", options={"model": "m"}, gpu_memory_gib=gpu_memory_gib)
    config = Budgeted.model_validate(with_budget(Budgeted, choice))
    assert config == Budgeted(model="m", gpu_memory_gib=gpu_memory_gib)


@pytest.mark.parametrize("engine", ["fake", "not_there"])
def test_an_engine_without_it_is_not_bothered(engine: str) -> None:
    choice = EngineChoice(engine=engine, options={"script": ["hi"]}, gpu_memory_gib=3)
    assert options_of("asr", choice) == {"script": ["hi"]}
