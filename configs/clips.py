"""What is made of files and given as files: uploaded avatars, clips, and a conversation's turn in one request."""

from pydantic import BaseModel, ConfigDict, Field


class ClipsConfig(BaseModel):
    """Limits of what a request without a session may ask for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_text_chars: int = Field(default=5000, ge=1, le=100_000)
    """Of the text that a clip says."""
    max_audio_s: float = Field(default=600, gt=0, le=3600)
    """Of a recording that is sent."""
    max_upload_bytes: int = Field(default=32 * 2**20, ge=2**16, le=256 * 2**20)
    """Of a request with a recording. It is held in memory until the recording is decoded."""
    max_picture_bytes: int = Field(default=12 * 2**20, ge=2**12, le=64 * 2**20)
    """Of a picture as it is sent; what is kept of it has at most 3 MiB."""
    max_avatars: int = Field(default=1000, ge=0, le=100_000)
    """Uploaded avatars that are kept."""
    max_at_once: int = Field(default=4, ge=1, le=100)
    """Requests with files that a replica of the Gateway works on; the one beyond is refused with 429."""
    upload_s: float = Field(default=120, gt=0, le=3600)
    """How long the body of a request may take to arrive."""
    lead_s: float = Field(default=2.0, ge=0.2, le=30)
    """How much of a clip is made ahead of what its reader has taken."""
    burst_s: float = Field(default=20.0, ge=1, le=3600)
    """So much of a clip is made as fast as its reader takes it; from then on `speed`."""
    speed: float | None = Field(default=2.0, ge=1, le=100)
    """Times real time. A proxy that takes everything at once would else hold a whole film for a reader who reads
    nothing. None: no bound but the reader's own, for a way on which that is felt."""
    bitrate_kbps: int = Field(default=1200, ge=50, le=20_000)
    """Of a clip's picture."""
