"""Recordings longer than an utterance."""

import asyncio

import numpy as np
import pytest

from deployments.asr.client import AsrClient
from deployments.asr.engines import fake as fake_asr
from deployments.asr.server import AsrServer
from deployments.media.audio import SPEECH_RATE_HZ
from deployments.runtime.errors import InvalidRequest
from deployments.runtime.local import LocalPush
from serve_app.session.dictation import PIECE_MS, pieces, recognised
from tests.virtual_time import run_virtual


def noise(duration_s: float, quiet_at_s: tuple[float, ...] = ()) -> bytes:
    samples = np.random.default_rng(3).normal(0, 3000, round(duration_s * SPEECH_RATE_HZ))
    for at_s in quiet_at_s:
        at = round(at_s * SPEECH_RATE_HZ)
        samples[at : at + SPEECH_RATE_HZ // 2] = 0
    pcm: bytes = samples.clip(-32768, 32767).astype("<i2").tobytes()
    return pcm


@pytest.mark.parametrize("duration_s", [0.0, 0.01, 10, 50, 50.01, 61, 130, 599.9])
def test_the_pieces_are_the_recording(duration_s: float) -> None:
    pcm = noise(duration_s)
    cut = pieces(pcm)
    assert b"".join(cut) == pcm
    assert all(len(piece) % 2 == 0 and len(piece) <= 2 * SPEECH_RATE_HZ * PIECE_MS / 1000 for piece in cut)
    assert all(len(piece) >= 2 * SPEECH_RATE_HZ * 34 for piece in cut[:-1])


def test_they_are_cut_where_it_is_quiet() -> None:
    cut = pieces(noise(120, quiet_at_s=(20, 40, 85)))
    ends_s = np.cumsum([len(piece) for piece in cut]) / 2 / SPEECH_RATE_HZ
    assert 40 < ends_s[0] < 40.5
    assert 85 < ends_s[1] < 85.5


def recognise(pcm: bytes, config: fake_asr.Config, language: str | None = None) -> tuple[str, str | None, int]:
    async def main() -> tuple[str, str | None, int]:
        server = AsrServer(fake_asr.Engine(config))
        await server.start()
        heard = await recognised(AsrClient(LocalPush(server.push), 3), pcm, language)
        left = server.open_utterances
        await server.close()
        return heard.text, heard.language, left

    return run_virtual(main())


def test_the_words_of_all_pieces_are_joined() -> None:
    config = fake_asr.Config(script=("one two", "", "three"))
    assert recognise(noise(130), config) == ("one two three", "en", 0)


def test_nothing_said_is_no_words() -> None:
    assert recognise(noise(2), fake_asr.Config(script=("",))) == ("", "en", 0)


def test_a_language_that_it_does_not_speak_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        recognise(noise(2), fake_asr.Config(), "xx")


def test_who_gives_up_leaves_nothing_open() -> None:
    async def main() -> None:
        server = AsrServer(fake_asr.Engine(fake_asr.Config(accept_ms=400)))
        await server.start()
        working = asyncio.create_task(recognised(AsrClient(LocalPush(server.push), 3), noise(30), None))
        await asyncio.sleep(2)
        assert server.open_utterances == 1
        working.cancel()
        await asyncio.wait((working,))
        assert server.open_utterances == 0
        await server.close()

    run_virtual(main())
