"""A real browser calls by WebRTC, as OpenAI's own examples do, and is heard, answered and shown a face."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser

from deployments.media.video import FRAMES_PER_BLOCK
from serve_app.session import events as ev
from serve_app.session.closing import CLIENT_LEFT
from serve_app.session.commands import Append
from tests.browser.chromium import until
from tests.scripted_sessions import ScriptedSession, SessionMaker
from tests.webrtc_caller import Callee, tone
from tests.webrtc_pictures import numbered_blocks

pytestmark = pytest.mark.browser

# What OpenAI's guide to WebRTC has a page do, and a look at what arrives.
_CALL = """async () => {
  const call = (window.call = new RTCPeerConnection());
  window.events = [];
  window.heard = new Audio();
  window.seen = document.body.appendChild(document.createElement("video"));
  seen.muted = true;
  call.ontrack = ({ track, streams }) => {
    const element = track.kind === "audio" ? heard : seen;
    element.srcObject = new MediaStream([track]);
    element.play();
    window.streams = (window.streams ?? []).concat(streams.map(({ id }) => id));
  };
  const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
  call.addTrack(microphone.getTracks()[0], microphone);
  call.addTransceiver("video", { direction: "recvonly" });
  const channel = (window.channel = call.createDataChannel("oai-events"));
  channel.onmessage = ({ data }) => events.push(JSON.parse(data));
  await call.setLocalDescription(await call.createOffer());
  const answer = await fetch("/v1/realtime/calls?model=gpt-realtime", {
    method: "POST",
    body: call.localDescription.sdp,
    headers: { Authorization: "Bearer any", "Content-Type": "application/sdp" },
  });
  await call.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  return [answer.status, answer.headers.get("Location")];
}"""
_STATS = """async () => {
  const stats = [...(await call.getStats()).values()];
  const inbound = (kind) => stats.find((each) => each.type === "inbound-rtp" && each.kind === kind) ?? {};
  const [audio, video] = [inbound("audio"), inbound("video")];
  return { energy: audio.totalAudioEnergy, frames: video.framesDecoded, width: video.frameWidth,
    codec: stats.find((each) => each.id === audio.codecId)?.sdpFmtpLine, lost: audio.packetsLost };
}"""


class CalleeThread:
    """The server, in a thread and a loop of its own."""

    def __init__(self) -> None:
        self.make = SessionMaker()
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="callee")

    def __enter__(self) -> "CalleeThread":
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(20)

    @property
    def session(self) -> ScriptedSession:
        return self.make.made[-1]

    def do(self, doing: Coroutine[Any, Any, Any]) -> Any:
        """In the server's loop."""
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(20)

    def say(self, *events: ev.ServerEvent) -> None:
        """Let the newest session say something."""
        self._loop.call_soon_threadsafe(self.session.say, *events)

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with Callee(self.make).serving() as address:
            self.url = f"http://{address}/"
            self._ready.set()
            await self._over.wait()


@pytest.fixture
def callee() -> Iterator[CalleeThread]:
    with CalleeThread() as running:
        yield running


async def _loudest(session: ScriptedSession, pieces: int) -> int:
    loudest = 0
    for _ in range(pieces):
        command = await session.next_command()
        assert isinstance(command, Append)
        loudest = max(loudest, int(np.abs(np.frombuffer(command.pcm, "<i2").astype(int)).max()))
    return loudest


def test_a_page_talks_and_sees_by_webrtc(browser: Browser, callee: CalleeThread) -> None:
    page = browser.new_context().new_page()
    page.goto(callee.url)
    status, location = page.evaluate(_CALL)
    assert status == 201
    assert location.startswith("/v1/realtime/calls/rtc_")
    until(page, "call.connectionState === 'connected'")
    until(page, "events[0]?.type === 'session.created'")
    # The microphone says something within its first two seconds, in pieces of 20 ms.
    assert callee.do(_loudest(callee.session, 150)) > 2000

    for block in numbered_blocks(5, sound=tone(440, 0.2, 24_000).tobytes()):
        callee.say(ev.OutputAudioDelta("resp_1", "item_1", 0, 0, block.pcm), block)
    until(page, "events.some(({ type }) => type === 'output_audio_buffer.started')")
    page.wait_for_timeout(1500)
    stats = page.evaluate(_STATS)
    assert stats["energy"] > 0.005, stats
    assert stats["frames"] >= 5 * FRAMES_PER_BLOCK - 2, stats
    assert stats["width"] == 128
    assert stats["lost"] == 0
    assert page.evaluate("new Set(streams).size") == 1  # one stream: the browser keeps them in step
    page.evaluate("channel.send(JSON.stringify({ type: 'input_audio_buffer.append', audio: '' }))")
    until(page, "events.some(({ type }) => type === 'error')")

    page.evaluate("call.close()")
    assert callee.do(callee.session.closed()) is CLIENT_LEFT
    page.context.close()
