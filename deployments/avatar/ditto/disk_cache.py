"""A folder of results that cost seconds to make: found again by key, written so that a crash leaves no half file."""

import hashlib
import logging
import os
import tempfile
from pathlib import Path

logger = logging.getLogger(__name__)

_DIGEST_BYTES = 32


class DiskCache:
    """Files `<key><suffix>`, each behind the SHA-256 of its content. A damaged one is removed and not found."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self._folder = folder
        self._suffix = suffix

    def find(self, key: str) -> bytes | None:
        """The content; None where there is none or it is damaged. Raises OSError for a folder that cannot be read."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        digest, content = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() == digest:
            return content
        logger.warning("%s is damaged and will be made anew", path)
        self.forget(key)
        return None

    def store(self, key: str, content: bytes) -> None:
        """Write it, at once or not at all. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".writing-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(content).digest())
                file.write(content)
            os.replace(temporary, self._path(key))
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def forget(self, key: str) -> None:
        """Remove it, if it is there."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{self._suffix}"


def digest_of(*parts: bytes | str) -> str:
    """A short key for what it is made of: 32 hexadecimal digits."""
    joined = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        joined.update(len(data).to_bytes(8, "big"))
        joined.update(data)
    return joined.hexdigest()[:32]


def file_id(path: Path) -> str:
    """What tells a model file from another of its name without reading gigabytes: size, time, and its two ends.

    A PyTorch file ends with the checksums of all its parts, so its last mebibyte changes with any of its weights.
    """
    state = path.stat()
    with path.open("rb") as file:
        first = file.read(1 << 20)
        file.seek(max(0, state.st_size - (1 << 20)))
        last = file.read()
    return digest_of(path.name, str(state.st_size), str(state.st_mtime_ns), first, last)
