"""An XTTS with small random weights: the real code, the real vocoder's shape, 12 tokens a piece. It proves loading,
streaming, cloning and cancelling, never quality.
"""

import json
from pathlib import Path
from typing import Any

SEED = 7
CHANNELS = 64
MAX_AUDIO_TOKENS = 12
"""A random model hardly ever stops by itself; a second of its vocoder takes some 0.4 s of CPU time."""
SPEAKERS = ("Ann Example", "Bob Example")


def options(folder: Path) -> dict[str, Any]:
    """A model with two speakers."""
    import torch

    make_model(folder)
    torch.set_num_threads(2)
    # Less would be no sound at once: the vocoder looks 170 ms ahead.
    return {"model": str(folder), "device": "cpu", "first_chunk_tokens": 5, "chunk_tokens": 6}


def make_model(folder: Path, *, max_audio_tokens: int = MAX_AUDIO_TOKENS) -> None:
    """Write its files. Takes some seconds."""
    import torch
    from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
    from TTS.tts.models.xtts import Xtts

    torch.manual_seed(SEED)
    _write_vocabulary(folder / "vocab.json")
    args = XttsArgs(
        gpt_layers=2,
        gpt_n_model_channels=CHANNELS,
        gpt_n_heads=2,
        gpt_num_audio_tokens=66,
        gpt_start_audio_token=64,
        gpt_stop_audio_token=65,
        gpt_max_audio_tokens=max_audio_tokens,
        gpt_use_perceiver_resampler=True,
        decoder_input_dim=CHANNELS,
        tokenizer_file=str(folder / "vocab.json"),
    )
    config = XttsConfig(model_args=args)
    model = Xtts(config)
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

    model.tokenizer = VoiceBpeTokenizer(vocab_file=str(folder / "vocab.json"))
    model.init_models()
    # Loud enough to be heard: what random layers let through of a latent is little.
    torch.nn.init.normal_(model.hifigan_decoder.waveform_decoder.conv_post.weight, std=2.0)
    # It never stops by itself, so that lengths are known.
    with torch.no_grad():
        model.gpt.mel_head.bias[65] = -100.0
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    config.save_json(str(folder / "config.json"))
    speakers = {
        name: {
            "gpt_cond_latent": torch.randn(1, 32, CHANNELS),
            "speaker_embedding": torch.nn.functional.normalize(torch.randn(1, 512, 1), dim=1),
        }
        for name in SPEAKERS
    }
    torch.save(speakers, folder / "speakers_xtts.pth")


def _write_vocabulary(path: Path) -> None:
    """One token a character, and the control tokens."""
    languages = [
        "ar",
        "cs",
        "de",
        "en",
        "es",
        "fr",
        "hi",
        "hu",
        "it",
        "ja",
        "ko",
        "nl",
        "pl",
        "pt",
        "ru",
        "tr",
        "zh-cn",
    ]
    special = ["[STOP]", "[UNK]", "[SPACE]", *(f"[{language}]" for language in languages), "[START]"]
    letters = [*"abcdefghijklmnopqrstuvwxyz'.,!?-:;", *"äöüßéèêëïçñáíóúàâîôû"]
    vocabulary = {token: number for number, token in enumerate([*special, *letters])}
    added = [
        {
            "id": vocabulary[token],
            "content": token,
            "special": True,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for token in special
    ]
    model = {"type": "BPE", "unk_token": "[UNK]", "vocab": vocabulary, "merges": []}
    path.write_text(
        json.dumps({"version": "1.0", "added_tokens": added, "pre_tokenizer": {"type": "Whitespace"}, "model": model}),
        encoding="utf-8",
    )
