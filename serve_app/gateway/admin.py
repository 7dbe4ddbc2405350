"""`/v1/admin/models`: which models each replica of each stage holds, and having them loaded and unloaded.

GET                 all replicas, each with its models
POST …/load         {"stage": "llm", "model": name}: on every replica of the stage; answers once it is loaded and warm
POST …/unload       the same, for one that nobody uses

The answer lists the replicas that were asked. A load goes on when its request is given up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deployments.runtime.errors import NotFound, ParleyError, StageError
from deployments.runtime.model_report import ReplicaModels
from serve_app.gateway.uploads import read_form
from serve_app.session.validation import validated

_LIST_S = 5.0
_BODY_S = 10.0
_MAX_BODY_BYTES = 2**12


class AskAll(Protocol):
    """Calls a method of every replica of a stage; each answers or has failed."""

    def __call__(
        self, stage: str, method: str, *args: Any, deadline_s: float
    ) -> Awaitable[list[ReplicaModels | ParleyError]]: ...


class _Named(BaseModel):
    """A request to load or unload."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    model: str = Field(min_length=1, max_length=512)


def admin_routes(ask: AskAll, stages: Iterable[str], load_s: float) -> list[Route]:
    """`stages`: by the names that the configuration has. `load_s` bounds a load or an unloading."""
    names = tuple(stages)

    async def listed(_: Request) -> Response:
        asked = await asyncio.gather(*(_list(ask, stage) for stage in names))
        return _answer([replica for stage in asked for replica in stage])

    def changed(method: str) -> Callable[[Request], Awaitable[Response]]:
        async def change(request: Request) -> Response:
            form = await read_form(request, files=(), max_bytes=_MAX_BODY_BYTES, within_s=_BODY_S)
            named = validated(_Named, form.fields)
            if named.stage not in names:
                raise NotFound(f"There is no stage {named.stage!r}; there are: {', '.join(names)}.", param="stage")
            answers = await ask(named.stage, method, named.model, deadline_s=load_s)
            _raise_if_failed(answers)
            return _answer([_shown(named.stage, each) for each in answers if isinstance(each, ReplicaModels)])

        return change

    return [
        Route("/v1/admin/models", listed),
        Route("/v1/admin/models/load", changed("load_model"), methods=["POST"]),
        Route("/v1/admin/models/unload", changed("unload_model"), methods=["POST"]),
    ]


async def _list(ask: AskAll, stage: str) -> list[dict[str, Any]]:
    """A stage's replicas; one that does not answer is listed with that as its problem."""
    try:
        answers = await ask(stage, "list_models", deadline_s=_LIST_S)
    except StageError as error:
        answers = [error]
    return [_shown(stage, each) for each in answers]


def _shown(stage: str, answer: ReplicaModels | ParleyError) -> dict[str, Any]:
    if isinstance(answer, ParleyError):
        answer = ReplicaModels(replica="", engine="", problem=answer.message)
    return {
        "object": "stage.replica",
        "stage": stage,
        "replica": answer.replica or None,
        "engine": answer.engine or None,
        "problem": answer.problem or None,
        "budget_gib": answer.budget_gib,
        "models": [{**asdict(model), "problem": model.problem or None} for model in answer.models],
    }


def _answer(replicas: list[dict[str, Any]]) -> Response:
    return JSONResponse({"object": "list", "data": replicas})


def _raise_if_failed(answers: list[ReplicaModels | ParleyError]) -> None:
    """The first error, with how many replicas had one; the others have done as they were told."""
    failed = [each for each in answers if isinstance(each, ParleyError)]
    if failed:
        first = failed[0]
        of = "" if len(answers) == 1 else f"{len(failed)} of {len(answers)} replicas: "
        raise type(first)(f"{of}{first.message}", first.code, first.param) from first
