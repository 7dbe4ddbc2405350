"""The face over WebRTC: H.264 passed through, in step with its sound, mended after a loss."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from itertools import pairwise
from typing import Any

import httpx
import pytest
from aiortc import RTCRtpReceiver
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, RtcpSrPacket, pack_remb_fci

from deployments.media.video import FRAMES_PER_BLOCK, VideoFrame
from serve_app.gateway.webrtc.bitrate import LEAST_KBPS, MOST_KBPS, START_KBPS, Bitrate
from serve_app.gateway.webrtc.pictures import Pictures
from serve_app.session import events as ev
from tests.scripted_sessions import ScriptedSession, SessionMaker
from tests.webrtc_caller import Callee, Caller, tone, until
from tests.webrtc_pictures import number_of, numbered_blocks

BLOCK_S = 0.2


class Painter:
    """What a call has asked of the one who draws."""

    def __init__(self) -> None:
        self.keyframes = 0
        self.rates_kbps: list[int] = []

    def request_keyframe(self) -> None:
        self.keyframes += 1

    def set_bitrate(self, kbps: int) -> None:
        self.rates_kbps.append(kbps)


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(55):
            await test

    asyncio.run(bounded())


async def show(session: ScriptedSession, blocks: list[ev.VideoBlock]) -> None:
    """In real time, two blocks ahead."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for index, block in enumerate(blocks):
        await asyncio.sleep(max(0.0, began_s + (index - 2) * BLOCK_S - loop.time()))
        session.say(block)


def test_every_access_unit_arrives_as_it_was_made() -> None:
    async def test() -> None:
        make = SessionMaker()
        async with Callee(make).serving() as address, Caller(address, video=True) as caller:
            await caller.call()
            await caller.event("session.created")
            await show(make.made[-1], numbered_blocks(6))
            # The last one waits in aiortc's jitter buffer for one that follows.
            await until(lambda: len(caller.seen) >= 6 * FRAMES_PER_BLOCK - 1)
            assert [number_of(picture) for picture in caller.seen] == list(range(len(caller.seen)))
            stamps = [picture.pts for picture in caller.seen if picture.pts is not None]
            assert {later - earlier for earlier, later in pairwise(stamps)} == {3600}

    run(test())


def test_picture_and_sound_are_in_step_by_their_reports() -> None:
    """As a browser aligns them: by the wall time that each stream's sender reports give to its timestamps."""

    async def test() -> None:
        make = SessionMaker()
        async with Callee(make).serving() as address, Caller(address, video=True) as caller:
            await caller.call()
            await caller.event("session.created")
            assert caller.picture is not None
            pictures = Overheard(caller.picture.receiver)
            sounds = Overheard(caller.connection.getReceivers()[0])
            pulse = tone(1000, BLOCK_S, 24_000).tobytes()
            blocks = [
                replace(block, pcm=pulse) if index % 5 == 2 else block
                for index, block in enumerate(numbered_blocks(16))
            ]
            await show(make.made[-1], blocks)
            await until(lambda: len(pictures.order) >= 16 * FRAMES_PER_BLOCK - 1)
            onsets = [
                at for before, at in zip(sounds.order, sounds.order[1:], strict=False) if sounds.louder(before, at)
            ]
            assert len(onsets) == 3
            for index, onset in zip((2, 7, 12), onsets, strict=True):
                shown_s = pictures.wall_s(pictures.order[index * FRAMES_PER_BLOCK], 90_000)
                assert sounds.wall_s(onset, 48_000) - shown_s == pytest.approx(0, abs=0.04)

    run(test())


class Overheard:
    """The packets that a receiver gets."""

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self.order: list[int] = []
        """Timestamps."""
        self._sizes: dict[int, int] = {}
        self._report: tuple[float, int] = (0.0, 0)
        self._rtp, self._rtcp = receiver._handle_rtp_packet, receiver._handle_rtcp_packet
        receiver._handle_rtp_packet = self._packet  # type: ignore[method-assign]
        receiver._handle_rtcp_packet = self._reported  # type: ignore[method-assign]

    def louder(self, before: int, at: int) -> bool:
        """Whether speech begins with a packet: silence takes a few bytes."""
        return self._sizes[before] < 20 <= self._sizes[at]

    def wall_s(self, timestamp: int, rate_hz: int) -> float:
        """When it was sent, by the newest report."""
        assert self._report[0]
        ahead = (timestamp - self._report[1] + 2**31) % 2**32 - 2**31
        return self._report[0] + ahead / rate_hz

    async def _packet(self, packet: Any, arrival_time_ms: int) -> None:
        if packet.timestamp not in self._sizes:
            self.order.append(packet.timestamp)
        self._sizes[packet.timestamp] = len(packet.payload)
        await self._rtp(packet, arrival_time_ms=arrival_time_ms)

    async def _reported(self, packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket):
            self._report = (packet.sender_info.ntp_timestamp / 2**32, packet.sender_info.rtp_timestamp)
        await self._rtcp(packet)


def test_a_lost_picture_asks_for_a_keyframe_and_reports_set_the_bit_rate() -> None:
    async def test() -> None:
        make, painter = SessionMaker(), Painter()
        callee = Callee(make, face_of=lambda _: painter)
        async with callee.serving() as address, Caller(address, video=True) as caller:
            await caller.call()
            await caller.event("session.created")
            await show(make.made[-1], numbered_blocks(2))
            await until(lambda: len(caller.seen) >= FRAMES_PER_BLOCK)
            assert painter.keyframes == 0
            assert caller.picture is not None
            receiver = caller.picture.receiver
            (ssrc,) = receiver._RTCRtpReceiver__remote_streams  # type: ignore[attr-defined]
            await receiver._send_rtcp_pli(ssrc)
            await until(lambda: painter.keyframes == 1)
            remb = RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=pack_remb_fci(300_000, [ssrc]))
            await receiver._send_rtcp(remb)
            await until(lambda: painter.rates_kbps[-1:] == [300])
            # aiortc's own reports go on meanwhile: nothing is lost, so they leave the estimate as the bound.
            await asyncio.sleep(1.6)
            assert painter.rates_kbps == [300]

    run(test())


def test_after_a_cut_comes_what_is_new_from_its_keyframe_on() -> None:
    async def test() -> None:
        make, painter = SessionMaker(), Painter()
        callee = Callee(make, face_of=lambda _: painter)
        async with callee.serving() as address, Caller(address, video=True) as caller:
            await caller.call()
            await caller.event("session.created")
            session = make.made[-1]
            session.say(*numbered_blocks(10, first=0))
            await until(lambda: len(caller.seen) >= 6)
            later = numbered_blocks(4, first=1000)
            session.say(replace(later[0], cut="all"))
            await show(session, later[1:])
            await until(lambda: len(caller.seen) > 0 and number_of(caller.seen[-1]) >= 1010)
            numbers = [number_of(picture) for picture in caller.seen]
            first = numbers.index(1000)
            assert numbers[:first] == list(range(first))
            assert first < 20
            assert numbers[first:] == list(range(1000, 1000 + len(numbers) - first))
            assert painter.keyframes == 0

    run(test())


def test_an_offer_without_h264_is_sound_alone() -> None:
    async def test() -> None:
        make = SessionMaker()
        async with Callee(make).serving() as address, Caller(address, video=True) as caller:
            assert caller.picture is not None
            vp8 = [c for c in RTCRtpReceiver.getCapabilities("video").codecs if c.mimeType == "video/VP8"]  # type: ignore[union-attr]
            caller.picture.setCodecPreferences(vp8)
            async with httpx.AsyncClient() as http:
                answer = await http.post(
                    f"http://{address}/v1/realtime/calls",
                    content=await caller.offer(),
                    headers={"Content-Type": "application/sdp"},
                )
            assert answer.status_code == 201
            lines = answer.text.split("\r\n")
            assert [line.split(" ")[1] == "0" for line in lines if line.startswith("m=")] == [False, True, False]
            assert next(line for line in lines if line.startswith("a=group:BUNDLE")) == "a=group:BUNDLE 0 2"
            assert len({line for line in lines if line.startswith("a=mid:")}) == 3

    run(test())


def frames(*keyframes: bool) -> list[VideoFrame]:
    return [VideoFrame(bytes([index]), keyframe) for index, keyframe in enumerate(keyframes)]


def test_pictures_are_due_with_their_sound() -> None:
    painter = Painter()
    pictures = Pictures(painter.request_keyframe)
    pictures.put(frames(True, False, False), 4800)
    assert pictures.due(4799) == []
    assert [frame.data for frame in pictures.due(4800)] == [b"\0"]
    assert [frame.data for frame in pictures.due(6720)] == [b"\1", b"\2"]
    assert painter.keyframes == 0


def test_a_broken_chain_waits_for_a_keyframe_and_asks_for_it() -> None:
    painter = Painter()
    pictures = Pictures(painter.request_keyframe)
    pictures.put(frames(False, False), 0)
    assert (len(pictures), painter.keyframes) == (0, 1)
    pictures.put(frames(False, True, False), 4800)
    assert (len(pictures), painter.keyframes) == (2, 1)
    pictures.cut(0)
    pictures.put(frames(False), 9600)
    assert (len(pictures), painter.keyframes) == (0, 2)
    pictures.put(frames(True), 14400)
    pictures.due(14400)
    pictures.cut(0)  # nothing was left unsent: the chain is whole
    pictures.put(frames(False), 19200)
    assert (len(pictures), painter.keyframes) == (1, 2)


def test_the_bit_rate_follows_the_reports_within_its_bounds() -> None:
    told: list[int] = []
    bitrate = Bitrate(told.append)
    assert bitrate.kbps == START_KBPS
    bitrate.reported(0.05)
    assert told == []
    bitrate.reported(0.5)
    assert told == [600]
    for _ in range(50):
        bitrate.reported(1.0)
    assert told[-1] == bitrate.kbps == LEAST_KBPS
    for _ in range(100):
        bitrate.reported(0.0)
    assert bitrate.kbps == MOST_KBPS
    bitrate.estimated(500)
    assert told[-1] == 500
    bitrate.estimated(520)
    assert told[-1] == 500  # not worth telling
    bitrate.estimated(1)
    assert told[-1] == LEAST_KBPS
