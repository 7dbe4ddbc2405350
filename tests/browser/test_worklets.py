"""The audio parts by themselves, in offline contexts: what goes in and what comes out, to the sample."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

RATE_HZ = 24_000
QUANTUM_S = 128 / RATE_HZ
"""An offline context stops only between blocks of 128 samples."""
RESAMPLED_S = 0.2
HOLD_S = 48 * QUANTUM_S
RESUME_S = 144 * QUANTUM_S

_PLAY = """async ({ seconds, steps }) => {
  const context = new OfflineAudioContext(1, seconds * 24000, 24000);
  await context.audioWorklet.addModule("web/playback-worklet.js");
  const node = new AudioWorkletNode(context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
  const said = [];
  node.port.onmessage = ({ data }) => said.push(data);
  node.connect(context.destination);
  const say = (messages) => messages.forEach((message) => {
    node.port.postMessage(message.samples ? { ...message, samples: new Int16Array(message.samples) } : message);
  });
  for (const { at_s, messages } of steps) {
    context.suspend(at_s).then(async () => {
      say(messages);
      await new Promise((resolve) => setTimeout(resolve, 50));  // the messages are there before the sound goes on
      context.resume();
    });
  }
  const buffer = await context.startRendering();
  await new Promise((resolve) => setTimeout(resolve, 50));
  return { sound: [...buffer.getChannelData(0)], said };
}"""

_RESAMPLE = """async ({ from_hz, tone_hz, seconds, chunk }) => {
  const { Resampler } = await import(new URL("web/resampler.js", document.baseURI));
  const resampler = new Resampler(from_hz, 24000);
  const step = (2 * Math.PI * tone_hz) / from_hz;
  const tone = Float32Array.from({ length: seconds * from_hz }, (_, n) => Math.sin(step * n));
  const output = [];
  for (let start = 0; start < tone.length; start += chunk) {
    output.push(...resampler.push(tone.slice(start, start + chunk)));
  }
  return output;
}"""


def _speech(seconds: float) -> Any:
    """A tone whose every sample is far from zero in the middle, so that what was played can be counted."""
    return (16000 + 8000 * np.sin(2 * np.pi * 300 * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)).astype(int).tolist()


def _resampled(page: Page, from_hz: int, tone_hz: int, chunk: int) -> NDArray[np.float64]:
    given = {"from_hz": from_hz, "tone_hz": tone_hz, "seconds": RESAMPLED_S, "chunk": chunk}
    return np.array(page.evaluate(_RESAMPLE, given))


def _play(page: Page, seconds: float, *steps: tuple[float, Sequence[dict[str, Any]]]) -> tuple[NDArray[Any], list[Any]]:
    played = page.evaluate(_PLAY, {"seconds": seconds, "steps": [{"at_s": at, "messages": list(m)} for at, m in steps]})
    return np.array(played["sound"]), played["said"]


def _told(said: list[Any], kind: str) -> list[Any]:
    return [message for message in said if message["type"] == kind]


def test_everything_is_played_once_and_in_order(page: Page) -> None:
    speech = _speech(0.5)
    halves = [{"type": "samples", "item": "a", "samples": part} for part in (speech[:5000], speech[5000:])]
    sound, said = _play(page, 1.0, (0, [*halves, {"type": "end", "item": "a"}]))
    start = int(np.argmax(np.abs(sound) > 0.1))
    np.testing.assert_allclose(sound[start : start + len(speech)], np.array(speech) / 32768, atol=1e-6)
    assert [message["type"] for message in said if message["type"] != "position"] == ["first", "finished"]
    assert _told(said, "first")[0]["at_s"] == pytest.approx(start / RATE_HZ, abs=1e-6)


def test_a_drop_is_counted_to_the_sample_and_soft(page: Page) -> None:
    speech = _speech(1.0)
    sound, said = _play(
        page, 1.0, (0, [{"type": "samples", "item": "a", "samples": speech}]), (0.512, [{"type": "drop", "ticket": 7}])
    )
    (dropped,) = _told(said, "dropped")
    assert dropped["ticket"] == 7
    (cut,) = dropped["cut"]
    start = int(np.argmax(np.abs(sound) > 0.1))
    last = len(sound) - int(np.argmax(np.abs(sound[::-1]) > 1e-9))
    assert cut["item"] == "a"
    # The very last of the fade is too soft to be seen.
    assert last - start == pytest.approx(cut["played"], abs=1)
    # Quiet 10 ms after the drop, and nowhere a step that the tone and the fade do not explain.
    assert np.all(sound[int(0.522 * RATE_HZ) :] == 0)
    assert np.abs(np.diff(sound[start + 1 :])).max() < 0.03


def test_after_a_drop_new_sound_is_played_whole(page: Page) -> None:
    new = _speech(0.2)
    sound, said = _play(
        page,
        1.0,
        (0, [{"type": "samples", "item": "a", "samples": _speech(1.0)}]),
        (
            HOLD_S,
            [
                {"type": "drop", "ticket": 1},
                {"type": "samples", "item": "b", "samples": new},
                {"type": "end", "item": "b"},
            ],
        ),
    )
    first_s = {message["item"]: message["at_s"] for message in _told(said, "first")}
    start = round(first_s["b"] * RATE_HZ)
    assert first_s["b"] >= HOLD_S
    np.testing.assert_allclose(sound[start : start + len(new)], np.array(new) / 32768, atol=1e-6)
    assert _told(said, "finished") == [{"type": "finished", "item": "b"}]


def test_hold_and_resume_lose_nothing(page: Page) -> None:
    speech = _speech(0.5)
    sound, _ = _play(
        page,
        1.5,
        (0, [{"type": "samples", "item": "a", "samples": speech}, {"type": "end", "item": "a"}]),
        (HOLD_S, [{"type": "hold"}]),
        (RESUME_S, [{"type": "resume"}]),
    )
    start = int(np.argmax(np.abs(sound) > 0.1))
    assert np.abs(sound[round((HOLD_S + 0.02) * RATE_HZ) : round(RESUME_S * RATE_HZ)]).max() < 1e-3
    before = round((HOLD_S + 0.008) * RATE_HZ) - start  # the last 8 ms fade
    after = sound[round(RESUME_S * RATE_HZ) :]
    whole = int(0.01 * RATE_HZ)  # the first 8 ms fade in
    rest = np.array(speech[before:]) / 32768
    np.testing.assert_allclose(after[whole : len(rest)], rest[whole:], atol=1e-6)


def test_an_underrun_is_soft_and_reported(page: Page) -> None:
    part = {"type": "samples", "item": "a", "samples": _speech(0.2)}
    sound, said = _play(page, 1.0, (0, [part]), (0.512, [part, {"type": "end", "item": "a"}]))
    assert len(_told(said, "starved")) == 1
    assert len(_told(said, "finished")) == 1
    assert np.abs(np.diff(sound))[int(0.1 * RATE_HZ) :].max() < 0.05
    assert np.sum(np.abs(sound) > 0.1) == pytest.approx(2 * 0.2 * RATE_HZ, abs=0.02 * RATE_HZ)


@pytest.mark.parametrize("from_hz", [8000, 16000, 22050, 44100, 48000, 96000])
def test_the_resampler_keeps_speech_and_folds_nothing(page: Page, from_hz: int) -> None:
    pieces = _resampled(page, from_hz, 1000, chunk=128)
    np.testing.assert_array_equal(pieces, _resampled(page, from_hz, 1000, chunk=from_hz))
    assert len(pieces) == pytest.approx(RESAMPLED_S * RATE_HZ, abs=1)
    settled = pieces[1200:]
    times_s = np.arange(1200, len(pieces)) / RATE_HZ
    basis = np.stack([np.sin(2 * np.pi * 1000 * times_s), np.cos(2 * np.pi * 1000 * times_s)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, settled, rcond=None)
    assert np.hypot(*weights) == pytest.approx(1, abs=0.001)
    assert np.sqrt(np.mean((settled - basis @ weights) ** 2)) < 0.001  # −57 dB of anything else
    if from_hz > RATE_HZ:
        folded = _resampled(page, from_hz, 12_500, chunk=128)
        assert np.sqrt(np.mean(folded[1200:] ** 2)) < 10 ** (-60 / 20)


def test_samples_survive_the_wire(page: Page) -> None:
    samples = [0, 1, -1, 32767, -32768, *range(-9000, 9000)]
    back = page.evaluate(
        """async (samples) => {
          const { encode, decode } = await import(new URL("web/pcm.js", document.baseURI));
          return [...decode(encode(new Int16Array(samples)))];
        }""",
        samples,
    )
    assert back == samples


def test_the_stream_clock_knows_when_a_moment_was(page: Page) -> None:
    times = page.evaluate(
        """async () => {
          const { StreamClock } = await import(new URL("web/stream-clock.js", document.baseURI));
          const clock = new StreamClock();
          for (let frame = 1; frame <= 4000; frame++) clock.sent(20, 1000 + 20 * frame);
          return [79995, 80000, 40000, 100, 90000].map((ms) => clock.timeOf(ms));
        }"""
    )
    assert times == [80_995, 81_000, 41_000, None, None]
