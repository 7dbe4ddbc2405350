import dataclasses
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.avatar.ditto.checkout import Checkout
from deployments.avatar.ditto.disk_cache import DiskCache, digest_of, file_id
from deployments.avatar.ditto.faces import FACES_KEPT, Faces
from deployments.avatar.ditto.identity import MOTION_SHAPES, Identity, identity_from_bytes
from deployments.avatar.ditto.registrar import Registrar, read_picture
from deployments.avatar.ditto.settings import read_settings
from deployments.runtime.errors import EngineFailed, InvalidRequest
from tests.unit.ditto_stand_in import StandIn, configuration, png, released, stand_in


@pytest.fixture(autouse=True)
def _released() -> Generator[None]:
    with released():
        yield


@pytest.fixture
def ditto(tmp_path: Path) -> StandIn:
    return stand_in(tmp_path)


def faces_of(ditto: StandIn) -> Faces:
    settings = read_settings(ditto.cfg_pkl, ditto.weights, "cpu")
    return Faces(Registrar(Checkout(ditto.checkout), settings), settings, ditto.weights / "cache")


def readings(ditto: StandIn) -> int:
    """How many pictures the detectors have read."""
    reader: Any = Checkout(ditto.checkout).load("atomic_components.source2info")
    return int(reader.Source2Info.made)


def cached(ditto: StandIn) -> list[Path]:
    return sorted((ditto.weights / "cache" / "faces").iterdir())


def identity() -> Identity:
    draw = np.random.default_rng(0)
    return Identity(
        draw.integers(0, 256, (8, 6, 3), dtype=np.uint8),
        {name: draw.normal(size=shape).astype(np.float32) for name, shape in MOTION_SHAPES.items()},
        draw.normal(size=(1, 2, 3, 4, 5)).astype(np.float32),
        np.eye(3, dtype=np.float32),
        np.zeros((1, 2), np.float32),
        np.ones((1, 6), np.float32),
    )


def test_a_face_is_read_once_and_found_again_by_another_process(ditto: StandIn) -> None:
    first = faces_of(ditto).prepare("a", png(100))
    faces = faces_of(ditto)
    again = faces.prepare("b", png(100))
    assert readings(ditto) == 1
    np.testing.assert_array_equal(first.picture, again.picture)
    np.testing.assert_array_equal(first.appearance, again.appearance)
    assert faces.find("b") is again
    assert faces.find("a") is None
    assert (again.width, again.height) == (120, 96)


def test_other_pictures_weights_and_crops_are_other_faces(ditto: StandIn) -> None:
    faces = faces_of(ditto)
    faces.prepare("a", png(100))
    faces.prepare("a", png(101))
    assert readings(ditto) == 2
    (ditto.weights / "appearance.pth").write_bytes(b"other weights")
    faces_of(ditto).prepare("a", png(100))
    assert readings(ditto) == 3
    changed = configuration()
    changed["default_kwargs"]["crop_scale"] = 2.0
    ditto.write(changed)
    faces_of(ditto).prepare("a", png(100))
    assert readings(ditto) == 4
    assert len(cached(ditto)) == 4


@pytest.mark.parametrize("damage", ["empty", "cut", "changed", "another"])
def test_a_broken_file_is_made_anew(ditto: StandIn, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    faces_of(ditto).prepare("a", png(100))
    (path,) = cached(ditto)
    whole = path.read_bytes()
    if damage == "another":
        DiskCache(path.parent, ".npz").store(path.stem, b"whole, but not a face")
    else:
        broken = {"empty": b"", "cut": whole[:-100], "changed": whole[:200] + bytes([whole[200] ^ 1]) + whole[201:]}
        path.write_bytes(broken[damage])
    faces_of(ditto).prepare("a", png(100))
    assert readings(ditto) == 2
    assert "made anew" in caplog.text
    assert len(cached(ditto)) == 1
    faces_of(ditto).prepare("a", png(100))
    assert readings(ditto) == 2


def test_a_disk_that_fails_leaves_nothing_behind_and_the_face_works(
    ditto: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    (ditto.weights / "cache").write_text("a file where the folder should be")
    assert faces_of(ditto).prepare("a", png(100)).width == 120
    assert "cannot be read from disk" in caplog.text
    assert "cannot be kept on disk" in caplog.text
    cache = DiskCache(ditto.weights / "other", ".npz")
    (ditto.weights / "other" / "taken.npz").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"):
        cache.store("taken", b"content")
    assert [path.name for path in (ditto.weights / "other").iterdir()] == ["taken.npz"]


def test_a_picture_without_a_face_is_refused(ditto: StandIn) -> None:
    faces = faces_of(ditto)
    with pytest.raises(InvalidRequest, match="no face was found") as refused:
        faces.prepare("a", png(3))
    assert refused.value.code == "no_face"
    with pytest.raises(InvalidRequest, match="cannot be measured"):
        faces.prepare("a", png(220))
    with pytest.raises(EngineFailed, match="out of memory"):
        faces.prepare("a", png(170))
    assert faces.find("a") is None
    assert not (ditto.weights / "cache").exists()


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", png(100)[:60]])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="picture"):
        read_picture(data)


@pytest.mark.parametrize(
    ("size", "becomes"), [((384, 579), (384, 578)), ((2000, 1000), (1024, 512)), ((999, 3001), (340, 1024))]
)
def test_pictures_have_even_sides_of_at_most_1024(size: tuple[int, int], becomes: tuple[int, int]) -> None:
    picture = read_picture(png(100, *size))
    assert picture.shape == (becomes[1], becomes[0], 3)


def test_memory_is_bounded_and_configured_faces_stay(ditto: StandIn) -> None:
    faces = faces_of(ditto)
    faces.prepare("mine", png(100), pinned=True)
    for number in range(FACES_KEPT + 5):
        faces.prepare(f"sent {number}", png(100))
    assert faces.find("mine") is not None
    assert faces.find("sent 0") is None
    assert faces.find(f"sent {FACES_KEPT + 4}") is not None


def test_an_identity_survives_the_disk() -> None:
    before = identity()
    after = identity_from_bytes(before.to_bytes())
    for field in dataclasses.fields(Identity):
        first, second = getattr(before, field.name), getattr(after, field.name)
        if isinstance(first, dict):
            assert first.keys() == second.keys()
            assert all(np.array_equal(first[name], second[name]) for name in first)
        else:
            np.testing.assert_array_equal(first, second)


def test_an_identity_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="eye_open has shape"):
        identity_from_bytes(dataclasses.replace(identity(), eye_open=np.zeros(2, np.float32)).to_bytes())
    with pytest.raises(ValueError, match="not an archive"):
        identity_from_bytes(b"")


def test_source_info_is_what_upstream_registers() -> None:
    source = identity().source_info()
    assert sorted(source) == sorted(
        ["x_s_info_lst", "f_s_lst", "M_c2o_lst", "eye_open_lst", "eye_ball_lst", "sc", "is_image_flag", "img_rgb_lst"]
    )
    assert np.asarray(source["sc"]).shape == (63,)


def test_files_are_told_apart_by_their_ends(tmp_path: Path) -> None:
    path = tmp_path / "network.pth"
    path.write_bytes(bytes(3 << 20))
    os.utime(path, ns=(5, 5))
    first = file_id(path)
    path.write_bytes(bytes((3 << 20) - 1) + b"\x01")
    os.utime(path, ns=(5, 5))
    assert file_id(path) != first
    assert digest_of("a", "b") != digest_of("ab")
