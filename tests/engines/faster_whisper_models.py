"""Tiny Whisper models with random weights, in CTranslate2's form: they run the real code and mean nothing.

Written with CTranslate2's own model specification, so neither torch nor transformers is needed.
"""

import itertools
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

BASE_VOCABULARY: Final = 50_257
"""Tokens of text in a multilingual model; an English-only one has one fewer."""
TIMES: Final = 1_501
AUDIO_POSITIONS: Final = 1_500
TEXT_POSITIONS: Final = 448

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a network."""

    layers: int
    width: int
    heads: int
    mels: int = 80
    multilingual: bool = True
    languages: int = 99


SMALLEST: Final = Shape(layers=1, width=32, heads=2)
TINY: Final = Shape(layers=4, width=384, heads=6)
"""As OpenAI's `tiny`."""
BASE: Final = Shape(layers=6, width=512, heads=8)
"""As OpenAI's `base`."""


def options(folder: Path) -> dict[str, Any]:
    """Of an engine that hears with the smallest."""
    make_model(folder, SMALLEST)
    return {"model": str(folder), "max_new_tokens": 24, "threads": 1, "interim_step_ms": 100}


def make_model(folder: Path, shape: Shape, seed: int = 0) -> Path:
    """Write a model's files to a folder."""
    import ctranslate2

    folder.mkdir(parents=True, exist_ok=True)
    text, special = _text_tokens(shape), _special_tokens(shape)
    vocabulary = [*text, *special, *(f"<|{n * 0.02:.2f}|>" for n in range(TIMES))]
    spec = ctranslate2.specs.WhisperSpec(shape.layers, shape.heads, shape.layers, shape.heads)
    _fill(spec, shape, len(vocabulary), np.random.default_rng(seed))
    spec.register_vocabulary(vocabulary)
    first_language = vocabulary.index("<|startoftranscript|>") + 1
    spec.config.lang_ids = list(range(first_language, first_language + shape.languages))
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [text.index("Ġ"), len(text)]
    spec.config.alignment_heads = list(itertools.product(range(shape.layers // 2, shape.layers), range(shape.heads)))
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(text, [*special, *vocabulary[-TIMES:]])))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": shape.mels}))
    return folder


def _text_tokens(shape: Shape) -> list[str]:
    """The 256 bytes as GPT-2 writes them, then made-up words of which most begin with a space."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    unprintable = [byte for byte in range(256) if byte not in printable]
    tokens = [chr(byte) for byte in printable] + [chr(256 + n) for n in range(len(unprintable))]
    chance, seen = random.Random(1), set(tokens)
    while len(tokens) < BASE_VOCABULARY - 1:
        syllables = "".join(
            chance.choice("bdfgklmnprstvz") + chance.choice("aeiou") for _ in range(chance.randint(1, 4))
        )
        word = ("Ġ" if chance.random() < 0.8 else "") + syllables
        if word not in seen:
            seen.add(word)
            tokens.append(word)
    # A multilingual vocabulary ends with an empty token, and is known by it.
    return [*tokens, ""] if shape.multilingual else tokens


def _special_tokens(shape: Shape) -> list[str]:
    """In Whisper's order."""
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    # The order within the languages does not matter to a random model; "en" is where it is in the real ones.
    codes = ["en", *(code for code in _LANGUAGE_CODES if code not in ("en", "yue"))]
    codes = [*codes, "yue"][: shape.languages]
    names = ["endoftext", "startoftranscript", *codes, "translate", "transcribe", "startoflm", "startofprev"]
    return [f"<|{name}|>" for name in (*names, "nospeech", "notimestamps")]


def _tokenizer(text: list[str], special: list[str]) -> dict[str, Any]:
    """The `tokenizers` library's file. Without merges, so text is encoded byte by byte."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "added_tokens": [{"id": len(text) + n, "content": token, **added} for n, token in enumerate(special)],
        "pre_tokenizer": byte_level,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": {token: n for n, token in enumerate(text)}, "merges": []},
    }


def _fill(spec: Any, shape: Shape, vocabulary: int, chance: np.random.Generator) -> None:
    width = shape.width

    def weights(*dimensions: int, scale: float = 1.0) -> Floats:
        fan_in = int(np.prod(dimensions[1:]))
        return chance.normal(0, scale / np.sqrt(fan_in), dimensions).astype(np.float32)

    def linear(layer: Any, outputs: int, inputs: int, scale: float = 1.0) -> None:
        layer.weight, layer.bias = weights(outputs, inputs, scale=scale), np.zeros(outputs, np.float32)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(width, np.float32), np.zeros(width, np.float32)

    def attention(layer: Any, sizes: tuple[int, ...], scale: float = 1.0) -> None:
        norm(layer.layer_norm)
        for each, outputs in zip(layer.linear, sizes, strict=True):
            linear(each, outputs, width, scale)

    def feed_forward(layer: Any) -> None:
        norm(layer.layer_norm)
        linear(layer.linear_0, 4 * width, width)
        linear(layer.linear_1, width, 4 * width)

    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = weights(width, shape.mels, 3), np.zeros(width, np.float32)
    encoder.conv2.weight, encoder.conv2.bias = weights(width, width, 3), np.zeros(width, np.float32)
    encoder.position_encodings.encodings = weights(AUDIO_POSITIONS, width)
    norm(encoder.layer_norm)
    for layer in encoder.layer:
        attention(layer.self_attention, (3 * width, width))
        feed_forward(layer.ffn)
    decoder.embeddings.weight = weights(vocabulary, width)
    decoder.position_encodings.encodings = weights(TEXT_POSITIONS, width, scale=4.0)
    norm(decoder.layer_norm)
    linear(decoder.projection, vocabulary, width)
    for layer in decoder.layer:
        attention(layer.self_attention, (3 * width, width))
        # Strong, so that what is heard decides what is said.
        attention(layer.attention, (width, 2 * width, width), scale=4.0)
        feed_forward(layer.ffn)
