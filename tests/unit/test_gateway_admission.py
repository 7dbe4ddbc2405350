"""Who may enter: keys, client secrets, origins, the cap."""

import os
from pathlib import Path
from typing import Any

import pytest
from openai.types.realtime import ClientSecretCreateResponse

from deployments.runtime.errors import InvalidRequest, ServerFull, TooLarge, Unauthorized
from serve_app.gateway.client_secrets import ClientSecrets, load_signing_key
from serve_app.gateway.keys import ApiKeys, bearer
from serve_app.gateway.origins import OriginPolicy
from serve_app.gateway.sessions import Sessions
from serve_app.session.closing import SHUTTING_DOWN
from serve_app.session.settings import SessionSettings
from tests.scripted_sessions import SessionMaker

NOW_S = 1_800_000_000.0
SECRETS = ClientSecrets(b"k" * 32, 600)
BRIEF = {"type": "realtime", "instructions": "Be brief."}


def test_keys_come_from_the_environment() -> None:
    keys = ApiKeys.from_environment({"PARLEY_API_KEYS": " sk-one, sk-two ,"})
    assert keys.required
    keys.check("sk-one")
    keys.check("sk-two")
    for wrong in (None, "", "sk-on", "sk-one, sk-two", "ключ"):
        with pytest.raises(Unauthorized):
            keys.check(wrong)


@pytest.mark.parametrize("environment", [{}, {"PARLEY_API_KEYS": " , "}])
def test_without_keys_any_will_do(environment: dict[str, str]) -> None:
    keys = ApiKeys.from_environment(environment)
    assert not keys.required
    keys.check(None)
    keys.check("anything")


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic abc", None),
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
    ],
)
def test_bearer(header: str | None, key: str | None) -> None:
    assert bearer(header) == key


def test_a_client_secret_is_what_openai_answers() -> None:
    answer = SECRETS.issue({"session": BRIEF}, SessionSettings(), NOW_S)
    parsed = ClientSecretCreateResponse.model_validate(answer, strict=True)
    assert parsed.value.startswith("ek_")
    assert parsed.expires_at == NOW_S + 600
    assert not isinstance(parsed.session, dict)
    assert (parsed.session.type, parsed.session.object) == ("realtime", "realtime.session")
    assert answer["session"]["instructions"] == "Be brief."


def test_a_client_secret_opens_until_it_expires() -> None:
    request = {"session": BRIEF, "expires_after": {"anchor": "created_at", "seconds": 10}}
    value = SECRETS.issue(request, SessionSettings(), NOW_S)["value"]
    assert SECRETS.open(value, NOW_S + 9) == BRIEF
    with pytest.raises(Unauthorized, match="expired"):
        SECRETS.open(value, NOW_S + 10)


def test_another_replica_with_the_same_key_opens_it_and_no_other() -> None:
    value = SECRETS.issue({}, SessionSettings(), NOW_S)["value"]
    assert ClientSecrets(b"k" * 32, 60).open(value, NOW_S) == {}
    with pytest.raises(Unauthorized, match="not valid"):
        ClientSecrets(b"x" * 32, 60).open(value, NOW_S)


@pytest.mark.parametrize("position", [3, 20, -1])
def test_a_changed_client_secret_is_refused(position: int) -> None:
    value: str = SECRETS.issue({"session": BRIEF}, SessionSettings(), NOW_S)["value"]
    at = position % len(value)
    # The last character carries four bits of the signature and two that are always 0.
    changed = value[:at] + chr(ord(value[at]) ^ 1 if value[at] not in "_-09azAZ" else ord("B")) + value[at + 1 :]
    assert changed != value
    with pytest.raises(Unauthorized):
        SECRETS.open(changed, NOW_S)


@pytest.mark.parametrize("value", ["ek_", "ek_!", "ek_AAAA", "ek_" + "A" * 100, "ek_ü"])
def test_nonsense_is_no_client_secret(value: str) -> None:
    with pytest.raises(Unauthorized, match="not valid"):
        SECRETS.open(value, NOW_S)


@pytest.mark.parametrize(
    ("request_body", "param"),
    [
        ([], ""),
        ({"seconds": 10}, "seconds"),
        ({"expires_after": {"anchor": "now"}}, "expires_after.anchor"),
        ({"expires_after": {"seconds": 9}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "expires_after.seconds"),
        ({"session": {"type": "transcription"}}, "session.type"),
        ({"session": {"voice": "alloy"}}, "session.voice"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(request_body: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        SECRETS.issue(request_body, SessionSettings(), NOW_S)
    assert caught.value.param == param


def test_settings_that_no_header_can_carry_are_refused() -> None:
    noise = os.urandom(6_000).hex()
    with pytest.raises(TooLarge, match=r"session\.update"):
        SECRETS.issue({"session": {"instructions": noise}}, SessionSettings(), NOW_S)
    SECRETS.issue({"session": {"instructions": "You are patient. " * 2_000}}, SessionSettings(), NOW_S)


def test_the_signing_key_is_made_once(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "place"
    first = load_signing_key(directory, {})
    assert len(first) == 32
    assert load_signing_key(directory, {}) == first
    assert [path.name for path in directory.iterdir()] == ["signing.key"]
    assert (directory / "signing.key").stat().st_mode & 0o777 == 0o600


def test_the_signing_key_may_be_given(tmp_path: Path) -> None:
    given = load_signing_key(tmp_path, {"PARLEY_SIGNING_KEY": "secret"})
    assert given == load_signing_key(tmp_path / "other", {"PARLEY_SIGNING_KEY": "secret"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("host", "origin", "admitted"),
    [
        ("127.0.0.1:8000", None, True),
        ("localhost:8000", "http://localhost:8000", True),
        ("127.0.0.1:8000", "http://localhost:3000", True),
        ("127.0.0.1:8000", "http://[::1]:3000", True),
        ("192.168.0.7:8000", "http://192.168.0.7:8000", True),
        ("127.0.0.1:8000", "https://evil.example", False),
        ("127.0.0.1:8000", "http://192.168.0.7", False),
        ("127.0.0.1:8000", "null", False),
        ("127.0.0.1:8000", "http://[", False),
        ("127.0.0.1:8000", "http://127.0.0.1.evil.example", False),
        ("evil.example:8000", "http://evil.example:8000", False),
        ("evil.example:8000", None, False),
        ("talk.example", "https://talk.example", True),
        ("talk.example", "https://app.example", True),
        ("127.0.0.1", "HTTPS://APP.example", True),
        ("127.0.0.1", "http://app.example", False),
    ],
)
def test_origins(host: str, origin: str | None, admitted: bool) -> None:
    policy = OriginPolicy(["https://app.example/"], public_url="https://talk.example")
    headers = {"host": host, **({"origin": origin} if origin else {})}
    assert (policy.refusal(headers) is None) is admitted


def test_with_keys_any_name_of_the_server_is_its_own() -> None:
    policy = OriginPolicy(keyed=True)
    assert policy.refusal({"host": "talk.example", "origin": "https://talk.example"}) is None
    assert policy.refusal({"host": "talk.example", "origin": "https://evil.example"})


def test_any_origin() -> None:
    assert OriginPolicy(["*"]).refusal({"host": "a.example", "origin": "https://b.example"}) is None


class Counted:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[int | str] = []

    def sessions(self, count: int) -> None:
        self.told.append(count)

    def refused(self) -> None:
        self.told.append("refused")


def test_sessions_are_counted_and_capped() -> None:
    counts = Counted()
    sessions = Sessions(SessionMaker(), 2, counts)
    with sessions.enter(SessionSettings()), sessions.enter(SessionSettings()):
        with pytest.raises(ServerFull), sessions.enter(SessionSettings()):
            pass
        assert len(sessions) == 2
    assert counts.told == [1, 2, "refused", 1, 0]


def test_a_session_that_broke_frees_its_place() -> None:
    sessions = Sessions(SessionMaker(), 1)
    with pytest.raises(RuntimeError), sessions.enter(SessionSettings()):
        raise RuntimeError
    with sessions.enter(SessionSettings()):
        pass


def test_at_a_drain_all_are_closed_and_nobody_enters() -> None:
    make = SessionMaker()
    sessions = Sessions(make, 4)
    with sessions.enter(SessionSettings()), sessions.enter(SessionSettings()):
        sessions.close_all()
        assert [session.closing for session in make.made] == [SHUTTING_DOWN, SHUTTING_DOWN]
        with pytest.raises(ServerFull, match="shutting down"), sessions.enter(SessionSettings()):
            pass
