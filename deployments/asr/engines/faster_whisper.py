"""faster-whisper: Whisper on CTranslate2, one batch of several speakers' sound per step.

The library's own pipelines hear one file at a time. Here its features, its tokenizer and CTranslate2's model are used
by one thread that takes what several utterances want (`whisper/scheduler.py`), and a growing utterance is decoded
again and again until two decodings agree (`whisper/agreement.py`).
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from configs.residency import ResidencyConfig
from deployments.asr.contract import AsrOptions
from deployments.asr.whisper import files
from deployments.asr.whisper.awaited import AwaitedRecognizer
from deployments.asr.whisper.device import choose
from deployments.asr.whisper.guards import Guards
from deployments.asr.whisper.heard import SECONDS_MOST, Answer, Question
from deployments.asr.whisper.loaded_model import LoadedModel
from deployments.asr.whisper.model import Effort, WhisperModel
from deployments.asr.whisper.recognizer import WhisperRecognizer
from deployments.asr.whisper.scheduler import Scheduler
from deployments.asr.whisper.utterance import Rules, Utterance
from deployments.media.audio import SPEECH_RATE_HZ
from deployments.runtime.errors import ConfigError, InvalidRequest, ServerFull, StageUnavailable
from deployments.runtime.residency import Lease, Residency
from deployments.runtime.worker import Worker

EXTRA: Final = "faster-whisper"
"""Its packages."""
_MEMORY_PER_BYTE: Final = 2.0
"""Of a model's file: its weights, and about as much while it runs."""


class Config(BaseModel):
    """Which model, where it runs, and how it listens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(default="base", min_length=1)
    """A folder with a Whisper model in CTranslate2's form, or the name of a published one: `tiny`, `base`, `small`,
    `medium`, `large-v3`, `turbo`, the first four with `.en` for English alone, or `owner/name` on the hub."""
    models: dict[str, str] = {}
    """Others, each by the name that an utterance asks for it with (`transcription.model`). Whoever asks for a name that
    is not there, such as one of OpenAI's, gets `model`."""
    cache: Path = Path(".data/whisper")
    """Folder for models fetched by name."""
    download: bool = True
    """Whether a model that is not in the cache is fetched at the start."""
    device: Literal["auto", "cuda", "cpu"] = "auto"
    compute_type: Literal["auto", "int8", "int8_float32", "int8_float16", "int16", "float16", "bfloat16", "float32"] = (
        "auto"
    )
    """`auto`: int8 on a CPU, float16 on a GPU."""
    threads: int = Field(default=0, ge=0, le=64)
    """Of the CPU; 0: CTranslate2's own choice, at most four."""
    language: str | None = Field(default=None, min_length=2, max_length=3)
    """Spoken where an utterance names none; None: it is detected."""
    detect: Literal["once", "follow"] = "once"
    """`follow`: the language may change within an utterance."""
    detectable: tuple[str, ...] = ()
    """Languages that may be detected; empty for all. Few make short utterances surer."""
    beam_size: int = Field(default=5, ge=1, le=10)
    """For final words."""
    max_new_tokens: int = Field(default=224, ge=8, le=224)
    interim_step_ms: int = Field(default=500, ge=100, le=5_000)
    """Words on the way are sought after so much new sound."""
    interim_window_s: float = Field(default=10.0, ge=5.0, le=SECONDS_MOST)
    """The least sound, silence included, that is encoded for words on the way. Whisper learnt with 30 s; the encoder of
    `base` takes 1.14 s of CPU for those, 0.32 s for 15, 0.21 s for 10."""
    final_window_s: float = Field(default=SECONDS_MOST, ge=5.0, le=SECONDS_MOST)
    """The same for final words. Less is quicker, and not what Whisper learnt with. CPU for a second of speech in short
    utterances, shape of `tiny`: 0.29 s with 30 s, 0.09 s with 10 s; the library called once at a time 0.26 s."""
    interim_share: float = Field(default=0.7, gt=0.0, le=1.0)
    """Of the time that words on the way may take on a CPU; the other stages need it too. A GPU is not held back."""
    max_utterances: int = Field(default=64, ge=1, le=512)
    """Open at once."""
    max_batch: int = Field(default=16, ge=1, le=64)
    """Utterances in one step."""
    step_budget_ms: float = Field(default=400.0, ge=10.0, le=10_000.0)
    """A step takes no more utterances than fit in here by what earlier ones took, so that nobody waits long for
    others. One is always taken."""
    guards: Guards = Guards()
    residency: ResidencyConfig = ResidencyConfig()
    """Of the models. The default is `model`; others are loaded when they are asked for."""


async def download(config: Config, progress: Callable[[str, int, int | None], None]) -> None:
    """Fetch the models into the cache, for `make models`. Raises ConfigError for a name that there is not."""
    for model in _offered(config).values():
        await files.download(model, config.cache, progress)


class Engine:
    """An AsrEngine: of each model one thread and one scheduler."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._folders: dict[str, Path] = {}
        self._finder = Worker("whisper-files")
        self.residency: Residency[LoadedModel] | None = None
        self._languages: tuple[str, ...] = ()
        self._open: set[WhisperRecognizer | AwaitedRecognizer] = set()
        self._closed = False

    @property
    def languages(self) -> tuple[str, ...]:
        """The default model's; known once it is started."""
        return self._languages

    @property
    def scheduler(self) -> Scheduler[Question, Answer]:
        """What forms the default model's batches, for measurements. Raises StageUnavailable before the start."""
        with self._leased("") as lease:
            return lease.model.scheduler

    async def start(self) -> None:
        """Find the models, load the default and what is preloaded, and let them hear noise once in each way."""
        config = self._config
        self._folders = await self._finder.run(lambda: _located(config))
        sizes_gib = {
            name: _MEMORY_PER_BYTE * (folder / "model.bin").stat().st_size / 2**30
            for name, folder in self._folders.items()
        }
        self.residency = Residency(self, sizes_gib, config.residency)
        await self.residency.start()
        with self._leased("") as lease:
            self._languages = lease.model.model.languages
        for language in (*config.detectable, *([config.language] if config.language else [])):
            if language not in self._languages:
                raise ConfigError(f"asr engine 'faster_whisper': {config.model} does not speak {language!r}")

    async def load(self, name: str) -> LoadedModel:
        """A `ModelLoader`'s: in a thread of its own. Raises ConfigError."""
        worker = Worker("whisper", max_waiting=1)
        try:
            model, on_gpu = await worker.run(lambda: self._load(self._folders[name]))
        except BaseException:
            await worker.close()
            raise
        config = self._config
        return LoadedModel(
            model,
            worker,
            max_batch=config.max_batch,
            max_waiting=config.max_utterances,
            budget_s=config.step_budget_ms / 1000,
            interim_share=1.0 if on_gpu else config.interim_share,
        )

    def _load(self, folder: Path) -> tuple[WhisperModel, bool]:
        config = self._config
        device = choose(files.import_part("ctranslate2"), config.device, config.compute_type)
        effort = Effort(
            beam_size=config.beam_size,
            max_new_tokens=config.max_new_tokens,
            interim_window_s=config.interim_window_s,
            final_window_s=config.final_window_s,
            languages=config.detectable,
        )
        try:
            model = WhisperModel(folder, device, config.threads, effort)
            _hear_noise(model)
        except (RuntimeError, ValueError, OSError) as error:
            raise ConfigError(
                f"asr engine 'faster_whisper': the model in {folder} does not run on {device.name} with "
                f"{device.compute_type}: {error}"
            ) from error
        return model, device.name == "cuda"

    async def warm_up(self, model: LoadedModel) -> None:
        """Nothing: it has heard noise when it was loaded."""

    async def unload(self, model: LoadedModel) -> None:
        """Its memory is free when nobody holds it."""
        await model.close()

    def open(self, options: AsrOptions) -> WhisperRecognizer | AwaitedRecognizer:
        """Begin an utterance. Raises InvalidRequest for a language that the model lacks, ServerFull."""
        residency = self.residency
        if residency is None or self._closed:
            raise StageUnavailable("speech recognition is closed")
        if len(self._open) >= self._config.max_utterances:
            raise ServerFull(f"{self._config.max_utterances} utterances are being recognised; try again later")
        name = options.model if options.model in self._folders else ""
        recognizer: WhisperRecognizer | AwaitedRecognizer
        if (lease := residency.lease_now(name)) is not None:
            recognizer = self._begun(options, lease)
        else:
            begin = functools.partial(self._begun, options)
            recognizer = AwaitedRecognizer(lambda: residency.lease(name), begin, self._open.discard)
        self._open.add(recognizer)
        return recognizer

    def _begun(self, options: AsrOptions, lease: Lease[LoadedModel]) -> WhisperRecognizer:
        config, model = self._config, lease.model.model
        if options.language is not None and options.language not in model.languages:
            lease.release()
            raise InvalidRequest(f"the model does not speak {options.language!r}", param="language")
        rules = Rules(
            interim_step_ms=config.interim_step_ms,
            language=config.language if model.multilingual else "en",
            follow=config.detect == "follow",
            guards=config.guards,
        )

        def give_back(recognizer: WhisperRecognizer) -> None:
            self._open.discard(recognizer)
            lease.release()

        utterance = Utterance(options, rules, model.tokens.hints(options.prompt, options.hotwords))
        return WhisperRecognizer(utterance, lease.model.scheduler, model.shape, live=options.live, give_back=give_back)

    @contextmanager
    def _leased(self, name: str) -> Iterator[Lease[LoadedModel]]:
        lease = self.residency.lease_now(name) if self.residency is not None else None
        if lease is None:
            raise StageUnavailable("faster_whisper is not started")
        try:
            yield lease
        finally:
            lease.release()

    async def close(self) -> None:
        """End what is asked, join the threads and free the models. May be called more than once."""
        self._closed = True
        for recognizer in list(self._open):
            await recognizer.close()
        if self.residency is not None:
            await self.residency.close()
        await self._finder.close()


def _offered(config: Config) -> dict[str, str]:
    """Folders or published names by what they are called here, the default first."""
    default = Path(config.model).name if files.is_folder(config.model) else config.model
    return {default: config.model} | config.models


def _located(config: Config) -> dict[str, Path]:
    offered = _offered(config).items()
    return {name: files.locate(model, config.cache, download=config.download) for name, model in offered}


def _hear_noise(model: WhisperModel) -> None:
    """Once in each way: the first time takes longer."""
    noise = np.random.default_rng(0).normal(0, 500, SPEECH_RATE_HZ).astype("<i2").tobytes()
    for final in (False, True):
        model.answer([Question(noise, final, language="en")], lambda: False)
