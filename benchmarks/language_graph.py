"""The Llm deployment on a Serve of its own, asked from a replica beside it, as the Gateway asks it."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployments.llm.contract import LlmRequest

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

    from benchmarks.language import Round

ROOT = Path(__file__).parents[1]
_DEADLINE_S = 120.0
_POLL_S = 0.001


class Asker:
    """Plays the Gateway: it alone speaks to the Llm deployment, and its loop does nothing else."""

    def __init__(self, llm: "DeploymentHandle[Any]") -> None:
        from deployments.llm.client import LlmClient
        from deployments.runtime.calls import ServeStream

        self._handle = llm
        self._client = LlmClient(ServeStream(llm, "generate"), _DEADLINE_S)

    async def rounds(self, rounds: Sequence[Sequence[LlmRequest]]) -> "list[Round]":
        """One after the other."""
        from benchmarks.language import measured

        return [await measured(self._client.reply, requests) for requests in rounds]

    async def stops(self, requests: Sequence[LlmRequest], rounds: int) -> list[float]:
        """Milliseconds from the moment at which all replies are closed until the engine has none in hand."""
        took_ms = []
        for _ in range(rounds):
            replies = [self._client.reply(each) for each in requests]
            await asyncio.gather(*(anext(reply) for reply in replies))
            began_s = time.perf_counter()
            await asyncio.gather(*(reply.aclose() for reply in replies))
            while (await self._describe()).work.active:  # noqa: ASYNC110 - it is in another process
                await asyncio.sleep(_POLL_S)
            took_ms.append(1000 * (time.perf_counter() - began_s))
        return took_ms

    async def wait(self) -> str:
        """Until the deployment can be called; says why it cannot, if so."""
        problem: str = (await self._describe(900.0)).problem
        return problem

    async def _describe(self, deadline_s: float = _DEADLINE_S) -> Any:
        from deployments.runtime.calls import call

        return await call(self._handle, "describe", deadline_s=deadline_s)


@dataclass(frozen=True, slots=True)
class Graph:
    """It runs."""

    asker: "DeploymentHandle[Any]"
    replicas: int
    block_tokens: int

    async def rounds(self, rounds: Sequence[Sequence[LlmRequest]]) -> "list[Round]":
        """See `Asker`."""
        done: list[Round] = await self.asker.rounds.remote(rounds)
        return done

    async def stops(self, requests: Sequence[LlmRequest], rounds: int) -> list[float]:
        """See `Asker`."""
        took_ms: list[float] = await self.asker.stops.remote(requests, rounds)
        return took_ms


@asynccontextmanager
async def graph(options: dict[str, Any], *, replicas: int, block_tokens: int) -> AsyncGenerator[Graph, None]:
    """Start Ray and Serve on loopback with `serve_config.yaml`'s switches; stop them at the end."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray import serve

    try:
        asker = await asyncio.to_thread(_serve, options, replicas)
        if problem := await asker.wait.remote():
            raise RuntimeError(problem)
        yield Graph(asker, replicas, block_tokens)
    finally:
        await asyncio.to_thread(serve.shutdown)
        await asyncio.to_thread(ray.shutdown)


def _serve(options: dict[str, Any], replicas: int) -> "DeploymentHandle[Any]":
    import ray
    import yaml
    from ray import serve
    from ray.serve.config import RequestRouterConfig

    from configs.schema import EngineChoice
    from deployments.llm.deployment import Llm

    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    env = {**config["applications"][0]["runtime_env"]["env_vars"], "PYTHONPATH": str(ROOT)}
    gpus = 0 if options.get("gpu_memory_gib") is None else 1 / (2 * replicas)
    ray.init(include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": env})
    serve.start(http_options={"location": "NoServer"})
    choice = EngineChoice(engine="vllm", options=options)
    near_its_prefix = {
        "request_router_class": "deployments.runtime.router:StickyRouter",
        "request_router_kwargs": {"leave_when_full": True},
    }
    llm = serve.deployment(
        name="Llm",
        num_replicas=replicas,
        max_ongoing_requests=200,
        request_router_config=RequestRouterConfig.model_validate(near_its_prefix),
        ray_actor_options={"num_cpus": 0, "num_gpus": gpus},
    )(Llm).bind(choice)
    asker = serve.deployment(name="Asker", max_ongoing_requests=10, ray_actor_options={"num_cpus": 0})(Asker).bind(llm)
    handle: DeploymentHandle[Any] = serve.run(asker, name="language", route_prefix=None)
    return handle
