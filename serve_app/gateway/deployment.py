"""The Gateway deployment. A stub: health and the line at the terminal."""

import asyncio
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from configs.schema import AppConfig
from configs.session import SessionConfig
from deployments.runtime.draining import wait_for_drain
from deployments.runtime.logs import configure_logging
from serve_app.gateway.readiness import Readiness


class Gateway:
    """Holds the conversations."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, asr: DeploymentHandle[Any], llm: DeploymentHandle[Any], tts: DeploymentHandle[Any], config: AppConfig
    ) -> None:
        configure_logging()
        self.config = config
        self.defaults = SessionConfig()
        self.readiness = Readiness({"Asr": asr, "Llm": llm, "Tts": tts})
        if serve.get_replica_context().rank.rank == 0:
            self._announcing = asyncio.create_task(self.readiness.announce(config.gateway.public_url))

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take the live part of the configuration."""
        self.defaults = SessionConfig.model_validate(user_config)

    def __serve_build_asgi_app__(self) -> Starlette:
        """Called by Serve after the constructor."""
        return Starlette(
            routes=[
                Route("/livez", self._livez),
                Route("/readyz", self._readyz),
                WebSocketRoute("/v1/realtime", self._echo),
            ]
        )

    async def _livez(self, _: Request) -> Response:
        return PlainTextResponse("ok")

    async def _readyz(self, _: Request) -> Response:
        described = await self.readiness.describe(2.0)
        ready = all(answer.ready for answer in described.values())
        body = {name: {"engine": answer.engine, "problem": answer.problem} for name, answer in described.items()}
        return JSONResponse({"ready": ready, "deployments": body}, status_code=200 if ready else 503)

    async def _echo(self, websocket: WebSocket) -> None:
        await websocket.accept()
        drain = asyncio.create_task(wait_for_drain())
        try:
            while True:
                heard = asyncio.create_task(websocket.receive_text())
                await asyncio.wait({heard, drain}, return_when=asyncio.FIRST_COMPLETED)
                if drain.done():
                    heard.cancel()
                    await websocket.close(1001, "server is shutting down")
                    return
                await websocket.send_text(heard.result())
        except WebSocketDisconnect:
            return
        finally:
            drain.cancel()
