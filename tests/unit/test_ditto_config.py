import asyncio
import pickle
import sys
import types
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.avatar.ditto.checkout import Checkout
from deployments.avatar.ditto.settings import read_settings
from deployments.avatar.engines.ditto import Config, Engine
from deployments.runtime.engines import load_engine
from deployments.runtime.errors import ConfigError
from tests.unit.ditto_stand_in import StandIn, configuration, png, released, stand_in


@pytest.fixture(autouse=True)
def _released() -> Generator[None]:
    with released():
        yield


@pytest.fixture
def ditto(tmp_path: Path) -> StandIn:
    return stand_in(tmp_path)


def options(ditto: StandIn, **more: Any) -> dict[str, Any]:
    return {"checkout": ditto.checkout, "weights": ditto.weights, "cfg_pkl": ditto.cfg_pkl, **more}


def test_settings_have_whole_paths_and_one_device(ditto: StandIn) -> None:
    settings = read_settings(ditto.cfg_pkl, ditto.weights, "cpu")
    assert settings.networks["lmdm_cfg"] == {
        "model_path": str(ditto.weights / "lmdm.pth"),
        "device": "cpu",
        "motion_feat_dim": 265,
        "audio_feat_dim": 1103,
        "seq_frames": 80,
    }
    assert all(section["device"] == "cpu" for section in settings.detectors.values())
    assert len(settings.files) == 11
    assert len(settings.identity_files) == 6
    np.testing.assert_array_equal(settings.defaults["v_min_max_for_clip"][0], np.zeros(265))


class _Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path.touch, (Path("/tmp/this-must-not-run"),)  # type: ignore[return-value]


def test_a_pickle_that_would_run_something_is_refused(ditto: StandIn) -> None:
    ditto.write({**configuration(), "default_kwargs": _Evil()})
    with pytest.raises(ConfigError, match="is refused: it wants to load"):
        read_settings(ditto.cfg_pkl, ditto.weights, "cpu")


@pytest.mark.parametrize("data", [b"", b"not a pickle", pickle.dumps(configuration())[:400]])
def test_a_broken_pickle_is_refused(ditto: StandIn, data: bytes) -> None:
    ditto.cfg_pkl.write_bytes(data)
    with pytest.raises(ConfigError, match="is not a pickle"):
        read_settings(ditto.cfg_pkl, ditto.weights, "cpu")


@pytest.mark.parametrize("other", [[], {}, {"base_cfg": {}, "audio2motion_cfg": {}, "default_kwargs": {}}, "text", 3])
def test_another_pickle_is_refused(ditto: StandIn, other: Any) -> None:
    ditto.write(other)
    with pytest.raises(ConfigError, match="not a Ditto configuration"):
        read_settings(ditto.cfg_pkl, ditto.weights, "cpu")


@pytest.mark.parametrize(("name", "value", "says"), [("w2f_type", "wavlm", "wavlm"), ("seq_frames", 100, "100 frames")])
def test_a_model_that_this_engine_cannot_stream_is_refused(ditto: StandIn, name: str, value: Any, says: str) -> None:
    changed = configuration()
    changed["audio2motion_cfg"][name] = value
    ditto.write(changed)
    with pytest.raises(ConfigError, match=says):
        read_settings(ditto.cfg_pkl, ditto.weights, "cpu")


def test_missing_weights_are_named(ditto: StandIn) -> None:
    (ditto.weights / "decoder.pth").unlink()
    (ditto.weights / "task.pth").unlink()
    with pytest.raises(ConfigError, match=r"decoder\.pth.*task\.pth"):
        read_settings(ditto.cfg_pkl, ditto.weights, "cpu")


def test_a_folder_that_is_no_checkout_is_refused(ditto: StandIn, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no checkout at"):
        Checkout(tmp_path / "nowhere")
    (ditto.checkout / "core" / "utils" / "load_model.py").unlink()
    with pytest.raises(ConfigError, match=r"core/utils/load_model\.py missing"):
        Checkout(ditto.checkout)


def test_the_checkout_stays_out_of_the_search_path(ditto: StandIn) -> None:
    before = list(sys.path)
    checkout = Checkout(ditto.checkout)
    assert checkout.components().motion.__name__ == "Audio2Motion"
    assert sys.path == before
    assert "core.atomic_components.source2info" not in sys.modules
    assert Checkout(ditto.checkout).components().motion is checkout.components().motion


def test_another_package_of_that_name_is_not_touched(ditto: StandIn) -> None:
    other = types.ModuleType("core")
    sys.modules["core"] = other
    with pytest.raises(ConfigError, match="another package called 'core'"):
        Checkout(ditto.checkout)
    assert sys.modules["core"] is other


def test_a_package_that_the_checkout_needs_is_named(ditto: StandIn) -> None:
    (ditto.checkout / "core" / "utils" / "get_mask.py").write_text("import a_package_nobody_has")
    with pytest.raises(ConfigError, match="a_package_nobody_has"):
        Checkout(ditto.checkout).load("utils.get_mask")


def test_a_checkout_that_is_too_old_to_stream_is_refused(ditto: StandIn) -> None:
    old = "class Audio2Motion:\n    def setup(self, x_s_info, overlap_v2, sampling_timesteps, smo_k_d): ...\n"
    (ditto.checkout / "core" / "atomic_components" / "audio2motion.py").write_text(old)
    with pytest.raises(ConfigError, match="does not take online_mode"):
        Checkout(ditto.checkout).components()


@pytest.mark.parametrize("overlap", [10, 39, 69, 76, 80])
def test_overlaps_outside_70_to_75_are_refused(ditto: StandIn, overlap: int) -> None:
    with pytest.raises(ConfigError, match="overlap_v2"):
        load_engine("avatar", "ditto", options(ditto, overlap_v2=overlap))


def test_paths_must_be_given() -> None:
    with pytest.raises(ConfigError, match=r"checkout.*weights.*cfg_pkl"):
        load_engine("avatar", "ditto", {})


def test_start_names_a_picture_that_is_missing(ditto: StandIn) -> None:
    async def main() -> None:
        engine = Engine(Config(**options(ditto)))
        try:
            with pytest.raises(ConfigError, match=r"example/image\.png"):
                await engine.start()
        finally:
            await engine.close()
            await engine.close()

    asyncio.run(main())


def test_start_says_that_torch_is_missing_or_the_weights_are_wrong(ditto: StandIn) -> None:
    """Without torch it says so; with it, that the stand-in's empty modules load nothing."""
    picture = ditto.weights / "face.png"
    picture.write_bytes(png(100))

    async def main() -> None:
        engine = Engine(
            Config(**options(ditto, avatars={"face": picture}, device="cpu", cache=ditto.weights / "cache"))
        )
        try:
            with pytest.raises(ConfigError, match=r"'torch' is not installed|cannot be loaded"):
                await engine.start()
        finally:
            await engine.close()

    asyncio.run(main())


def test_what_is_asked_ahead_follows_the_overlap(ditto: StandIn) -> None:
    assert Engine(Config(**options(ditto))).ahead_ms == 685.0
    assert Engine(Config(**options(ditto, overlap_v2=75))).ahead_ms == 285.0
