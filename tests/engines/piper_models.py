"""Voices for the real Piper package, made of a small graph with the inputs and outputs of its networks.

Each phoneme sounds as long as a seeded table says, as a tone that a seeded table says: it proves loading, phonemes,
times, speakers and cancelling, never quality.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

SEED = 7
HOP = 256


def options(folder: Path) -> dict[str, Any]:
    """Two voices, one of them with two speakers and another rate."""
    make_voice(folder / "en_US-tiny.onnx", "en-us", 22_050)
    make_voice(folder / "de_DE-tiny.onnx", "de", 16_000, speakers={"eins": 0, "zwei": 1})
    return {"voices": str(folder), "voice": "en_US-tiny"}


def make_voice(
    path: Path, espeak_voice: str, rate_hz: int, *, speakers: dict[str, int] | None = None, slow_layers: int = 0
) -> None:
    """Write a voice. `slow_layers`: products of 1200 × 1200 matrices that it does first, for nothing."""
    import onnx
    from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

    symbols = 1 + max(number for numbers in DEFAULT_PHONEME_ID_MAP.values() for number in numbers)
    onnx.save(_network(symbols, rate_hz, len(speakers or {}), slow_layers), str(path))
    settings = {
        "audio": {"sample_rate": rate_hz},
        "espeak": {"voice": espeak_voice},
        "language": {"family": espeak_voice.partition("-")[0]},
        "num_symbols": symbols,
        "num_speakers": max(1, len(speakers or {})),
        "speaker_id_map": speakers or {},
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
        "hop_length": HOP,
        "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
    }
    path.with_name(f"{path.name}.json").write_text(json.dumps(settings), encoding="utf-8")


def _network(symbols: int, rate_hz: int, speakers: int, slow_layers: int) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    draw = np.random.default_rng(SEED)
    frames = draw.uniform(1.6, 4.4, symbols).astype(np.float32)
    steps = (2 * np.pi * draw.uniform(120, 900, symbols) / rate_hz).astype(np.float32)
    tables = {
        "frames_of": frames,
        "steps_of": steps,
        "one": np.array([1], dtype=np.int64),
        "zero": np.array(0, dtype=np.int64),
        "unit": np.array(1, dtype=np.int64),
        "axis": np.array(1, dtype=np.int64),
        "hop": np.array(HOP, dtype=np.int64),
        "loudness": np.array(0.25, dtype=np.float32),
        "shape": np.array([1, 1, 1, -1], dtype=np.int64),
        "flat": np.array([-1], dtype=np.int64),
        "none": np.array(0, dtype=np.float32),
    }
    if slow_layers:
        tables["matrix"] = draw.normal(0, 0.03, (1200, 1200)).astype(np.float32)
    if speakers > 1:
        tables["pitch_of"] = np.linspace(1, 2, speakers).astype(np.float32)
    node = helper.make_node
    nodes = [
        node("Gather", ["scales", "one"], ["length_scale"]),
        node("Gather", ["frames_of", "input"], ["natural"]),
        node("Mul", ["natural", "length_scale"], ["wished"]),
        node("Ceil", ["wished"], ["w_ceil"]),
        node("Cast", ["w_ceil"], ["counts"], to=TensorProto.INT64),
        node("CumSum", ["counts", "axis"], ["ends"]),
        node("ReduceSum", ["counts"], ["total"], keepdims=0),
        node("Range", ["zero", "total", "unit"], ["frame"]),
        node("Unsqueeze", ["frame", "one"], ["frame_column"]),
        node("LessOrEqual", ["ends", "frame_column"], ["over"]),
        node("Cast", ["over"], ["over_count"], to=TensorProto.INT64),
        node("ReduceSum", ["over_count", "one"], ["which"], keepdims=0),
        node("Reshape", ["input", "flat"], ["ids"]),
        node("Gather", ["ids", "which"], ["symbol_of"]),
        node("Mul", ["total", "hop"], ["samples"]),
        node("Range", ["zero", "samples", "unit"], ["sample"]),
        node("Div", ["sample", "hop"], ["frame_at"]),
        node("Gather", ["symbol_of", "frame_at"], ["symbol"]),
        node("Gather", ["steps_of", "symbol"], ["step"]),
    ]
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, [1, "phonemes"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    step = "step"
    if speakers > 1:
        inputs.append(helper.make_tensor_value_info("sid", TensorProto.INT64, [1]))
        nodes += [node("Gather", ["pitch_of", "sid"], ["pitch"]), node("Mul", ["step", "pitch"], ["spoken_step"])]
        step = "spoken_step"
    nodes += [
        node("CumSum", [step, "zero"], ["phase"]),
        node("Sin", ["phase"], ["tone"]),
        node("Mul", ["tone", "loudness"], ["quiet"]),
        *_slow(node, slow_layers),
        node("Add", ["quiet", "nothing"] if slow_layers else ["quiet", "none"], ["sound"]),
        node("Reshape", ["sound", "shape"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        inputs,
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, 1, "time"])],
        [numpy_helper.from_array(table, name) for name, table in tables.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _slow(node: Any, layers: int) -> list[Any]:
    """Work whose result counts for nothing, and which depends on an input, so that it is not done ahead."""
    if not layers:
        return []
    nodes = [node("Mul", ["matrix", "length_scale"], ["slow_0"])]
    nodes += [node("MatMul", [f"slow_{index}", "matrix"], [f"slow_{index + 1}"]) for index in range(layers)]
    return [
        *nodes,
        node("ReduceSum", [f"slow_{layers}"], ["much"], keepdims=0),
        node("Mul", ["much", "none"], ["nothing"]),
    ]
