"""What tells speech from other sound, as the detector sees it."""

from dataclasses import dataclass
from typing import Any, Protocol

CHUNK_SAMPLES = 512
"""32 ms at 16 kHz: what the speech model judges."""


@dataclass(slots=True, eq=False)
class SpeechStream:
    """What a speech model remembers of one session between calls. Only the model looks inside."""

    memory: Any = None
    """None before the first chunk."""


class SpeechModel(Protocol):
    """Tells speech from other sound. One serves all sessions of a process."""

    async def probabilities(self, stream: SpeechStream, pcm: bytes) -> list[float]:
        """The probability of speech in each chunk of 512 samples (16 kHz) of `pcm`, in order.

        One call at a time per stream. Raises ValueError for part of a chunk, EngineFailed, and StageUnavailable once
        closed.
        """
        ...
