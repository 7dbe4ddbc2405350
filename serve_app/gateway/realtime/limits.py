"""How much a client may send at once. Over a limit: an error that names it, and the session goes on."""

from dataclasses import dataclass

MAX_METADATA_PAIRS = 16
MAX_METADATA_KEY_CHARS = 64
MAX_METADATA_VALUE_CHARS = 512
MAX_EVENT_ID_CHARS = 512
MAX_ITEM_ID_CHARS = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """Those that can be configured."""

    append_chars: int = 15 * 2**20
    """Of an `input_audio_buffer.append`, in base64 as it arrives: 11.25 MiB of sound, 245 s of 24 kHz PCM. The server
    below takes no message over 16 MiB (uvicorn's `ws_max_size`, which Serve does not expose) and closes with 1009."""
    message_chars: int = 2**20
    """Of any other message."""
    text_chars: int = 50_000
    """Of the text of one item, or of instructions."""
