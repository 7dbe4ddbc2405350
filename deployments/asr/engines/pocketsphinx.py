"""pocketsphinx: decodes on the CPU while the user speaks, with the English model inside its wheel."""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from deployments.asr.blocks import check_block
from deployments.asr.contract import AsrOptions, Transcript
from deployments.asr.sphinx_hearing import Hearing
from deployments.asr.sphinx_library import Setting, SphinxDecoder, SphinxError, package_path
from deployments.media.audio import SPEECH_RATE_HZ
from deployments.runtime.errors import InvalidRequest, ServerFull, StageUnavailable
from deployments.runtime.worker import Worker

T = TypeVar("T")


class Config(BaseModel):
    """A model, and how hard it is searched.

    The bounds were chosen on recordings: wrong words of 90 in short phrases and of 66 in long sentences (the same 11 s
    three times), CPU seconds per second of those sentences, CPU time of their final words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str = Field(default="en", min_length=2, max_length=2)
    """What the model speaks, ISO 639-1."""
    acoustic_model: Path | None = None
    """Directory of another model for 16 kHz; None: the one in the wheel."""
    dictionary: Path | None = None
    language_model: Path | None = None
    max_utterances: int = Field(default=8, ge=1, le=64)
    """Open at once, each with a decoder and a thread of its own. Decoders are made when first needed and kept."""
    warm_decoders: int = Field(default=1, ge=1, le=64)
    """Made at the start. One takes 0.4 s of CPU and 91 MB, 100 MB in use."""
    max_hmms_per_frame: int = Field(default=8000, ge=500)
    """Bounds the search where it is ambiguous, so that a hard passage does not fall behind the speaker.
    3000: 61 and 46 wrong, 0.18 s. 5000: 52 and 31, 0.26 s. 8000: 53 and 21, 0.32 s. The library's 30000: 53 and 20,
    0.44 s."""
    max_words_per_frame: int = Field(default=10, ge=1)
    """Bounds the lattice that the best path is sought in. 10: final after 48 ms. 20: 89 ms. Unbounded: 389 ms, and no
    fewer wrong words."""
    best_path: bool = True
    """A second look at the lattice for the final words: 52 and 31 wrong instead of 58 and 43, for 3 to 7 ms."""


class Engine:
    """An AsrEngine that lends a decoder to each open utterance."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._idle: list[Slot] = []
        self._lent: dict[PocketsphinxRecognizer, Slot] = {}
        self._closed = False

    @property
    def languages(self) -> tuple[str, ...]:
        """The model's one."""
        return (self._config.language,)

    async def start(self) -> None:
        """Make the decoders that are wanted at once, and let each decode noise, which touches its memory."""
        slots = [self._new_slot() for _ in range(min(self._config.warm_decoders, self._config.max_utterances))]
        self._idle += slots
        for slot in slots:
            await slot.worker.run(slot.warm_up)

    def open(self, options: AsrOptions) -> "PocketsphinxRecognizer":
        """Begin an utterance; `options.prompt` is not used. Raises InvalidRequest and ServerFull."""
        if options.language not in (None, self._config.language):
            raise InvalidRequest(
                f"speech recognition speaks {self._config.language!r} only, not {options.language!r}", param="language"
            )
        if options.task == "translate":
            raise InvalidRequest(
                "the speech recognition of this server (pocketsphinx) does not translate: "
                "ask /v1/audio/transcriptions, or configure an engine that translates, such as faster_whisper",
                "cannot_translate",
            )
        if self._closed:
            raise StageUnavailable("speech recognition is closed")
        if len(self._lent) >= self._config.max_utterances:
            raise ServerFull(f"{self._config.max_utterances} utterances are being recognised; try again later")
        slot = self._idle.pop() if self._idle else self._new_slot()
        recognizer = PocketsphinxRecognizer(slot, self._config.language, self._take_back)
        self._lent[recognizer] = slot
        return recognizer

    async def close(self) -> None:
        """Stop what is being decoded, join the threads and free the decoders. May be called more than once."""
        self._closed = True
        for recognizer in list(self._lent):
            await recognizer.close()
        while self._idle:
            slot = self._idle.pop()
            await slot.worker.close()
            slot.discard()

    def _take_back(self, recognizer: "PocketsphinxRecognizer") -> None:
        self._idle.append(self._lent.pop(recognizer))

    def _new_slot(self) -> "Slot":
        return Slot(self._settings(), f"asr-{len(self._lent) + len(self._idle)}")

    def _settings(self) -> dict[str, Setting]:
        config, model = self._config, package_path() / "model" / "en-us"
        return {
            "hmm": str(config.acoustic_model or model / "en-us"),
            "dict": str(config.dictionary or model / "cmudict-en-us.dict"),
            "lm": str(config.language_model or model / "en-us.lm.bin"),
            "samprate": SPEECH_RATE_HZ,
            "maxhmmpf": config.max_hmms_per_frame,
            "maxwpf": config.max_words_per_frame,
            "bestpath": config.best_path,
            "fwdflat": False,  # searches everything once more: 1.0 s for 11 s of speech
        }


class Slot:
    """A decoder and the thread that it is used from, lent to one utterance at a time."""

    def __init__(self, settings: dict[str, Setting], name: str) -> None:
        self.worker = Worker(name)
        self._settings = settings
        self._decoder: SphinxDecoder | None = None

    def decoder(self) -> SphinxDecoder:
        """The decoder, made by the first call. Blocks."""
        if self._decoder is None:
            self._decoder = SphinxDecoder(self._settings)
        return self._decoder

    def discard(self) -> None:
        """Free the decoder; the next use makes another. Blocks."""
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None

    def warm_up(self) -> None:
        """Decode a second of noise. Blocks."""
        noise = np.random.default_rng(0).normal(0, 500, SPEECH_RATE_HZ).astype("<i2")
        hearing = Hearing(self.decoder(), "")
        hearing.hear(noise.tobytes())
        hearing.finish()


class PocketsphinxRecognizer:
    """One utterance. What was accepted is decoded even when the call that brought it is cancelled."""

    def __init__(self, slot: Slot, language: str, give_back: Callable[["PocketsphinxRecognizer"], None]) -> None:
        self._slot = slot
        self._language = language
        self._give_back = give_back
        self._unheard: deque[bytes] = deque()
        self._hearing: Hearing | None = None
        self._closed = False

    async def accept(self, pcm: bytes) -> Transcript:
        """Decode a block and give the words so far. Raises InvalidRequest for half a sample and once closed."""
        check_block(pcm)
        self._check_open()
        self._unheard.append(pcm)
        return await self._slot.worker.run(lambda: self._guarded(self._hear))

    async def finalize(self) -> Transcript:
        """The final words. Raises InvalidRequest once closed."""
        self._check_open()
        return await self._slot.worker.run(lambda: self._guarded(self._finish))

    async def close(self) -> None:
        """Give the decoder back; what it is still decoding stops within one step of 100 ms of sound."""
        if not self._closed:
            self._closed = True
            if self._hearing is not None:
                self._hearing.abandon()
            self._give_back(self)

    def _check_open(self) -> None:
        if self._closed:
            raise InvalidRequest("the utterance is closed")

    def _guarded(self, decode: Callable[[Hearing], T]) -> T:
        """In the decoder's thread: a decoder that failed is not used again."""
        self._check_open()
        try:
            if self._hearing is None:
                self._hearing = Hearing(self._slot.decoder(), self._language)
            return decode(self._hearing)
        except SphinxError:
            self._hearing = None
            self._slot.discard()
            raise

    def _hear(self, hearing: Hearing) -> Transcript:
        pcm = bytearray()
        while self._unheard:
            pcm += self._unheard.popleft()
        return hearing.hear(bytes(pcm))

    def _finish(self, hearing: Hearing) -> Transcript:
        self._hear(hearing)
        return hearing.finish()
