"""What users say: recorded people, and espeak voices in five languages. Each belongs to one half.

The tuning half is what thresholds may be chosen with. The held-out half is never looked at for that, and is varied in
pitch, gain and speed besides.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clip:
    """An utterance in pieces; between two pieces the user hesitates."""

    name: str
    pieces: tuple[str, ...]
    """Its words."""
    held_out: bool
    language: str = "en"
    file: str = ""
    """A recording of `tests/data`; empty: it is spoken by a synthesised voice."""
    spans_ms: tuple[tuple[int, int], ...] = ()
    """Where each piece lies in the recording."""

    @property
    def text(self) -> str:
        """All words."""
        return " ".join(self.pieces)


def _recorded(name: str, text: str, held_out: bool, file: str, *spans_ms: tuple[int, int]) -> Clip:
    return Clip(name, tuple(text.split(" | ")), held_out, "en", file, spans_ms)


def _spoken(language: str, held_out: bool, *texts: str) -> tuple[Clip, ...]:
    return tuple(Clip(text.replace(" | ", " "), tuple(text.split(" | ")), held_out, language) for text in texts)


RECORDED_INTERRUPTIONS = (
    _recorded("help_me", "can you help me with something", False, "help_me", (120, 1200)),
    _recorded("hello", "hello", False, "hello", (0, 720)),
    _recorded("jfk_ask", "ask what you can do for your country", False, "jfk", (8100, 10500)),
    _recorded("hi_how_are_you", "hi how are you", True, "hi_how_are_you", (0, 1010)),
    _recorded("jfk_what", "what your country can do for you", True, "jfk", (5300, 7700)),
    _recorded("jfk_fellow", "and so my fellow americans", True, "jfk", (250, 2200)),
)
RECORDED_BACKCHANNELS = (
    _recorded("yes", "yes", False, "yes", (0, 560)),
    _recorded("yes, varied", "yes", True, "yes", (0, 560)),
)
"""The one there is: the held-out half varies it."""
RECORDED_HESITATIONS = (
    _recorded("jfk_fellow_ask", "and so my fellow americans | ask not", False, "jfk", (250, 2200), (3200, 4500)),
    _recorded(
        "jfk_ask_not_what", "ask not | what your country can do for you", True, "jfk", (3200, 4500), (5300, 7700)
    ),
)

INTERRUPTIONS = (
    *_spoken("en", False, "wait, I have a question", "stop, that is enough for now", "tell me the time instead"),
    *_spoken("en", True, "no, I meant the other one", "hold on a second please", "what did you just say about it"),
    *_spoken("de", False, "warte, ich habe eine Frage", "stopp, das reicht mir jetzt"),
    *_spoken("es", False, "espera, tengo una pregunta"),
    *_spoken("fr", True, "attends, j'ai une question", "non, ce n'est pas ça"),
    *_spoken("it", True, "aspetta, ho una domanda"),
)
BACKCHANNELS = (
    *_spoken("en", False, "mm-hm", "yeah", "okay", "I see"),
    *_spoken("en", True, "uh-huh", "right", "sure", "got it"),
    *_spoken("de", False, "genau", "ja", "verstehe"),
    *_spoken("es", False, "claro", "vale"),
    *_spoken("fr", True, "d'accord", "oui", "je vois"),
    *_spoken("it", True, "certo", "capisco"),
)
HESITATIONS = (
    *_spoken("en", False, "I would like to book a table for | four people tonight", "can you tell me the | way home"),
    *_spoken("en", False, "so I was thinking that um | we could leave tomorrow and | come back on sunday"),
    *_spoken("en", True, "please remind me to | call my mother", "what is the capital of | New Zealand"),
    *_spoken("en", True, "my name is | Anna and | I live in London"),
    *_spoken("de", False, "ich möchte einen Tisch für | vier Personen und | eine Flasche Wein"),
    *_spoken("es", False, "quiero reservar una mesa para | cuatro personas"),
    *_spoken("fr", True, "je voudrais réserver une table pour | quatre personnes"),
    *_spoken("it", True, "vorrei prenotare un tavolo per | quattro persone"),
)
NUMBERS = (
    *_spoken("en", False, "five five five | one two three | four five six seven"),
    *_spoken("en", False, "my number is oh two oh | seven nine four six | oh one two three"),
    *_spoken("en", True, "it is nine eight seven | six five four | three two one zero"),
    *_spoken("de", False, "meine Nummer ist null drei null | fünf fünf fünf | sieben acht neun"),
    *_spoken("fr", True, "zéro six | douze | trente quatre | cinquante six"),
)
CLIPS = {
    clip.name: clip
    for clip in (
        *RECORDED_INTERRUPTIONS,
        *RECORDED_BACKCHANNELS,
        *RECORDED_HESITATIONS,
        *INTERRUPTIONS,
        *BACKCHANNELS,
        *HESITATIONS,
        *NUMBERS,
    )
}
VOICES: dict[tuple[str, bool], tuple[str, ...]] = {
    ("en", False): ("en-us", "en-us+f3", "en-us+m3"),
    ("en", True): ("en-gb", "en-gb+f3", "en-us+f4"),
    ("de", False): ("de", "de+f3"),
    ("es", False): ("es", "es+f3"),
    ("fr", True): ("fr", "fr+f3"),
    ("it", True): ("it", "it+f3"),
}
"""By language and half."""
