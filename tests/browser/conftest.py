"""What the browser's tests share. Without a Chromium they are left out, and tests/conftest.py says so."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser import chromium
from tests.browser.chromium import Chromium
from tests.browser.stand_in import StandIn

PageOpener = Callable[..., Page]

# Longer than the microphone's whole loop: who missed a question for want of a core hears the next.
PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="package")
def usual_speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of silence, a question, seven seconds of silence."""
    return chromium.write_speech(tmp_path_factory.mktemp("microphone") / "speech.wav", 1.0, "hi_how_are_you", 7.0)


@pytest.fixture(scope="module")
def speech(usual_speech: Path) -> Path:
    """What the microphone gives, over and over."""
    return usual_speech


# Playwright's synchronous interface keeps a loop running in its thread as long as it is open, which no `asyncio.run` of
# another folder's test would bear: so it ends with this one.
@pytest.fixture(scope="package")
def browsers() -> Iterator[Chromium]:
    """Chromium, with whatever flags."""
    with sync_playwright() as playwright:
        browsers = Chromium(playwright)
        try:
            yield browsers
        finally:
            browsers.close()


@pytest.fixture(scope="module")
def browser(browsers: Chromium, speech: Path) -> Browser:
    """Chromium with that microphone, allowed."""
    return browsers.with_flags(*chromium.microphone(speech))


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """A page whose modules are tried by themselves."""
    with StandIn() as server:
        page = browser.new_page()
        page.goto(server.url)
        yield page
        page.close()


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """A scripted server."""
    with StandIn() as server:
        yield server


@pytest.fixture
def open_page() -> Iterator[PageOpener]:
    """Opens `url` in a fresh context of a browser. At the end of the test no error may have happened in any page."""
    pages: list[Page] = []

    def opened(browser: Browser, url: str, **context: object) -> Page:
        page = browser.new_context(**context).new_page()  # type: ignore[arg-type]  # handed on as they come
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(path=chromium.TAP)
        pages.append(page)
        page.goto(url)
        return page

    yield opened
    for page in pages:
        errors = page.evaluate("window.tap.errors")
        page.context.close()
        assert errors == []
