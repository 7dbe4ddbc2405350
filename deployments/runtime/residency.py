"""The models of one replica: loaded when they are wanted, warm before they are used, and never unloaded in use.

An engine with several models gives a `ModelLoader` and the memory of each, and holds a lease while it uses one:

    self.residency = Residency(loader, {"base": 0.3, "large": 3.1}, config.residency)
    await self.residency.start()                       # in the engine's start
    async with self.residency.use(request.model) as model: …

The attribute's name is the interface: `StageReplica` lists, loads, unloads and publishes the models of an engine that
has a `residency`. Ray-free. What is loaded and unloaded when is decided by `ResidentTable`.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, Generic, Protocol, TypeVar

from configs.residency import ResidencyConfig
from deployments.runtime.clock import now_s
from deployments.runtime.errors import ConfigError, ServerFull, StageUnavailable
from deployments.runtime.model_report import ModelReport, model_report
from deployments.runtime.resident_table import ResidentTable

logger = logging.getLogger(__name__)

ModelT = TypeVar("ModelT")

CLOSE_WAIT_S = 3.0
"""What is still used so long after the end stays until the process ends."""


class ModelLoader(Protocol[ModelT]):
    """What an engine knows about its models.

    `load` and `unload` of different models run at the same time as each other and as the use of a third: blocking work
    belongs into a thread that is not the one that serves requests (`asyncio.to_thread`).
    """

    async def load(self, name: str) -> ModelT:
        """Bring it into memory. Cancelled or failed, it leaves nothing behind."""
        ...

    async def warm_up(self, model: ModelT) -> None:
        """Use it once, so that the first request is as quick as the next."""
        ...

    async def unload(self, model: ModelT) -> None:
        """Free its memory; also called for one whose warm-up failed."""
        ...


class Lease(Generic[ModelT]):
    """The right to use a model: it stays in memory until `release`."""

    def __init__(self, residency: "Residency[ModelT]", name: str, model: ModelT) -> None:
        self._residency: Residency[ModelT] | None = residency
        self.name = name
        self.model = model

    def release(self) -> None:
        """It is not used any more. May be called more than once."""
        residency, self._residency = self._residency, None
        if residency is not None:
            residency._give_back(self.name)


class Residency(Generic[ModelT]):
    """Keeps models in memory within a budget. Time is the event loop's.

    Who holds a lease must not wait for a second one: two who do may wait for each other's room.
    """

    def __init__(self, loader: ModelLoader[ModelT], sizes_gib: Mapping[str, float], config: ResidencyConfig) -> None:
        """`sizes_gib`: each model on offer with the memory that it takes at most. Raises ConfigError."""
        if not sizes_gib:
            raise ConfigError("an engine needs at least one model")
        self._loader = loader
        self.default = config.default or next(iter(sizes_gib))
        self._kept = tuple(dict.fromkeys((self.default, *config.preload)))
        self._table = ResidentTable(
            sizes_gib,
            kept=self._kept,
            budget_gib=config.budget_gib,
            idle_s=config.idle_s,
            max_loads=config.max_loads,
            retry_s=config.retry_s,
        )
        self._max_waiting = config.max_waiting
        self._models: dict[str, ModelT] = {}
        self._waiting: dict[str, list[asyncio.Future[Lease[ModelT]]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        """Of each model at most one, loading or unloading it."""
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._all_returned = asyncio.Event()

    @property
    def names(self) -> tuple[str, ...]:
        """All models on offer, the default first."""
        return (self.default, *(name for name in self._table.names if name != self.default))

    @property
    def residents(self) -> tuple[str, ...]:
        """Those that can be used at once."""
        return self._table.residents

    @property
    def budget_gib(self) -> float | None:
        """For all models together."""
        budget = self._table.budget_bytes
        return None if budget is None else budget / 2**30

    async def start(self) -> None:
        """Load the default and what is preloaded. Raises what the loader raised."""
        outcomes = await asyncio.gather(*map(self.load, self._kept), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                await self.close()
                raise outcome.__cause__ or outcome

    async def lease(self, name: str = "") -> Lease[ModelT]:
        """Use a model, the default where `name` is empty; waits until it is loaded and warm.

        Cancelling the wait does not stop the load, which others may wait for. Raises NotFound for a name that is not
        on offer, StageUnavailable when the load fails or has just failed, ServerFull when too many wait.
        """
        name = name or self.default
        reason = self._table.refusal(name, now_s())
        if reason:
            raise StageUnavailable(f"The model {name!r} could not be loaded: {reason}", "model_unavailable", "model")
        return await self._leased(name)

    def lease_now(self, name: str = "") -> Lease[ModelT] | None:
        """One of a model that is in memory, without waiting; None where it would have to be loaded. Raises NotFound."""
        name = name or self.default
        return Lease(self, name, self._models[name]) if not self._closed and self._table.take(name) else None

    @asynccontextmanager
    async def use(self, name: str = "") -> AsyncGenerator[ModelT, None]:
        """A lease for the length of a block."""
        lease = await self.lease(name)
        try:
            yield lease.model
        finally:
            lease.release()

    async def load(self, name: str) -> None:
        """Have it loaded, at once even where it has just failed. Errors as of `lease`."""
        (await self._leased(name)).release()

    async def unload(self, name: str) -> None:
        """Unload it now; nothing happens to one that is not loaded. Raises NotFound, and Conflict while it is used."""
        if self._table.evict(name):
            self._begin_unloading(name)
        task = self._tasks.get(name)
        if task is not None:
            await asyncio.wait([task])

    def report(self) -> tuple[ModelReport, ...]:
        """All models as they stand, the default first."""
        at_s = now_s()
        return tuple(
            model_report(
                name, self._table.entry(name), at_s, default=name == self.default, waits=self._table.waits(name)
            )
            for name in self.names
        )

    async def close(self) -> None:
        """Stop loading and unload everything, once it is given back. May be called more than once."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for name, waiting in list(self._waiting.items()):
            if self._table.waits(name):
                self._table.give_up(name)
                self._refuse(waiting, "the engine is closing", None)
                del self._waiting[name]
        for name, task in self._tasks.items():
            if self._table.entry(name).state == "loading":
                task.cancel()
        self._unload_what_is_free()
        try:
            async with asyncio.timeout(CLOSE_WAIT_S):
                await self._all_returned.wait()
        except TimeoutError:
            logger.warning("still in use at the end: %s", ", ".join(self._models))
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def _leased(self, name: str) -> Lease[ModelT]:
        if self._closed:
            raise StageUnavailable("the engine is closed")
        if (lease := self.lease_now(name)) is not None:
            return lease
        if sum(map(len, self._waiting.values())) >= self._max_waiting:
            raise ServerFull(f"{self._max_waiting} requests already wait for a model; try again later")
        self._table.want(name)
        granted: asyncio.Future[Lease[ModelT]] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, []).append(granted)
        self._step()
        try:
            return await granted
        except asyncio.CancelledError:
            self._forget_waiter(name, granted)
            raise

    def _forget_waiter(self, name: str, granted: "asyncio.Future[Lease[ModelT]]") -> None:
        """Its caller has gone: a lease that was granted meanwhile is given back, a load not begun is not begun."""
        if granted.done() and not granted.cancelled() and granted.exception() is None:
            granted.result().release()
            return
        waiting = self._waiting.get(name, [])
        if granted in waiting:
            waiting.remove(granted)
        if not waiting:
            self._waiting.pop(name, None)
            self._table.give_up(name)

    def _give_back(self, name: str) -> None:
        self._table.give_back(name, now_s())
        if self._closed:
            self._unload_what_is_free()
        else:
            self._step()

    def _step(self) -> None:
        """Begin what the table says, and come back when the next model has been idle for long enough."""
        if self._closed:
            return
        step = self._table.step(now_s())
        for name in step.unload:
            self._begin_unloading(name)
        for name in step.load:
            self._own(name, self._load(name))
        if self._timer is not None:
            self._timer.cancel()
        expiry_s = self._table.next_expiry_s()
        self._timer = None if expiry_s is None else asyncio.get_running_loop().call_at(expiry_s, self._step)

    def _begin_unloading(self, name: str) -> None:
        self._own(name, self._unload(name, self._models.pop(name)))

    def _own(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks[name] = asyncio.create_task(work)

    async def _load(self, name: str) -> None:
        logger.info("loading the model %s", name)
        began_s = now_s()
        try:
            model = await self._loaded_and_warm(name)
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            self._end_in_failure(name, error)
            if task is not None and task.cancelling():
                raise
            return
        if self._closed:
            await self._free(name, model)
            self._end_in_failure(name, StageUnavailable("the engine is closed"))
            return
        del self._tasks[name]
        logger.info("loaded the model %s in %.1f s", name, now_s() - began_s)
        self._models[name] = model
        self._table.loaded(name, now_s())
        # Granted here and not when the waiters wake: until then it could be unloaded again.
        for granted in self._waiting.pop(name, []):
            if not granted.done() and self._table.take(name):
                granted.set_result(Lease(self, name, model))
        self._step()

    async def _loaded_and_warm(self, name: str) -> ModelT:
        model = await self._loader.load(name)
        try:
            await self._loader.warm_up(model)
        except BaseException:
            await self._free(name, model)
            raise
        return model

    def _end_in_failure(self, name: str, error: BaseException) -> None:
        del self._tasks[name]
        reason = str(error) or type(error).__name__
        if not self._closed:
            logger.error("the model %s could not be loaded: %s", name, reason)
        self._table.load_failed(name, reason, now_s())
        self._refuse(self._waiting.pop(name, []), f"The model {name!r} could not be loaded: {reason}", error)
        self._step()

    def _refuse(
        self, waiting: "list[asyncio.Future[Lease[ModelT]]]", message: str, cause: BaseException | None
    ) -> None:
        for granted in waiting:
            if not granted.done():
                refusal = StageUnavailable(message, "model_unavailable", "model")
                refusal.__cause__ = cause
                granted.set_exception(refusal)

    async def _unload(self, name: str, model: ModelT) -> None:
        await self._free(name, model)
        logger.info("unloaded the model %s", name)
        del self._tasks[name]
        self._table.unloaded(name)
        self._step()

    async def _free(self, name: str, model: ModelT) -> None:
        """Unload it. One that cannot be unloaded counts as gone: nothing else could be done about it."""
        try:
            await self._loader.unload(model)
        except Exception:
            logger.exception("unloading the model %s failed", name)

    def _unload_what_is_free(self) -> None:
        for name in list(self._models):
            if not self._table.entry(name).leases and self._table.evict(name):
                self._begin_unloading(name)
        if not self._models:
            self._all_returned.set()
