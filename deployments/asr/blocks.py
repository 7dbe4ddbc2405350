"""Blocks of sound as recognisers take them."""

from deployments.media.audio import samples_of
from deployments.runtime.errors import InvalidRequest


def check_block(pcm: bytes) -> None:
    """Raises InvalidRequest for half a sample."""
    try:
        samples_of(pcm)
    except ValueError as error:
        raise InvalidRequest(str(error), param="pcm") from error
