"""libpocketsphinx, bound by ctypes from the shared object inside the `pocketsphinx` wheel.

Its own Python class is not used for two reasons. It holds the GIL while it decodes: during 5.0 s of decoding another
thread got 112 turns, one per block. And its front end cannot be reached, without which the mean of the speech cannot be
known before it is decoded (see `SphinxDecoder.hear`).

Functions: `pocketsphinx.h` and `fe/fe.h` of pocketsphinx 5. The wheels of 5.0.4 and 5.1.1 export the same ones.
"""

import ctypes
import functools
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deployments.media.audio import samples_of
from deployments.runtime.errors import ConfigError

FRAME_SAMPLES = 160
"""A frame each 10 ms at 16 kHz."""
CEPSTRA = 13
"""Numbers per frame."""
_POINTER, _INT, _SIZE, _TEXT = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p
_SIGNATURES: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "ps_config_parse_json": (_POINTER, (_POINTER, _TEXT)),
    "ps_config_free": (_INT, (_POINTER,)),
    "ps_init": (_POINTER, (_POINTER,)),
    "ps_free": (_INT, (_POINTER,)),
    "ps_get_config": (_POINTER, (_POINTER,)),
    "ps_set_cmn": (_INT, (_POINTER, _TEXT)),
    "ps_start_utt": (_INT, (_POINTER,)),
    "ps_process_raw": (_INT, (_POINTER, _TEXT, _SIZE, _INT, _INT)),
    "ps_end_utt": (_INT, (_POINTER,)),
    "ps_get_hyp": (_TEXT, (_POINTER, _POINTER)),
    "ps_seg_iter": (_POINTER, (_POINTER,)),
    "ps_seg_next": (_POINTER, (_POINTER,)),
    "ps_seg_word": (_TEXT, (_POINTER,)),
    "ps_seg_frames": (None, (_POINTER, _POINTER, _POINTER)),
    "fe_init_auto_r": (_POINTER, (_POINTER,)),
    "fe_free": (_INT, (_POINTER,)),
    "fe_start_utt": (_INT, (_POINTER,)),
    "fe_process_frames": (_INT, (_POINTER, _POINTER, _POINTER, _POINTER, _POINTER)),
}

Setting = bool | int | float | str
Cepstra = npt.NDArray[np.float32]


class SphinxError(RuntimeError):
    """The library refused a call."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word and its frames, half open, counted from `begin`."""

    word: str
    start_frame: int
    end_frame: int


class SphinxDecoder:
    """A decoder and a front end of its own. Takes one call at a time, from any thread; releases the GIL meanwhile."""

    def __init__(self, settings: Mapping[str, Setting]) -> None:
        """`settings` as in the library's manual, without the dash. Raises ConfigError for what it cannot load."""
        self._library = library()
        config = self._library.ps_config_parse_json(None, json.dumps({"loglevel": "FATAL", **settings}).encode())
        if not config:
            raise ConfigError(f"pocketsphinx does not know one of the settings {sorted(settings)}")
        self._decoder = self._library.ps_init(config)
        self._library.ps_config_free(config)
        if not self._decoder:
            raise ConfigError(f"pocketsphinx cannot load its model; settings: {dict(settings)}")
        self._front_end = self._library.fe_init_auto_r(self._library.ps_get_config(self._decoder))
        self._in_segment = False

    def begin_measuring(self) -> None:
        """Forget the sound that `cepstra` was given before."""
        self._check("fe_start_utt", self._library.fe_start_utt(self._front_end))

    def cepstra(self, pcm: bytes) -> Cepstra:
        """The frames that `pcm` completes, as the decoder sees them before their mean is taken away. (frames, 13)."""
        frames = np.zeros((samples_of(pcm) // FRAME_SAMPLES + 4, CEPSTRA), np.float32)
        rows = frames.ctypes.data + np.arange(len(frames), dtype=np.uintp) * frames.strides[0]
        speech, left, count = ctypes.c_char_p(pcm), ctypes.c_size_t(samples_of(pcm)), ctypes.c_int32(len(frames))
        result = self._library.fe_process_frames(
            self._front_end, ctypes.byref(speech), ctypes.byref(left), rows.ctypes.data, ctypes.byref(count)
        )
        self._check("fe_process_frames", result)
        return frames[: count.value]

    def begin(self) -> None:
        """Start a segment; one that was left open is dropped."""
        self.end()
        self._check("ps_start_utt", self._library.ps_start_utt(self._decoder))
        self._in_segment = True

    def hear(self, pcm: bytes, mean: npt.NDArray[np.floating]) -> None:
        """Decode the next sound, taking `mean` (13,) away from its frames.

        The library's own running mean starts from a constant and weighs it like 5 s of speech, so that a short
        utterance is heard through the wrong microphone: "thank you very much" became "where you mad".
        """
        text = ",".join(f"{value:.4f}" for value in mean)
        self._check("ps_set_cmn", self._library.ps_set_cmn(self._decoder, text.encode()))
        self._check("ps_process_raw", self._library.ps_process_raw(self._decoder, pcm, samples_of(pcm), 0, 0))

    def end(self) -> None:
        """End the segment, where one is open."""
        if self._in_segment:
            self._in_segment = False
            self._check("ps_end_utt", self._library.ps_end_utt(self._decoder))

    def words(self) -> list[HeardWord]:
        """The words of the segment so far, or of the one that ended; without silences and noises."""
        self._library.ps_get_hyp(self._decoder, None)
        words, start, end = [], ctypes.c_int(), ctypes.c_int()
        segment = self._library.ps_seg_iter(self._decoder)
        while segment:
            word = self._library.ps_seg_word(segment).decode()
            self._library.ps_seg_frames(segment, ctypes.byref(start), ctypes.byref(end))
            if word[0] not in "<[+":
                words.append(HeardWord(word.partition("(")[0], start.value, end.value + 1))
            segment = self._library.ps_seg_next(segment)
        return words

    def close(self) -> None:
        """Free its memory. May be called more than once."""
        if self._decoder:
            self._library.fe_free(self._front_end)
            self._library.ps_free(self._decoder)
            self._decoder = self._front_end = None

    @staticmethod
    def _check(function: str, result: int) -> None:
        if result < 0:
            raise SphinxError(f"{function} returned {result}")


def package_path() -> Path:
    """Where the wheel lies. Raises ConfigError without it."""
    spec = importlib.util.find_spec("pocketsphinx")
    if spec is None or spec.origin is None:
        raise ConfigError("the package pocketsphinx is not installed; install it with: pip install pocketsphinx")
    return Path(spec.origin).parent


@functools.cache
def library() -> ctypes.CDLL:
    """The shared object of the wheel. Raises ConfigError where it lacks a function."""
    path = next(package_path().glob("_pocketsphinx*.so"), None)
    if path is None:
        raise ConfigError("the package pocketsphinx has no shared object; install its wheel, not its source")
    shared = ctypes.CDLL(str(path))
    for name, (result, arguments) in _SIGNATURES.items():
        if not hasattr(shared, name):
            raise ConfigError(f"this build of pocketsphinx does not export {name}; install the version Parley pins")
        function = getattr(shared, name)
        function.restype, function.argtypes = result, arguments
    return shared
