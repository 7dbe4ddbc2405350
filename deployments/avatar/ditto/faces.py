"""The faces that an engine can open: prepared once, kept in memory, and on disk by picture and weights."""

import hashlib
import logging
from collections import OrderedDict
from pathlib import Path

from deployments.avatar.ditto.disk_cache import DiskCache, digest_of, file_id
from deployments.avatar.ditto.identity import Identity, identity_from_bytes
from deployments.avatar.ditto.registrar import Registrar, read_picture
from deployments.avatar.ditto.settings import Settings

logger = logging.getLogger(__name__)

FACES_KEPT = 64
"""In memory: about 10 MB each."""


class Faces:
    """`prepare` is for the device's thread; `find` for any."""

    def __init__(self, registrar: Registrar, settings: Settings, cache: Path) -> None:
        self.registrar = registrar
        self._cache = DiskCache(cache / "faces", ".npz")
        self._weights = digest_of(*(file_id(path) for path in settings.identity_files))
        self._faces: OrderedDict[str, Identity] = OrderedDict()
        self._pinned: set[str] = set()

    def key(self, picture: bytes) -> str:
        """Of a prepared face on disk: another for another picture, other weights or another crop."""
        return digest_of(hashlib.sha256(picture).digest(), self._weights, repr(sorted(self.registrar.crop.items())))

    def prepare(self, avatar: str, picture: bytes, pinned: bool = False) -> Identity:
        """Take a picture in; a `pinned` face is never dropped from memory. Raises InvalidRequest, EngineFailed."""
        identity = self._cached(picture)
        if identity is None:
            identity = self.registrar.identity(read_picture(picture))
            self._store(picture, identity)
        self._faces[avatar] = identity
        self._faces.move_to_end(avatar)
        if pinned:
            self._pinned.add(avatar)
        self._make_room()
        return identity

    def find(self, avatar: str) -> Identity | None:
        """A face that was prepared and is still in memory."""
        identity = self._faces.get(avatar)
        if identity is not None:
            self._faces.move_to_end(avatar)
        return identity

    def put(self, picture: bytes, identity: Identity) -> None:
        """Keep on disk what was prepared elsewhere. Raises OSError."""
        self._cache.store(self.key(picture), identity.to_bytes())

    def _cached(self, picture: bytes) -> Identity | None:
        key = self.key(picture)
        try:
            data = self._cache.find(key)
            return None if data is None else identity_from_bytes(data)
        except OSError as error:
            logger.warning("Prepared faces cannot be read from disk: %s", error)
            return None
        except ValueError as error:
            logger.warning("The prepared face %s is of no use and is made anew: %s", key, error)
            self._cache.forget(key)
            return None

    def _store(self, picture: bytes, identity: Identity) -> None:
        try:
            self.put(picture, identity)
        except OSError as error:
            logger.warning("The prepared face cannot be kept on disk: %s", error)

    def _make_room(self) -> None:
        loose = [avatar for avatar in self._faces if avatar not in self._pinned]
        for avatar in loose[: max(0, len(self._faces) - FACES_KEPT)]:
            del self._faces[avatar]
