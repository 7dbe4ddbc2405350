"""What a talking head engine does, and the values that cross to and from the Avatar deployment.

The avatar owns the clock of picture and sound: each push is 200 ms of sound, silence where nothing is said, and comes
back with its five frames, so the two cannot drift apart. A push is complete in itself: a replica that does not know the
face opens it and goes on at the push's place on the clock.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from deployments.media.audio import VOICE_RATE_HZ, ms_to_samples
from deployments.media.timing import PhonemeTime
from deployments.media.video import BLOCK_MS, VideoFrame

BLOCK_SAMPLES = ms_to_samples(BLOCK_MS, VOICE_RATE_HZ)
"""Of sound at 24 kHz in one push."""
MAX_SIDE_PX = 1024
"""Of a picture."""

Mood = Literal["idle", "listening", "thinking", "speaking"]
"""What the face does when its mouth is at rest."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """A face: what an engine needs to open it. Under 3 MiB, so that it fits into one message."""

    id: str
    picture: bytes
    """PNG or JPEG."""
    description: bytes = b""
    """JSON: where mouth, eyes, jaw and outline are (`description.py`)."""


@dataclass(frozen=True, slots=True)
class AvatarInfo:
    """A face on offer."""

    id: str
    width: int
    height: int
    """Of the video: even numbers."""
    description: str = ""


@dataclass(frozen=True, slots=True)
class FaceBlock:
    """The next 200 ms of a face, as an engine gets them."""

    n: int
    """Its number since the session's face began: it starts n × 200 ms after it."""
    pcm: bytes
    """24 kHz, `BLOCK_SAMPLES` of them."""
    ahead: bytes = b""
    """The sound that follows, as far as it is known and the engine asked for it."""
    phonemes: tuple[PhonemeTime, ...] | None = None
    """What is said in `pcm` and `ahead`, counted from the first sample of `pcm`: may begin before it. None where the
    speech engine tells none: the mouth follows the sound."""
    mood: Mood = "idle"
    keyframe: bool = False
    """The first frame must be one: the receiver lost something, or did not get the block before."""
    bitrate_kbps: int = 800


@dataclass(frozen=True, slots=True)
class AvatarPush:
    """The next block of a session's face."""

    face_id: str
    block: FaceBlock
    avatar: str = ""
    """Id of the portrait; empty takes the engine's default. Another one than before opens the face anew."""
    portrait: Portrait | None = None
    """Sent when the stage has answered that it does not know the avatar: it keeps it."""
    close: bool = False
    """The face is over; the block is not looked at."""
    version: int = 1


@dataclass(frozen=True, slots=True)
class AvatarReply:
    """The sound of a push, with its picture."""

    n: int
    pcm: bytes
    frames: tuple[VideoFrame, ...]
    """`FRAMES_PER_BLOCK` of them; none in the reply to `close`."""
    width: int = 0
    height: int = 0
    ahead_ms: float = 0.0
    """How much of the following sound the engine wants to see with each block, where there is any."""
    version: int = 1


class Face(Protocol):
    """One session's face in an engine: its encoder, and where it is in its movements."""

    async def render(self, block: FaceBlock) -> tuple[VideoFrame, ...]:
        """The block's frames. Blocks come in order, each once; cancelled, it may be called with the next one."""
        ...

    async def close(self) -> None:
        """Free it. May be called more than once."""
        ...


class AvatarEngine(Protocol):
    """A talking head. Built with its `Config`; nothing heavy happens before `start`."""

    async def start(self) -> None:
        """Load and warm up. Raises ConfigError."""
        ...

    @property
    def avatars(self) -> tuple[AvatarInfo, ...]:
        """What it can show without being sent a portrait; the first is the default."""
        ...

    @property
    def ahead_ms(self) -> float:
        """How much of the following sound it wants with each block."""
        ...

    async def prepare(self, portrait: Portrait) -> AvatarInfo:
        """Take a portrait in, so that faces can be opened with its id. Raises InvalidRequest with a reason."""
        ...

    def open(self, avatar: str, seed: str = "") -> Face:
        """A new face, before its first block. Raises StateLost for an avatar that must be prepared first.

        Two faces of one avatar move alike if their seeds are the same: those of one session, on any replica.
        """
        ...

    async def close(self) -> None:
        """Free everything. May be called more than once."""
        ...
