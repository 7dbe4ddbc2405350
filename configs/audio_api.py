"""Sound over plain HTTP: texts that are spoken, files that are transcribed, voices that are cloned."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SpeechApiConfig(_Part):
    """`POST /v1/audio/speech`."""

    max_text_chars: int = Field(default=50_000, ge=1, le=1_000_000)
    """Of `input`."""
    lead_s: float = Field(default=10.0, ge=0.5, le=120)
    """How much sound is made ahead of what the reader has taken."""
    max_at_once: int = Field(default=8, ge=1, le=1000)
    """Texts that a replica of the Gateway has spoken at a time; the one beyond is refused with 429."""


class TranscriptionApiConfig(_Part):
    """`POST /v1/audio/transcriptions` and `/v1/audio/translations`."""

    max_upload_bytes: int = Field(default=512 * 2**20, ge=2**16, le=8 * 2**30)
    """Of a request. What is over 1 MiB waits in a temporary file that has no name."""
    upload_s: float = Field(default=1800, gt=0, le=24 * 3600)
    """How long the body may take to arrive."""
    max_audio_s: float = Field(default=6 * 3600, gt=0, le=48 * 3600)
    """Of a file's sound, whatever its size: a small file can hold days of silence."""
    max_files: int = Field(default=4, ge=1, le=100)
    """Files that a replica of the Gateway works on; the one beyond is refused with 429."""
    max_segments: int = Field(default=2, ge=1, le=64)
    """Segments of all those files that are recognised at a time, so that conversations keep their places."""
    segment_s: float = Field(default=30.0, ge=5, le=50)
    """The longest segment; what Whisper hears at once."""
    segment_deadline_s: float = Field(default=120, gt=0, le=3600)
    """How long recognition may take over a segment beside the segment's own length."""
    patience_s: float = Field(default=300, ge=0, le=24 * 3600)
    """How long a segment asks again while recognition is full, before the file is given up."""


class VoicesApiConfig(_Part):
    """`POST /v1/audio/voices`: what a recording must be to be cloned."""

    max_voices: int = Field(default=200, ge=0, le=100_000)
    max_upload_bytes: int = Field(default=32 * 2**20, ge=2**16, le=256 * 2**20)
    upload_s: float = Field(default=120, gt=0, le=3600)
    max_at_once: int = Field(default=2, ge=1, le=100)
    """Recordings that a replica of the Gateway looks at; the one beyond is refused with 429."""
    min_sample_s: float = Field(default=6.0, ge=1, le=30)
    max_sample_s: float = Field(default=30.0, ge=1, le=40)
    """24 kHz PCM of 40 s is 1.9 MB, of the 4 MiB that a message between replicas may have."""
    min_speech_s: float = Field(default=3.0, ge=0, le=30)
    """Of the recording, by voice activity detection."""
    max_clipped: float = Field(default=0.001, ge=0, le=1)
    """Share of its samples that may lie at full scale."""
    min_level_db: float = Field(default=-40.0, ge=-90, le=0)
    """Level of its louder parts, in dB of full scale."""
    min_snr_db: float = Field(default=20.0, ge=0, le=60)
    """By which its louder parts stand out of its quietest: an old broadcast has 33 dB, with plain hiss 23 or less."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.min_sample_s > self.max_sample_s:
            raise ValueError(f"min_sample_s is {self.min_sample_s:g}, over max_sample_s, {self.max_sample_s:g}")
        return self


class AudioApiConfig(_Part):
    """Limits of the audio endpoints."""

    speech: SpeechApiConfig = SpeechApiConfig()
    transcription: TranscriptionApiConfig = TranscriptionApiConfig()
    voices: VoicesApiConfig = VoicesApiConfig()
