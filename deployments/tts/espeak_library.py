"""espeak-ng's C library, bound by ctypes. It speaks in the calling thread and hands out sound as it is made.

Structures and constants: `speak_lib.h` of espeak-ng 1.52.
"""

import ctypes
import functools
import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deployments.runtime.errors import ConfigError

MIN_RATE_WPM, MAX_RATE_WPM = 80, 449
"""It speaks no slower; from 450 it squeezes the sound afterwards, and its marks no longer fit (10 % off at 600)."""
CHUNK_MS = 250
"""A sentence of 3.3 s costs 4.5 ms of CPU, and streaming it to an event loop 2 ms more, or 5 ms with the library's own
60 ms: each chunk passes Python's lock to and fro. The first chunk is there after 1.0 instead of 0.9 ms."""

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_PHONEME_EVENTS = 0x0001
_INITIALIZE_PHONEME_IPA = 0x0002
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_END_PAUSE = 0x1000
_POSITION_CHARACTER = 1
_PARAMETER_RATE = 1
_EVENT_LIST_TERMINATED, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7
_MAX_DATA_PATH_BYTES = 140
"""The library copies the path into 160 bytes together with file names, and cuts it without a word."""


@dataclass(frozen=True, slots=True)
class WordMark:
    """A word begins. `position` counts characters of the text from 0; an abbreviation or number may give several."""

    position: int
    sample: int


@dataclass(frozen=True, slots=True)
class PhonemeMark:
    """A phoneme begins: IPA with stress marks; empty for a pause."""

    symbol: str
    sample: int


@dataclass(frozen=True, slots=True)
class SpokenChunk:
    """The next 250 ms, less at the end of a sentence, and what begins in them. Samples count from the text's first."""

    pcm: bytes
    marks: tuple[WordMark | PhonemeMark, ...]


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class EspeakLibrary:
    """The one instance of a process (`espeak_library()`): the library's state is global, so calls are serialised."""

    def __init__(self) -> None:
        import espeakng_loader

        self._lock = threading.Lock()
        self._voice = ""
        self._on_chunk: Callable[[SpokenChunk], bool] | None = None
        self._error: BaseException | None = None
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data_path = self._short_path(espeakng_loader.get_data_path())
        flags = _INITIALIZE_PHONEME_EVENTS | _INITIALIZE_PHONEME_IPA | _INITIALIZE_DONT_EXIT
        self.rate_hz: int = self._library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, CHUNK_MS, os.fsencode(data_path), flags
        )
        if self.rate_hz <= 0:
            raise ConfigError(f"espeak-ng cannot use its data in {data_path}; reinstall espeakng-loader")
        self._callback = _Callback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(
        self, text: str, voice: str, rate_wpm: int, end_pause: bool, on_chunk: Callable[[SpokenChunk], bool]
    ) -> None:
        """Speak `text`, calling `on_chunk` in this thread for every chunk; it returns False to stop at once.

        `text` holds no NUL. `end_pause` adds the pause that its punctuation asks for. Markup is not interpreted.
        Raises ValueError for a voice that the library does not have, RuntimeError if it fails, and what `on_chunk`
        raised.
        """
        encoded = text.encode() + b"\0"
        flags = _CHARS_UTF8 | (_END_PAUSE if end_pause else 0)
        with self._lock:
            self._select(voice)
            self._library.espeak_SetParameter(_PARAMETER_RATE, min(max(rate_wpm, MIN_RATE_WPM), MAX_RATE_WPM), 0)
            self._on_chunk, self._error = on_chunk, None
            try:
                status = self._library.espeak_Synth(
                    encoded, ctypes.c_size_t(len(encoded)), 0, _POSITION_CHARACTER, 0, flags, None, None
                )
                error = self._error
            finally:
                self._on_chunk, self._error = None, None
        if error is not None:
            raise error
        if status != 0:
            raise RuntimeError(f"espeak_Synth returned {status}")

    def _select(self, voice: str) -> None:
        """Changing the voice costs 0.1 to 0.3 ms, and 1 to 19 ms where another language's dictionary is read."""
        if voice == self._voice:
            return
        self._voice = ""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice!r}")
        self._voice = voice

    # Called from C. An exception would be printed and lost there, so it is kept for `speak` to raise.
    def _receive(self, wave: "ctypes._Pointer[ctypes.c_short]", samples: int, events: "ctypes._Pointer[_Event]") -> int:
        try:
            assert self._on_chunk is not None
            pcm = ctypes.string_at(wave, 2 * samples) if samples else b""
            return 0 if self._on_chunk(SpokenChunk(pcm, _marks(events))) else 1
        except BaseException as error:
            self._error = error
            return 1

    def _short_path(self, data_path: str) -> str:
        """The path itself, or a link to it where it is too long for the library (as in Ray's runtime environments)."""
        if len(os.fsencode(data_path)) <= _MAX_DATA_PATH_BYTES:
            return data_path
        self._link_folder = tempfile.TemporaryDirectory(prefix="parley-espeak-")
        link = Path(self._link_folder.name) / "espeak-ng-data"
        link.symlink_to(data_path)
        return str(link)


@functools.cache
def espeak_library() -> EspeakLibrary:
    """The library, opened at first use. Raises ConfigError."""
    return EspeakLibrary()


def _marks(events: "ctypes._Pointer[_Event]") -> tuple[WordMark | PhonemeMark, ...]:
    marks: list[WordMark | PhonemeMark] = []
    index = 0
    while (event := events[index]).type != _EVENT_LIST_TERMINATED:
        index += 1
        if event.type == _EVENT_WORD:
            marks.append(WordMark(event.text_position - 1, event.sample))
        elif event.type == _EVENT_PHONEME:
            # Eight bytes without a terminator: a long symbol may end in half a character.
            symbol = event.id.string.decode(errors="ignore")
            if not symbol.startswith("("):  # "(de)": from here on by the rules of another language
                marks.append(PhonemeMark(symbol, event.sample))
    return tuple(marks)
