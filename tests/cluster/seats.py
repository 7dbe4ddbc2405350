"""The stages of a configuration with engines that take no time, in replicas that write down where they sit."""

import asyncio
import copy
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray
from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.serve.handle import DeploymentHandle

from configs.schema import AppConfig, EngineChoice
from deployments.asr.deployment import Asr
from deployments.avatar.deployment import Avatar
from deployments.llm.deployment import Llm
from deployments.runtime.calls import call
from deployments.runtime.errors import StageError
from deployments.tts.deployment import Tts

RETRY_S = 0.2


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a replica is."""

    deployment: str
    node_id: str
    gpus: tuple[str, ...]
    """The GPUs of the node that Ray gave it."""
    visible: str | None
    """CUDA_VISIBLE_DEVICES, which an engine goes by."""


class Seated:
    """Goes before a stage's deployment among the bases: the stage, sitting down once it has started."""

    async def __init__(self, choice: EngineChoice, folder: str) -> None:  # type: ignore[misc]  # Serve awaits it
        await super().__init__(choice)  # type: ignore[call-arg, misc]
        sit_down(folder)

    async def hold(self, seconds: float) -> int:
        """Be busy for so long; the process id."""
        await asyncio.sleep(seconds)
        return os.getpid()


class SeatedAsr(Seated, Asr):
    pass


class SeatedLlm(Seated, Llm):
    pass


class SeatedTts(Seated, Tts):
    pass


class SeatedAvatar(Seated, Avatar):
    pass


def sit_down(folder: str) -> None:
    """Write down where this replica is, under its process id."""
    node_id = ray.get_runtime_context().get_node_id()
    gpus = tuple(map(str, ray.get_gpu_ids()))
    seat = Seat(serve.get_replica_context().deployment, node_id, gpus, os.environ.get("CUDA_VISIBLE_DEVICES"))
    (Path(folder) / f"{os.getpid()}.json").write_text(json.dumps(asdict(seat)))


class Caller:
    """Plays the Gateway: its handles are those whose load Serve sees."""

    def __init__(self, folder: str, **stages: DeploymentHandle[Any]) -> None:
        self._stages = stages
        sit_down(folder)

    async def load(self, deployment: str, calls: int, seconds: float) -> list[int]:
        """So many calls at once, `seconds` each, asked again where a replica dies; who answered each."""
        handle = self._stages[deployment]

        async def one() -> int:
            while True:
                try:
                    return int(await call(handle, "hold", seconds, deadline_s=30))
                except StageError:
                    await asyncio.sleep(RETRY_S)

        return list(await asyncio.gather(*(one() for _ in range(calls))))


class Args(BaseModel):
    """`args` of the configuration, and where seats are written down."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    app: AppConfig
    folder: str


def build(args: Args) -> serve.Application:
    """The graph of `serve_app.app:build_app` with seated stages and a Caller in the Gateway's place."""
    app = args.app
    wanted = {"Asr": (SeatedAsr, app.asr), "Llm": (SeatedLlm, app.llm), "Tts": (SeatedTts, app.tts)}
    if app.avatar is not None:
        wanted["Avatar"] = (SeatedAvatar, app.avatar)
    stages = {
        name: serve.deployment(name=name)(stage).bind(choice, args.folder) for name, (stage, choice) in wanted.items()
    }
    return serve.deployment(name="Gateway")(Caller).bind(args.folder, **stages)


def with_seats(config: dict[str, Any], root: Path, folder: Path) -> dict[str, Any]:
    """A configuration with engines that take no time, in seated replicas; placement and scaling as they are."""
    config = copy.deepcopy(config)
    (application,) = config["applications"]
    args = application["args"]
    for stage in ("asr", "llm", "tts", "avatar"):
        if args.get(stage):
            args[stage] = {**args[stage], "engine": "fake", "options": {}}
    application["args"] = {"app": args, "folder": str(folder)}
    application["import_path"] = "tests.cluster.seats:build"
    application["runtime_env"]["env_vars"]["PYTHONPATH"] = str(root)
    for deployment in application["deployments"]:
        deployment.pop("user_config", None)
        # A test does not wait five minutes for replicas to go.
        if "autoscaling_config" in deployment:
            deployment["autoscaling_config"] |= {"look_back_period_s": 11, "downscale_delay_s": 2}
    return config
