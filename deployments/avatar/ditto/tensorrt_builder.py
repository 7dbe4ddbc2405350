"""The `tensorrt` package: builds engines from upstream's ONNX exports and runs them on torch's tensors.

Not run on a GPU by this project yet: where anything of it fails, `TensorRtChoice` says so and PyTorch goes on.
"""

import ctypes
import importlib
import subprocess
from pathlib import Path
from typing import Any

from deployments.avatar.ditto.tensorrt_choice import EngineUnusable, Network
from deployments.avatar.ditto.tensorrt_key import EngineKey, Machine

_PLUGIN = "libgrid_sample_3d_plugin.so"
"""Of upstream's ONNX folder: TensorRT itself cannot sample volumes (NVIDIA/TensorRT issue 3890)."""
_DRIVER_TIMEOUT_S = 10


class TensorRtBuilder:
    """A `Builder`. Raises EngineUnusable where the package or a GPU is missing."""

    def __init__(self, onnx: Path) -> None:
        try:
            self._trt: Any = importlib.import_module("tensorrt")
            self._torch: Any = importlib.import_module("torch")
        except ImportError as error:
            raise EngineUnusable(f"the package 'tensorrt' is not installed: {error}") from error
        if not self._torch.cuda.is_available():
            raise EngineUnusable("torch finds no GPU")
        self._logger = self._trt.Logger(self._trt.Logger.WARNING)
        self._trt.init_libnvinfer_plugins(self._logger, "")
        plugin = onnx / _PLUGIN
        if plugin.is_file():
            ctypes.CDLL(str(plugin))

    def machine(self) -> Machine:
        """This GPU, its driver and TensorRT's version."""
        return Machine(self._torch.cuda.get_device_name(), _driver(), str(self._trt.__version__))

    def build(self, key: EngineKey, onnx: Path) -> bytes:
        """A serialized engine."""
        trt = self._trt
        builder = trt.Builder(self._logger)
        explicit = getattr(trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH", None)
        network = builder.create_network(0 if explicit is None else 1 << int(explicit))
        parser = trt.OnnxParser(network, self._logger)
        if not parser.parse_from_file(str(onnx)):
            raise EngineUnusable("; ".join(str(parser.get_error(place)) for place in range(parser.num_errors)))
        config = builder.create_builder_config()
        if key.half and hasattr(trt.BuilderFlag, "FP16"):
            config.set_flag(trt.BuilderFlag.FP16)
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise EngineUnusable(f"TensorRT could not build {key.network}")
        return bytes(plan)

    def load(self, key: EngineKey, plan: bytes) -> Network:
        """The engine, called with tensors on the GPU as the PyTorch network is."""
        engine = self._trt.Runtime(self._logger).deserialize_cuda_engine(plan)
        if engine is None:
            raise EngineUnusable("TensorRT refuses the plan")
        return _Running(self._trt, self._torch, engine, key)


class _Running:
    def __init__(self, trt: Any, torch: Any, engine: Any, key: EngineKey) -> None:
        self._torch = torch
        self._engine = engine
        names = [engine.get_tensor_name(place) for place in range(engine.num_io_tensors)]
        outputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT]
        shapes = {name: tuple(engine.get_tensor_shape(name)) for name in names if name not in outputs}
        if shapes != dict(key.shapes) or len(outputs) != 1:
            raise EngineUnusable(f"it takes {shapes}, not {dict(key.shapes)}")
        self._inputs = [name for name, _ in key.shapes]
        self._output = outputs[0]
        self._types = {name: getattr(torch, str(trt.nptype(engine.get_tensor_dtype(name)).__name__)) for name in names}
        self._context = engine.create_execution_context()

    def __call__(self, *batch: Any) -> Any:
        """The export takes one frame at a time."""
        rows = [self._one([values[place : place + 1] for values in batch]) for place in range(batch[0].shape[0])]
        return self._torch.cat(rows)

    def _one(self, row: list[Any]) -> Any:
        # Kept until the call is queued: the engine only knows their addresses.
        given = [values.to(self._types[name]).contiguous() for name, values in zip(self._inputs, row, strict=True)]
        for name, values in zip(self._inputs, given, strict=True):
            self._context.set_tensor_address(name, values.data_ptr())
        shape = tuple(self._engine.get_tensor_shape(self._output))
        result = self._torch.empty(shape, dtype=self._types[self._output], device=row[0].device)
        self._context.set_tensor_address(self._output, result.data_ptr())
        if not self._context.execute_async_v3(self._torch.cuda.current_stream().cuda_stream):
            raise RuntimeError("TensorRT refused to run")
        return result.float()


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_DRIVER_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineUnusable(f"the driver's version cannot be read: {error}") from error
    return told.stdout.splitlines()[0].strip()
