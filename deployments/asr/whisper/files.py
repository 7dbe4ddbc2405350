"""A model's files: in a folder of the user's, or in the cache by the name of a published model."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from deployments.runtime.errors import ConfigError

REQUIRED: Final = ("config.json", "model.bin", "tokenizer.json")
VOCABULARIES: Final = ("vocabulary.json", "vocabulary.txt")
"""One of them: older conversions wrote the second."""
POLL_S: Final = 0.5
"""How often the progress of a download is told."""
EXTRA: Final = "faster-whisper"


def is_folder(model: str) -> bool:
    """Whether `model` is meant as a folder, not as a name such as `base` or `Systran/faster-whisper-base`."""
    return Path(model).expanduser().is_dir() or model.startswith(("/", "./", "../", "~"))


def locate(model: str, cache: Path, *, download: bool) -> Path:
    """The folder of a model, fetched if it is not here and `download` allows it. Blocks.

    Raises ConfigError, saying what to do, for a folder that lacks a file and a model that cannot be had.
    """
    if is_folder(model):
        folder = Path(model).expanduser()
        check(folder)
        return folder
    cached = _cached(model, cache)
    if cached is not None and not missing_files(cached):
        return cached
    if not download:
        raise ConfigError(_not_here(model, cache, "and download is off"))
    try:
        folder = _fetch(model, cache, local_files_only=False)
    except ConfigError:
        raise
    except Exception as error:  # the hub's library has an error of its own for each reason
        raise ConfigError(_not_here(model, cache, f"and could not be fetched ({type(error).__name__})")) from error
    check(folder)
    return folder


def _cached(model: str, cache: Path) -> Path | None:
    """Where the cache has it; some files may be missing after a download that was broken off."""
    try:
        return _fetch(model, cache, local_files_only=True)
    except ConfigError:
        raise
    except (OSError, ValueError):  # the base classes of the hub's errors
        return None


def missing_files(folder: Path) -> list[str]:
    """What a model's folder lacks."""
    missing = [name for name in REQUIRED if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in VOCABULARIES):
        missing.append(" or ".join(VOCABULARIES))
    return missing


def check(folder: Path) -> None:
    """Raises ConfigError naming the files that a model's folder lacks."""
    if not folder.is_dir():
        raise ConfigError(f"asr engine 'faster_whisper': there is no folder {folder}")
    if missing := missing_files(folder):
        raise ConfigError(
            f"asr engine 'faster_whisper': {folder} lacks {', '.join(missing)}. It must hold a Whisper model in "
            "CTranslate2's form (ct2-transformers-converter --copy_files tokenizer.json preprocessor_config.json)"
        )


async def download(model: str, cache: Path, progress: Callable[[str, int, int | None], None]) -> None:
    """Fetch a model by name into the cache, telling its bytes. Of a folder the files are checked."""
    fetching = asyncio.create_task(asyncio.to_thread(locate, model, cache, download=True))
    while not fetching.done():
        await asyncio.wait([fetching], timeout=POLL_S)
        if not is_folder(model):
            progress(f"Whisper {model}", await asyncio.to_thread(_bytes, cache, model), None)
    await fetching


def _fetch(model: str, cache: Path, *, local_files_only: bool) -> Path:
    utils = import_part("faster_whisper.utils")
    if "/" not in model and model not in utils.available_models():
        raise ConfigError(
            f"asr engine 'faster_whisper': no model is called {model!r}; there are: "
            f"{', '.join(utils.available_models())}. Or give the path of a folder"
        )
    folder: str = utils.download_model(model, local_files_only=local_files_only, cache_dir=str(cache))
    return Path(folder)


def _bytes(cache: Path, model: str) -> int:
    """On disk by now of the cache's folder for the model, parts of files included."""
    name = str(import_part("faster_whisper.utils")._MODELS.get(model, model))
    folder = cache / f"models--{name.replace('/', '--')}"
    files = [Path(root) / file for root, _, names in os.walk(folder) for file in names]
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())


def _not_here(model: str, cache: Path, reason: str) -> str:
    return (
        f"asr engine 'faster_whisper': the model {model!r} is not in {cache} {reason}. Fetch it where there is a "
        "network with: make models CONFIG=<your configuration>, or copy its folder here and name that as the model"
    )


def import_part(name: str) -> Any:
    """A module of the extra. Raises ConfigError naming the missing package and how to get it."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = (error.name or name).partition(".")[0]
        raise ConfigError(
            f"asr engine 'faster_whisper': the package {package!r} is not installed here; get it with: "
            f"make env ENGINE={EXTRA}"
        ) from error
