"""The page on the real server with its embedded engines: press, speak, read both sides, hear, interrupt."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect

from tests.browser import chromium
from tests.browser.conftest import PageOpener

pytestmark = [pytest.mark.browser, pytest.mark.ray, pytest.mark.timeout(180)]

TURN_MS = 15_000
"""For a whole turn, on a loaded machine."""


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody who says "thank you very much" every ten seconds."""
    return chromium.write_speech(tmp_path_factory.mktemp("microphone") / "thanks.wav", 1.5, "thank_you", 7.4)


@pytest.fixture
def page(browser: Browser, parley_url: str, open_page: PageOpener) -> Page:
    # Over the WebSocket the page plays the sound itself, so that it can be measured.
    return open_page(browser, f"{parley_url}/?way=socket")


def _ask(page: Page, question: str) -> None:
    page.get_by_label("Type instead of speaking").fill(question)
    page.keyboard.press("Enter")


def test_a_typed_question_is_answered_in_sound_and_words(page: Page) -> None:
    _ask(page, "What is seven times eight?")
    expect(page.locator(".line.assistant .words")).to_have_text("Seven times eight is fifty-six.", timeout=TURN_MS)
    assert page.evaluate("window.tap.loudest") > 0.05
    expect(page.locator("#state")).to_have_text("Microphone off")
    shown = chromium.shown(page, "Parley")
    assert len({text for _, text, _ in shown}) >= 4  # word by word
    last_word_ms = next(heard_ms for heard_ms, text, _ in shown if text == "Seven times eight is fifty-six.")
    assert last_word_ms > 0.4 * page.evaluate("window.tap.heard_ms")  # not long before it is heard


def test_a_spoken_turn_and_an_interruption(page: Page) -> None:
    sent: list[dict[str, Any]] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: sent.append(json.loads(frame)))

    page.on("websocket", listen)
    page.get_by_role("button", name="Talk", exact=True).click()

    # The user's words. Which ones depends: the browser's noise suppression changes the sound from run to run.
    expect(page.locator(".line.user:not(.interim) .words").first).to_have_text(re.compile(r"\w"), timeout=TURN_MS)
    # The answer: heard, and read.
    chromium.until(page, "window.tap.rms() > 0.02", within_ms=TURN_MS)
    reply = page.locator(".line.assistant").first
    expect(reply).to_have_attribute("aria-busy", "false", timeout=TURN_MS)
    assert len(reply.locator(".words").inner_text().split()) >= 2
    expect(page.locator("#state")).to_have_text("Listening")
    # How the turn came about, in order.
    times = [float(text.removesuffix(" ms")) for text in page.locator("#timeline dd").all_inner_texts()]
    assert len(times) == 6
    assert times == sorted(times)
    assert 200 < times[-1] < 5000

    # A story, until the user speaks again.
    _ask(page, "Tell me a long story.")
    story = page.locator(".line.assistant").nth(1)
    expect(story.locator(".mark")).to_have_text("interrupted", timeout=TURN_MS)
    # How much of it was heard depends: the microphone goes round in ten seconds, however slow the machine is.
    heard = story.locator(".words").inner_text()
    (truncation,) = [event for event in sent if event["type"] == "conversation.item.truncate"]
    assert heard.startswith("Once")
    assert truncation["audio_end_ms"] > 100 * len(heard.split())
    expect(page.locator(".line.user").nth(2).locator(".words")).to_have_text(re.compile(r"\w"), timeout=TURN_MS)
    expect(page.locator(".line.assistant")).to_have_count(3, timeout=TURN_MS)
    assert page.locator("#notice").is_hidden()
    # Words are shown as they are spoken: in one turn or another, since two cores are busy with this test.
    seen = "window.tap.captions.some(({ lines }) => lines.some(({ who, interim }) => who === 'You' && interim))"
    chromium.until(page, seen, within_ms=60_000)
