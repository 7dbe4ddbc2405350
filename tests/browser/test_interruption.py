"""Stopping a reply: by voice, by key, by typing; and holding it. The server is told to the sample what was heard."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium
from tests.browser.conftest import PageOpener
from tests.browser.stand_in import Script, StandIn

pytestmark = pytest.mark.browser

ANSWER = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"


@pytest.fixture
def speaking(browser: Browser, stand_in: StandIn, open_page: PageOpener) -> Page:
    """A page in the middle of a reply."""
    stand_in.script = Script(answer=ANSWER)
    page = open_page(browser, stand_in.url)
    page.get_by_label("Type instead of speaking").fill("count")
    page.keyboard.press("Enter")
    expect(page.locator(".line.assistant .words")).to_contain_text("one two three")
    return page


def _becomes_quiet(page: Page) -> None:
    chromium.until(page, "window.tap.rms() < 0.001", within_ms=500)


def test_speech_drops_what_was_not_played(speaking: Page, stand_in: StandIn) -> None:
    stand_in.interrupt()
    _becomes_quiet(speaking)
    expect(speaking.locator(".line.assistant .mark")).to_have_text("interrupted")
    (truncation,) = stand_in.session.of_type("conversation.item.truncate")
    # The tap measures over 85 ms, every 20 ms; on a loaded machine it comes to it late.
    assert truncation["audio_end_ms"] == pytest.approx(speaking.evaluate("window.tap.heard_ms"), abs=250)
    assert truncation["audio_end_ms"] < stand_in.session.sent_ms(truncation["item_id"])
    # The caption says what the server's history holds: the words that were heard whole.
    whole = int(truncation["audio_end_ms"] / 1000 / 0.3)
    expect(speaking.locator(".line.assistant .words")).to_have_text(" ".join(ANSWER.split()[:whole]))


def test_escape_stops_a_reply(speaking: Page, stand_in: StandIn) -> None:
    speaking.keyboard.press("Escape")
    _becomes_quiet(speaking)
    expect(speaking.locator("#state")).to_have_text("Microphone off")
    assert len(stand_in.session.of_type("response.cancel")) == 1
    assert len(stand_in.session.of_type("conversation.item.truncate")) == 1


def test_a_typed_message_stops_a_reply_and_is_answered(speaking: Page, stand_in: StandIn) -> None:
    speaking.get_by_label("Type instead of speaking").fill("again")
    speaking.keyboard.press("Enter")
    expect(speaking.locator(".line.assistant")).to_have_count(2)
    expect(speaking.locator(".line.assistant").first.locator(".mark")).to_have_text("interrupted")
    order = [event["type"] for event in stand_in.session.received[3:7]]
    assert order[0] == "response.cancel"
    assert order[1] == "conversation.item.truncate"
    assert [each for each in order if each.endswith(".create")] == ["conversation.item.create", "response.create"]


def test_a_hold_that_ends_without_a_word_does_not_stop_the_next_reply(speaking: Page, stand_in: StandIn) -> None:
    expect(speaking.locator(".line.assistant .words")).to_have_text(ANSWER)
    expect(speaking.locator("#state")).to_have_text("Microphone off")
    stand_in.hold(True)  # the server thinks that there is sound to be played still
    stand_in.interrupt()
    stand_in.release()
    chromium.until(speaking, "window.tap.rms() < 0.001")
    speaking.get_by_label("Type instead of speaking").fill("again")
    speaking.keyboard.press("Enter")
    chromium.until(speaking, "window.tap.rms() > 0.1")


def test_a_held_reply_goes_on_where_it_stopped(speaking: Page, stand_in: StandIn) -> None:
    stand_in.hold(True)
    _becomes_quiet(speaking)
    shown = speaking.locator(".line.assistant .words").inner_text()
    stand_in.hold(False)
    chromium.until(speaking, "window.tap.rms() > 0.1")
    expect(speaking.locator(".line.assistant .words")).to_have_text(ANSWER)
    assert len(shown) < len(ANSWER)
    assert stand_in.session.of_type("conversation.item.truncate") == []
