"""What the page says when something is wrong, and what it does about it."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium
from tests.browser.chromium import Chromium
from tests.browser.conftest import PageOpener
from tests.browser.stand_in import Script, StandIn

pytestmark = pytest.mark.browser


def _talk(page: Page) -> None:
    page.get_by_role("button", name="Talk", exact=True).click()


def _types(page: Page, text: str) -> None:
    page.get_by_label("Type instead of speaking").fill(text)
    page.keyboard.press("Enter")


def _types_and_is_answered(page: Page) -> None:
    _types(page, "hello")
    expect(page.locator(".line.assistant .words")).to_contain_text("Hello. It is")


@pytest.fixture
def page(browser: Browser, stand_in: StandIn, open_page: PageOpener) -> Page:
    return open_page(browser, stand_in.url)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        pytest.param([chromium.GRANTED], "No microphone was found.", id="missing"),
        pytest.param([chromium.DEVICE], "The microphone was refused.", id="refused"),
    ],
)
def test_without_a_microphone_one_can_type(
    flags: list[str], words: str, browsers: Chromium, stand_in: StandIn, open_page: PageOpener
) -> None:
    page = open_page(browsers.with_flags(*flags), stand_in.url)
    _talk(page)
    expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.locator("#state")).to_have_text("Ready")
    expect(page.get_by_role("button", name="Talk", exact=True)).to_be_visible()
    assert stand_in.sessions == []  # nobody's place was taken for nothing
    _types_and_is_answered(page)


def test_a_page_without_https_says_why_it_has_no_microphone(
    browsers: Chromium, stand_in: StandIn, open_page: PageOpener
) -> None:
    browser = browsers.with_flags("--host-resolver-rules=MAP parley.test 127.0.0.1", chromium.GRANTED)
    page = open_page(browser, stand_in.url.replace("127.0.0.1", "parley.test"))
    _talk(page)
    expect(page.get_by_role("alert")).to_contain_text("over https, or at 127.0.0.1 or localhost")
    assert page.evaluate("window.isSecureContext") is False


def test_a_muted_microphone_is_noticed(
    browsers: Chromium, stand_in: StandIn, open_page: PageOpener, tmp_path: Path
) -> None:
    silence = chromium.write_speech(tmp_path / "silence.wav", 2.0)
    page = open_page(browsers.with_flags(*chromium.microphone(silence)), stand_in.url)
    _talk(page)
    expect(page.get_by_role("alert")).to_contain_text("gives only silence")
    expect(page.locator("#state")).to_have_text("Listening")


def test_a_full_server_says_so_and_can_be_tried_again(page: Page, stand_in: StandIn) -> None:
    stand_in.script = Script(close_at_once=(1013, "the server is full: try again later"))
    _talk(page)
    expect(page.get_by_role("alert")).to_contain_text("The server is full")
    expect(page.get_by_role("button", name="Talk", exact=True)).to_be_visible()
    stand_in.script = Script()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#state")).to_have_text("Listening")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_server_that_wants_a_key_is_given_one(page: Page, stand_in: StandIn) -> None:
    stand_in.script = Script(key="sk-right", token="t1")
    _types(page, "hello")
    expect(page.get_by_role("alert")).to_contain_text("This server opens with a key.")
    field = page.get_by_label("Key")
    expect(field).to_be_focused()
    field.fill("sk-wrong é,")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The server does not know this key.")
    field.fill("sk-right")
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator(".line.assistant .words")).to_contain_text("Hello. It is")
    expect(field).to_be_hidden()
    # The tab remembers it.
    page.reload()
    _types_and_is_answered(page)
    assert len(stand_in.sessions) == 2


def test_a_lost_connection_comes_back_and_the_conversation_goes_on(page: Page, stand_in: StandIn) -> None:
    _talk(page)
    expect(page.locator(".line.assistant .words")).to_contain_text("Hello. It is")
    stand_in.script = Script(drop_at_once=True)
    stand_in.break_sessions()
    expect(page.get_by_role("alert")).to_contain_text("The connection was lost. Trying again")
    expect(page.locator("#state")).to_have_text(re.compile("Reconnecting|Connecting"))
    expect(page.locator(".line.user .words")).to_have_text("hello there")  # the captions are kept
    stand_in.script = Script()
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#state")).to_have_text("Listening")
    expect(page.get_by_role("alert")).to_be_hidden()
    assert len(stand_in.sessions) == 2
    # The new session is told what was said; the reply that was cut off counts as far as it was heard.
    said = [event["item"] for event in _all_told(page, stand_in, "conversation.item.create", 2)]
    assert [(item["role"], item["content"][0]["type"]) for item in said] == [
        ("user", "input_text"),
        ("assistant", "output_text"),
    ]
    assert said[0]["content"][0]["text"] == "hello there"
    assert said[1]["content"][0]["text"].startswith("Hello. It is")
    # And it hears.
    expect(page.locator(".line.user")).to_have_count(2, timeout=20_000)


def test_a_lost_session_is_resumed_from_what_was_heard(page: Page, stand_in: StandIn) -> None:
    stand_in.script = Script(answer="one two three four five six seven eight nine ten", token="t1")
    _types(page, "count")
    expect(page.locator(".line.assistant .words")).to_contain_text("one two three")
    stand_in.break_sessions()
    expect(page.get_by_role("alert")).to_contain_text("The connection was lost")
    expect(page.get_by_role("alert")).to_be_hidden()
    (asked,) = stand_in.asked_to_resume
    assert asked["resume"] == "t1"
    assert asked["parley_events"] == "1"
    assert int(asked["heard_ms"]) == pytest.approx(page.evaluate("window.tap.heard_ms"), abs=120)
    # Its settings and what was said are there already.
    _types(page, "go on")
    expect(page.locator(".line.assistant")).to_have_count(2)
    assert [event["type"] for event in stand_in.session.received] == ["conversation.item.create", "response.create"]


def test_where_the_session_is_gone_a_new_one_is_told_what_was_said(page: Page, stand_in: StandIn) -> None:
    stand_in.script = Script(token="t1")
    _types_and_is_answered(page)
    stand_in.script = Script(token="t2")
    stand_in.break_sessions()
    expect(page.get_by_role("alert")).to_contain_text("The connection was lost")
    expect(page.get_by_role("alert")).to_be_hidden()
    assert len(stand_in.asked_to_resume) == 1
    assert len(stand_in.sessions) == 2
    said = [event["item"]["role"] for event in _all_told(page, stand_in, "conversation.item.create", 2)]
    assert said == ["user", "assistant"]


def test_it_comes_back_by_itself(page: Page, stand_in: StandIn) -> None:
    _types_and_is_answered(page)
    stand_in.break_sessions()
    expect(page.get_by_role("alert")).to_contain_text("The connection was lost")
    expect(page.get_by_role("alert")).to_be_hidden()
    assert len(stand_in.sessions) == 2


def test_a_server_that_shuts_down_says_so(page: Page, stand_in: StandIn) -> None:
    _types_and_is_answered(page)
    stand_in.script = Script(drop_at_once=True)
    stand_in.close_sessions(1001, "the server is shutting down")
    expect(page.get_by_role("alert")).to_contain_text("The server is shutting down. Trying again")
    expect(page.get_by_role("alert")).to_contain_text("The connection was lost. Trying again")


def test_a_server_that_ends_the_session_says_why(page: Page, stand_in: StandIn) -> None:
    _types_and_is_answered(page)
    stand_in.close_sessions(1000, "idle for too long: connect again when you want to talk")
    expect(page.get_by_role("alert")).to_contain_text(
        "The server ended the session: idle for too long: connect again when you want to talk."
    )
    _talk(page)
    expect(page.locator("#state")).to_have_text("Listening")
    expect(page.get_by_role("alert")).to_be_hidden()
    assert len(_all_told(page, stand_in, "conversation.item.create", 2)) == 2  # it remembers


def test_a_server_that_cannot_be_reached_is_said_to_be(page: Page, stand_in: StandIn) -> None:
    stand_in.script = Script(drop_at_once=True)
    page.get_by_label("Type instead of speaking").fill("hello")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached. Trying again")
    stand_in.script = Script()
    # What was typed meanwhile is sent as soon as it can be.
    expect(page.locator(".line.assistant .words")).to_contain_text("Hello. It is")


def test_what_is_typed_while_the_connection_is_away_is_said_once(page: Page, stand_in: StandIn) -> None:
    _types_and_is_answered(page)
    stand_in.script = Script(drop_at_once=True)
    stand_in.break_sessions()
    expect(page.get_by_role("alert")).to_contain_text("The connection was lost")
    page.get_by_label("Type instead of speaking").fill("are you there")
    page.keyboard.press("Enter")
    stand_in.script = Script()
    expect(page.locator(".line.assistant")).to_have_count(2)
    said = [event["item"]["content"][0]["text"] for event in stand_in.session.of_type("conversation.item.create")]
    assert said[0] == "hello"
    assert said.count("are you there") == 1
    assert said[-1] == "are you there"


def test_one_can_stop_while_it_tries_to_come_back(page: Page, stand_in: StandIn) -> None:
    _talk(page)
    expect(page.locator(".line.assistant .words")).to_contain_text("Hello. It is")
    stand_in.script = Script(drop_at_once=True)
    stand_in.break_sessions()
    expect(page.get_by_role("alert")).to_contain_text("The connection was lost")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#state")).to_have_text("Ready")
    expect(page.get_by_role("alert")).to_be_hidden()
    stand_in.script = Script()
    _talk(page)
    expect(page.locator("#state")).to_have_text("Listening")
    assert len(_all_told(page, stand_in, "conversation.item.create", 2)) == 2  # it remembers


def test_without_sound_the_answer_is_written(browser: Browser, stand_in: StandIn, open_page: PageOpener) -> None:
    page = open_page(browser, stand_in.url)
    page.evaluate("() => { AudioWorklet.prototype.addModule = () => Promise.reject(new Error('no audio here')); }")
    _types_and_is_answered(page)
    expect(page.get_by_role("alert")).to_contain_text("This browser plays no sound here (no audio here).")


def test_speech_that_is_not_understood_is_said_to_be(page: Page, stand_in: StandIn) -> None:
    stand_in.script = Script(words="")
    _talk(page)
    expect(page.locator(".line.unclear .words")).to_have_text("not understood")
    page.get_by_label("Type instead of speaking").fill("hello")
    page.keyboard.press("Enter")
    expect(page.locator(".line.unclear")).to_have_count(0)


def test_an_error_event_is_shown(page: Page, stand_in: StandIn) -> None:
    _types_and_is_answered(page)
    stand_in.send("error", error={"type": "server_error", "code": "engine_failed", "message": "The voice failed."})
    expect(page.get_by_role("alert")).to_contain_text("The voice failed.")
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_an_error_goes_away_when_it_works_again(page: Page, stand_in: StandIn) -> None:
    _types_and_is_answered(page)
    stand_in.send("error", error={"type": "server_error", "code": "engine_failed", "message": "The voice failed."})
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Type instead of speaking").fill("again")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_an_error_about_what_came_too_late_is_not_shown(page: Page, stand_in: StandIn) -> None:
    _types_and_is_answered(page)
    page.keyboard.press("Escape")
    expect(page.locator(".mark")).to_be_visible()
    cancel = _told(page, stand_in, "response.cancel")
    error = {"code": "response_cancel_not_active", "message": "no response", "event_id": cancel["event_id"]}
    stand_in.send("error", error=error)
    stand_in.send("error", error={"code": "engine_failed", "message": "The voice failed.", "event_id": None})
    expect(page.get_by_role("alert")).to_contain_text("The voice failed.")
    assert page.evaluate("window.tap.notices") == ["The voice failed."]


def _told(page: Page, stand_in: StandIn, kind: str) -> dict[str, Any]:
    """The one event of a kind that the page sends, which may be on its way."""
    (event,) = _all_told(page, stand_in, kind, 1)
    return event


def _all_told(page: Page, stand_in: StandIn, kind: str, count: int) -> list[dict[str, Any]]:
    """The events of a kind that the page sends, once there are so many."""
    for _ in range(250):
        if len(stand_in.session.of_type(kind)) >= count:
            break
        page.wait_for_timeout(20)
    return stand_in.session.of_type(kind)
