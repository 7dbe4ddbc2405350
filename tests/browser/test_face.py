"""The face on the page: moving, in step with the sound, silent when the sound is; over the WebSocket and in a call.

Against the real sessions and the test pattern, which says in its pixels which frame it is.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium
from tests.browser.chromium import Chromium
from tests.browser.conftest import PageOpener
from tests.browser.parlour import Parlour
from tests.browser.stand_in import StandIn

pytestmark = pytest.mark.browser

WATCH = Path(__file__).parent / "watch.js"
OPEN = 0.3
STEP_MS = 80
"""As far apart picture and sound may be: two frames, half of one taken by the screen's refresh."""


@pytest.fixture(scope="module")
def parlour() -> Iterator[Parlour]:
    with Parlour(avatars=("pattern", "twin")) as server:
        yield server


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody who speaks every three and a half seconds, and so interrupts."""
    return chromium.write_speech(tmp_path_factory.mktemp("microphone") / "often.wav", 0.4, "hi_how_are_you", 2.0)


@pytest.fixture
def watched(browser: Browser, parlour: Parlour, open_page: PageOpener) -> Page:
    """The page over a WebSocket, with a watch on its face."""
    page = open_page(browser, f"{parlour.url}?way=socket")
    page.evaluate(WATCH.read_text())
    return page


def _ask(page: Page) -> None:
    page.get_by_label("Type instead of speaking").fill("hello")
    page.keyboard.press("Enter")


def _frames(page: Page) -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = page.evaluate("window.watch.frames")
    return frames


def _numbers(page: Page) -> list[int]:
    return [frame["number"] for frame in _frames(page)]


def _mouth_moves_ms(frames: list[dict[str, Any]], opens: bool) -> list[float]:
    """When the mouth opened, or closed."""
    pairs = itertools.pairwise(frames)
    return [after["at_ms"] for before, after in pairs if (before["open"] < OPEN) is opens is (after["open"] > OPEN)]


def _offsets_ms(page: Page, edge: str) -> np.ndarray[Any, Any]:
    """How long after each edge of the sound the mouth did the same, the nearest time it did."""
    moves_ms = np.array(_mouth_moves_ms(_frames(page), opens=edge == "on"))
    heard_ms = [each["at_ms"] for each in page.evaluate("window.watch.sounds") if each["edge"] == edge]
    return np.array([moves_ms[np.abs(moves_ms - at_ms).argmin()] - at_ms for at_ms in heard_ms])


def _is_shut(page: Page) -> None:
    """Soon no open mouth is shown any more, though the face goes on: for longer than any pause of the voice."""
    shown = len(_frames(page))
    last = "window.watch.frames.slice(-25)"
    shut = f"window.watch.frames.length >= {shown} + 25 && {last}.every((frame) => frame.open < {OPEN})"
    chromium.until(page, shut, within_ms=3000)


def test_the_face_moves_in_step_with_the_sound_and_stops_with_it(watched: Page) -> None:
    _ask(watched)
    chromium.until(watched, "window.watch.sounds.length >= 9")
    numbers = _numbers(watched)
    assert None not in numbers
    assert numbers == sorted(set(numbers))
    assert len(numbers) >= 25, "it moves; a loaded machine skips pictures that are late"
    for edge in ("on", "off"):
        offsets_ms = _offsets_ms(watched, edge)
        # On a loaded machine the first picture, or one that the page draws, may be late.
        assert np.median(np.abs(offsets_ms)) < STEP_MS, (edge, offsets_ms)

    chromium.until(watched, f"window.watch.frames.at(-1).open > {OPEN}")
    watched.keyboard.press("Escape")
    _is_shut(watched)


def test_the_face_in_a_call(browser: Browser, parlour: Parlour, open_page: PageOpener) -> None:
    page = open_page(browser, parlour.url)
    page.evaluate(WATCH.read_text())
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    _ask(page)
    expect(page.locator("#stage")).to_have_attribute("data-way", "call")
    chromium.until(page, "window.watch.frames.length >= 60")
    expect(page.locator(".line.assistant .words")).to_contain_text("one two")
    frames = [frame for frame in _frames(page) if frame["number"] is not None]
    numbers = [frame["number"] for frame in frames]
    assert numbers == sorted(set(numbers))
    assert len(_mouth_moves_ms(frames, opens=True)) >= 2
    assert sockets == []
    page.keyboard.press("Escape")
    expect(page.locator(".mark")).to_have_text("interrupted")
    expect(page.locator("#state")).to_have_text("Microphone off")
    _is_shut(page)


def test_a_call_of_the_page_looks_for_ways_with_the_servers_ice_servers(
    browser: Browser, parlour: Parlour, open_page: PageOpener
) -> None:
    page = open_page(browser, parlour.url)
    servers = [{"urls": "turn:127.0.0.1:9", "username": "parley", "credential": "secret"}]
    page.route(
        "**/v1/realtime/calls/ice_servers", lambda route: route.fulfill(json={"object": "list", "data": servers})
    )
    page.evaluate("""() => {
      const use = RTCPeerConnection.prototype.setConfiguration;
      RTCPeerConnection.prototype.setConfiguration = function (configuration) {
        use.call(this, configuration);
        window.used = this.getConfiguration().iceServers;
      };
    }""")
    _ask(page)
    expect(page.locator("#stage")).to_have_attribute("data-way", "call")
    assert [(each["urls"], each["credential"]) for each in page.evaluate("window.used")] == [
        (["turn:127.0.0.1:9"], "secret")
    ]


def test_where_udp_does_not_pass_it_is_the_websocket(
    browsers: Chromium, parlour: Parlour, open_page: PageOpener
) -> None:
    page = open_page(browsers.with_flags("--webrtc-ip-handling-policy=disable_non_proxied_udp"), parlour.url)
    _ask(page)
    expect(page.locator("#stage")).to_have_attribute("data-way", "socket")
    expect(page.locator(".line.assistant .words")).to_contain_text("one")
    expect(page.locator("#face")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_an_interruption_closes_the_mouth_and_a_muted_microphone_interrupts_nothing(watched: Page) -> None:
    watched.get_by_role("button", name="Talk", exact=True).click()
    expect(watched.locator(".mark")).to_have_text("interrupted")
    last = _numbers(watched)[-1]
    chromium.until(watched, f"window.watch.frames.at(-1).number >= {last} + 6")
    expect(watched.locator("#state")).to_have_text("Speaking")
    watched.keyboard.press("m")
    expect(watched.get_by_role("button", name="Mute the microphone")).to_have_attribute("aria-pressed", "true")
    expect(watched.locator(".line.assistant").nth(1)).to_contain_text("one two three four five")
    assert watched.locator(".mark").count() == 1
    numbers = _numbers(watched)
    assert numbers == sorted(set(numbers))


def test_without_a_face_the_page_is_as_ever(browser: Browser, stand_in: StandIn, open_page: PageOpener) -> None:
    page = open_page(browser, stand_in.url)
    _ask(page)
    expect(page.locator(".line.assistant")).to_be_visible()
    for control in ("#face", "#player", "#no-face", "#full", "#choose"):
        expect(page.locator(control)).to_be_hidden()
    expect(page.locator(".presence")).to_be_visible()
    (update,) = stand_in.session.of_type("session.update")
    assert update["session"]["output_modalities"] == ["audio"]
    assert "video" not in update["session"]


def test_voice_and_face_are_chosen_and_kept(watched: Page, parlour: Parlour) -> None:
    _ask(watched)
    chromium.until(watched, "window.watch.frames.length > 5")
    session = parlour.sessions[-1]
    assert session.settings.shows_face
    watched.get_by_role("button", name="Voice and face").click()
    watched.locator("#voice").select_option("other")
    watched.locator("#avatar").select_option("twin")
    watched.keyboard.press("Escape")
    expect(watched.locator("#choices")).to_be_hidden()
    expect(watched.locator("#state")).to_have_text("Speaking")  # that key did not mean the reply
    assert session.settings.audio.output.voice == "other"
    assert session.settings.video is not None
    assert session.settings.video.avatar == "twin"

    watched.get_by_role("button", name="Show no face").click()
    expect(watched.locator("#face")).to_be_hidden()
    expect(watched.locator(".line.assistant")).to_contain_text("four")
    assert not session.settings.shows_face
    watched.reload()
    expect(watched.locator("#face")).to_be_hidden()
    expect(watched.get_by_role("button", name="Show no face")).to_have_attribute("aria-pressed", "true")


def test_the_face_fills_the_screen(watched: Page) -> None:
    expect(watched.get_by_role("button", name="Full screen")).to_be_visible()
    watched.keyboard.press("f")
    expect(watched.get_by_role("button", name="Full screen")).to_have_attribute("aria-pressed", "true")
    assert watched.evaluate("document.fullscreenElement.tagName") == "MAIN"
    watched.keyboard.press("f")
    chromium.until(watched, "document.fullscreenElement === null")


def test_a_browser_without_a_decoder_says_so_and_talks(watched: Page) -> None:
    watched.evaluate("() => { delete window.VideoDecoder; }")
    _ask(watched)
    expect(watched.get_by_role("alert")).to_contain_text("The conversation goes on with sound alone.")
    expect(watched.locator(".line.assistant")).to_contain_text("one two")
    expect(watched.locator("#face")).to_be_hidden()


def test_with_a_face_it_fits_every_window(watched: Page) -> None:
    before = watched.locator(".faced .figure").bounding_box()
    _ask(watched)
    chromium.until(watched, "window.watch.frames.length > 3")
    assert watched.locator(".faced .figure").bounding_box() == before  # it had its place
    for size in ((1280, 800), (740, 360), (360, 640)):
        _fits(watched, *size)


def _fits(page: Page, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.scrollHeight") <= height
    for control in ("#face", "#talk", "#mute", "#full", "#say", "#composer button", "#new", "#state"):
        box = page.locator(control).bounding_box()
        assert box is not None, control
        assert min(box["x"], box["y"]) >= 0, control
        assert box["x"] + box["width"] <= width, control
        assert box["y"] + box["height"] <= height, control
    captions = page.locator("#scroller").bounding_box()
    assert captions is not None
    assert captions["height"] >= 90
    face = page.locator("#face").bounding_box()
    assert face is not None
    assert face["width"] / face["height"] == pytest.approx(160 / 128, rel=0.02)
