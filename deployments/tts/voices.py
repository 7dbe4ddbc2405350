"""Finding a voice by the name and language that a request gives."""

from deployments.runtime.errors import InvalidRequest
from deployments.tts.contract import Voice

OPENAI_VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse",
)  # fmt: skip
"""The names that OpenAI's clients may ask for."""

CLONED = "voice_"
"""Ids of cloned voices begin so."""


def cloned_voice(name: str) -> bool:
    """Whether a request names a voice that somebody recorded."""
    return name.startswith(CLONED)


def primary_subtag(language: str) -> str:
    """The language of a BCP 47 tag: `en` of `en-US`."""
    return language.replace("_", "-").partition("-")[0].lower()


def voice_named(voices: tuple[Voice, ...], name: str) -> Voice:
    """The voice with this id or alias; the first voice for an empty name. Raises InvalidRequest."""
    if not name:
        return voices[0]
    for voice in voices:
        if name == voice.id or name in voice.aliases:
            return voice
    known = ", ".join(voice.id for voice in voices)
    raise InvalidRequest(f"there is no voice {name!r}; there are: {known}", param="voice")


def voice_for_language(voices: tuple[Voice, ...], language: str) -> Voice:
    """The first voice that speaks it. Raises InvalidRequest."""
    wanted = primary_subtag(language)
    for voice in voices:
        if voice.language == wanted:
            return voice
    known = ", ".join(sorted({voice.language for voice in voices}))
    raise InvalidRequest(f"no voice speaks {language!r}; languages: {known}", param="language")
