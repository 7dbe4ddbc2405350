"""A conversation scripted in seconds, played on a virtual clock with in-process stages and their fake engines.

Nothing of Parley is replaced: the real session talks to the real stage servers through in-process ports. Only the
speech model is a stand-in that goes by loudness, since no thread may run on the virtual clock.
"""

import asyncio
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from configs.session import SessionConfig
from deployments.asr.client import AsrClient
from deployments.asr.contract import AsrOptions, AsrPush, AsrReply
from deployments.asr.engines import fake as fake_asr
from deployments.asr.server import AsrServer
from deployments.avatar.client import AvatarClient
from deployments.avatar.contract import AvatarPush, AvatarReply, Portrait
from deployments.avatar.engines import fake as fake_avatar
from deployments.avatar.server import AvatarServer
from deployments.llm.client import LlmClient
from deployments.llm.contract import LlmItem, LlmRequest
from deployments.llm.engines import fake as fake_llm
from deployments.llm.server import LlmServer
from deployments.media.audio import SPEECH_RATE_HZ, VOICE_RATE_HZ, level_db, silence
from deployments.media.resample import Resampler
from deployments.runtime import clock
from deployments.runtime.errors import NotFound
from deployments.runtime.local import LocalPush, LocalStream
from deployments.tts.client import Recordings, TtsClient
from deployments.tts.engines import fake as fake_tts
from deployments.tts.server import TtsServer
from serve_app.session import events as ev
from serve_app.session.closing import CLIENT_LEFT, Closing
from serve_app.session.commands import Append, Command
from serve_app.session.interruption import InterruptAtOnset, InterruptionPolicy
from serve_app.session.recording import NullRecorder, Recorder
from serve_app.session.resuming import Carried
from serve_app.session.screen import Faces
from serve_app.session.server_calls import NoTools, ServerTools
from serve_app.session.session import Session
from serve_app.session.settings import initial_settings
from serve_app.session.speech_model import CHUNK_SAMPLES, SpeechStream
from serve_app.session.surroundings import Surroundings
from tests.virtual_time import run_virtual

FRAME_S = 0.02
EventT = TypeVar("EventT", bound=ev.ServerEvent)


class LoudnessModel:
    """Takes a chunk louder than -40 dB for speech."""

    async def probabilities(self, stream: SpeechStream, pcm: bytes) -> list[float]:
        stream.memory = True
        size = 2 * CHUNK_SAMPLES
        return [float(level_db(pcm[at : at + size]) > -40) for at in range(0, len(pcm), size)]


@functools.cache
def vowel(duration_s: float) -> bytes:
    """A voiced sound that webrtcvad takes for speech: harmonics of 120 Hz with formants near 700 and 1200 Hz."""
    t = np.arange(round(duration_s * SPEECH_RATE_HZ)) / SPEECH_RATE_HZ
    sound = np.zeros_like(t)
    for harmonic in range(1, 40):
        hz = 120 * harmonic
        gain = np.exp(-(((hz - 700) / 300) ** 2)) + 0.7 * np.exp(-(((hz - 1200) / 300) ** 2)) + 0.05
        sound += gain * np.sin(2 * np.pi * hz * t)
    scaled = 8000 * sound / np.abs(sound).max()
    pcm: bytes = scaled.astype("<i2").tobytes()
    return pcm


@dataclass(frozen=True)
class Log:
    """What the session said, and when (seconds since the start)."""

    entries: tuple[tuple[float, ev.ServerEvent], ...]
    requests: tuple[LlmRequest, ...]
    """What the model was asked."""
    moods: tuple[str, ...]
    """Of the face, block by block."""
    utterances: tuple[AsrOptions, ...]
    """How each was to be recognised."""
    session: Session
    llm: fake_llm.Engine
    tts: fake_tts.Engine

    @property
    def types(self) -> list[str]:
        """Wire names in order, state changes left out."""
        return [event.type for _, event in self.entries if not isinstance(event, ev.StateChanged)]

    @property
    def states(self) -> list[str]:
        """The machine's states in order."""
        return [event.state for _, event in self.entries if isinstance(event, ev.StateChanged)]

    def all(self, kind: type[EventT]) -> list[EventT]:
        """All events of a class."""
        return [event for _, event in self.entries if isinstance(event, kind)]

    def only(self, kind: type[EventT]) -> EventT:
        """The one event of a class."""
        (event,) = self.all(kind)
        return event

    def times(self, kind: type[EventT]) -> list[float]:
        """When events of a class were said."""
        return [at_s for at_s, event in self.entries if isinstance(event, kind)]

    def sound_s(self, response_id: str | None = None) -> float:
        """Length of all sound that went out (of one response)."""
        deltas = self.all(ev.OutputAudioDelta)
        size = sum(len(each.pcm) for each in deltas if response_id in (None, each.response_id))
        return size / 2 / VOICE_RATE_HZ

    @property
    def errors(self) -> list[dict[str, Any]]:
        """What was refused or failed."""
        return [event.error for event in self.all(ev.ErrorEvent)]

    @property
    def history(self) -> list[tuple[str, str]]:
        """Role (or type) and text of each item as the conversation ended."""
        items = self.session.conversation.history.items
        return [(item.role or item.type, item.text or item.output or item.arguments) for item in items]


@dataclass(frozen=True)
class Echo:
    """How the loudspeaker is heard by the microphone."""

    gain_db: float
    delay_s: float
    """From the moment the server sends sound that is played at once."""


class Room:
    """A client that plays what it gets, as the microphone hears it."""

    def __init__(self, echo: Echo, lasts_s: float) -> None:
        self._echo = echo
        self._heard = np.zeros(round((lasts_s + 10) * SPEECH_RATE_HZ), dtype=np.float32)
        self._played_until_s = 0.0

    def play(self, pcm: bytes, at_s: float) -> None:
        """Sound arrives at the client."""
        start_s = max(at_s, self._played_until_s)
        self._played_until_s = start_s + len(pcm) / 2 / VOICE_RATE_HZ
        sound = np.frombuffer(Resampler(VOICE_RATE_HZ, SPEECH_RATE_HZ).push(pcm, last=True), "<i2")
        at = round((start_s + self._echo.delay_s) * SPEECH_RATE_HZ)
        room = self._heard[at : at + sound.size]
        room += sound[: room.size] * np.float32(10 ** (self._echo.gain_db / 20))

    def clear(self, at_s: float) -> None:
        """It drops what it has not played."""
        if self._played_until_s > at_s:
            self._played_until_s = at_s
            self._heard[round((at_s + self._echo.delay_s) * SPEECH_RATE_HZ) :] = 0

    def add_to(self, frame: bytes, ends_s: float) -> bytes:
        """What the microphone hears beside the user."""
        own = np.frombuffer(frame, "<i2")
        end = round(ends_s * SPEECH_RATE_HZ)
        mixed: bytes = np.clip(own + self._heard[end - own.size : end], -32768, 32767).astype("<i2").tobytes()
        return mixed


async def _no_portrait(avatar: str) -> Portrait | None:
    raise NotFound(f"There is no avatar {avatar!r}.")


@dataclass
class Scene:
    """Who says what when. Times are seconds since the session began."""

    user: Sequence[tuple[float, float]] = ()
    """When the user speaks, (start, end)."""
    voice: Callable[[float], bytes] = vowel
    """The user's sound of so many seconds, 16 kHz PCM."""
    asr: fake_asr.Config = field(default_factory=fake_asr.Config)
    llm: fake_llm.Config = field(default_factory=fake_llm.Config)
    tts: fake_tts.Config = field(default_factory=fake_tts.Config)
    avatar: fake_avatar.Config | None = None
    deleted_avatar: str = ""
    """The stage may still know it."""
    """None: the server has no faces."""
    do: Sequence[tuple[float, Command]] = ()
    """Commands and when they are given."""
    leaves_s: float | None = None
    """When the client vanishes."""
    leaves_with: Closing = CLIENT_LEFT
    carried: Carried | None = None
    """The conversation that goes on, where none begins."""
    lasts_s: float = 10.0
    settings: dict[str, Any] = field(default_factory=dict)
    config: SessionConfig = field(default_factory=SessionConfig)
    interruption: InterruptionPolicy = field(default_factory=InterruptAtOnset)
    recorder: Recorder = field(default_factory=NullRecorder)
    tools: ServerTools = field(default_factory=NoTools)
    """Functions of the server."""
    recordings: Recordings | None = None
    """Of cloned voices."""
    microphone: bool = True
    stage_deadline_s: float = 3.0
    reads: bool = True
    """Whether the client reads what it is told."""
    echo: Echo | None = None
    """Whether the client's loudspeaker feeds its microphone."""

    def play(self) -> Log:
        """Play it to its end."""
        return run_virtual(self._play())

    async def _check(self, avatar: str) -> None:
        if avatar and avatar == self.deleted_avatar:
            raise NotFound(f"There is no avatar {avatar!r}.")

    async def _play(self) -> Log:
        asr = AsrServer(fake_asr.Engine(self.asr))
        llm_engine, tts_engine = fake_llm.Engine(self.llm), fake_tts.Engine(self.tts)
        llm, tts = LlmServer(llm_engine), TtsServer(tts_engine)
        avatar = None if self.avatar is None else AvatarServer(fake_avatar.Engine(self.avatar))
        for server in (asr, llm, tts, avatar):
            if server is not None:
                await server.start()
        requests: list[LlmRequest] = []

        async def generate(request: LlmRequest) -> Any:
            requests.append(request)
            async with aclosing(llm.generate(request)) as items:
                async for item in items:
                    yield item

        moods: list[str] = []
        utterances: list[AsrOptions] = []

        async def recognise(session_id: str, push: AsrPush) -> AsrReply:
            if push.n == 0:
                utterances.append(push.options)
            return await asr.push(session_id, push)

        async def render(session_id: str, push: AvatarPush) -> AvatarReply:
            assert avatar is not None
            if not push.close:
                moods.append(push.block.mood)
            return await avatar.push(session_id, push)

        port: LocalStream[LlmRequest, LlmItem] = LocalStream(generate)
        around = Surroundings(
            asr=AsrClient(LocalPush(recognise), self.stage_deadline_s),
            llm=LlmClient(port, self.stage_deadline_s),
            tts=TtsClient(LocalStream(tts.synthesize), self.stage_deadline_s, self.recordings),
            speech_model=LoudnessModel(),
            config=self.config,
            faces=None if avatar is None else Faces(AvatarClient(LocalPush(render), 2.0), _no_portrait, self._check),
            interruption=self.interruption,
            tools=self.tools,
        )
        settings = initial_settings(self.config).updated(self.settings)
        session = Session(around, settings, self.recorder, carried=self.carried)
        entries: list[tuple[float, ev.ServerEvent]] = []
        self._room = Room(self.echo, self.lasts_s) if self.echo else None
        try:
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(session.run())
                tasks.create_task(self._listen(session, entries))
                actors = [tasks.create_task(self._act(session)), tasks.create_task(self._leave(session))]
                if self.microphone:
                    actors.append(tasks.create_task(self._speak(session)))
                await asyncio.wait((running,), timeout=self.lasts_s)
                for actor in actors:
                    actor.cancel()
                session.close(CLIENT_LEFT)
        finally:
            for server in (asr, llm, tts, avatar):
                if server is not None:
                    await server.close()
        return Log(tuple(entries), tuple(requests), tuple(moods), tuple(utterances), session, llm_engine, tts_engine)

    async def _listen(self, session: Session, entries: list[tuple[float, ev.ServerEvent]]) -> None:
        if not self.reads:
            return
        async with aclosing(session.events()) as events:
            async for event in events:
                entries.append((clock.now_s(), event))
                if self._room is not None and isinstance(event, ev.OutputAudioDelta):
                    self._room.play(event.pcm, clock.now_s())
                elif self._room is not None and isinstance(event, ev.SpeechStarted):
                    self._room.clear(clock.now_s())

    async def _speak(self, session: Session) -> None:
        started_s = clock.now_s()
        for n, frame in enumerate(self._frames(), 1):
            await asyncio.sleep(started_s + n * FRAME_S - clock.now_s())
            heard = frame if self._room is None else self._room.add_to(frame, n * FRAME_S)
            await session.submit(Append(heard))

    def _frames(self) -> Iterator[bytes]:
        sound = bytearray(silence(self.lasts_s * 1000, SPEECH_RATE_HZ))
        for start_s, end_s in self.user:
            speech = self.voice(end_s - start_s)
            at = 2 * round(start_s * SPEECH_RATE_HZ)
            sound[at : at + len(speech)] = speech
        size = round(2 * FRAME_S * SPEECH_RATE_HZ)
        for at in range(0, len(sound), size):
            yield bytes(sound[at : at + size])

    async def _act(self, session: Session) -> None:
        for at_s, command in sorted(self.do, key=lambda entry: entry[0]):
            await asyncio.sleep(max(0.0, at_s - clock.now_s()))
            await session.submit(command)

    async def _leave(self, session: Session) -> None:
        if self.leaves_s is not None:
            await asyncio.sleep(self.leaves_s)
            session.close(self.leaves_with)
