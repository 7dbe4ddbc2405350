"""Piper's voices as files: `<name>.onnx` and, beside it, `<name>.onnx.json`."""

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deployments.runtime.errors import ConfigError, InvalidRequest
from deployments.tts.voices import primary_subtag

log = logging.getLogger(__name__)

SPEAKER = "#"
"""Between a voice and one of its speakers: `en_US-libritts-high#p3922`."""
HOW_TO_GET = "python -m piper.download_voices --download-dir {folder} en_US-lessac-medium"

_TWO_LETTERS = {"cmn": "zh", "yue": "zh", "nb": "no"}
"""ISO 639-1 of what espeak names otherwise."""


@dataclass(frozen=True)
class VoiceFile:
    """A voice that is there, not yet loaded."""

    id: str
    """The file's name without its suffix."""
    model: Path
    settings: dict[str, Any] = field(repr=False)
    """Its `.onnx.json`."""
    language: str
    """ISO 639-1 code."""
    rate_hz: int

    @property
    def size_bytes(self) -> int:
        """Of the network's file."""
        return self.model.stat().st_size

    @property
    def speakers(self) -> dict[str, int]:
        """Names and numbers of its speakers; empty for one alone."""
        return dict(self.settings.get("speaker_id_map") or {})

    @property
    def description(self) -> str:
        """For people."""
        said = f"Piper, {self.settings.get('espeak', {}).get('voice', self.language)}"
        if self.speakers:
            said += f", {len(self.speakers)} speakers: {self.id}{SPEAKER}{next(iter(self.speakers))}, …"
        return said

    def speaker(self, name: str) -> int | None:
        """The number of a speaker by name or number; None, the voice's default, for an empty name.

        Raises InvalidRequest.
        """
        if not name:
            return None
        if name in self.speakers:
            return self.speakers[name]
        if name.isascii() and name.isdecimal() and int(name) < int(self.settings.get("num_speakers", 1)):
            return int(name)
        known = ", ".join(list(self.speakers)[:20]) or "none"
        raise InvalidRequest(f"the voice {self.id!r} has no speaker {name!r}; there are: {known}", param="voice")


def voice_files(folder: Path, chosen: str) -> tuple[VoiceFile, ...]:
    """The voices of a folder and a chosen one, which comes first: its name in the folder, or its file.

    Empty `chosen` takes the first by name. A voice that cannot be read is left out and logged, the chosen one not.
    Raises ConfigError.
    """
    path = Path(chosen)
    models = {model.stem: model for model in sorted(folder.glob("*.onnx"))}
    if chosen and (path.suffix == ".onnx" or path.is_file()):
        models = {path.stem: path, **{stem: model for stem, model in models.items() if stem != path.stem}}
        chosen = path.stem
    first = chosen or next(iter(models), "")
    if first not in models:
        there = ", ".join(models) or "none"
        raise ConfigError(
            f"tts engine 'piper': there is no voice {first or '(any)'!r} in {folder} (there: {there}); "
            f"get one with: {HOW_TO_GET.format(folder=folder)}"
        )
    found = [read_voice(models.pop(first))]
    for model in models.values():
        try:
            found.append(read_voice(model))
        except ConfigError as error:
            log.warning("left out: %s", error)
    return tuple(found)


def read_voice(model: Path) -> VoiceFile:
    """What a voice's settings say. Raises ConfigError naming the file that is missing or wrong."""
    beside = model.with_name(f"{model.name}.json")
    missing = [str(path) for path in (model, beside) if not path.is_file()]
    if missing:
        raise ConfigError(f"tts engine 'piper': not there: {', '.join(missing)}; a voice has both files")
    try:
        settings = json.loads(beside.read_text(encoding="utf-8"))
        family = (settings.get("language") or {}).get("family") or settings["espeak"]["voice"]
        rate_hz = int(settings["audio"]["sample_rate"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"tts engine 'piper': {beside} is not a voice's: {type(error).__name__}: {error}") from error
    code = primary_subtag(str(family))
    language = _TWO_LETTERS.get(code, code)
    if len(language) != 2 or not 8_000 <= rate_hz <= 48_000:
        raise ConfigError(f"tts engine 'piper': {beside}: language {family!r} or rate {rate_hz} Hz cannot be used")
    return VoiceFile(model.stem, model, settings, language, rate_hz)
