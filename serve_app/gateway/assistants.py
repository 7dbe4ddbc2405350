"""The assistants of a Gateway replica: which configuration a session has."""

from collections.abc import Collection, Mapping

from configs.assistant import Assistant
from configs.session import SessionConfig
from deployments.llm.tools.mcp_server import SEPARATOR
from deployments.runtime.errors import ConfigError, NotFound
from serve_app.session.settings import SessionSettings, initial_settings


class Assistants:
    """By name. The empty name is the one that the `user_config` chooses, or else the `user_config` itself."""

    def __init__(
        self,
        assistants: Mapping[str, Assistant],
        functions: tuple[str, ...] = (),
        mcp_servers: Collection[str] = (),
    ) -> None:
        """`functions`: names of the server's. `mcp_servers`: labels of those whose tools are known only once they
        answer. Raises ConfigError for an assistant that names another tool.
        """
        self._assistants = assistants
        self._functions = functions
        self._mcp_servers = mcp_servers
        for name, assistant in assistants.items():
            self._check_tools(f"assistant {name!r}", assistant.tools or ())

    def check(self, live: SessionConfig) -> None:
        """Raises ConfigError for a default or a tool that is not there."""
        self._check_tools("user_config", live.tools.server or ())
        try:
            self.configured(live, "")
        except NotFound as error:
            raise ConfigError(f"user_config: {error}", param="assistant") from error

    def configured(self, live: SessionConfig, name: str) -> SessionConfig:
        """The configuration of a session with it. Raises NotFound, listing those there are."""
        name = name or live.assistant
        if not name:
            return live
        if name not in self._assistants:
            known = ", ".join(sorted(self._assistants)) or "none"
            raise NotFound(f"There is no assistant {name!r}; there are: {known}.", "assistant_not_found", "assistant")
        return self._assistants[name].applied(live)

    def settings(self, live: SessionConfig, name: str) -> SessionSettings:
        """What a session with it has before its client sets anything. Raises NotFound."""
        config = self.configured(live, name)
        return initial_settings(config).model_copy(update={"assistant": name or live.assistant or None})

    def _check_tools(self, whose: str, names: tuple[str, ...]) -> None:
        unknown = sorted(
            name for name in set(names) - set(self._functions) if name.partition(SEPARATOR)[0] not in self._mcp_servers
        )
        if unknown:
            known = ", ".join(self._functions) or "none"
            raise ConfigError(
                f"{whose}: there is no function {', '.join(unknown)} among the server's; there are: {known}"
            )
