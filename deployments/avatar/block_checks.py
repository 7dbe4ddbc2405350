"""What a block of a face must be before anything is done with it."""

from typing import Final

from deployments.avatar.contract import BLOCK_SAMPLES, FaceBlock
from deployments.media.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ
from deployments.media.video import BLOCK_MS
from deployments.runtime.errors import InvalidRequest

MAX_AHEAD_BYTES: Final = 2 * VOICE_RATE_HZ * BYTES_PER_SAMPLE
"""2 s: more than any engine looks ahead."""


def check_block(block: FaceBlock) -> None:
    """Raises InvalidRequest for sound of another length than `BLOCK_SAMPLES`, half samples, and numbers below zero."""
    if len(block.pcm) != BLOCK_SAMPLES * BYTES_PER_SAMPLE:
        raise InvalidRequest(
            f"a face moves to {BLOCK_MS:g} ms of sound at a time: {BLOCK_SAMPLES * BYTES_PER_SAMPLE} bytes, "
            f"not {len(block.pcm)}",
            param="pcm",
        )
    if len(block.ahead) % BYTES_PER_SAMPLE:
        raise InvalidRequest(f"{len(block.ahead)} bytes are not whole 16-bit samples", param="ahead")
    if len(block.ahead) > MAX_AHEAD_BYTES:
        raise InvalidRequest(f"at most {MAX_AHEAD_BYTES} bytes of the sound that follows", param="ahead")
    if block.n < 0:
        raise InvalidRequest(f"the first block is 0, not {block.n}", param="n")
    if block.bitrate_kbps < 1:
        raise InvalidRequest(f"{block.bitrate_kbps} kbit/s is no bitrate", param="bitrate_kbps")
