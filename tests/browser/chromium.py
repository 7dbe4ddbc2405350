"""Debian's Chromium under Playwright, with a microphone that plays a file."""

import shutil
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, Playwright

CLIPS = Path(__file__).parents[1] / "data"
CLIP_RATE_HZ = 16_000
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    # A fresh context opens a window, and with it the address bar's two pages of its own: 1 s of a core each time.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,SpareRendererForSitePerProcess,MediaRouter,Translate",
)
GRANTED = "--use-fake-ui-for-media-stream"
DEVICE = "--use-fake-device-for-media-stream"
TAP = Path(__file__).parent / "tap.js"


def installed() -> str | None:
    """Where Chromium is, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Chromium:
    """Starts browsers with flags beside the usual ones, each once, and closes them all at the end."""

    def __init__(self, playwright: Playwright) -> None:
        self._playwright = playwright
        self._browsers: dict[tuple[str, ...], Browser] = {}

    def with_flags(self, *flags: str) -> Browser:
        """The browser with these flags."""
        if flags not in self._browsers:
            launch = self._playwright.chromium.launch
            self._browsers[flags] = launch(executable_path=installed(), args=[*QUIET, *flags])
        return self._browsers[flags]

    def close(self) -> None:
        """Close all."""
        for browser in self._browsers.values():
            browser.close()


def until(page: Page, expression: str, within_ms: float = 20_000) -> None:
    """Wait until a JavaScript expression is true. (Playwright's own way to wait needs eval, which the page forbids.)"""
    waited_ms = 0.0
    while not page.evaluate(expression):
        if waited_ms >= within_ms:
            raise AssertionError(f"not true within {within_ms} ms: {expression}")
        page.wait_for_timeout(20)
        waited_ms += 20


def microphone(wav: Path) -> tuple[str, ...]:
    """Flags for a microphone that is allowed and plays `wav` in a loop, from the moment it is opened."""
    return (GRANTED, DEVICE, f"--use-file-for-fake-audio-capture={wav}")


def write_speech(wav: Path, *parts: str | float) -> Path:
    """A WAV of clips (by name) and of silence (in seconds)."""
    samples = [_clip(part) if isinstance(part, str) else np.zeros(int(part * CLIP_RATE_HZ), "<i2") for part in parts]
    with wave.open(str(wav), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(CLIP_RATE_HZ)
        file.writeframes(np.concatenate(samples).tobytes())
    return wav


def rms(page: Page) -> float:
    """How loud the page is now, measured in front of the loudspeaker (see tap.js)."""
    return float(page.evaluate("window.tap.rms()"))


def shown(page: Page, who: str) -> list[tuple[float, str, bool]]:
    """What the newest line of one side showed, after how much sound (ms), and whether it was marked interim."""
    notes = page.evaluate("window.tap.captions")
    lines = [(note["heard_ms"], [line for line in note["lines"] if line["who"] == who]) for note in notes]
    return [(heard_ms, mine[-1]["text"], mine[-1]["interim"]) for heard_ms, mine in lines if mine]


def _clip(name: str) -> NDArray[np.int16]:
    with wave.open(str(CLIPS / f"{name}.wav")) as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, CLIP_RATE_HZ):
            raise ValueError(f"{name}.wav is not 16-bit mono at {CLIP_RATE_HZ} Hz")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")
