"""A client's messages become commands in order, sound at 16 kHz in short pieces."""

import asyncio
import base64
import time

import numpy as np
import orjson
import pytest

from deployments.media import g711
from deployments.media.audio import samples_of, samples_to_ms
from deployments.media.resample import Resampler
from serve_app.gateway.realtime.envelope import Refused
from serve_app.gateway.realtime.inbound import Inbound
from serve_app.gateway.realtime.limits import Limits
from serve_app.session.commands import Append, Clear, Command, Commit, Update
from serve_app.session.settings import SessionSettings

RATE_HZ = 24_000
TONE = (9000 * np.sin(np.arange(RATE_HZ) * 2 * np.pi * 300 / RATE_HZ)).astype("<i2").tobytes()
HEARD = Resampler(RATE_HZ, 16_000).push(TONE, last=True)


def append(sound: bytes, **fields: object) -> str:
    audio = base64.b64encode(sound).decode()
    return orjson.dumps({"type": "input_audio_buffer.append", "audio": audio, **fields}).decode()


def inbound(audio_format: str = "audio/pcm", limits: Limits | None = None) -> Inbound:
    settings = SessionSettings().updated({"audio": {"input": {"format": {"type": audio_format}}}})
    return Inbound(settings, limits or Limits())


def read(reader: Inbound, *messages: str) -> list[Command]:
    async def run() -> list[Command]:
        return [command for message in messages for command in await reader.commands(message)]

    return asyncio.run(run())


def refused(reader: Inbound, message: str) -> Refused:
    with pytest.raises(Refused) as caught:
        read(reader, message)
    return caught.value


def pcm_of(commands: list[Command]) -> bytes:
    return b"".join(command.pcm for command in commands if isinstance(command, Append))


@pytest.mark.parametrize("frame_bytes", [960, 4_800, 9_602, 48_000])
def test_sound_arrives_whole_however_it_was_cut(frame_bytes: int) -> None:
    frames = [append(TONE[start : start + frame_bytes]) for start in range(0, len(TONE), frame_bytes)]
    commands = read(inbound(), *frames, '{"type":"input_audio_buffer.commit","event_id":"e"}')
    assert commands[-1] == Commit("e")
    assert pcm_of(commands) == HEARD
    assert max(samples_to_ms(samples_of(c.pcm), 16_000) for c in commands if isinstance(c, Append)) <= 102


@pytest.mark.parametrize(
    ("audio_format", "encode"), [("audio/pcmu", g711.ulaw_encode), ("audio/pcma", g711.alaw_encode)]
)
def test_a_telephone_is_heard(audio_format: str, encode: object) -> None:
    narrow = Resampler(RATE_HZ, 8_000).push(TONE, last=True)
    sound = encode(narrow)  # type: ignore[operator]  # a function of bytes
    commands = read(
        inbound(audio_format), append(sound[:401]), append(sound[401:]), '{"type":"input_audio_buffer.commit"}'
    )
    heard = np.frombuffer(pcm_of(commands), "<i2").astype(float)
    assert heard.size == 16_000
    assert np.corrcoef(heard, np.frombuffer(HEARD, "<i2").astype(float))[0, 1] > 0.999


def test_the_event_id_goes_with_every_piece() -> None:
    commands = read(inbound(), append(TONE, event_id="e7"))
    assert len(commands) == 10
    assert {command.event_id for command in commands} == {"e7"}


def test_a_commit_of_nothing_adds_no_sound() -> None:
    assert read(inbound(), '{"type":"input_audio_buffer.commit"}') == [Commit()]


def test_clear_forgets_what_the_filter_held() -> None:
    commands = read(
        inbound(),
        append(TONE[:962]),
        '{"type":"input_audio_buffer.clear"}',
        append(TONE),
        '{"type":"input_audio_buffer.commit"}',
    )
    assert isinstance(commands[1], Clear)
    assert pcm_of(commands[2:]) == HEARD


def test_sound_behind_an_update_is_in_the_new_format() -> None:
    update = orjson.dumps(
        {"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}}
    ).decode()
    commands = read(inbound(), append(bytes(960)), update, append(bytes(160)))
    assert isinstance(commands[1], Update)
    assert samples_to_ms(samples_of(pcm_of(commands[2:])), 16_000) == pytest.approx(18, abs=0.2)


@pytest.mark.parametrize("session", [{"audio": {"input": {"format": {"type": "audio/opus"}}}}, {"voice": "alloy"}])
def test_an_update_that_the_session_will_refuse_changes_nothing(session: dict[str, object]) -> None:
    reader = inbound()
    read(reader, orjson.dumps({"type": "session.update", "session": session}).decode())
    assert pcm_of(read(reader, append(TONE), '{"type":"input_audio_buffer.commit"}')) == HEARD


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ('{"type":"input_audio_buffer.append","event_id":"e"}', "missing_required_parameter", "audio"),
        ('{"type":"input_audio_buffer.append","event_id":"e","audio":7}', "missing_required_parameter", "audio"),
        ('{"type":"input_audio_buffer.append","event_id":"e","audio":"A"}', "invalid_value", "audio"),
        ('{"type":"input_audio_buffer.append","event_id":"e","audio":"AA==AAAA"}', "invalid_value", "audio"),
        ('{"type":"input_audio_buffer.append","event_id":"e","audio":"AA AA"}', "invalid_value", "audio"),
        ('{"type":"input_audio_buffer.append","event_id":"e","audio":"AAAA"}', "invalid_value", "audio"),
        ('{"type":"input_audio_buffer.append","event_id":"e","audio":"","rate":8}', "unknown_parameter", "rate"),
        (append(TONE[:-1], event_id="e"), "invalid_value", "audio"),
        (append(bytes(2**20))[:-12] + '====","event_id":"e"}', "invalid_value", "audio"),
    ],
)
def test_sound_that_is_none_is_refused_whole(message: str, code: str, param: str) -> None:
    reader = inbound()
    error = refused(reader, message)
    assert (error.error.code, error.error.param, error.event_id) == (code, param, "e")
    assert pcm_of(read(reader, append(TONE), '{"type":"input_audio_buffer.commit"}')) == HEARD


def test_a_large_append_leaves_the_loop_to_others() -> None:
    sound = TONE * 200  # 9.6 MB, 12.8 MB of base64
    message = append(sound)
    worst_s = 0.0

    async def ticks() -> None:
        nonlocal worst_s
        while True:
            before_s = time.thread_time()
            await asyncio.sleep(0)
            worst_s = max(worst_s, time.thread_time() - before_s)

    async def run() -> list[Command]:
        async with asyncio.TaskGroup() as tasks:
            ticking = tasks.create_task(ticks())
            await asyncio.sleep(0)
            commands = list(await inbound().commands(message))
            ticking.cancel()
        return commands

    commands = asyncio.run(run())
    assert samples_of(pcm_of(commands)) == pytest.approx(200 * 16_000, abs=40)
    # Of this thread's time, so that other programs do not count; decoded in one go it would be over 300 ms.
    assert worst_s < 0.15
