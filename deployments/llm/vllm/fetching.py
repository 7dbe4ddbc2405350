"""Fetches a model from the Hugging Face hub ahead of the start, file by file."""

from collections.abc import Callable
from typing import Final

from deployments.llm.vllm.loading import extra_here
from deployments.runtime.errors import ConfigError

Progress = Callable[[str, int, int | None], None]
"""What is fetched, for people; how many bytes of it are here; how many there are, None where that is not known."""

_LEFT_OUT: Final = (".bin", ".pth", ".pt", ".gguf", ".onnx", ".h5", ".msgpack")
"""The same weights once more, where there are safetensors."""


def fetch_model(name: str, progress: Progress) -> None:
    """Fetch what is not in the hub's cache yet. Blocks. Raises ConfigError, saying what to do."""
    try:
        from huggingface_hub import HfApi, hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
    except ImportError as error:
        raise ConfigError(f"huggingface_hub is not installed here: make env ENGINE={extra_here()}") from error
    try:
        files = HfApi().model_info(name, files_metadata=True).siblings or []
    except RepositoryNotFoundError as error:
        raise ConfigError(f"the hub has no model {name}; a private one needs HF_TOKEN", param="model") from error
    except (OSError, HfHubHTTPError) as error:
        raise ConfigError(f"the hub cannot be asked for {name}: {error}; or name a folder that has it") from error
    safe = any(file.rfilename.endswith(".safetensors") for file in files)
    wanted = [file for file in files if not (safe and file.rfilename.endswith(_LEFT_OUT))]
    total, here = sum(file.size or 0 for file in wanted), 0
    for file in wanted:
        progress(name, here, total)
        hf_hub_download(name, file.rfilename)
        here += file.size or 0
    progress(name, here, total)
