"""Ditto (antgroup/ditto-talkinghead): a photograph that speaks, from the user's own checkout and weights.

Neither code nor weights of Ditto come with Parley. The engine imports the checkout from a path and calls its parts
itself, without upstream's threads: one thread owns the device and does the next block of several sessions as one step.
"""

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from deployments.avatar.contract import AvatarInfo, Portrait
from deployments.avatar.ditto.batcher import Batcher
from deployments.avatar.ditto.face import DittoFace
from deployments.avatar.ditto.faces import Faces
from deployments.avatar.ditto.identity import Identity
from deployments.avatar.ditto.law import Law
from deployments.avatar.ditto.loading import Loaded, LoadOptions, load
from deployments.avatar.ditto.putback import Pictures
from deployments.avatar.ditto.session import FaceSession
from deployments.avatar.ditto.stage import Job
from deployments.avatar.encoder import Encoder, H264Encoder, check
from deployments.runtime.errors import ConfigError, InvalidRequest, StageUnavailable, StateLost
from deployments.runtime.worker import Worker

EXTRA = "ditto"
"""Its packages."""
EXAMPLE = Path("example") / "image.png"
"""Of the checkout: the face that is shown where none is configured."""
ENCODERS = 4
"""Threads that encode."""


class Config(BaseModel):
    """Where Ditto is, and how it runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkout: Path
    """Folder of a clone of antgroup/ditto-talkinghead."""
    weights: Path
    """Its checkpoints for PyTorch: `checkpoints/ditto_pytorch`, say."""
    cfg_pkl: Path
    """`checkpoints/ditto_cfg/v0.4_hubert_cfg_pytorch.pkl`, say."""
    avatars: dict[str, Path] = Field(default_factory=dict)
    """Faces by id: a PNG or JPEG each; the first is the default. Empty takes the checkout's own example."""
    device: Literal["auto", "cuda", "cpu"] = "auto"
    backend: Literal["auto", "pytorch", "tensorrt"] = "auto"
    """`auto` takes TensorRT on a GPU where `onnx` is given."""
    onnx: Path | None = None
    """Folder of upstream's ONNX exports, to build TensorRT engines from."""
    overlap_v2: int = Field(default=70, ge=70, le=75)
    """Frames that one window of 80 shares with the next. 75 needs 285 ms of sound ahead, 70 needs 685 and half the
    work. Less would cost more delay, and below 40 the beginning."""
    sampling_timesteps: int = Field(default=10, ge=1, le=50)
    """Of the diffusion. Upstream's own default is 50; live servers built on it use 10 to 15."""
    emotion: int = Field(default=4, ge=0, le=7)
    """0 angry, 1 disgust, 2 fear, 3 happy, 4 neutral, 5 sad, 6 surprise, 7 contempt."""
    seed: int = Field(default=0, ge=0, le=2**31)
    """The same sound with the same seed moves a face in the same way."""
    cache: Path = Path(".data/ditto")
    """Folder for prepared faces and TensorRT engines."""
    max_batch: int = Field(default=8, ge=1, le=32)
    """Sessions in one step of the device, and frames in one batch."""
    batch_wait_ms: float = Field(default=4.0, ge=0.0, le=50.0)
    """For how long the first block of a step waits for others."""
    max_waiting: int = Field(default=32, ge=1)
    """Blocks that may wait for the device; beyond it sessions get ServerFull."""
    putback: Literal["auto", "cpu", "device"] = "auto"
    """Where the painted face is put back into the portrait; `auto`: on the device, if that is a GPU."""
    encoder: Encoder = "auto"
    """`auto` takes NVENC where it works."""


class Engine:
    """An `AvatarEngine`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._law = Law(config.overlap_v2)
        self._device = Worker("ditto", max_waiting=4)
        self._encoding = ThreadPoolExecutor(ENCODERS, thread_name_prefix="ditto-encode")
        self._batcher: Batcher[Job, Pictures] | None = None
        self._loaded: Loaded | None = None
        self._faces: Faces | None = None
        self._avatars: tuple[AvatarInfo, ...] = ()
        # One at a time, so that faces that are prepared never fill the device's queue.
        self._preparing = asyncio.Lock()

    async def start(self) -> None:
        """Load the networks, prepare the configured faces, and record the CUDA graphs."""
        pictures = self._pictures()
        loaded, faces, avatars = await self._device.run(functools.partial(self._load, pictures))
        config = self._config
        self._batcher = Batcher(
            loaded.stage.step, self._device, config.max_batch, config.batch_wait_ms, config.max_waiting
        )
        self._loaded, self._faces, self._avatars = loaded, faces, avatars

    def _pictures(self) -> dict[str, Path]:
        pictures = self._config.avatars or {"example": self._config.checkout / EXAMPLE}
        missing = [str(path) for path in pictures.values() if not path.is_file()]
        if missing:
            raise ConfigError(f"avatar engine 'ditto': pictures that are not there: {', '.join(missing)}")
        return dict(pictures)

    def _load(self, pictures: dict[str, Path]) -> tuple[Loaded, Faces, tuple[AvatarInfo, ...]]:
        config = self._config
        check(config.encoder)
        loaded = load(
            LoadOptions(
                checkout=config.checkout,
                weights=config.weights,
                cfg_pkl=config.cfg_pkl,
                device=config.device,
                backend=config.backend,
                onnx=config.onnx,
                cache=config.cache,
                law=self._law,
                sampling_timesteps=config.sampling_timesteps,
                seed=config.seed,
                emotion=config.emotion,
                max_batch=config.max_batch,
                putback=config.putback,
            )
        )
        faces = Faces(loaded.registrar, loaded.settings, config.cache)
        infos = []
        for avatar, path in pictures.items():
            try:
                identity = faces.prepare(avatar, path.read_bytes(), pinned=True)
            except (InvalidRequest, OSError) as error:
                raise ConfigError(f"avatar engine 'ditto': {path}: {error}") from error
            infos.append(_info(avatar, identity))
            loaded.stage.place(identity)
        if loaded.device == "cuda" and (first := faces.find(infos[0].id)) is not None:
            loaded.stage.record(first)
        return loaded, faces, tuple(infos)

    @property
    def avatars(self) -> tuple[AvatarInfo, ...]:
        """The configured faces."""
        return self._avatars

    @property
    def ahead_ms(self) -> float:
        """HuBERT's look-ahead and the windows' (`Law`)."""
        return self._law.ahead_ms

    @property
    def loaded(self) -> Loaded:
        """What was loaded, for measurements. Raises StageUnavailable before the start."""
        if self._loaded is None:
            raise StageUnavailable("ditto is not started")
        return self._loaded

    async def prepare(self, portrait: Portrait) -> AvatarInfo:
        """Find the face and read it; a picture seen before is taken from disk. Raises InvalidRequest with a reason."""
        if self._faces is None:
            raise StageUnavailable("ditto is not started")
        if portrait.id in ("", *(info.id for info in self._avatars)):
            raise InvalidRequest(f"{portrait.id!r} cannot be the id of a portrait that is sent", param="id")
        job = functools.partial(self._faces.prepare, portrait.id, portrait.picture)
        async with self._preparing:
            return _info(portrait.id, await self._device.run(job))

    def open(self, avatar: str, seed: str = "") -> DittoFace:
        """A new face. Raises StateLost for an avatar that must be prepared first. Its sound is what moves it."""
        if self._faces is None or self._loaded is None or self._batcher is None:
            raise StageUnavailable("ditto is not started")
        identity = self._faces.find(avatar or self._avatars[0].id)
        if identity is None:
            raise StateLost(f"the portrait {avatar!r} must be sent", code="unknown_avatar", param="avatar")
        session = FaceSession(self._loaded.parts, identity)
        encoder = H264Encoder(identity.width, identity.height, self._config.encoder)
        return DittoFace(session, self._batcher, encoder, self._encoding)

    async def close(self) -> None:
        """End the threads. May be called more than once."""
        if self._batcher is not None:
            await self._batcher.close()
        await self._device.close()
        await asyncio.to_thread(self._encoding.shutdown)


def _info(avatar: str, identity: Identity) -> AvatarInfo:
    return AvatarInfo(avatar, identity.width, identity.height)
