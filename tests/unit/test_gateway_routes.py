"""The HTTP side of the gateway: who gets an answer, and which."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from openai.types import Model
from starlette.testclient import TestClient

from deployments.runtime.stage import StageDescription
from deployments.tts.contract import Voice
from deployments.tts.deployment import TtsDescription
from serve_app.gateway import page
from serve_app.gateway.client_secrets import ClientSecrets
from serve_app.gateway.health import health_routes
from serve_app.gateway.keys import ApiKeys
from serve_app.gateway.metrics import metrics_route
from serve_app.gateway.models import model_routes
from serve_app.gateway.origins import OriginPolicy
from serve_app.gateway.realtime.entrance import Entrance
from serve_app.gateway.realtime.limits import Limits
from serve_app.gateway.routes import build_asgi_app
from serve_app.gateway.sessions import Sessions
from serve_app.gateway.voices import voices_route
from serve_app.session.settings import SessionSettings
from tests.scripted_sessions import SessionMaker, nobody_comes_back


@dataclass(frozen=True, slots=True, kw_only=True)
class WithModels(StageDescription):
    models: tuple[str, ...] = ()


READY = {"Asr": StageDescription(engine="fake"), "Llm": WithModels(engine="rules", models=("rules", "rules-2"))}
UNREADY = {**READY, "Asr": StageDescription(engine="whisper", problem="no such model: large")}


def client(
    stages: Mapping[str, StageDescription] = READY,
    keys: tuple[str, ...] = (),
    agent: Callable[[], str] = lambda: "http://127.0.0.1:1/metrics",
) -> TestClient:
    async def describe(deadline_s: float) -> Mapping[str, StageDescription]:
        return stages

    known = ApiKeys(keys)
    entrance = Entrance(
        known, ClientSecrets(b"k" * 32, 600), Sessions(SessionMaker(), 1), SessionSettings, Limits, nobody_comes_back
    )
    routes = [
        *health_routes(describe),
        *model_routes(describe, 1_700_000_000.7),
        voices_route(describe),
        metrics_route(agent),
        *page.routes(),
    ]
    app = build_asgi_app(entrance, OriginPolicy(keyed=known.required), routes)
    return TestClient(app, base_url="http://127.0.0.1:8000")


def test_health() -> None:
    with client() as browser:
        assert browser.get("/livez").text == "ok"
        answer = browser.get("/readyz")
        assert answer.status_code == 200
        assert answer.json()["ready"] is True
        assert answer.json()["deployments"]["Asr"] == {"ready": True, "engine": "fake", "problem": None}


def test_not_ready_says_who_and_why() -> None:
    with client(UNREADY) as browser:
        answer = browser.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["ready"] is False
        expected = {"ready": False, "engine": "whisper", "problem": "no such model: large"}
        assert answer.json()["deployments"]["Asr"] == expected
        assert browser.get("/livez").status_code == 200


def test_voices_are_those_of_the_speech_engine() -> None:
    voices = (Voice("en-us", "en", "American English, man", ("alloy",)), Voice("de", "de"))
    with client({**READY, "Tts": TtsDescription(engine="espeak", voices=voices)}) as browser:
        listed = browser.get("/v1/voices").json()
        assert listed["object"] == "list"
        assert [(each["id"], each["language"]) for each in listed["data"]] == [("en-us", "en"), ("de", "de")]
        assert listed["data"][0]["aliases"] == ["alloy"]
        assert {each["object"] for each in listed["data"]} == {"voice"}
    with client() as browser:
        assert browser.get("/v1/voices").json() == {"object": "list", "data": []}
    with client(keys=("sk-right",)) as browser:
        assert browser.get("/v1/voices").status_code == 401


def test_models_are_in_the_shape_of_openai() -> None:
    with client() as browser:
        listed = browser.get("/v1/models").json()
        assert listed["object"] == "list"
        models = [Model.model_validate(each, strict=True) for each in listed["data"]]
        assert [model.id for model in models] == ["parley", "rules", "rules-2"]
        assert browser.get("/v1/models/rules").json() == listed["data"][1]
        missing = browser.get("/v1/models/gpt-9")
        assert missing.status_code == 404
        assert missing.json()["error"]["code"] == "model_not_found"


def test_client_secrets() -> None:
    with client() as browser:
        empty = browser.post("/v1/realtime/client_secrets")
        assert empty.status_code == 200
        given = browser.post("/v1/realtime/client_secrets", json={"session": {"type": "realtime", "model": "m"}})
        assert given.json()["session"]["model"] == "m"
        assert given.json()["value"].startswith("ek_")
        for body, status in (("{", 400), ('{"sessions":{}}', 400), ('"' + "x" * 2**20 + '"', 413)):
            refused = browser.post("/v1/realtime/client_secrets", content=body)
            assert refused.status_code == status
            assert refused.json()["error"]["type"] == "invalid_request_error"


def test_with_keys_the_api_is_for_their_owners() -> None:
    with client(keys=("sk-1",)) as browser:
        for path in ("/v1/models", "/v1/realtime/client_secrets", "/v1/nothing", "/api/v1/conversation"):
            refused = browser.get(path)
            assert refused.status_code == 401
            assert refused.json()["error"]["code"] == "invalid_api_key"
        assert browser.get("/v1/models", headers={"Authorization": "Bearer sk-1"}).status_code == 200
        for path in ("/", "/livez", "/readyz"):
            assert browser.get(path).status_code == 200


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"host": "evil.example:8000"}])
def test_pages_of_others_are_refused(headers: dict[str, str]) -> None:
    with client() as browser:
        for path in ("/", "/v1/models"):
            refused = browser.get(path, headers=headers)
            assert refused.status_code == 403
            assert refused.json()["error"]["code"] == "forbidden"
        assert browser.get("/livez", headers=headers).status_code == 200


def test_nothing_there() -> None:
    with client() as browser:
        assert browser.get("/v2").json()["error"]["code"] == "not_found"
        assert browser.put("/v1/models").status_code == 405


EXPORTED = """\
# HELP ray_serve_deployment_replica_starts Starts.
# TYPE ray_serve_deployment_replica_starts counter
ray_serve_deployment_replica_starts{deployment="Tts"} 1.0
# HELP ray_node_cpu CPUs.
# TYPE ray_node_cpu gauge
ray_node_cpu 2.0
# HELP ray_parley_sessions Conversations open now.
# TYPE ray_parley_sessions gauge
ray_parley_sessions{replica="a"} 3.0
"""


@contextmanager
def metrics_agent() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(EXPORTED.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Not to the terminal."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/metrics"
        finally:
            server.shutdown()
            thread.join()


def test_metrics_are_those_of_serve_and_ours() -> None:
    with metrics_agent() as address, client(agent=lambda: address) as browser:
        answer = browser.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        lines = answer.text.splitlines()
        assert len(lines) == 6
        assert not any("ray_node" in line for line in lines)


def test_metrics_without_an_agent_say_so() -> None:
    with client() as browser:
        answer = browser.get("/metrics")
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "stage_unavailable"
