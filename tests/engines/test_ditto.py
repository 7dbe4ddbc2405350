"""Ditto's real network code on the processor, with small random weights: see `ditto_models.py`."""

import asyncio
import sys
import types
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from deployments.avatar.contract import BLOCK_SAMPLES, FaceBlock, Portrait
from deployments.avatar.ditto.checkout import Checkout
from deployments.avatar.ditto.faces import Faces
from deployments.avatar.ditto.features import Features
from deployments.avatar.ditto.identity import Identity
from deployments.avatar.ditto.law import Law
from deployments.avatar.ditto.loading import Loaded, LoadOptions, load
from deployments.avatar.ditto.motion import Motion
from deployments.avatar.ditto.painter import Row
from deployments.avatar.ditto.putback import CpuPutback, DevicePutback, Pictures
from deployments.avatar.ditto.registrar import Registrar
from deployments.avatar.ditto.replay import Replay
from deployments.avatar.ditto.sampler import Sampler
from deployments.avatar.ditto.session import FaceSession, SessionParts, UpstreamSequence
from deployments.avatar.ditto.settings import read_settings
from deployments.avatar.ditto.sound import PIECE_SAMPLES, Sound
from deployments.avatar.ditto.stage import Job
from deployments.avatar.engines.ditto import Config, Engine
from deployments.media.video import VideoFrame
from deployments.runtime.errors import StateLost
from tests.engines.ditto_models import SIDE, Checkpoint
from tests.video_decoding import decoded

Floats = npt.NDArray[np.float32]

STEPS = 2
SEED = 3
OVERLAP = 75

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", autouse=True)
def _one_thread(checkout: Checkout) -> Generator[None]:
    """A fixed order of additions, and the machine is shared."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def loaded(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """The engine's parts, without its threads."""
    return load(
        LoadOptions(
            checkout=checkpoint.checkout,
            weights=checkpoint.weights,
            cfg_pkl=checkpoint.cfg_pkl,
            device="cpu",
            backend="auto",
            onnx=None,
            cache=tmp_path_factory.mktemp("cache"),
            law=Law(OVERLAP),
            sampling_timesteps=STEPS,
            seed=SEED,
            emotion=4,
            max_batch=8,
            putback="auto",
        )
    )


def speech(seed: int, blocks: int) -> list[bytes]:
    draw = np.random.default_rng(seed)
    return [draw.normal(0, 5000, BLOCK_SAMPLES).astype("<i2").tobytes() for _ in range(blocks)]


def block(number: int, spoken: list[bytes]) -> FaceBlock:
    return FaceBlock(number, spoken[number], b"".join(spoken[number + 1 : number + 3]))


# The sampler against upstream's own.


def test_encoded_once_and_guided_as_one_batch_it_is_upstreams_motion(loaded: Loaded) -> None:
    import torch

    sampler = loaded.stage.sampler
    model = sampler.model
    draw = torch.Generator().manual_seed(1)
    x = torch.randn((2, 80, 265), generator=draw)
    start = torch.randn((2, 265), generator=draw)
    cond = torch.randn((2, 80, model.audio_feat_dim), generator=draw)
    time = torch.tensor([700, 700])
    with torch.inference_mode():
        ours = sampler.guided(x, start, *sampler.encode(cond), time)
        upstream = model.model.guided_forward(x, start, cond, time, model.guidance_weight)
    assert float(upstream.std()) > 0.05
    torch.testing.assert_close(ours, upstream, atol=2e-4, rtol=1e-3)


def test_the_whole_sampling_is_upstreams_with_the_same_noise(loaded: Loaded) -> None:
    import torch

    sampler = loaded.stage.sampler
    model = sampler.model
    draw = np.random.default_rng(2)
    start = draw.normal(size=(1, 265)).astype(np.float32)
    cond = draw.normal(size=(1, 80, model.audio_feat_dim)).astype(np.float32)
    passes, encodings = sampler.passes, sampler.encodings
    ours = sampler.sample(start, cond, [5])
    assert sampler.passes - passes == STEPS
    assert sampler.encodings - encodings == 1
    unseeded = model.noise_list
    model.noise_list = sampler.noise
    try:
        torch.manual_seed(sampler.noise_seed(5))
        upstream = model.ddim_sample(torch.from_numpy(start), torch.from_numpy(cond), STEPS).numpy()
    finally:
        model.noise_list = unseeded
    np.testing.assert_allclose(ours, upstream, atol=2e-4, rtol=1e-3)


def test_upstreams_noise_changes_with_each_set_up_and_ours_does_not(loaded: Loaded) -> None:
    import torch

    model = loaded.stage.sampler.model
    first = Sampler(model, STEPS, SEED, "cpu")
    upstream_first = model.noise_list[0].clone()
    second = Sampler(model, STEPS, SEED, "cpu")
    other = Sampler(model, STEPS, SEED + 1, "cpu")
    assert not torch.equal(upstream_first, model.noise_list[0])
    assert torch.equal(first.noise[0], second.noise[0])
    assert not torch.equal(first.noise[0], other.noise[0])


def test_windows_of_two_sessions_are_those_of_each_alone(loaded: Loaded) -> None:
    sampler = loaded.stage.sampler
    draw = np.random.default_rng(4)
    start = draw.normal(size=(2, 265)).astype(np.float32)
    cond = draw.normal(size=(2, 80, sampler.model.audio_feat_dim)).astype(np.float32)
    together = sampler.sample(start, cond, [1, 4])
    for row, window in enumerate((1, 4)):
        alone = sampler.sample(start[row : row + 1], cond[row : row + 1], [window])
        np.testing.assert_allclose(together[row : row + 1], alone, atol=2e-4, rtol=1e-3)
    assert np.abs(together[0] - together[1]).max() > 0.1


# The law, with upstream's own blending.


def _sequence(parts: SessionParts, overlap: int, identity: Identity) -> tuple[Motion, Features, Law]:
    law = Law(overlap)
    changed = SessionParts(parts.components, parts.conditions, parts.defaults, law, parts.silence)
    return Motion(law, UpstreamSequence(changed, identity.motion)), Features(parts.silence), law


@pytest.mark.parametrize("overlap", range(70, 76))
def test_upstreams_blending_shows_each_frame_at_its_time(loaded: Loaded, checkpoint: Checkpoint, overlap: int) -> None:
    motion, features, law = _sequence(loaded.parts, overlap, checkpoint.identity)
    for number in range(30):
        motion.begin(number, features)
        while (window := motion.wanted(features)) is not None:
            assert window.index == 0 or window.start[0, 264] == pytest.approx(window.first_frame - 1, abs=1e-3)
            frames = np.arange(80, dtype=np.float32) + window.first_frame
            motion.put(window, np.repeat(frames[None, :, None], 265, axis=2))
        shown = motion.shown()
        expected = np.arange(5) + 5.0 * number
        np.testing.assert_allclose(shown[:, 264], expected, atol=1e-3)
        # The first dimensions are smoothed, which a straight line survives but at the edge of window 0.
        np.testing.assert_allclose(shown[:, 0], expected, atol=0.05)
    assert law.last_window(29) == -(-150 // law.valid)


def test_a_shorter_overlap_would_have_lost_frames(loaded: Loaded, checkpoint: Checkpoint) -> None:
    """Upstream's own online default: its first finished frames are number 60 and later."""
    kind, handed = loaded.parts.components.motion, _Handed()
    upstream: Any = kind.__new__(kind)
    upstream.lmdm = handed
    upstream.setup(checkpoint.identity.motion, overlap_v2=10, online_mode=True, sampling_timesteps=1)
    frames = np.arange(80, dtype=np.float32)
    sequence: Any = None
    for window in range(2):
        handed.predicted = np.repeat((frames + window * 70 - 10)[None, :, None], 265, axis=2)
        sequence = upstream(None, sequence)
        if window == 0:
            first_valid = sequence.shape[1] - upstream.fuse_length
    assert sequence[0, first_valid, 264] == pytest.approx(60.0, abs=1e-3)


@dataclass
class _Handed:
    seq_frames: int = 80
    predicted: Any = None

    def setup(self, steps: int) -> None: ...

    def __call__(self, *_: Any) -> Any:
        return self.predicted


# The renderer.


def test_stitching_in_the_batch_is_upstreams(loaded: Loaded, checkpoint: Checkpoint) -> None:
    import torch

    stage = loaded.stage
    draw = np.random.default_rng(5)
    source, driven = (draw.normal(0, 0.2, (2, 21, 3)).astype(np.float32) for _ in range(2))
    stitch = stage.painter.stitch
    assert stitch is not None
    with torch.inference_mode():
        together = stitch(torch.from_numpy(source), torch.from_numpy(driven)).numpy()
        alone = [
            stitch(torch.from_numpy(source[i : i + 1]), torch.from_numpy(driven[i : i + 1])).numpy() for i in (0, 1)
        ]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-6)
    assert np.abs(together - driven).max() > 1e-3


def _upstream_putback(checkout: Checkout) -> Any:
    """`PutBackNumpy`, beside whose import upstream compiles C: left out here."""
    blend = types.ModuleType("core.utils.blend")
    blend.blend_images_cy = None  # type: ignore[attr-defined]
    sys.modules["core.utils.blend"] = blend
    try:
        return checkout.load("atomic_components.putback").PutBackNumpy
    finally:
        del sys.modules["core.utils.blend"]


def test_pictures_are_put_together_as_upstream_does(checkout: Checkout, checkpoint: Checkpoint) -> None:
    import torch

    mask = np.asarray(checkout.load("utils.get_mask").get_mask(SIDE, SIDE, 0.9, 0.9)[:, :, 0], np.float32)
    square = torch.rand((3, SIDE, SIDE), generator=torch.Generator().manual_seed(6))
    upstream = _upstream_putback(checkout)()
    upstream.mask_ori_float = np.repeat(mask[:, :, None], 3, axis=2)
    identity = checkpoint.identity
    painted = np.ascontiguousarray(square.permute(1, 2, 0).numpy()) * 255.0
    expected = upstream(identity.picture, painted, identity.crop_to_picture).astype(int)
    (ours,) = CpuPutback(identity, mask)([square])
    (on_device,) = DevicePutback(identity, mask, "cpu")([square])
    assert ours.dtype == np.uint8
    assert ours.shape == identity.picture.shape
    assert np.abs(ours - expected).max() <= 1
    # OpenCV rounds places to 1/32 pixel.
    assert np.abs(on_device - expected).mean() < 1.5
    assert np.abs(ours - identity.picture.astype(int)).max() > 50
    np.testing.assert_array_equal(ours[:28], identity.picture[:28])


def test_rows_of_a_batch_are_painted_as_each_alone(loaded: Loaded, checkpoint: Checkpoint) -> None:
    placed = loaded.stage.place(checkpoint.identity)
    draw = np.random.default_rng(8)
    source = draw.normal(0, 0.1, (21, 3)).astype(np.float32)
    rows = [Row(placed.appearance, source, source + np.float32(shift)) for shift in (0.0, 0.05)]
    together = loaded.stage.painter.paint(rows)
    for row, painted in zip(rows, together, strict=True):
        (alone,) = loaded.stage.painter.paint([row])
        assert float((alone - painted).abs().max()) < 2 / 255
    assert tuple(together[0].shape) == (3, SIDE, SIDE)


def test_what_cannot_be_recorded_runs_eagerly_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("here it can be recorded")
    doubled = Replay("doubling", lambda values: 2 * values)
    doubled.record((1, 2), torch.ones(1, 3))
    assert doubled.recorded == ()
    assert caplog.text.count("doubling cannot be recorded") == 2
    assert doubled(torch.ones(2, 3)).tolist() == [[2.0] * 3] * 2


# The whole.


def pictures_of(loaded: Loaded, jobs: list[Job]) -> list[Pictures]:
    made = loaded.stage.step(jobs)
    assert all(isinstance(pictures, list) for pictures in made)
    return [pictures for pictures in made if isinstance(pictures, list)]


def difference(first: Pictures, second: Pictures) -> float:
    """The largest, of 255."""
    return max(float(np.abs(one.astype(int) - other).max()) for one, other in zip(first, second, strict=True))


def test_two_sessions_in_one_step_are_each_alone(loaded: Loaded, checkpoint: Checkpoint) -> None:
    spoken, other = speech(1, 4), speech(2, 4)
    stage = loaded.stage
    alone, mine, theirs = (FaceSession(loaded.parts, checkpoint.identity) for _ in range(3))
    for number in range(2):
        (expected,) = pictures_of(loaded, [Job(alone, block(number, spoken))])
        heard, passes, encoded = stage.hearing.calls, stage.sampler.passes, stage.sampler.encodings
        together, different = pictures_of(loaded, [Job(mine, block(number, spoken)), Job(theirs, block(number, other))])
        assert difference(together, expected) <= 2
        assert len(together) == 5
        # Window 0 primes; after that one window, and one new piece of sound, for each block and face.
        windows = 2 if number == 0 else 1
        assert stage.sampler.encodings - encoded == 2 * windows
        assert stage.sampler.passes - passes == STEPS * windows
        assert stage.hearing.calls - heard == 2 * (2 if number == 0 else 1)
    assert difference(together, different) > 2
    assert max(stage.painter.batches) == 8


def test_silence_moves_the_face_without_hearing(loaded: Loaded, checkpoint: Checkpoint) -> None:
    session = FaceSession(loaded.parts, checkpoint.identity)
    calls = loaded.stage.hearing.calls
    (first,) = pictures_of(loaded, [Job(session, FaceBlock(100, bytes(2 * BLOCK_SAMPLES)))])
    assert loaded.stage.hearing.calls == calls
    assert difference(first[:1], first[4:]) > 0


def test_an_error_ends_one_step_and_no_session(loaded: Loaded, checkpoint: Checkpoint) -> None:
    session = FaceSession(loaded.parts, checkpoint.identity)
    silent = FaceBlock(0, bytes(2 * BLOCK_SAMPLES))
    hearing, loaded.stage.hearing = loaded.stage.hearing, None  # type: ignore[assignment]
    try:
        (failed,) = loaded.stage.step([Job(session, FaceBlock(0, speech(1, 1)[0]))])
    finally:
        loaded.stage.hearing = hearing
    assert isinstance(failed, Exception)
    session.begin(silent)
    assert session.stale() == []


def test_hubert_answers_five_rows_for_a_block(loaded: Loaded) -> None:
    draw = np.random.default_rng(9)
    rows = loaded.stage.hearing(draw.normal(0, 0.1, PIECE_SAMPLES).astype(np.float32))
    assert rows.shape == (5, 1024)
    assert rows.std() > 0.01
    sound = Sound()
    assert sound.piece(0)


def test_blinks_come_from_the_seed(loaded: Loaded, checkpoint: Checkpoint) -> None:
    def eyes(seed: int) -> list[int]:
        parts = loaded.parts
        changed = SessionParts(
            parts.components, parts.conditions, parts.defaults, parts.law, parts.silence, parts.emotion, seed
        )
        session = FaceSession(changed, checkpoint.identity)
        session.begin(FaceBlock(0, bytes(2 * BLOCK_SAMPLES)))
        return list(session.stitch.delta_eye_idx_list)

    assert eyes(1) == eyes(1)
    assert eyes(1) != eyes(2)
    assert max(eyes(1)) == 14


def test_the_same_sound_twice_gives_the_same_frames(checkpoint: Checkpoint, checkout: Checkout, tmp_path: Path) -> None:
    picture = tmp_path / "face.png"
    picture.write_bytes(checkpoint.picture)
    config = Config(
        checkout=checkpoint.checkout,
        weights=checkpoint.weights,
        cfg_pkl=checkpoint.cfg_pkl,
        avatars={"face": picture},
        cache=tmp_path / "cache",
        device="cpu",
        overlap_v2=OVERLAP,
        sampling_timesteps=STEPS,
        seed=SEED,
        batch_wait_ms=0.0,
        encoder="libx264",
    )
    settings = read_settings(config.cfg_pkl, config.weights, "cpu")
    Faces(Registrar(checkout, settings), settings, config.cache).put(checkpoint.picture, checkpoint.identity)
    search_path = list(sys.path)

    async def spoken(engine: Engine, seed: int, blocks: int) -> tuple[VideoFrame, ...]:
        face = engine.open("")
        said = speech(seed, 3)
        frames: tuple[VideoFrame, ...] = ()
        for number in range(blocks):
            frames += await face.render(block(number, said))
        await face.close()
        return frames

    async def main() -> tuple[tuple[VideoFrame, ...], ...]:
        engine = Engine(config)
        await engine.start()
        try:
            assert [(info.id, info.width, info.height) for info in engine.avatars] == [("face", 100, 150)]
            assert engine.ahead_ms == 285.0
            with pytest.raises(StateLost):
                engine.open("nobody")
            assert (await engine.prepare(Portrait("sent", checkpoint.picture))).width == 100
            return await spoken(engine, 1, 2), await spoken(engine, 1, 2), await spoken(engine, 2, 1)
        finally:
            await engine.close()

    once, twice, other = asyncio.run(main())
    assert once == twice
    assert once[:5] != other
    assert len(once) == 10
    assert once[0].keyframe
    shown = decoded(once)
    assert [picture.shape for picture in shown] == [(150, 100, 3)] * 10
    # Upstream's C compiler, librosa and search path stayed out of it.
    assert sys.path == search_path
    assert not {"core.utils.blend", "librosa", "pyximport"} & set(sys.modules)
