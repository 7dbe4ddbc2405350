"""The ports of `ports.py` over Ray Serve: by value, with a deadline, always cancelled, errors translated.

Values cross by pickle in gRPC messages of at most 4 MiB; what is unpickled was written by a replica of this very
application, and Ray's token keeps others out.
"""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any, Generic, NoReturn, TypeVar, cast

import grpc
from ray.exceptions import RayActorError, RayTaskError, TaskCancelledError
from ray.serve._private.replica_result import ReplicaResult
from ray.serve._private.utils import generate_request_id
from ray.serve.context import _get_serve_request_context, _serve_request_context
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError
from ray.serve.handle import DeploymentHandle, DeploymentResponse, DeploymentResponseGenerator

from deployments.runtime.errors import EngineFailed, ParleyError, StageTimeout, StageUnavailable

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")

_GONE = (RayActorError, TaskCancelledError, BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError)
_GONE_CODES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


async def call(
    handle: DeploymentHandle[Any],
    method: str,
    *args: Any,
    deadline_s: float,
    session_id: str = "",
    model: str = "",
) -> Any:
    """Await the one reply of `method(*args)`; the call is cancelled with its caller and when `deadline_s` passes.

    `session_id` and `model` are what our routers go by.
    With no replica alive it waits for one. Serve itself repeats a call whose replica died before it answered, on the
    replica that the router then names. Raises StageUnavailable, StageTimeout, EngineFailed, and any ParleyError that
    the stage raised.
    """
    bound = handle.options(method_name=method, session_id=session_id, multiplexed_model_id=model, _by_reference=False)
    with _own_request_context():
        response = bound.remote(*args)
    deadline = asyncio.timeout(deadline_s)
    try:
        async with deadline:
            return await response
    except BaseException as error:
        _cancel(response)
        _translate(error, deadline, deadline_s, handle.deployment_name)


async def broadcast(handle: DeploymentHandle[Any], method: str, *args: Any, deadline_s: float) -> list[Any]:
    """What each replica that runs now answers to `method(*args)`, or the ParleyError that `call` would raise.

    Serve bounds no replica's queue here: for control, not for the data plane. Raises StageUnavailable where none runs.
    """
    bound = handle.options(_by_reference=False)
    with _own_request_context():
        response = bound.broadcast(method, *args)
    name = handle.deployment_name
    deadline = asyncio.timeout(deadline_s)
    try:
        async with deadline:
            results = await response._fetch_replica_results_async()
    except BaseException as error:
        _translate(error, deadline, deadline_s, name)
    return await asyncio.gather(*(_answer(result, deadline_s, name) for result in results))


async def _answer(result: ReplicaResult, deadline_s: float, deployment: str) -> Any:
    """One replica's answer or error."""
    deadline = asyncio.timeout(deadline_s)
    try:
        async with deadline:
            return await result.get_async()
    except BaseException as error:
        result.cancel()
        try:
            _translate(error, deadline, deadline_s, deployment)
        except ParleyError as translated:
            return translated


class ServePush(Generic[RequestT, ReplyT]):
    """A PushPort over the method `method(session_id, request)` of a deployment with a sticky router.

    A request that has a `model` seats its session on a replica that has it.
    """

    def __init__(self, handle: DeploymentHandle[Any], method: str) -> None:
        self._handle = handle
        self._method = method

    async def push(self, session_id: str, request: RequestT, *, deadline_s: float) -> ReplyT:
        """Send one request to the session's replica and await its reply; errors as in `call`."""
        reply: ReplyT = await call(
            self._handle,
            self._method,
            session_id,
            request,
            deadline_s=deadline_s,
            session_id=session_id,
            model=getattr(request, "model", ""),
        )
        return reply


class ServeStream(Generic[RequestT, ReplyT]):
    """A StreamPort over the method `method(request)`, an async generator, of a deployment.

    Serve puts no bound on what the producer is ahead of the reader: requests must ask for little (a clause). And the
    method must yield something: where this loop is busy, gRPC sees the end of an empty stream before its headers, and
    Serve takes it for failed.
    """

    def __init__(self, handle: DeploymentHandle[Any], method: str) -> None:
        self._handle = handle
        self._method = method

    async def stream(self, request: RequestT, *, deadline_s: float) -> AsyncGenerator[ReplyT, None]:
        """Yield the items; `deadline_s` bounds the wait for each. Closing this generator stops the producer.

        A request with a `session_id` sticks to its replica where the deployment's router is sticky, one with a `model`
        (or a `wanted` one, by another name) goes to a replica that has it. Raises StageUnavailable, StageTimeout,
        EngineFailed, and any ParleyError that the stage raised.
        """
        session_id = getattr(request, "session_id", "")
        handle = self._handle.options(
            method_name=self._method,
            stream=True,
            session_id=session_id,
            multiplexed_model_id=getattr(request, "wanted", "") or getattr(request, "model", ""),
            _by_reference=False,
        )
        with _own_request_context():
            items = cast("DeploymentResponseGenerator[ReplyT]", handle.remote(request))
        try:
            while True:
                deadline = asyncio.timeout(deadline_s)
                try:
                    async with deadline:
                        item = await anext(items)
                except StopAsyncIteration:
                    return
                except BaseException as error:
                    _translate(error, deadline, deadline_s, self._handle.deployment_name)
                yield item
        finally:
            # A generator that is only dropped goes on producing for nobody (measured: 7 of 8).
            _cancel(items)


@contextmanager
def _own_request_context() -> Iterator[None]:
    """Give the call an internal id of its own instead of its parent's.

    Calls of one parent at the same time share its id, and routers without FIFOMixin then serve one and let the others
    wait for ever. The id that logs show is kept.
    """
    parent = _get_serve_request_context()
    own = dataclasses.replace(parent, _internal_request_id=generate_request_id(), is_http_request=False)
    token = _serve_request_context.set(own)  # type: ignore[arg-type]  # Ray leaves the variable without a type
    try:
        yield
    finally:
        _serve_request_context.reset(token)


def _cancel(call: DeploymentResponse[Any] | DeploymentResponseGenerator[Any]) -> None:
    """Stop the work behind a call, in whatever state it is; does nothing when it is done."""
    call.cancel()  # type: ignore[no-untyped-call]  # Ray's
    # On the caller's own loop Serve's `cancel` forgets a call that was routed but not yet awaited.
    routed = call._replica_result_future
    if routed.done() and not routed.cancelled() and routed.exception() is None:
        routed.result().cancel()


def _translate(error: BaseException, deadline: asyncio.Timeout, deadline_s: float, deployment: str) -> NoReturn:
    """The one seam between Ray's errors and ours; keeps the cause."""
    if isinstance(error, TimeoutError) and deadline.expired():
        raise StageTimeout(f"{deployment} did not answer within {deadline_s:g} s") from error
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, ParleyError):
        raise cause from error
    if isinstance(error, _GONE) or (isinstance(error, grpc.aio.AioRpcError) and error.code() in _GONE_CODES):
        raise StageUnavailable(f"{deployment}: the replica that had the call is gone") from error
    if type(error) is RuntimeError and "StatusCode.OK" in str(error):
        raise StageUnavailable(f"{deployment}: Serve refused the call, or its stream was empty") from error
    if isinstance(error, asyncio.CancelledError) and not _caller_is_cancelled():
        raise StageUnavailable(f"{deployment}: the replica that had the call is stopping") from error
    if not isinstance(error, Exception):
        raise error
    if isinstance(error, grpc.aio.AioRpcError):
        raise EngineFailed(f"{deployment}: {error.code().name}: {error.details()}") from error
    raise EngineFailed(f"{deployment}: {type(cause).__name__}: {cause}") from error


def _caller_is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
