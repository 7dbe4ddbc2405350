"""The application's configuration: what stands under `args` in `serve_config.yaml`.

Replicas, GPU fractions and autoscaling are Serve's own and stand under `deployments`; what can change live is the
Gateway's `user_config` (`configs/session.py`).
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from configs.audio_api import AudioApiConfig
from configs.clips import ClipsConfig
from configs.hardware import HardwareConfig
from configs.store import StoreConfig
from configs.tools import ToolServerConfig
from configs.webrtc import WebRtcConfig


class Frozen(BaseModel):
    """A part of the configuration: never changed after it was read, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EngineChoice(Frozen):
    """Which engine a stage runs."""

    engine: str = Field(min_length=1)
    """A module of `deployments/<stage>/engines/`."""
    options: dict[str, Any] = {}
    """Fields of that engine's `Config`."""
    gpu_memory_gib: float | None = Field(default=None, gt=0)
    """All that one replica takes of the GPU's memory, CUDA's own context included; on each of its GPUs, if several.

    The start-up check adds these per GPU. An engine whose `Config` has a field of this name gets it, in place of one in
    `options`, and keeps to it.
    """


class GatewayConfig(Frozen):
    """Whom the Gateway admits and what it takes in one message; a session's own limits are in `configs/session.py`."""

    max_sessions: int = Field(default=40, ge=1)
    """Conversations per replica; the one beyond is closed with 1013."""
    allowed_origins: tuple[str, ...] = ()
    """Web origins that may connect besides the server's own, such as `https://example.org`; `*` admits any."""
    public_url: str | None = Field(default=None, pattern=r"^https?://[^/]+$")
    """The address that people use, where it is not the one that Serve listens on."""
    max_audio_append_bytes: int = Field(default=15 * 2**20, ge=2**16, le=15 * 2**20)
    """One `input_audio_buffer.append`, in base64 as it arrives. The server below takes no message over 16 MiB."""
    max_message_bytes: int = Field(default=2**20, ge=2**12)
    """Any other message of a client."""
    max_chats: int = Field(default=64, ge=1)
    """Replies of /v1/chat/completions that are written at a time; the one beyond gets 429."""
    client_secret_ttl_s: float = Field(default=600, ge=10, le=7200)
    """How long a client secret opens sessions when its request names no time."""


class DeadlineConfig(Frozen):
    """How long the Gateway waits for a stage, in seconds."""

    asr_s: float = Field(default=10, gt=0)
    """For the reply to one push."""
    llm_s: float = Field(default=30, gt=0)
    """For each next item of a reply."""
    tts_s: float = Field(default=15, gt=0)
    """For each next block of sound."""
    avatar_s: float = Field(default=2, gt=0)
    """For the pictures of one block."""
    model_load_s: float = Field(default=600, gt=0)
    """For a model that is loaded or unloaded by `/v1/admin/models`."""


class AppConfig(Frozen):
    """Everything under `args`. The defaults run anywhere, without a download and on a CPU."""

    asr: EngineChoice = EngineChoice(engine="pocketsphinx")
    llm: EngineChoice = EngineChoice(engine="rules")
    tts: EngineChoice = EngineChoice(engine="espeak")
    avatar: EngineChoice | None = EngineChoice(engine="portrait")
    """None: no session has a face."""
    gateway: GatewayConfig = GatewayConfig()
    clips: ClipsConfig = ClipsConfig()
    audio: AudioApiConfig = AudioApiConfig()
    deadlines: DeadlineConfig = DeadlineConfig()
    tools: ToolServerConfig = ToolServerConfig()
    assistants: Path | None = None
    """A folder of your own assistants, beside those in `configs/assistants`."""
    store: StoreConfig = Field(default_factory=StoreConfig)
    webrtc: WebRtcConfig = WebRtcConfig()
    hardware: HardwareConfig = HardwareConfig()
    """What the whole is made for; without nodes, whatever this machine has."""
