"""A loaded voice: the package's phonemes, and its network run so that it can be stopped."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from deployments.media.audio import from_float
from deployments.runtime.errors import ConfigError
from deployments.tts.clause_times import word_places
from deployments.tts.piper.marks import Phonemes, word_starts
from deployments.tts.piper.voice_files import VoiceFile

log = logging.getLogger(__name__)

Device = Literal["auto", "cuda", "cpu"]
PHONEMES_PER_WORD = ("espeak", "text")
"""Kinds of phonemes of which a word alone has about the same as in its sentence, without a large model of their own."""

_PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}


@dataclass(frozen=True)
class Scales:
    """How a voice is to vary; None takes its own."""

    noise: float | None
    width_noise: float | None
    volume: float


@dataclass(frozen=True)
class Piece:
    """A stretch of text in phonemes."""

    sentences: tuple[Phonemes, ...]
    starts: dict[int, int]
    """`word_starts` of all sentences one after the other; empty where words cannot be told."""


@dataclass(frozen=True)
class Sentence:
    """A spoken sentence."""

    pcm: bytes
    lengths: tuple[int, ...] | None
    """Samples of each phoneme, None where the voice does not tell."""
    lead_samples: int
    """Before the first of them."""


class Cancel:
    """Stops a run from another thread: onnxruntime looks at it between two nodes of the network."""

    def __init__(self) -> None:
        import onnxruntime

        self.options = onnxruntime.RunOptions()

    def __call__(self) -> None:
        self.options.terminate = True


class Network:
    """One voice. `run` may be called from several threads at once, for onnxruntime is made for that."""

    def __init__(self, file: VoiceFile, device: Device, threads: int) -> None:
        """Raises ConfigError for a missing package or device, or a model that is none."""
        piper, onnxruntime = _packages()
        providers = [_provider(onnxruntime, device)]
        if providers[0] != _PROVIDERS["cpu"]:
            providers.append(_PROVIDERS["cpu"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            session = onnxruntime.InferenceSession(_with_lengths(file), sess_options=options, providers=providers)
            config = piper.PiperConfig.from_dict(file.settings)
        except Exception as error:
            raise ConfigError(f"tts engine 'piper': {file.model} cannot be loaded: {error}") from error
        if session.get_providers()[0] != providers[0]:
            raise ConfigError(f"tts engine 'piper': onnxruntime fell back from {providers[0]}: does CUDA fit it?")
        self.file = file
        self._voice = piper.PiperVoice(session=session, config=config, download_dir=file.model.parent)
        # Its own lock covers espeak only.
        self._phonemizing = threading.Lock()

    def phonemize(self, text: str) -> Piece:
        """Text as phonemes, sentence by sentence; those without anything to say are left out."""
        with self._phonemizing:
            sentences = tuple(
                self._known(phonemes) for phonemes in self._voice.phonemize(text) if any(map(_is_said, phonemes))
            )
            if self._voice.config.phoneme_type.value not in PHONEMES_PER_WORD:
                return Piece(sentences, {})
            places = word_places(text)
            alone = [(start, self._alone(text[start:end])) for start, end in places]
        spoken = [symbol for sentence in sentences for symbol in sentence]
        return Piece(sentences, word_starts(alone, spoken))

    def run(self, phonemes: Phonemes, speed: float, speaker: int | None, scales: Scales, cancel: Cancel) -> Sentence:
        """Speak a sentence. Raises onnxruntime's own error once it is cancelled."""
        config = self._voice.config
        ids = self._voice.phonemes_to_ids(list(phonemes))
        noise = config.noise_scale if scales.noise is None else scales.noise
        width_noise = config.noise_w_scale if scales.width_noise is None else scales.width_noise
        inputs: dict[str, Any] = {
            "input": np.array([ids], dtype=np.int64),
            "input_lengths": np.array([len(ids)], dtype=np.int64),
            "scales": np.array([noise, config.length_scale / speed, width_noise], dtype=np.float32),
        }
        if config.num_speakers > 1:
            inputs["sid"] = np.array([config.default_speaker_id if speaker is None else speaker], dtype=np.int64)
        sound, *told = self._voice.session.run(None, inputs, cancel.options)
        samples = np.asarray(sound, dtype=np.float32).reshape(-1)
        lengths, lead = self._lengths(phonemes, ids, told, samples.size)
        return Sentence(from_float(scales.volume * samples), lengths, lead)

    def _known(self, phonemes: Sequence[str]) -> Phonemes:
        id_map = self._voice.config.phoneme_id_map
        return tuple(symbol for symbol in phonemes if symbol in id_map) if id_map else tuple(phonemes)

    def _alone(self, word: str) -> Phonemes:
        return [symbol for sentence in self._voice.phonemize(word) for symbol in self._known(sentence)]

    def _lengths(
        self, phonemes: Phonemes, ids: Sequence[int], told: Sequence[npt.NDArray[np.floating]], samples: int
    ) -> tuple[tuple[int, ...] | None, int]:
        """Samples of each phoneme with the padding behind it, and those before the first."""
        config = self._voice.config
        pad = len(config.phoneme_id_map.get("_", ()))
        counts = [len(config.phoneme_id_map.get(symbol, ())) + pad for symbol in phonemes]
        lead = len(config.phoneme_id_map.get("^", ())) + pad
        if not told or told[0].size != len(ids) or lead + sum(counts) > len(ids):
            return None, 0
        ends = np.minimum(np.cumsum(told[0].reshape(-1)) * config.hop_length, samples).astype(np.int64)
        bounds = ends[np.cumsum([lead, *counts]) - 1]
        return tuple(int(length) for length in np.diff(bounds)), int(bounds[0])


def _is_said(symbol: str) -> bool:
    return any(character.isalnum() for character in symbol) and symbol not in ("ˈ", "ˌ", "ː")


def _packages() -> tuple[Any, Any]:
    try:
        import onnxruntime
        import piper
    except ImportError as error:
        raise ConfigError(f"tts engine 'piper' needs the package piper-tts: make env ENGINE=piper ({error})") from error
    return piper, onnxruntime


def _provider(onnxruntime: Any, device: Device) -> str:
    there = onnxruntime.get_available_providers()
    wanted = _PROVIDERS["cpu" if device == "cpu" else "cuda"]
    if wanted in there:
        return wanted
    if device == "cuda":
        raise ConfigError("tts engine 'piper': no CUDA in onnxruntime; its package for GPUs is onnxruntime-gpu")
    return _PROVIDERS["cpu"]


def _with_lengths(file: VoiceFile) -> str | bytes:
    """The model, with the lengths of its phonemes as a second output where it computes them."""
    try:
        import onnx
        from piper.patch_voice_with_alignment import add_alignment_output
    except ImportError as error:
        raise ConfigError(f"tts engine 'piper' needs the package onnx: make env ENGINE=piper ({error})") from error
    model = onnx.load(str(file.model))
    if len(model.graph.output) > 1:
        return str(file.model)
    try:
        add_alignment_output(model)
    except ValueError as error:
        log.info("the voice %s tells no phoneme times: %s", file.id, error)
        return str(file.model)
    return bytes(model.SerializeToString())
