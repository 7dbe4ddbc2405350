"""The Gateway deployment: a `GatewayServer` in a replica of Ray Serve."""

from typing import TYPE_CHECKING, Any

from ray.serve.handle import DeploymentHandle

from configs.schema import AppConfig
from configs.session import SessionConfig
from deployments.runtime.logs import configure_logging
from deployments.runtime.memory import keep_what_is_loaded

if TYPE_CHECKING:
    from starlette.applications import Starlette


class Gateway:
    """Listens, and holds the conversations of one replica."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        asr: DeploymentHandle[Any],
        llm: DeploymentHandle[Any],
        tts: DeploymentHandle[Any],
        avatar: DeploymentHandle[Any] | None,
        config: AppConfig,
    ) -> None:
        # Here and not above: Serve imports this file once more to build the graph, while everything else waits for it,
        # and the server's own imports take a second.
        from serve_app.gateway.server import GatewayServer

        configure_logging()
        self._server = GatewayServer(asr, llm, tts, avatar, config)
        await self._server.start()
        keep_what_is_loaded()

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take the live part of the configuration; conversations that run keep what they began with."""
        self._server.configure(SessionConfig.model_validate(user_config))

    def __serve_build_asgi_app__(self) -> "Starlette":
        """Called by Serve after the constructor."""
        return self._server.build_asgi_app()
