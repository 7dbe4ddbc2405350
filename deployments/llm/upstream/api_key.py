"""The key of a server: read once, never shown."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from deployments.llm.upstream.settings import UpstreamConfig
from deployments.runtime.errors import ConfigError

_HIDDEN: Final = "***"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Empty: the server wants none."""

    secret: str = field(default="", repr=False)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"} if self.secret else {}

    def hidden_in(self, text: str) -> str:
        """The text without the key: servers quote it in their errors."""
        return text.replace(self.secret, _HIDDEN) if self.secret else text


def read_key(config: UpstreamConfig, environment: Mapping[str, str] = os.environ) -> ApiKey:
    """Raises ConfigError, naming where the key was looked for."""
    if config.api_key_env and config.api_key_file:
        raise ConfigError("give api_key_env or api_key_file, not both", param="api_key_env")
    if config.api_key_env:
        return _key(environment.get(config.api_key_env, ""), f"the environment variable {config.api_key_env}")
    if config.api_key_file:
        try:
            text = config.api_key_file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigError(
                f"cannot read the key of {config.name} from {config.api_key_file}: {reason}", param="api_key_file"
            ) from None
        return _key(text, str(config.api_key_file))
    return ApiKey()


def _key(text: str, place: str) -> ApiKey:
    key = text.strip()
    if not key:
        raise ConfigError(f"{place} holds no key: set it before Parley starts")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError(f"{place} holds something that cannot be a key: one word of ASCII is")
    return ApiKey(key)
