"""The voices of espeak-ng on offer: its languages, spoken by some of its variants, with OpenAI's names as aliases."""

from deployments.runtime.errors import InvalidRequest
from deployments.tts.contract import Voice
from deployments.tts.voices import primary_subtag

LANGUAGES: dict[str, tuple[str, str]] = {
    "en-us": ("en", "American English"),
    "en-gb": ("en", "British English"),
    "de": ("de", "German"),
    "fr": ("fr", "French"),
    "es": ("es", "Spanish"),
    "es-419": ("es", "Latin American Spanish"),
    "it": ("it", "Italian"),
    "pt": ("pt", "Portuguese"),
    "pt-br": ("pt", "Brazilian Portuguese"),
    "nl": ("nl", "Dutch"),
    "pl": ("pl", "Polish"),
    "cs": ("cs", "Czech"),
    "ru": ("ru", "Russian"),
    "uk": ("uk", "Ukrainian"),
    "sv": ("sv", "Swedish"),
    "da": ("da", "Danish"),
    "nb": ("no", "Norwegian"),
    "fi": ("fi", "Finnish"),
    "hu": ("hu", "Hungarian"),
    "ro": ("ro", "Romanian"),
    "el": ("el", "Greek"),
    "tr": ("tr", "Turkish"),
    "hi": ("hi", "Hindi"),
    "cmn": ("zh", "Mandarin"),
}
"""Language → its ISO 639-1 code and what people call it. The first with a code is its default."""

_LIBRARY_NAMES = {"en-gb": "en"}
"""Where espeak's own name is another one."""

OPENAI_VARIANTS: dict[str, tuple[str, str]] = {
    "alloy": ("en-us", "man, 102 Hz"),
    "ash": ("en-us+m3", "man, 106 Hz"),
    "ballad": ("en-us+m1", "man, 93 Hz"),
    "coral": ("en-us+f2", "woman, 197 Hz"),
    "echo": ("en-us+m4", "man, 94 Hz, slow"),
    "fable": ("en-gb", "man, 102 Hz"),
    "onyx": ("en-us+quincy", "man, 87 Hz"),
    "nova": ("en-us+f3", "woman, 212 Hz"),
    "sage": ("en-us+f4", "woman, 181 Hz"),
    "shimmer": ("en-us+Annie", "woman, 240 Hz"),
    "verse": ("en-us+m7", "man, 107 Hz"),
    "marin": ("en-gb+f3", "woman, 212 Hz"),
    "cedar": ("en-gb+m3", "man, 106 Hz"),
}
"""OpenAI's name → the voice that answers to it, with its median pitch in a sentence."""

WOMAN = "f3"


def _voices() -> tuple[Voice, ...]:
    alias_of = {espeak_id: (name, description) for name, (espeak_id, description) in OPENAI_VARIANTS.items()}
    ids = [name for base in LANGUAGES for name in (base, f"{base}+{WOMAN}")]
    ids += [espeak_id for espeak_id in alias_of if espeak_id not in ids]
    voices = []
    for espeak_id in ids:
        base, _, variant = espeak_id.partition("+")
        code, language_name = LANGUAGES[base]
        alias, description = alias_of.get(espeak_id, (None, "woman" if variant else "man"))
        aliases = (alias,) if alias else ()
        voices.append(Voice(espeak_id, code, f"{language_name}, {description}", aliases))
    return tuple(voices)


VOICES = _voices()


def espeak_name(voice: Voice, language: str | None) -> str:
    """The library's name of a voice, made to speak the language of a BCP 47 tag: another one in the same variant.

    The region counts where espeak has it: `en-GB` makes a British voice of an American one, `en` leaves it as it is.
    Raises InvalidRequest for a language that is not on offer.
    """
    own_base, _, variant = voice.id.partition("+")
    base = own_base if language is None else _base(language, own_base)
    base = _LIBRARY_NAMES.get(base, base)
    return f"{base}+{variant}" if variant else base


def _base(language: str, own_base: str) -> str:
    tag = language.replace("_", "-").lower()
    code = primary_subtag(tag)
    if tag in LANGUAGES and tag != code:
        return tag
    if LANGUAGES[own_base][0] == code:
        return own_base
    for base, (base_code, _) in LANGUAGES.items():
        if code in (base_code, base):
            return base
    known = ", ".join(dict.fromkeys(code for code, _ in LANGUAGES.values()))
    raise InvalidRequest(f"no voice speaks {language!r}; languages: {known}", param="language")
