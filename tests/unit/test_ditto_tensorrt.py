import dataclasses
from pathlib import Path
from typing import Any

import pytest

from deployments.avatar.ditto.disk_cache import DiskCache
from deployments.avatar.ditto.law import Law
from deployments.avatar.ditto.loading import LoadOptions, tensorrt_choice
from deployments.avatar.ditto.tensorrt_choice import EngineUnusable, Network, TensorRtChoice
from deployments.avatar.ditto.tensorrt_key import NETWORK_SHAPES, EngineKey, Machine, key_of

L4 = Machine("NVIDIA L4", "570.86.15", "10.13.3")


def eager(*_: Any) -> str:
    return "pytorch"


class OneMachine:
    """TensorRT on one machine: a plan works where it was built."""

    def __init__(self, machine: Machine = L4, refuses: str = "") -> None:
        self._machine = machine
        self._refuses = refuses
        self.built: list[str] = []

    def machine(self) -> Machine:
        if self._refuses == "machine":
            raise EngineUnusable("no driver")
        return self._machine

    def build(self, key: EngineKey, onnx: Path) -> bytes:
        if self._refuses == "build":
            raise EngineUnusable("GridSample takes no volumes")
        assert onnx.name == f"{key.network}.onnx"
        self.built.append(key.network)
        return repr(key).encode()

    def load(self, key: EngineKey, plan: bytes) -> Network:
        if plan != repr(key).encode() or self._refuses == "load":
            raise EngineUnusable("built for something else")
        return lambda *_: f"tensorrt {key.network}"


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    folder = tmp_path / "ditto_onnx"
    folder.mkdir()
    for name in NETWORK_SHAPES:
        (folder / f"{name}.onnx").write_bytes(name.encode())
    return folder


def choice(onnx: Path, builder: OneMachine) -> TensorRtChoice:
    return TensorRtChoice(builder, DiskCache(onnx / "cache", ".engine"), onnx)


def test_a_key_belongs_to_one_gpu_driver_version_network_shape_model_and_precision(onnx: Path) -> None:
    key = key_of(L4, "decoder", onnx / "decoder.onnx")
    others = [
        dataclasses.replace(key, machine=dataclasses.replace(L4, gpu="NVIDIA H100 80GB HBM3")),
        dataclasses.replace(key, machine=dataclasses.replace(L4, driver="575.1")),
        dataclasses.replace(key, machine=dataclasses.replace(L4, tensorrt="10.14.0")),
        dataclasses.replace(key, network="warp_network"),
        dataclasses.replace(key, shapes=(("feature", (2, 256, 64, 64)),)),
        dataclasses.replace(key, model="another file"),
        dataclasses.replace(key, half=False),
    ]
    assert len({key.digest, *(other.digest for other in others)}) == 1 + len(others)
    assert key_of(L4, "decoder", onnx / "decoder.onnx").digest == key.digest


def test_an_engine_is_built_once_and_found_again(onnx: Path) -> None:
    builder = OneMachine()
    first = choice(onnx, builder)
    assert first.choose("decoder", eager)() == "tensorrt decoder"
    assert first.used == ["decoder"]
    assert choice(onnx, builder).choose("decoder", eager)() == "tensorrt decoder"
    assert choice(onnx, builder).choose("warp_network", eager)() == "tensorrt warp_network"
    assert builder.built == ["decoder", "warp_network"]


def test_another_driver_builds_its_own(onnx: Path) -> None:
    choice(onnx, OneMachine()).choose("decoder", eager)
    newer = OneMachine(dataclasses.replace(L4, driver="575.1"))
    assert choice(onnx, newer).choose("decoder", eager)() == "tensorrt decoder"
    assert newer.built == ["decoder"]


@pytest.mark.parametrize("damage", ["flipped", "foreign"])
def test_a_wrong_engine_is_built_anew_with_a_warning(onnx: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    builder = OneMachine()
    choice(onnx, builder).choose("decoder", eager)
    key = key_of(L4, "decoder", onnx / "decoder.onnx")
    if damage == "foreign":
        DiskCache(onnx / "cache", ".engine").store(key.digest, b"whole, for another GPU")
    else:
        path = onnx / "cache" / f"{key.digest}.engine"
        path.write_bytes(path.read_bytes()[:-1])
    assert choice(onnx, builder).choose("decoder", eager)() == "tensorrt decoder"
    assert builder.built == ["decoder", "decoder"]
    assert "anew" in caplog.text


@pytest.mark.parametrize(
    ("refuses", "reason"), [("machine", "no driver"), ("build", "GridSample"), ("load", "built for something else")]
)
def test_where_it_cannot_be_had_pytorch_runs_with_a_warning(
    onnx: Path, refuses: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = choice(onnx, OneMachine(refuses=refuses))
    assert chosen.choose("warp_network", eager) is eager
    assert chosen.used == []
    assert f"warp_network runs in PyTorch, not in TensorRT: {reason}" in caplog.text


def test_a_missing_onnx_file_is_named(onnx: Path, caplog: pytest.LogCaptureFixture) -> None:
    (onnx / "decoder.onnx").unlink()
    assert choice(onnx, OneMachine()).choose("decoder", eager) is eager
    assert "decoder.onnx to build it from" in caplog.text


def options(onnx: Path | None, backend: str) -> LoadOptions:
    nowhere = Path("nowhere")
    return LoadOptions(
        checkout=nowhere,
        weights=nowhere,
        cfg_pkl=nowhere,
        device="auto",
        backend=backend,
        onnx=onnx,
        cache=nowhere,
        law=Law(70),
        sampling_timesteps=10,
        seed=0,
        emotion=4,
        max_batch=8,
        putback="auto",
    )


@pytest.mark.parametrize(
    ("device", "given", "reason"), [("cpu", True, "needs a GPU"), ("cuda", False, "option 'onnx'")]
)
def test_tensorrt_that_is_asked_for_and_cannot_be_is_said(
    onnx: Path, device: str, given: bool, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert tensorrt_choice(options(onnx if given else None, "tensorrt"), device) is None
    assert "in PyTorch, not in TensorRT" in caplog.text
    assert reason in caplog.text


def test_a_missing_package_or_gpu_is_said_even_where_tensorrt_was_only_an_offer(
    onnx: Path, caplog: pytest.LogCaptureFixture
) -> None:
    try:
        import tensorrt  # noqa: F401
    except ImportError:
        assert tensorrt_choice(options(onnx, "auto"), "cuda") is None
        assert "'tensorrt' is not installed" in caplog.text
    else:
        pytest.skip("tensorrt is installed here")


@pytest.mark.parametrize(
    ("backend", "device", "given"), [("pytorch", "cuda", True), ("auto", "cuda", False), ("auto", "cpu", True)]
)
def test_nothing_is_said_where_nobody_asked(
    onnx: Path, backend: str, device: str, given: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert tensorrt_choice(options(onnx if given else None, backend), device) is None
    assert caplog.text == ""
