"""A spoken turn on the page: words of both sides as they are spoken, sound, state, timeline. Against the stand-in."""

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium
from tests.browser.conftest import PageOpener
from tests.browser.stand_in import Script, StandIn

pytestmark = pytest.mark.browser

ANSWER = "I am well, thank you. How are you?"


@pytest.fixture
def page(browser: Browser, stand_in: StandIn, open_page: PageOpener) -> Page:
    stand_in.script = Script(words="hi how are you", answer=ANSWER)
    return open_page(browser, stand_in.url)


def test_a_spoken_turn_is_heard_and_read(page: Page, stand_in: StandIn) -> None:
    page.get_by_role("button", name="Talk", exact=True).click()
    expect(page.locator("#state")).to_have_text("Listening")
    expect(page.locator("#state")).to_have_text("Speaking")
    chromium.until(page, "window.tap.rms() > 0.1")
    assert page.evaluate("window.tap.pitch_hz()") == pytest.approx(440, abs=12)
    expect(page.locator(".line.assistant .words")).to_have_text(ANSWER)
    expect(page.locator("#state")).to_have_text("Listening")
    chromium.until(page, "window.tap.rms() < 0.01", within_ms=500)
    expect(page.locator(".line.user .words")).to_have_text("hi how are you")
    expect(page.locator(".line.interim")).to_have_count(0)
    # The microphone's sound went up.
    assert np.sqrt(np.mean(stand_in.session.heard**2)) > 0.005


def test_the_users_words_appear_as_they_are_spoken(page: Page) -> None:
    page.get_by_role("button", name="Talk", exact=True).click()
    expect(page.locator(".line.user:not(.interim) .words")).to_have_text("hi how are you")
    shown = chromium.shown(page, "You")
    interim = [text for _, text, is_interim in shown if is_interim]
    assert interim == sorted(interim, key=len)
    assert interim[0] == "hi"
    assert len(set(interim)) >= 3


def test_the_answers_words_appear_with_their_sound(page: Page) -> None:
    page.get_by_label("Type instead of speaking").fill("hello")
    page.keyboard.press("Enter")
    expect(page.locator(".line.assistant .words")).to_have_text(ANSWER)
    shown = chromium.shown(page, "Parley")
    words = ANSWER.split()
    for count in range(1, len(words) + 1):
        heard_ms = next(heard_ms for heard_ms, text, _ in shown if text == " ".join(words[:count]))
        # The stand-in speaks a word every 300 ms and says its word with the first block that reaches into it.
        assert heard_ms == pytest.approx(300 * (count - 1), abs=290)


def test_the_timeline_shows_the_turn(page: Page) -> None:
    page.get_by_role("button", name="Talk", exact=True).click()
    timeline = page.get_by_role("region", name="Timeline of the turn")
    expect(timeline.locator("dd")).to_have_count(6)
    rows = dict(zip(timeline.locator("dt").all_inner_texts(), timeline.locator("dd").all_inner_texts(), strict=True))
    heard_ms = float(rows.pop("Heard here").removesuffix(" ms"))
    assert rows == {
        "End of speech": "0 ms",
        "Turn decided": "500 ms",
        "Words final": "531 ms",
        "First token": "538 ms",
        "First sound": "552 ms",
    }
    # The stand-in waits for 500 ms of silence, then 50 ms; the rest is the way here and the loudspeaker's buffer.
    assert 550 <= heard_ms <= 900
    assert (
        timeline.locator(".summary").inner_text()
        == f"{heard_ms:.0f} milliseconds from the end of speech to heard here."
    )
    widths = timeline.locator(".bar span").evaluate_all("spans => spans.map((span) => span.clientWidth)")
    assert len(widths) == 5
    assert widths[0] > 0.5 * sum(widths)


def test_a_typed_message_is_answered_aloud(page: Page, stand_in: StandIn) -> None:
    page.get_by_label("Type instead of speaking").fill("what is the time")
    page.keyboard.press("Enter")
    expect(page.locator(".line.user .words")).to_have_text("what is the time")
    expect(page.locator(".line.assistant .words")).to_have_text(ANSWER)
    assert page.evaluate("window.tap.loudest") > 0.1
    expect(page.locator("#state")).to_have_text("Microphone off")
    assert [event["type"] for event in stand_in.session.received] == [
        "session.update",
        "conversation.item.create",
        "response.create",
    ]
    assert stand_in.session.received[1]["item"]["content"] == [{"type": "input_text", "text": "what is the time"}]
    assert len(stand_in.session.heard) == 0


def test_a_suggestion_is_sent_as_if_typed(page: Page) -> None:
    page.get_by_role("button", name="Tell me a story.").click()
    expect(page.locator(".line.user .words")).to_have_text("Tell me a story.")
    expect(page.get_by_label("Type instead of speaking")).to_be_focused()
    expect(page.locator("#welcome")).to_be_hidden()


def test_stop_turns_the_microphone_off_and_keeps_the_session(page: Page, stand_in: StandIn) -> None:
    page.get_by_role("button", name="Talk", exact=True).click()
    expect(page.locator(".line.assistant .words")).to_contain_text("I am well,")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#state")).to_have_text("Microphone off")
    expect(page.locator(".mark")).to_have_text("interrupted")
    sent = len(stand_in.session.heard)
    page.get_by_role("button", name="Talk", exact=True).click()
    expect(page.locator("#state")).to_have_text("Listening")
    expect(page.locator(".line.user")).to_have_count(2)
    assert len(stand_in.session.heard) > sent
    assert len(stand_in.sessions) == 1
    assert len(stand_in.session.of_type("input_audio_buffer.clear")) == 1


def test_a_new_conversation_begins_with_nothing(page: Page, stand_in: StandIn) -> None:
    page.get_by_role("button", name="Talk", exact=True).click()
    expect(page.locator(".line.assistant .words")).to_contain_text("I am well,")
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator("#welcome")).to_be_visible()
    expect(page.locator(".line")).to_have_count(0)
    expect(page.locator("#timeline")).to_be_hidden()
    expect(page.locator("#state")).to_have_text("Listening")
    assert len(stand_in.sessions) == 2
    assert [event["type"] for event in stand_in.session.received] == ["session.update"]
