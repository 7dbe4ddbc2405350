"""How a replica learns that it is being stopped, and how its open WebSockets outlive that moment.

Serve has no hook for either, so this file reaches into Ray 2.60 (`serve/_private`):

- a replica's `_shutting_down` is set when Serve asks it to stop, be it for a new version, fewer replicas or a shutdown.
- at a shutdown of Serve the controller kills the HTTP proxies first: every WebSocket breaks off (1006) before a replica
  could say why. `proxies_leave_last` turns the order round.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import ray

_POLL_S = 0.05
_PROXIES_WAIT_S = 6.0
"""Replicas that take longer than this to stop lose their proxies before they are gone."""


async def wait_for_drain() -> None:
    """Return once this replica has been asked to stop; new requests already go elsewhere.

    From then on Serve waits `graceful_shutdown_timeout_s` for open requests, WebSockets included, and kills the
    replica. Raises RuntimeError outside of a replica.
    """
    replica = _this_replica()
    while not replica._shutting_down:  # noqa: ASYNC110 - Ray sets a flag and wakes nobody
        await asyncio.sleep(_POLL_S)


def _this_replica() -> Any:
    """Serve's own object around the user's class."""
    worker = ray._private.worker.global_worker
    actor = worker.actors.get(worker.actor_id)
    replica = getattr(actor, "_replica_impl", None)
    if replica is None:
        raise RuntimeError("this process is no replica of Ray Serve")
    return replica


def proxies_leave_last() -> None:
    """In Serve's controller: stop the HTTP proxies only when the replicas are gone, and say when all is done."""
    from ray.serve._private.controller import ServeController

    shutdown: Callable[[Any], None] = ServeController.shutdown

    def replicas_first(controller: Any) -> None:
        """Runs in every tick of the controller; returns without an effect until it is asked to shut down."""
        if not controller._shutting_down:
            return
        began_s = controller.__dict__.setdefault("_parley_shutdown_began_s", time.monotonic())
        controller.application_state_manager.shutdown()
        controller.deployment_state_manager.shutdown()
        if time.monotonic() - began_s <= _PROXIES_WAIT_S:
            if not controller.deployment_state_manager.is_ready_for_shutdown() or not _stop_proxies(controller):
                return
            if not controller._shutdown_event.is_set():
                # Serve never sets it: who waits for the shutdown is told "Task … failed, infinite retries remaining".
                # In the next tick the controller ends itself.
                controller._shutdown_event.set()
                return
        shutdown(controller)

    # The actor's class is a subclass that Ray made, with copies of the methods.
    for cls in (ServeController, *type.__subclasses__(ServeController)):
        setattr(cls, "shutdown", replicas_first)  # noqa: B010 - a method may not be assigned to, says mypy


def _stop_proxies(controller: Any) -> bool:
    """Whether none is left."""
    proxies = controller.proxy_state_manager
    if proxies is None:
        return True
    proxies.shutdown()
    return bool(proxies.is_ready_for_shutdown())
