"""A backchannel in a real voice comes back from a loudspeaker: a recorded user is heard before, after and over it."""

import asyncio
import wave
from contextlib import aclosing
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from configs.interruption import InterruptionConfig
from deployments.media.audio import SPEECH_RATE_HZ, VOICE_RATE_HZ
from deployments.media.resample import Resampler
from deployments.tts.contract import SpeechRequest
from deployments.tts.engines import espeak
from deployments.tts.server import TtsServer
from serve_app.gateway.silero import SileroModel
from serve_app.session.echo import EchoGuard
from serve_app.session.loudspeaker import Loudspeaker
from serve_app.session.own_voice import OwnVoice
from serve_app.session.speech_model import SpeechStream
from serve_app.session.vad import SpeechDetector, SpeechOnset

DATA = Path(__file__).parents[1] / "data"
FRAME = SPEECH_RATE_HZ // 50
SAYS_S = 0.34
"""After the user's last word the hum begins to be sent, 20 ms a time, 60 ms ahead."""
ECHOES = [(gain_db, delay_s) for gain_db in (-6, -12, -20) for delay_s in (0.05, 0.15, 0.3)]

Floats = npt.NDArray[np.float64]


class Silero:
    """The real model, run at once."""

    def __init__(self) -> None:
        self._model = SileroModel()

    async def probabilities(self, stream: SpeechStream, pcm: bytes) -> list[float]:
        return self._model.run([(stream, pcm)])[0]


@cache
def recording(name: str) -> Floats:
    with wave.open(str(DATA / f"{name}.wav")) as file:
        pcm = Resampler(file.getframerate(), SPEECH_RATE_HZ).push(file.readframes(file.getnframes()), last=True)
    sound = np.frombuffer(pcm, "<i2").astype(np.float64)
    loud = np.flatnonzero(np.abs(sound) > 0.1 * np.abs(sound).max())
    return sound[loud[0] : loud[-1] + SPEECH_RATE_HZ // 10]


@cache
def hum(words: str) -> bytes:
    async def speak() -> bytes:
        server = TtsServer(espeak.Engine(espeak.Config()))
        await server.start()
        async with aclosing(server.synthesize(SpeechRequest(words))) as blocks:
            pcm = b"".join([block.pcm async for block in blocks])
        await server.close()
        return pcm

    return asyncio.run(speak())


def played(words: str, gain_db: float, delay_s: float, *, again_s: float | None) -> tuple[list[float], float, float]:
    """Onsets (s); the end of the user's words before the hum; the begin of those after, `again_s` into its echo."""
    random = np.random.default_rng(1)
    first, voice = recording("thank_you"), hum(words)
    ends_s = 0.5 + first.size / SPEECH_RATE_HZ
    microphone = random.standard_normal(round((ends_s + 4) * SPEECH_RATE_HZ)) * 15
    microphone[SPEECH_RATE_HZ // 2 :][: first.size] += first
    echo = np.frombuffer(Resampler(VOICE_RATE_HZ, SPEECH_RATE_HZ).push(voice, last=True), "<i2") * 10 ** (gain_db / 20)
    says_s = ends_s + SAYS_S
    for reflection_s, gain in ((0.0, 0.8), (0.011, 0.4), (0.023, 0.25)):  # a small room
        microphone[round((says_s + delay_s + reflection_s) * SPEECH_RATE_HZ) :][: echo.size] += gain * echo
    second_s = says_s + delay_s + (again_s or 0.0)
    if again_s is not None:
        second = recording("no")
        microphone[round(second_s * SPEECH_RATE_HZ) :][: second.size] += second
    frames = microphone.clip(-32768, 32767).astype("<i2").tobytes()

    async def listen() -> list[float]:
        loudspeaker, sent = Loudspeaker(), 0
        own = OwnVoice(EchoGuard(InterruptionConfig().echo_likeness), loudspeaker)
        detector = SpeechDetector(Silero())
        onsets = []
        for n in range(len(frames) // (2 * FRAME)):
            now_s = (n + 1) * FRAME / SPEECH_RATE_HZ
            while sent < len(voice) and now_s >= says_s + sent / 2 / VOICE_RATE_HZ - 0.06:
                loudspeaker.send(voice[sent : sent + 960], max(now_s, says_s))
                sent += 960
            sounds = now_s >= says_s and sent < len(voice)
            frame = own.without(frames[2 * n * FRAME :][: 2 * FRAME], now_s, sounds=sounds, user_speaks=now_s > 0.5)
            edges = await detector.push(frame)
            onsets += [edge.at_sample / SPEECH_RATE_HZ for edge in edges if isinstance(edge, SpeechOnset)]
        return onsets

    return asyncio.run(listen()), ends_s, second_s


@pytest.mark.parametrize("words", ["Uh-huh", "I see", "Right"])
@pytest.mark.parametrize(("gain_db", "delay_s"), ECHOES)
def test_its_echo_is_no_speech(words: str, gain_db: float, delay_s: float) -> None:
    onsets, ends_s, _ = played(words, gain_db, delay_s, again_s=None)
    assert [at for at in onsets if at > ends_s] == []


@pytest.mark.parametrize("again_s", [0.1, 0.25, 0.6])
@pytest.mark.parametrize(("gain_db", "delay_s"), ECHOES)
def test_a_user_who_goes_on_over_it_is_heard(gain_db: float, delay_s: float, again_s: float) -> None:
    onsets, ends_s, second_s = played("Uh-huh", gain_db, delay_s, again_s=again_s)
    found = [at for at in onsets if at > ends_s]
    assert found
    assert found[0] < second_s + 0.15
