"""Engines by name, and the words for what they lack."""

import importlib

import pytest

from deployments.runtime.engines import STAGES, engine_names, extra_of, load_engine, missing_package
from deployments.runtime.errors import ConfigError


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_read_from_the_source_is_what_the_module_says(stage: str) -> None:
    for name in engine_names(stage):
        module = importlib.import_module(f"deployments.{stage}.engines.{name}")
        assert extra_of(stage, name) == getattr(module, "EXTRA", "")


def test_an_engine_with_an_extra_is_known_by_it() -> None:
    assert extra_of("avatar", "ditto") == "ditto"
    assert extra_of("llm", "rules") == ""
    assert extra_of("llm", "no_such_engine") == ""


def _error_of(statement: str) -> ImportError:
    with pytest.raises(ImportError) as raised:
        exec(statement)
    return raised.value


def test_a_missing_package_is_named_with_the_way_to_get_it() -> None:
    error = missing_package(_error_of("import no_such_package.part"), "xtts")
    assert str(error) == "the package 'no_such_package' is not installed here; get it with: make env ENGINE=xtts"


def test_a_package_that_does_not_fit_is_told_with_its_own_words() -> None:
    error = missing_package(_error_of("from json import no_such_name"), "vllm")
    assert "cannot import 'json': cannot import name 'no_such_name'" in str(error)
    way = "make env ENGINE=vllm or, without a GPU, make env ENGINE=vllm-cpu"
    assert str(error).endswith(f"prepare its environment anew with: {way}")


def test_an_unknown_engine_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"llm has no engine 'rulez'; there are: .*rules"):
        load_engine("llm", "rulez", {})


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(ConfigError, match="tts engine 'espeak': no_such_option: Extra inputs are not permitted"):
        load_engine("tts", "espeak", {"no_such_option": 1})
