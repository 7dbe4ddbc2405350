"""Assistants as data: what a conversation begins with, by name. Each is a file, `configs/assistants/<name>.yaml`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from configs.session import SessionConfig

SHIPPED = Path(__file__).parent / "assistants"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Assistant(BaseModel):
    """What is left out is as in the Gateway's `user_config`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instructions: str | None = Field(default=None, max_length=50_000)
    voice: str | None = Field(default=None, max_length=64)
    language: str | None = Field(default=None, max_length=16)
    """ISO 639-1 code of what it speaks and hears."""
    greeting: str | None = Field(default=None, max_length=2000)
    tools: tuple[str, ...] | None = None
    """Names of the server's functions that it has; None: those of the `user_config`."""
    lexicon: dict[str, str] = Field(default={}, max_length=1000)
    """Added to that of the `user_config`."""

    def applied(self, config: SessionConfig) -> SessionConfig:
        """The configuration of a session with it."""
        fields = {"instructions", "voice", "language", "greeting"}
        update: dict[str, Any] = self.model_dump(include=fields, exclude_none=True)
        if self.tools is not None:
            update["tools"] = config.tools.model_copy(update={"server": self.tools})
        if self.lexicon:
            lexicon = {**config.speakable.lexicon, **self.lexicon}
            update["speakable"] = config.speakable.model_copy(update={"lexicon": lexicon})
        return config.model_copy(update=update)


def load_assistants(*folders: Path) -> Mapping[str, Assistant]:
    """By name; one in a later folder goes before one of the same name. Raises ValueError, naming the file at fault."""
    assistants: dict[str, Assistant] = {}
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"there is no folder of assistants at {folder}")
        for path in sorted(folder.glob("*.yaml")):
            assistants[path.stem] = _read(path)
    return assistants


def _read(path: Path) -> Assistant:
    if not _NAME.fullmatch(path.stem):
        raise ValueError(f"{path}: an assistant's name has small letters, digits, - and _ only")
    try:
        return Assistant.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ValueError(f"{path}: {problems}") from error
