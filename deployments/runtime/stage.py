"""What the Serve deployments of the stages share: an engine loaded by name, its health, and why it is not ready."""

import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from configs.schema import EngineChoice
from deployments.runtime.budget import options_of
from deployments.runtime.engines import load_engine
from deployments.runtime.errors import ConfigError, StageUnavailable
from deployments.runtime.logs import configure_logging
from deployments.runtime.memory import keep_what_is_loaded
from deployments.runtime.metrics import StageMetrics
from deployments.runtime.model_report import Models, OnlyModel, ReplicaModels
from deployments.runtime.residents_stat import RESIDENTS, replica_name
from deployments.runtime.work import Work, WorkReport

logger = logging.getLogger(__name__)


class StageServer(Protocol):
    """A stage without Ray (`deployments/<stage>/server.py`)."""

    async def start(self) -> None:
        """Start the engine. Raises ConfigError."""
        ...

    def check_health(self) -> None:
        """Raise when a new replica would do better."""
        ...

    async def close(self) -> None:
        """Free the engine."""
        ...


ServerT = TypeVar("ServerT", bound=StageServer)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDescription:
    """What a replica says about itself, for /readyz and /v1/models."""

    engine: str
    problem: str = ""
    """Why it is not ready, in words for the operator; empty when it is."""
    work: WorkReport = field(default_factory=WorkReport)

    @property
    def ready(self) -> bool:
        """Whether it can be called."""
        return not self.problem


class StageReplica(Generic[ServerT]):
    """Base of the Serve wrappers. A replica whose engine cannot start because of its configuration, a missing package,
    file or device stays and says so, instead of being restarted for ever, and the rest of the graph runs.
    """

    def __init__(self, stage: str, choice: EngineChoice) -> None:
        configure_logging()
        self.stage = stage
        self.choice = choice
        self.problem = ""
        self.work = Work(StageMetrics(stage))
        self._engine: Any = None
        self._models: Models = OnlyModel(choice.engine)
        self._server: ServerT | None = None

    async def start(self, build_server: Callable[[Any], ServerT]) -> None:
        """Load the engine and start the server around it. Errors other than ConfigError make Serve try again."""
        try:
            self._engine = load_engine(self.stage, self.choice.engine, options_of(self.stage, self.choice))
            server = build_server(self._engine)
            await server.start()
        except ConfigError as error:
            self.problem = str(error)
            logger.error("%s is not ready: %s", self.stage, error)
            return
        self._server = server
        # An engine with several models says so by having a `Residency` of this name.
        self._models = getattr(self._engine, "residency", None) or self._models
        keep_what_is_loaded()
        logger.info("%s runs the engine %s", self.stage, self.choice.engine)

    @property
    def engine(self) -> Any:
        """The started engine. Raises StageUnavailable with the reason why there is none."""
        self.server  # noqa: B018 - raises
        return self._engine

    @property
    def server(self) -> ServerT:
        """The running server. Raises StageUnavailable with the reason why there is none."""
        if self._server is None:
            raise StageUnavailable(f"{self.stage} is not ready: {self.problem or 'it is starting'}")
        return self._server

    async def list_models(self) -> ReplicaModels:
        """The models that this replica has or could load."""
        if self._server is None:
            return ReplicaModels(replica=replica_name(), engine=self.choice.engine, problem=self.problem or "starting")
        return ReplicaModels(
            replica=replica_name(),
            engine=self.choice.engine,
            budget_gib=self._models.budget_gib,
            models=self._models.report(),
        )

    async def load_model(self, name: str) -> ReplicaModels:
        """Have a model loaded. Raises NotFound, StageUnavailable and ServerFull."""
        self.server  # noqa: B018 - raises
        await self._models.load(name)
        return await self.list_models()

    async def unload_model(self, name: str) -> ReplicaModels:
        """Unload a model. Raises NotFound, Conflict while it is used, and StageUnavailable."""
        self.server  # noqa: B018 - raises
        await self._models.unload(name)
        return await self.list_models()

    async def record_routing_stats(self) -> dict[str, Any]:
        """Called by Serve every `request_routing_stats_period_s`: what `router.py` is told of this replica."""
        return {RESIDENTS: () if self._server is None else self._models.residents}

    async def check_health(self) -> None:
        """Called by Serve every `health_check_period_s`; raises to get a new replica."""
        if self._server is not None:
            self._server.check_health()

    def __del__(self) -> Coroutine[Any, Any, None] | None:
        """Called by Serve when the replica stops, which awaits what it returns; by Python again, with nothing to do."""
        server = self.__dict__.get("_server")
        self._server = None
        return None if server is None else server.close()
