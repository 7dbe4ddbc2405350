"""For everybody: by keyboard alone, on a phone, in light and dark, with little motion, to a screen reader."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PageOpener
from tests.browser.stand_in import Script, StandIn

pytestmark = pytest.mark.browser

# The contrast of every visible text with what is behind it (WCAG 2.2, relative luminance): [ratio, text].
_CONTRASTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (color, below) => {
    canvas.fillStyle = `rgb(${below.join(" ")})`;
    canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) =>
    element ? over(getComputedStyle(element).backgroundColor, behind(element.parentElement)) : [255, 255, 255];
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest(".unseen, noscript")) continue;
    const paper = behind(element);
    const [a, b] = [luminance(over(getComputedStyle(element).color, paper)), luminance(paper)];
    texts.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), walker.currentNode.data]);
  }
  const field = document.getElementById("say");
  const paper = behind(field);
  const [a, b] = [luminance(over(getComputedStyle(field, "::placeholder").color, paper)), luminance(paper)];
  texts.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), field.placeholder]);
  return texts;
}"""

# The text field's focus is drawn around the form that holds it.
_FOCUS_IS_SEEN = """() => [document.activeElement, document.activeElement.closest("form")].some((each) => {
  const style = each && getComputedStyle(each);
  return style && (style.outlineStyle === "solid" || style.boxShadow !== "none");
})"""


@pytest.fixture
def page(browser: Browser, stand_in: StandIn, open_page: PageOpener) -> Page:
    return open_page(browser, stand_in.url)


def _focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))


def test_everything_is_reached_by_tab_and_shows_its_focus(page: Page) -> None:
    order = []
    for _ in range(8):
        page.keyboard.press("Tab")
        order.append(_focused(page))
        assert page.evaluate(_FOCUS_IS_SEEN), order[-1]
    assert order == [
        "talk",
        "sound",
        "scroller",
        "What is seven times eight?",
        "Count from one to ten.",
        "Tell me a story.",
        "say",
        "Send",
    ]


@pytest.mark.parametrize("key", ["Enter", " "])
def test_the_button_works_by_key(page: Page, key: str) -> None:
    page.get_by_role("button", name="Talk", exact=True).focus()
    page.keyboard.press(key)
    expect(page.locator("#state")).to_have_text("Listening")
    page.keyboard.press(key)
    expect(page.locator("#state")).to_have_text("Microphone off")


def test_space_talks_from_anywhere_but_the_text_field(page: Page, stand_in: StandIn) -> None:
    page.get_by_label("Type instead of speaking").focus()
    page.keyboard.type("a b")
    assert page.get_by_label("Type instead of speaking").input_value() == "a b"
    page.locator("body").evaluate("() => document.activeElement.blur()")
    page.keyboard.press(" ")
    expect(page.locator("#state")).to_have_text("Listening")
    page.keyboard.press("Escape")
    expect(page.locator("#state")).to_have_text("Microphone off")
    assert len(stand_in.sessions) == 1


def test_a_screen_reader_is_told_lines_when_they_are_done(page: Page) -> None:
    log = page.get_by_role("log", name="What was said")
    expect(log).to_have_attribute("aria-live", "polite")
    page.get_by_label("Type instead of speaking").fill("hello")
    page.keyboard.press("Enter")
    expect(log.locator(".assistant")).to_have_attribute("aria-busy", "true")
    expect(log.locator(".assistant .words")).to_contain_text("good to hear you.")
    expect(log.locator(".assistant")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_role("status")).to_have_text("Microphone off")
    expect(page.get_by_role("heading", level=1)).to_have_text("Parley")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(browser: Browser, stand_in: StandIn, open_page: PageOpener, scheme: str) -> None:
    page = open_page(browser, stand_in.url, color_scheme=scheme)
    faint = [text for text in page.evaluate(_CONTRASTS) if text[0] < 4.5]
    page.get_by_role("button", name="Talk", exact=True).click()
    expect(page.locator(".line.user.interim .words")).to_be_visible()
    faint += [text for text in page.evaluate(_CONTRASTS) if text[0] < 4.5]
    expect(page.locator("#timeline dd")).to_have_count(6)
    stand_in.script = Script(close_at_once=(1013, "full"))
    stand_in.close_sessions(1001, "the server is shutting down")
    expect(page.get_by_role("alert")).to_contain_text("The server is")
    texts = page.evaluate(_CONTRASTS)
    assert len(texts) > 20
    assert faint + [text for text in texts if text[0] < 4.5] == []


@pytest.mark.parametrize("size", [(360, 640), (740, 360), (1280, 800)])
def test_it_fits_the_window(browser: Browser, stand_in: StandIn, open_page: PageOpener, size: tuple[int, int]) -> None:
    stand_in.script = Script(answer="word " * 8)
    page = open_page(browser, stand_in.url, viewport={"width": size[0], "height": size[1]})
    for _ in range(3):
        page.get_by_label("Type instead of speaking").fill("a rather long question " * 12)
        page.keyboard.press("Enter")
        expect(page.locator(".line.user").last).to_be_visible()
    expect(page.locator("#timeline dd")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.evaluate("document.documentElement.scrollHeight") <= size[1]
    for control in ("#talk", "#say", "#composer button", "#new", "#state"):
        box = page.locator(control).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["y"] >= 0
        assert box["x"] + box["width"] <= size[0]
        assert box["y"] + box["height"] <= size[1]
    captions = page.locator("#scroller").bounding_box()
    assert captions is not None
    assert captions["height"] >= 90
    # The newest words are in sight.
    bottom = page.locator(".line").last.bounding_box()
    assert bottom is not None
    assert bottom["y"] + bottom["height"] <= captions["y"] + captions["height"] + 1


def test_with_reduced_motion_nothing_moves(browser: Browser, stand_in: StandIn, open_page: PageOpener) -> None:
    page = open_page(browser, stand_in.url, reduced_motion="reduce")
    page.get_by_role("button", name="Talk", exact=True).click()
    expect(page.locator("#state")).to_have_text("Speaking")
    expect(page.locator(".line.assistant .words")).to_contain_text("Hello.")
    assert page.evaluate("document.getAnimations().length") == 0
    assert page.locator(".halo").first.evaluate("(halo) => getComputedStyle(halo).transform") in (
        "none",
        "matrix(1, 0, 0, 1, 0, 0)",
    )
