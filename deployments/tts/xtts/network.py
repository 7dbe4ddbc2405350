"""A loaded XTTS-v2: voices as latents, and text as sound. All of it is called from one thread."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deployments.media.audio import VOICE_RATE_HZ, from_float, to_float
from deployments.runtime.errors import ConfigError, InvalidRequest
from deployments.tts.xtts.texts import takes
from deployments.tts.xtts.vocoder import StreamingVocoder

Device = Literal["auto", "cuda", "cpu"]
FILES = ("config.json", "model.pth", "vocab.json")
SPEAKERS = "speakers_xtts.pth"
LATENTS_HZ = 22_050
"""What its networks hear of a recording."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn."""

    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float
    seed: int


@dataclass(frozen=True)
class Chunks:
    """Tokens, of 46 ms each, until sound is made of them."""

    first: int
    later: int


@dataclass(frozen=True)
class Latents:
    """A voice, as the networks of one model know it."""

    condition: Any
    """Shape: (1, latents, channels)."""
    speaker: Any
    """Shape: (1, channels, 1)."""


class _Stopped(Exception):
    """Raised out of the vocoder."""


class Network:
    """The model, its built-in speakers, and its device."""

    def __init__(self, folder: Path, device: Device, sampling: Sampling, chunks: Chunks) -> None:
        """Raises ConfigError for a package, a file or a device that is missing, and for a model that is none."""
        missing = [str(folder / name) for name in FILES if not (folder / name).is_file()]
        if missing:
            raise ConfigError(
                f"tts engine 'xtts': not there: {', '.join(missing)}. Put the files of coqui/XTTS-v2 there, whose "
                "licence (Coqui Public Model License) allows non-commercial use"
            )
        torch, config_class, model_class = _packages()
        if device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("tts engine 'xtts': torch finds no GPU; say device: cpu, or auto")
        self._torch = torch
        self._device = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        self._sampling = sampling
        self._chunks = chunks
        try:
            config = config_class()
            config.load_json(str(folder / "config.json"))
            self._model = model_class(config)
            self._model.load_checkpoint(config, checkpoint_dir=str(folder), eval=True)
        except Exception as error:
            raise ConfigError(
                f"tts engine 'xtts': {folder} cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        self._model.to(self._device)
        self._config = config
        self._stopped: Callable[[], bool] = lambda: False
        # One decode takes several times as long as a token: it is left between its blocks.
        for block in self.decoder.waveform_decoder.resblocks:
            block.register_forward_pre_hook(self._unless_stopped)
        self.speakers = self._speakers()

    def _speakers(self) -> dict[str, Latents]:
        manager = self._model.speaker_manager
        told = {} if manager is None else manager.speakers
        return {
            name: Latents(voice["gpt_cond_latent"].to(self._device), voice["speaker_embedding"].to(self._device))
            for name, voice in told.items()
        }

    @property
    def decoder(self) -> Any:
        """Upstream's HifiDecoder."""
        return self._model.hifigan_decoder

    def latents(self, pcm: bytes) -> Latents:
        """Of a recording at 24 kHz: conditioning of its first seconds, speaker of all. Raises InvalidRequest."""
        torch = self._torch
        from torchaudio.functional import resample

        with torch.inference_mode():
            sound = torch.from_numpy(to_float(pcm))[None]
            sound = resample(sound, VOICE_RATE_HZ, LATENTS_HZ)[:, : LATENTS_HZ * 30].to(self._device)
            if sound.shape[1] < LATENTS_HZ:
                raise InvalidRequest("the recording of the voice is shorter than a second", param="sample")
            condition = self._model.get_gpt_cond_latents(
                sound, LATENTS_HZ, length=self._config.gpt_cond_len, chunk_length=self._config.gpt_cond_chunk_len
            )
            return Latents(condition, self._model.get_speaker_embedding(sound, LATENTS_HZ))

    def tokens(self, text: str, language: str) -> list[list[int]]:
        """What is spoken in one go, one after the other. Raises InvalidRequest for a language that lacks a package."""

        def encode(piece: str) -> list[int]:
            ids: list[int] = self._model.tokenizer.encode(piece, lang=language)
            return ids

        # Upstream's own bound, less the two tokens around a text.
        most = self._model.args.gpt_max_text_tokens - 2
        try:
            return list(takes(text, language, encode, most - 1))
        except ImportError as error:
            raise InvalidRequest(f"this server lacks a package for {language!r}: {error}", param="language") from error

    def speak(
        self,
        tokens: list[int],
        voice: Latents,
        speed: float,
        stopped: Callable[[], bool],
        give: Callable[[bytes], None],
    ) -> None:
        """Give the sound of one go, 24 kHz, as it is made. Asks `stopped` before each token and inside each decode."""
        self._stopped = stopped
        try:
            self._speak(tokens, voice, speed, give)
        except _Stopped:
            return
        finally:
            self._stopped = lambda: False

    def _unless_stopped(self, *_: Any) -> None:
        if self._stopped():
            raise _Stopped

    def _speak(self, tokens: list[int], voice: Latents, speed: float, give: Callable[[bytes], None]) -> None:
        torch = self._torch
        with torch.inference_mode():
            torch.manual_seed(self._sampling.seed)
            vocoder = StreamingVocoder(self.decoder, voice.speaker, speed)
            waiting: list[Any] = []
            wanted = self._chunks.first
            for latent in self.generated(tokens, voice):
                self._unless_stopped()
                waiting.append(latent)
                if len(waiting) >= wanted:
                    give(_pcm(vocoder.push(torch.cat(waiting))))
                    waiting, wanted = [], self._chunks.later
            rest = torch.cat(waiting) if waiting else voice.condition.new_zeros((0, voice.condition.shape[2]))
            give(_pcm(vocoder.push(rest, last=True)))

    def generated(self, tokens: list[int], voice: Latents) -> Iterator[Any]:
        """A latent per audio token, as upstream's stream yields them. Shape: (1, channels)."""
        gpt, sampling = self._model.gpt, self._sampling
        text = self._torch.tensor([tokens], dtype=self._torch.int32, device=self._device)
        steps = gpt.get_generator(
            fake_inputs=gpt.compute_embeddings(voice.condition, text),
            do_sample=True,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            temperature=sampling.temperature,
            repetition_penalty=sampling.repetition_penalty,
            length_penalty=1.0,
            num_beams=1,
            num_return_sequences=1,
            output_attentions=False,
            output_hidden_states=True,
            return_dict_in_generate=True,
        )
        for _, latent in steps:
            yield latent


def _pcm(sound: Any) -> bytes:
    return from_float(sound.float().cpu().numpy())


def _packages() -> tuple[Any, Any, Any]:
    # Neither asks for a licence nor downloads: the files are the operator's.
    os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
    try:
        import torch
        from TTS.tts.configs.xtts_config import XttsConfig
        from TTS.tts.models.xtts import Xtts
    except ImportError as error:
        raise ConfigError(f"tts engine 'xtts' needs the package coqui-tts: make env ENGINE=xtts ({error})") from error
    return torch, XttsConfig, Xtts
