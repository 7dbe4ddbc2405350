"""`/v1/admin/models`: what operators see and may do, and who is an operator."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.testclient import TestClient

from configs.residency import ResidencyConfig
from deployments.llm.contract import Finished, LlmRequest, Message, TextPiece
from deployments.llm.engines.fake import Config, Engine
from deployments.runtime.errors import NotFound, ParleyError, StageUnavailable
from deployments.runtime.model_report import ModelReport, OnlyModel, ReplicaModels
from serve_app.gateway.admin import admin_routes
from serve_app.gateway.client_secrets import ClientSecrets
from serve_app.gateway.keys import ApiKeys
from serve_app.gateway.origins import OriginPolicy
from serve_app.gateway.realtime.entrance import Entrance
from serve_app.gateway.realtime.limits import Limits
from serve_app.gateway.routes import build_asgi_app
from serve_app.gateway.sessions import Sessions
from serve_app.session.settings import SessionSettings
from tests.scripted_sessions import SessionMaker, nobody_comes_back
from tests.virtual_time import run_virtual

SMALL = ModelReport(name="small", state="resident", default=True, memory_gib=0.5, in_use=2)
LARGE = ModelReport(name="large", state="failed", memory_gib=3.0, problem="no such file")
TWO: list[ReplicaModels | ParleyError] = [
    ReplicaModels(replica="r1", engine="whisper", budget_gib=4.0, models=(SMALL, LARGE)),
    ReplicaModels(replica="r2", engine="whisper", budget_gib=4.0, models=(SMALL,)),
]


class Stages:
    """Answers for the replicas, and remembers what they were asked."""

    def __init__(self, answers: Mapping[str, list[ReplicaModels | ParleyError]]) -> None:
        self._answers = answers
        self.asked: list[tuple[str, str, tuple[Any, ...], float]] = []

    async def __call__(
        self, stage: str, method: str, *args: Any, deadline_s: float
    ) -> list[ReplicaModels | ParleyError]:
        self.asked.append((stage, method, args, deadline_s))
        if not self._answers[stage]:
            raise StageUnavailable("no replica runs")
        return self._answers[stage]


def client(stages: Stages, keys: tuple[str, ...] = (), admin: tuple[str, ...] = ()) -> TestClient:
    entrance = Entrance(
        ApiKeys(keys),
        ClientSecrets(b"k" * 32, 600),
        Sessions(SessionMaker(), 1),
        SessionSettings,
        Limits,
        nobody_comes_back,
    )
    app = build_asgi_app(
        entrance, OriginPolicy(keyed=bool(keys)), admin_routes(stages, ("asr", "llm"), 600), None, ApiKeys(admin)
    )
    return TestClient(app, base_url="http://127.0.0.1:8000")


def test_every_replica_of_every_stage_is_listed() -> None:
    unready = ReplicaModels(replica="r3", engine="vllm", problem="no GPU")
    with client(Stages({"asr": TWO, "llm": [unready, StageUnavailable("gone")]})) as operator:
        data = operator.get("/v1/admin/models").json()["data"]
    assert [(each["stage"], each["replica"], each["problem"]) for each in data] == [
        ("asr", "r1", None),
        ("asr", "r2", None),
        ("llm", "r3", "no GPU"),
        ("llm", None, "gone"),
    ]
    assert data[0]["budget_gib"] == 4.0
    assert data[0]["models"][1] == {
        "name": "large",
        "state": "failed",
        "default": False,
        "memory_gib": 3.0,
        "in_use": 0,
        "idle_s": None,
        "problem": "no such file",
    }
    with client(Stages({"asr": TWO, "llm": []})) as operator:
        assert operator.get("/v1/admin/models").json()["data"][-1]["problem"] == "no replica runs"


def test_loading_asks_all_replicas_and_takes_its_time() -> None:
    stages = Stages({"asr": TWO, "llm": []})
    with client(stages) as operator:
        answer = operator.post("/v1/admin/models/load", json={"stage": "asr", "model": "large"})
        assert answer.status_code == 200
        assert [each["replica"] for each in answer.json()["data"]] == ["r1", "r2"]
        operator.post("/v1/admin/models/unload", json={"stage": "asr", "model": "small"})
    assert stages.asked == [("asr", "load_model", ("large",), 600), ("asr", "unload_model", ("small",), 600)]


def test_one_replica_that_fails_is_an_error() -> None:
    with client(Stages({"asr": [TWO[0], StageUnavailable("no room")], "llm": [NotFound("no model 'x'")]})) as operator:
        failed = operator.post("/v1/admin/models/load", json={"stage": "asr", "model": "large"})
        assert failed.status_code == 503
        assert failed.json()["error"]["message"] == "1 of 2 replicas: no room"
        missing = operator.post("/v1/admin/models/load", json={"stage": "llm", "model": "x"})
        assert (missing.status_code, missing.json()["error"]["message"]) == (404, "no model 'x'")


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"stage": "tts", "model": "m"}, 404, "stage"),
        ({"stage": "asr"}, 400, "model"),
        ({"stage": "asr", "model": ""}, 400, "model"),
        ({"stage": "asr", "model": "m", "force": True}, 400, "force"),
    ],
)
def test_senseless_requests_are_refused(body: dict[str, Any], status: int, param: str) -> None:
    stages = Stages({"asr": TWO, "llm": []})
    with client(stages) as operator:
        answer = operator.post("/v1/admin/models/load", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert stages.asked == []


@pytest.mark.parametrize(
    ("keys", "admin", "sent", "status"),
    [
        ((), (), None, 200),
        (("user",), (), "user", 403),
        (("user",), (), None, 403),
        (("user",), ("root",), "root", 200),
        (("user",), ("root",), "user", 401),
        (("user",), ("root",), None, 401),
        ((), ("root",), None, 401),
    ],
)
def test_only_operators_get_in(keys: tuple[str, ...], admin: tuple[str, ...], sent: str | None, status: int) -> None:
    headers = {} if sent is None else {"Authorization": f"Bearer {sent}"}
    with client(Stages({"asr": TWO, "llm": []}), keys, admin) as operator:
        assert operator.get("/v1/admin/models", headers=headers).status_code == status
        if status == 200 and keys:
            secrets = operator.post("/v1/realtime/client_secrets", headers=headers)
            assert secrets.status_code == 401, "an admin key opens nothing else"


def test_the_only_model_of_an_engine_stays() -> None:
    async def check() -> None:
        only = OnlyModel("espeak")
        assert only.residents == ("espeak",)
        assert only.report() == (ModelReport(name="espeak", state="resident", default=True),)
        await only.load("espeak")
        with pytest.raises(NotFound, match="no model 'x'; there are: espeak"):
            await only.load("x")
        with pytest.raises(ParleyError, match="stays loaded"):
            await only.unload("espeak")

    asyncio.run(check())


def test_the_fake_model_answers_with_the_model_asked_for() -> None:
    async def say(engine: Engine, model: str) -> str:
        request = LlmRequest((Message("user", "hello"),), model=model)
        items = [item async for item in engine.generate(request)]
        assert isinstance(items[-1], Finished)
        return "".join(item.text for item in items if isinstance(item, TextPiece))

    async def play() -> None:
        models = {"a": {"replies": ["I am a."]}, "b": {"replies": ["I am b."], "load_ms": 2000, "failing_loads": 1}}
        engine = Engine(Config.model_validate({"models": models, "residency": ResidencyConfig(retry_s=5)}))
        await engine.start()
        assert engine.models == ("a", "b")
        assert await say(engine, "") == "I am a."
        with pytest.raises(StageUnavailable, match="told not to load"):
            await say(engine, "b")
        await asyncio.sleep(5)
        assert await say(engine, "b") == "I am b."
        with pytest.raises(ParleyError, match="no model 'c'"):
            await say(engine, "c")
        assert engine.residency is not None
        assert all(each.in_use == 0 for each in engine.residency.report())
        await engine.close()

    run_virtual(play())
