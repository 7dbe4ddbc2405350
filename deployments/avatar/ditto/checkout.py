"""The user's own copy of antgroup/ditto-talkinghead, imported without letting it near the rest of the process.

Its package is called `core` and has no `__init__.py`: on `sys.path` it would mix with any other folder of that name.
So the path is left alone and the package is put together here, from one folder. Two of its modules are never imported:
`core.utils.blend`, which starts a C compiler on import, and `core.atomic_components.wav2feat`, which brings in librosa
to resample sound that has the right rate already.
"""

import importlib
import inspect
import sys
import types
from pathlib import Path
from typing import Any

from deployments.runtime.errors import ConfigError

_FILES = (
    "core/atomic_components/audio2motion.py",
    "core/atomic_components/condition_handler.py",
    "core/atomic_components/motion_stitch.py",
    "core/atomic_components/source2info.py",
    "core/aux_models/hubert_stream.py",
    "core/models/modules/__init__.py",
    "core/utils/get_mask.py",
    "core/utils/load_model.py",
)


class Checkout:
    """Raises ConfigError for a folder that is not a checkout, or when another `core` is loaded already."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        if not self._folder.is_dir():
            raise ConfigError(f"avatar engine 'ditto': there is no checkout at {folder}")
        missing = [name for name in _FILES if not (self._folder / name).is_file()]
        if missing:
            raise ConfigError(
                f"avatar engine 'ditto': {folder} is not a checkout of antgroup/ditto-talkinghead: "
                f"{', '.join(missing)} missing"
            )
        self._claim()

    def _claim(self) -> None:
        place = str(self._folder / "core")
        loaded = sys.modules.get("core")
        if loaded is not None:
            if list(getattr(loaded, "__path__", [])) == [place]:
                return
            raise ConfigError(
                "avatar engine 'ditto': another package called 'core' is loaded in this process; run it in its own"
            )
        package = types.ModuleType("core")
        # A plain list: a namespace package would look at sys.path again with each import.
        package.__path__ = [place]
        sys.modules["core"] = package

    def load(self, name: str) -> Any:
        """A module of `core`: `models.lmdm`, say. Raises ConfigError where it, or a package it needs, is missing."""
        try:
            return importlib.import_module(f"core.{name}")
        except ImportError as error:
            raise ConfigError(
                f"avatar engine 'ditto': {self._folder}/core/{name.replace('.', '/')} cannot be imported: {error}"
            ) from error

    def components(self) -> "Components":
        """What a session is made of. Raises ConfigError for a version that cannot stream."""
        motion = self.load("atomic_components.audio2motion").Audio2Motion
        _require(motion.setup, "overlap_v2", "online_mode", "sampling_timesteps", "smo_k_d")
        stitch = self.load("atomic_components.motion_stitch").MotionStitch
        _require(stitch.setup, "x_s_info", "d0", "is_image_flag", "delta_eye_arr")
        return Components(motion, self.load("atomic_components.condition_handler").ConditionHandler, stitch)


class Components:
    """Upstream's classes that keep a session's state."""

    def __init__(self, motion: Any, conditions: Any, stitch: Any) -> None:
        self.motion = motion
        self.conditions = conditions
        self.stitch = stitch


def _require(function: Any, *names: str) -> None:
    missing = set(names) - set(inspect.signature(function).parameters)
    if missing:
        raise ConfigError(
            f"avatar engine 'ditto': {function.__qualname__} of the checkout does not take "
            f"{', '.join(sorted(missing))}: it is too old to stream; take commit e9191cf or later"
        )
