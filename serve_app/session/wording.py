"""How the configuration wants written text to be said."""

import re
from typing import Final

from configs.session import SpeakableConfig
from deployments.media.speakable.speaker import Speaker

_VOICE_LANGUAGE: Final = re.compile(r"([a-z]{2})(?:[-_+.]|$)")
"""At the beginning of a voice's id: `en-gb+f2`, `de_DE-thorsten-medium`."""


def speaker_of(config: SpeakableConfig, language: str | None, voice: str) -> Speaker | None:
    """Of the language that is spoken; where nobody said which, of the one that the voice is named after. None: what is
    written is said as it is.
    """
    if not config.in_words:
        return None
    named = _VOICE_LANGUAGE.match(voice)
    return Speaker(language or (named and named[1]), config.lexicon)
