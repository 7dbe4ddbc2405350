"""The parts of a call by themselves: what is played when, what arrives in which order, Opus, ports."""

import asyncio
import socket
from dataclasses import replace
from itertools import pairwise

import av
import numpy as np
import pytest
from aioice import Connection
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from configs.webrtc import IceServer, WebRtcConfig
from deployments.media.audio import SPEECH_RATE_HZ, VOICE_RATE_HZ, level_db
from deployments.media.video import VideoFrame
from deployments.runtime.errors import ConfigError, ServerFull
from serve_app.gateway.realtime.limits import Limits
from serve_app.gateway.sessions import Sessions
from serve_app.gateway.webrtc.arrivals import Arrival, Arrivals
from serve_app.gateway.webrtc.calls import Calls
from serve_app.gateway.webrtc.channel import EventChannel
from serve_app.gateway.webrtc.media_ports import MediaPorts
from serve_app.gateway.webrtc.opus import PACKET_SAMPLES, OpusReader, OpusWriter
from serve_app.gateway.webrtc.opus_decoders import LibOpusDecoder, OpusDecoder, PlainDecoder, new_decoder
from serve_app.gateway.webrtc.output_buffer import OutputBuffer
from serve_app.gateway.webrtc.pacer import Pacer
from serve_app.gateway.webrtc.pictures import Pictures
from serve_app.gateway.webrtc.voice_out import VoiceOut
from serve_app.session import events as ev
from serve_app.session.commands import CancelResponse, TruncateItem
from tests.scripted_sessions import SessionMaker
from tests.virtual_time import run_virtual
from tests.webrtc_caller import LoneBook, tone

LOUD = np.full(4800, 10_000, "<i2").tobytes()
"""200 ms."""


def info(response_id: str, status: ev.ResponseStatus = "completed", conversation: str | None = "c") -> ev.ResponseInfo:
    return ev.ResponseInfo(response_id, status, conversation, ("audio",), "", {"type": "audio/pcm"}, "inf")


def delta(pcm: bytes, response_id: str = "r", item_id: str = "i") -> ev.OutputAudioDelta:
    return ev.OutputAudioDelta(response_id, item_id, 0, 0, pcm)


def levels(pcm: bytes) -> tuple[int, int]:
    samples = np.frombuffer(pcm, "<i2").astype(int)
    return int(samples.min()), int(samples.max())


# What is played


def test_a_reply_is_played_once_and_its_end_is_told() -> None:
    buffer = OutputBuffer()
    reply = buffer.reply("r", "i")
    buffer.say(reply, LOUD)
    assert buffer.changes() == []
    assert levels(buffer.take(480)) == (10_000, 10_000)
    assert buffer.changes() == [("started", "r")]
    assert (reply.played_ms, buffer.waiting_samples) == (20, 4320)
    for _ in range(9):
        buffer.take(480)
    assert buffer.changes() == []  # more may come
    assert levels(buffer.take(480)) == (0, 0)
    reply.complete = True
    buffer.take(480)
    assert buffer.changes() == [("stopped", "r")]
    assert buffer.sounding == ()
    buffer.clear(reply)
    assert buffer.changes() == []


def test_replies_at_the_same_time_are_mixed_without_overflow() -> None:
    buffer = OutputBuffer()
    for index in range(4):
        buffer.say(buffer.reply(f"r{index}", f"i{index}"), LOUD[: 960 * (index + 1)])
    assert levels(buffer.take(480)) == (32_767, 32_767)
    assert levels(buffer.take(480)) == (30_000, 30_000)
    assert levels(buffer.take(480)) == (20_000, 20_000)


def test_what_is_cleared_fades_within_ten_milliseconds() -> None:
    buffer = OutputBuffer()
    reply = buffer.reply("r", "i")
    buffer.say(reply, LOUD)
    buffer.take(480)
    buffer.clear(reply)
    assert buffer.changes() == [("started", "r"), ("cleared", "r")]
    tail = np.frombuffer(buffer.take(480), "<i2")
    assert tail[0] == 10_000
    assert (np.diff(tail[:240]) <= 0).all()
    assert not tail[240:].any()
    assert levels(buffer.take(480)) == (0, 0)
    assert reply.played_ms == 20


def test_what_never_sounded_is_cleared_without_a_word() -> None:
    buffer = OutputBuffer()
    reply = buffer.reply("r", "i")
    buffer.say(reply, LOUD)
    buffer.clear(reply)
    assert buffer.changes() == []


def test_a_face_says_what_the_deltas_before_its_blocks_hold() -> None:
    out = VoiceOut(_NoPainter())
    quiet = ev.VideoBlock(0.0, (), 2, 2, bytes(9600), 0.0)
    out.told(quiet)
    out.told(replace(delta(LOUD[:7200]), in_block=True))
    assert out.sound.waiting_samples == 4800  # not said twice
    out.told(ev.VideoBlock(200.0, (), 2, 2, LOUD[:7200] + bytes(2400), 150.0))
    out.told(ev.ResponseDone(info("r")))
    for _ in range(10):
        out.sound.take(480)
    assert out.sound.changes() == []
    heard = b"".join(out.sound.take(480) for _ in range(8))
    assert heard == LOUD[:7200] + bytes(480)
    assert out.sound.changes() == [("started", "r"), ("stopped", "r")]
    out.told(quiet)
    out.told(ev.VideoBlock(0.0, (), 2, 2, LOUD, 0.0, cut="silence"))
    rest = np.frombuffer(b"".join(out.sound.take(480) for _ in range(10)), "<i2")
    assert (rest == 10_000).all()


def test_an_interruption_corrects_the_session_only_if_much_less_was_played() -> None:
    out = VoiceOut(_NoPainter())
    out.told(delta(LOUD))
    for _ in range(5):
        out.sound.take(480)
    assert out.told(ev.ItemTruncated("i", 0, 150)) is None
    assert out.told(ev.ItemTruncated("i", 0, 190)) == TruncateItem("i", 0, 100)
    assert out.told(ev.ItemTruncated("other", 0, 190)) is None
    assert [change for change, _ in out.sound.changes()] == ["started", "cleared"]


def test_speech_over_a_reply_that_may_not_be_interrupted_drops_nothing() -> None:
    out = VoiceOut(_NoPainter())
    out.told(delta(LOUD))
    out.told(ev.SpeechStarted(0, "item_2"))
    assert out.sound.waiting_samples == 4800


def test_a_cleared_reply_outside_the_conversation_is_cancelled() -> None:
    out = VoiceOut(_NoPainter())
    out.told(ev.ResponseCreated(info("aside", "in_progress", None)))
    out.told(delta(LOUD, "aside", "i1"))
    out.told(delta(LOUD, "r", "i2"))
    out.sound.take(2400)
    assert out.clear("e") == [CancelResponse("aside", "e"), TruncateItem("i2", 0, 60, "e")]
    assert out.clear("e") == []
    out.told(ev.ResponseDone(info("aside", "cancelled", None)))


class _NoPainter:
    def request_keyframe(self) -> None: ...

    def set_bitrate(self, kbps: int) -> None: ...


# The clock


def test_picture_and_sound_keep_one_time_also_after_an_under_run() -> None:
    """By the timestamps of both, an access unit is shown with the sample at which its block said it begins."""
    sound, pictures = OutputBuffer(), Pictures(lambda: None)
    sent: list[tuple[float, int]] = []
    shown: list[tuple[float, int]] = []
    reader = OpusReader()

    def heard(packet: bytes, timestamp: int) -> None:
        pcm = reader.read(packet, timestamp)
        sent.append((timestamp / 48, 0 if level_db(pcm) < -30 else 1))

    async def main() -> None:
        pacer = Pacer(
            sound,
            pictures,
            send_sound=heard,
            send_picture=lambda frame, timestamp: shown.append((timestamp / 90, frame.data[0])),
            after=lambda: None,
        )
        running = asyncio.create_task(pacer.run())
        for number, wait_s in enumerate((0.1, 0.15, 0.5, 0.2)):
            await asyncio.sleep(wait_s)
            begin = sound.show(tone(1000, 0.1, VOICE_RATE_HZ).tobytes() + bytes(4800), [])
            pictures.put([VideoFrame(bytes([number]), True)], begin)
        await asyncio.sleep(0.5)
        running.cancel()

    run_virtual(main())
    onsets = [at for (_, before), (at, now) in pairwise(sent) if now > before]
    assert [number for _, number in shown] == [0, 1, 2, 3]
    assert [at for at, _ in shown] == pytest.approx([100, 300, 760, 960], abs=20)
    # Opus takes 6.5 ms, our filter 2 ms: the onset may be heard in the packet after.
    assert all(0 <= onset - at <= 20 for onset, (at, _) in zip(onsets, shown, strict=True))
    assert [at for at, _ in sent] == [20.0 * tick for tick in range(len(sent))]


def test_the_clock_catches_up_a_little_and_skips_the_rest() -> None:
    stamps: list[int] = []

    async def main() -> None:
        pacer = Pacer(
            OutputBuffer(),
            Pictures(lambda: None),
            send_sound=lambda _, timestamp: stamps.append(timestamp // 960),
            send_picture=lambda *_: None,
            after=lambda: None,
        )
        running = asyncio.create_task(pacer.run())
        await asyncio.sleep(0.05)
        loop = asyncio.get_running_loop()
        loop._jumping.now_s += 0.1  # type: ignore[attr-defined]  # the process was stopped
        await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        loop._jumping.now_s += 5.0  # type: ignore[attr-defined]
        await asyncio.sleep(0.05)
        running.cancel()

    run_virtual(main())
    gaps = [later - earlier for earlier, later in pairwise(stamps)]
    assert sorted(gaps)[:-1] == [1] * (len(gaps) - 1)
    assert 240 <= max(gaps) <= 252


# What arrives


def numbers(arrivals: Arrivals, *order: int) -> list[int]:
    ready: list[int] = []
    for number in order:
        ready += [each.number for each in arrivals.push(Arrival(number % 2**16, 0, b""))]
    return ready


def test_packets_in_order_wait_for_nothing() -> None:
    arrivals = Arrivals()
    for number in (65_534, 65_535, 0, 1):
        assert numbers(arrivals, number) == [number]


def test_a_gap_is_waited_for_a_little() -> None:
    arrivals = Arrivals()
    assert numbers(arrivals, 10, 12, 13) == [10]
    assert numbers(arrivals, 11) == [11, 12, 13]
    assert numbers(arrivals, 16, 17, 18) == []
    assert numbers(arrivals, 19) == [16, 17, 18, 19]
    assert arrivals.lost == 2
    assert numbers(arrivals, 14, 15, 19, 20) == [20]  # too late, or twice


def test_a_new_stream_begins_anew() -> None:
    arrivals = Arrivals()
    assert numbers(arrivals, 10, 11, 40_000, 40_001) == [10, 11, 40_000, 40_001]


@given(st.permutations(range(40)), st.integers(0, 65_535))
def test_whatever_comes_is_in_order_and_never_twice(order: list[int], first: int) -> None:
    arrivals = Arrivals()
    ready = [(number - first) % 2**16 for number in numbers(arrivals, *(first + each for each in order))]
    assert ready == sorted(set(ready))
    assert len(ready) >= 1


# Opus


def decoder(kind: type[OpusDecoder]) -> OpusDecoder:
    """One of a kind; the library must be there where `av` is of its wheel."""
    if kind is PlainDecoder:
        return PlainDecoder()
    best = new_decoder()
    assert isinstance(best, kind)
    return best


def packets(pcm: bytes) -> list[bytes]:
    writer = OpusWriter()
    size = 2 * PACKET_SAMPLES
    return [writer.write(pcm[at : at + size]) for at in range(0, len(pcm) - size + 1, size)]


def read(encoded: list[bytes | None], decoder: OpusDecoder | None = None) -> bytes:
    reader = OpusReader(decoder)
    return b"".join(reader.read(packet, 960 * index) for index, packet in enumerate(encoded) if packet is not None)


def spoken() -> list[bytes | None]:
    """Packets of 11 s of recorded speech."""
    with av.open("tests/data/jfk.wav") as file:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=VOICE_RATE_HZ)
        return list(
            packets(
                b"".join(
                    out.to_ndarray().tobytes() for frame in file.decode(audio=0) for out in resampler.resample(frame)
                )
            )
        )


def share_lost(encoded: list[bytes | None], decoder: OpusDecoder) -> float:
    """Of the energy of the speech in single packets that are missing: what is wrong with what is heard instead."""
    whole = np.frombuffer(read(encoded), "<i2").astype(float)
    gaps = range(30, len(encoded) - 5, 10)
    holed = np.frombuffer(
        read([None if index in gaps else packet for index, packet in enumerate(encoded)], decoder), "<i2"
    ).astype(float)
    assert holed.size == whole.size
    inside = np.concatenate([np.arange(320 * index, 320 * (index + 1)) for index in gaps])
    return float(np.sum((whole[inside] - holed[inside]) ** 2) / np.sum(whole[inside] ** 2))


def test_speech_carries_the_packet_before_once_more() -> None:
    """Forward error correction: the second bit of a SILK frame (RFC 6716 §4.2.3)."""
    encoded = [packet for packet in spoken() if packet is not None]
    with_fec = sum(1 for packet in encoded if not packet[0] & 0x80 and packet[1] & 0x40)
    assert with_fec > 0.5 * len(encoded)
    assert sum(map(len, encoded)) * 8 / (len(encoded) * 0.02) == pytest.approx(32_000, rel=0.15)


def test_sound_comes_through_at_both_rates() -> None:
    pcm = read(list(packets(tone(700, 1.0, VOICE_RATE_HZ).tobytes())))
    samples = np.frombuffer(pcm, "<i2")
    assert samples.size == pytest.approx(SPEECH_RATE_HZ, abs=40)
    spectrum = np.abs(np.fft.rfft(samples[4000:12_000].astype(float)))
    assert np.argmax(spectrum) * 2 == pytest.approx(700, abs=4)
    assert level_db(pcm[8000:]) == pytest.approx(level_db(tone(700, 1.0, VOICE_RATE_HZ).tobytes()), abs=1)


@pytest.mark.parametrize("kind", [LibOpusDecoder, PlainDecoder])
@pytest.mark.parametrize("lost", [1, 2, 3, 7, 20, 49])
def test_lost_packets_keep_their_time(kind: type[OpusDecoder], lost: int) -> None:
    encoded: list[bytes | None] = list(packets(tone(700, 2.0, VOICE_RATE_HZ).tobytes()))
    whole = len(read(encoded, decoder(kind)))
    encoded[20 : 20 + lost] = [None] * lost
    assert len(read(encoded, decoder(kind))) == whole


@pytest.mark.parametrize("kind", [LibOpusDecoder, PlainDecoder])
def test_a_damaged_packet_keeps_its_time_too(kind: type[OpusDecoder]) -> None:
    encoded: list[bytes | None] = list(packets(tone(700, 1.0, VOICE_RATE_HZ).tobytes()))
    whole = len(read(encoded, decoder(kind)))
    encoded[20:23] = [b"\xff" * 3, None, b"\xff" * 3]
    assert len(read(encoded, decoder(kind))) == whole
    reader = OpusReader(decoder(kind))
    assert reader.read(b"", 0) == b""
    assert reader.read(b"\xff" * 3, 960) == b""


def test_a_lost_packet_of_speech_is_heard_from_its_copy() -> None:
    encoded = spoken()
    assert share_lost(encoded, PlainDecoder()) == pytest.approx(1, abs=0.01)
    assert share_lost(encoded, decoder(LibOpusDecoder)) < 0.3


def test_a_burst_of_loss_fades_into_silence() -> None:
    encoded: list[bytes | None] = list(packets(tone(300, 2.0, VOICE_RATE_HZ).tobytes()))
    encoded[40:70] = [None] * 30
    pcm = read(encoded, decoder(LibOpusDecoder))
    first, late = pcm[2 * 320 * 40 : 2 * 320 * 42], pcm[2 * 320 * 50 : 2 * 320 * 68]
    assert level_db(first) > -30
    assert not any(late)


def test_a_long_silence_is_silent_and_speech_after_it_whole() -> None:
    quiet, loud = bytes(2 * VOICE_RATE_HZ * 3), tone(700, 0.5, VOICE_RATE_HZ).tobytes()
    encoded = packets(loud + quiet + loud)
    assert len(set(encoded[50:170])) == 1
    pcm = np.frombuffer(read(list(encoded)), "<i2")
    assert np.abs(pcm[10_000:55_000].astype(int)).max() <= 2
    assert level_db(pcm[58_000:63_000].tobytes()) == pytest.approx(level_db(loud), abs=1)


# The channel


class Wire:
    """A data channel."""

    def __init__(self) -> None:
        self.readyState = "open"
        self.bufferedAmount = 0
        self.sent: list[str] = []
        self.handlers: dict[str, object] = {}

    def on(self, event: str, f: object) -> None:
        self.handlers[event] = f

    def send(self, data: str) -> None:
        self.sent.append(data)


def test_events_before_the_channel_opens_are_kept_within_bounds() -> None:
    channel, wire = EventChannel(), Wire()
    assert channel.send("a")
    assert channel.send("b")
    channel.open(wire)
    channel.open(Wire())
    assert channel.send("c")
    assert wire.sent == ["a", "b", "c"]
    wire.bufferedAmount = 2**23
    assert not channel.send("d")
    late, wire = EventChannel(), Wire()
    assert all(late.send(str(index)) for index in range(300))
    late.open(wire)
    late.send("now")
    assert wire.sent == ["now"]


def test_a_client_that_floods_the_channel_is_noticed() -> None:
    channel, wire = EventChannel(), Wire()
    channel.open(wire)
    received = wire.handlers["message"]
    for _ in range(1000):
        received("{}")  # type: ignore[operator]
    assert channel.flooded.is_set()


# Ports and servers


def gathered(config: WebRtcConfig, local_only: bool = True, count: int = 1) -> list[tuple[str, int, str]]:
    async def main() -> list[tuple[str, int, str]]:
        ports = MediaPorts(config, local_only)
        connections = [Connection(ice_controlling=False) for _ in range(count)]
        try:
            for connection in connections:
                ports.confine(connection)
                await connection.gather_candidates()
            return [(each.host, each.port, each.type) for one in connections for each in one.local_candidates]
        finally:
            for connection in connections:
                await connection.close()

    return asyncio.run(main())


def free_ports(count: int) -> tuple[int, int]:
    for first in range(42_000, 60_000, count):
        try:
            for port in range(first, first + count):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first, first + count - 1
    raise AssertionError("no free ports")


def test_without_keys_media_stays_on_this_host() -> None:
    ((host, _, kind),) = gathered(WebRtcConfig())
    assert (host, kind) == ("127.0.0.1", "host")
    assert "127.0.0.1" not in {host for host, _, _ in gathered(WebRtcConfig(), local_only=False)}


def test_ports_are_of_the_range_until_none_is_left() -> None:
    first, last = free_ports(3)
    found = gathered(WebRtcConfig(ports=(first, last)), count=3)
    assert sorted(port for _, port, _ in found) == [first, first + 1, last]
    with pytest.raises(ServerFull, match="no UDP port"):
        gathered(WebRtcConfig(ports=(first, last)), count=4)


def test_a_mapped_address_is_offered_too() -> None:
    host, mapped = gathered(WebRtcConfig(advertise="203.0.113.7"))
    assert mapped == ("203.0.113.7", host[1], "srflx")


def test_a_stun_server_that_does_not_answer_holds_nothing_for_long() -> None:
    async def main() -> float:
        connection = Connection(ice_controlling=False, stun_server=("127.0.0.1", 9))
        MediaPorts(WebRtcConfig(), local_only=True).confine(connection)
        began_s = asyncio.get_running_loop().time()
        await connection.gather_candidates()
        took_s = asyncio.get_running_loop().time() - began_s
        assert len(connection.local_candidates) == 1
        await connection.close()
        return took_s

    assert asyncio.run(main()) < 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"ports": (50_000, 40_000)},
        {"ports": (80, 90)},
        {"addresses": ("example.org",)},
        {"advertise": "example.org"},
        {"ice_servers": [{"url": "http://example.org"}]},
        {"ice_servers": [{"url": "stun:a", "credential": "x"}]},
        {"lost_s": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WebRtcConfig.model_validate(wrong)


def test_the_credential_of_a_relay_comes_from_the_environment() -> None:
    config = WebRtcConfig(ice_servers=(IceServer(url="turn:turn.example.org:3478?transport=tcp", username="u"),))
    sessions = Sessions(SessionMaker(), 1)
    with pytest.raises(ConfigError, match="PARLEY_TURN_CREDENTIAL is not set"):
        Calls(config, sessions, Limits, LoneBook(), local_only=True, environment={})
    calls = Calls(config, sessions, Limits, LoneBook(), local_only=True, environment={"PARLEY_TURN_CREDENTIAL": "c"})
    assert calls._ice_servers == [("turn:turn.example.org:3478?transport=tcp", "u", "c")]
