"""What a folder of a model must hold, so that a file that is missing is named before anything heavy starts."""

import json
from pathlib import Path

from deployments.runtime.errors import ConfigError

WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.gguf")
INDEX = "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "tekken.json", "vocab.json")


def check_model(model: str) -> bool:
    """Look into a model that is a folder, and say whether it is one: a name of the hub passes. Raises ConfigError."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if model.startswith(("/", ".", "~")) or model.count("/") > 1:
            raise ConfigError(f"llm engine 'vllm': there is no folder {model}", param="model")
        return False
    missing = _missing(folder)
    if missing:
        raise ConfigError(f"llm engine 'vllm': {folder} lacks {', '.join(missing)}: fetch it again", param="model")
    return True


def check_adapter(name: str, folder: Path) -> None:
    """Look into the folder of a LoRA adapter. Raises ConfigError."""
    missing = [] if (folder / "adapter_config.json").is_file() else ["adapter_config.json"]
    if not any(folder.glob("adapter_model.*")):
        missing.append("adapter_model.safetensors")
    if missing:
        raise ConfigError(f"llm engine 'vllm': adapter {name!r}: {folder} lacks {', '.join(missing)}", param="adapters")


def _missing(folder: Path) -> list[str]:
    missing = [] if (folder / "config.json").is_file() else ["config.json"]
    if not any((folder / name).is_file() for name in TOKENIZERS):
        missing.append("tokenizer.json")
    index = folder / INDEX
    if index.is_file():
        return missing + sorted(name for name in _shards(index) if not (folder / name).is_file())
    if not any(any(folder.glob(pattern)) for pattern in WEIGHTS):
        missing.append("model.safetensors")
    return missing


def _shards(index: Path) -> set[str]:
    try:
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ConfigError(f"llm engine 'vllm': {index} is damaged: {error}", param="model") from error
