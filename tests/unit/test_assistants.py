"""Assistants as data."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from configs.assistant import SHIPPED, Assistant, load_assistants
from configs.session import SessionConfig, SpeakableConfig, ToolsConfig
from deployments.runtime.errors import ConfigError, NotFound
from serve_app.gateway.assistants import Assistants
from serve_app.gateway.client_secrets import ClientSecrets
from serve_app.gateway.keys import ApiKeys
from serve_app.gateway.realtime.entrance import Entrance
from serve_app.gateway.realtime.limits import Limits
from serve_app.gateway.sessions import Resumed, Sessions
from serve_app.session.settings import SessionSettings

LIVE = SessionConfig(voice="en-gb", speakable=SpeakableConfig(lexicon={"a": "b"}))


def test_the_shipped_ones_are_valid_and_apply() -> None:
    assistants = load_assistants(SHIPPED)
    assert "guide" in assistants
    config = assistants["guide"].applied(LIVE)
    assert "clocks" in config.instructions
    assert config.greeting.startswith("Welcome")
    assert config.tools.server == ()
    assert config.speakable.lexicon["Huygens"] == "High gens"
    assert config.speakable.lexicon["a"] == "b"
    assert config.lead_ms == LIVE.lead_ms


def test_what_is_left_out_is_as_configured() -> None:
    assert Assistant().applied(LIVE) == LIVE
    assert Assistant(greeting="Hi.").applied(LIVE).voice == "en-gb"


def test_one_of_the_operator_goes_before_one_that_is_shipped(tmp_path: Path) -> None:
    (tmp_path / "guide.yaml").write_text("greeting: Mine.\n")
    (tmp_path / "empty.yaml").write_text("")
    assistants = load_assistants(SHIPPED, tmp_path)
    assert assistants["guide"].greeting == "Mine."
    assert assistants["empty"] == Assistant()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.yaml", "colour: red", "x.yaml: colour: Extra inputs"),
        ("x.yaml", "a: [", "not YAML"),
        ("x.yaml", "- a", "valid dictionary"),
        ("X y.yaml", "", "small letters"),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=words):
        load_assistants(tmp_path)
    with pytest.raises(ValueError, match="no folder"):
        load_assistants(tmp_path / "nowhere")


def test_an_unknown_name_lists_those_there_are() -> None:
    assistants = Assistants({"b": Assistant(), "a": Assistant()})
    with pytest.raises(NotFound, match=r"no assistant 'c'; there are: a, b\."):
        assistants.settings(LIVE, "c")
    with pytest.raises(ConfigError, match=r"user_config: .*'c'"):
        assistants.check(SessionConfig(assistant="c"))


def test_a_default_is_used_where_none_is_named() -> None:
    assistants = Assistants({"a": Assistant(greeting="Hi."), "b": Assistant(instructions="Be b.")})
    live = SessionConfig(assistant="a")
    assert assistants.configured(live, "").greeting == "Hi."
    assert assistants.settings(live, "").assistant == "a"
    assert assistants.settings(live, "b").instructions == "Be b."
    assert assistants.configured(SessionConfig(), "") == SessionConfig()


def test_a_function_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="assistant 'a': there is no function look among the server's; there are: see"
    ):
        Assistants({"a": Assistant(tools=("look",))}, ("see",))
    with pytest.raises(ConfigError, match="user_config: there is no function look"):
        Assistants({}, ()).check(SessionConfig(tools=ToolsConfig(server=("look",))))


async def _nobody(token: str, heard_ms: int | None) -> Resumed:
    raise NotFound(token)


def _no_session(settings: SessionSettings, resumed: Resumed | None = None) -> None:
    raise AssertionError


def test_a_client_names_one_or_its_secret_does() -> None:
    assistants = Assistants({"a": Assistant(instructions="Be a."), "b": Assistant(instructions="Be b.")})
    secrets = ClientSecrets(b"k" * 32, 600)
    entrance = Entrance(
        ApiKeys(()),
        secrets,
        Sessions(_no_session, 1),  # type: ignore[arg-type]  # makes none
        lambda: assistants.settings(LIVE, ""),
        Limits,
        _nobody,
        assistant=lambda name: assistants.settings(LIVE, name),
    )
    assert entrance.admit(None).assistant is None
    assert entrance.admit(None, assistant="a").instructions == "Be a."
    with pytest.raises(NotFound, match="there are: a, b"):
        entrance.admit(None, assistant="c")


def test_it_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Assistant().voice = "x"  # type: ignore[misc]  # that is the point
