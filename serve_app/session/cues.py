"""Does a sentence look finished? Small lists of words per language; what they do not know is left open."""

import enum
import functools
import re
from dataclasses import dataclass


class Completeness(enum.Enum):
    """How the words so far look."""

    FINISHED = "a whole sentence, a question, a short answer"
    OPEN = "nothing tells"
    UNFINISHED = "more must follow"


@dataclass(frozen=True, slots=True)
class Cues:
    """Words of one language, in lower case."""

    dangling: frozenset[str]
    """No sentence ends with these: conjunctions, articles, possessives, fillers."""
    prepositions: frozenset[str]
    """At the end only of a question ("where are you from")."""
    askers: frozenset[str]
    """What a question begins with."""
    answers: frozenset[str]
    """Utterances that are whole by themselves."""
    operators: frozenset[str]
    """Between two numbers."""
    digits: frozenset[str]


_PAUSING = (",", ";", ":", "-", "–", "—", "…", "...", "、", "，")
_CLOSING = (".", "?", "!", "。", "？", "！")
_ASKING = ("?", "!", "？", "！")
_QUOTES = "\"'”’»)] "
_DICTATED_DIGITS = 3
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def _cues(dangling: str, prepositions: str, askers: str, answers: str, operators: str, digits: str) -> Cues:
    return Cues(
        dangling=frozenset(dangling.split()),
        prepositions=frozenset(prepositions.split()),
        askers=frozenset(askers.split()),
        answers=frozenset(answer.strip() for answer in answers.split(",")),
        operators=frozenset(operators.split()),
        digits=frozenset(digits.split()),
    )


_BY_LANGUAGE = {
    "en": _cues(
        "and or but because if when while although though unless until since whether which the a an my your our their"
        " its every very i'm i'll we're they're you're um umm uh uhm er erm",
        "to of for with from at by into about than as between without during",
        "what what's who who's whose where where's when why how how's which is are am was were do does did can could"
        " will would should shall may have has",
        "yes, yeah, yep, no, nope, okay, ok, sure, right, exactly, correct, hello, hi, bye, goodbye, good morning,"
        " good night, thanks, thank you, thank you very much, please, stop, never mind, of course, i don't know",
        "plus minus times divided over point dot dash",
        "zero oh one two three four five six seven eight nine",
    ),
    "de": _cues(
        "und oder aber weil dass wenn falls obwohl denn sondern ob während bevor nachdem der den dem des ein eine einen"
        " einem einer mein meine meinen dein deine sein seine ihre unser unsere sehr äh ähm öh",
        "von für bei aus nach über unter zwischen ohne gegen durch um im am zum zur",
        "was wer wen wem wo wohin woher wann warum wieso wie welche welcher welches ist sind bist hast hat habt haben"
        " kannst kann können könntest würdest willst möchtest darf soll gibt",
        "ja, nein, doch, genau, okay, ok, klar, richtig, hallo, tschüss, danke, danke schön, vielen dank, bitte, stopp,"
        " halt, guten morgen, guten tag, guten abend, gute nacht, ich weiß nicht",
        "plus minus mal geteilt durch komma punkt",
        "null eins zwei zwo drei vier fünf sechs sieben acht neun",
    ),
    "fr": _cues(
        "et ou mais parce car donc que qu si quand lorsque puisque le la les un une des du mon ma mes ton ta tes son sa"
        " ses notre votre leur très euh heu",
        "de à pour avec sans dans sur sous chez par vers entre pendant depuis",
        "qui que quoi quand où comment pourquoi combien quel quelle quels quelles est-ce es-tu peux-tu pouvez-vous",
        "oui, non, si, d'accord, ok, bonjour, bonsoir, salut, au revoir, merci, merci beaucoup, s'il te plaît,"
        " s'il vous plaît, stop, exactement, bien sûr, je ne sais pas",
        "plus moins fois divisé virgule point",
        "zéro un deux trois quatre cinq six sept huit neuf",
    ),
    "es": _cues(
        "y e o u pero porque que si cuando aunque mientras pues el la los las un una unos unas mi mis tu tus su sus"
        " nuestro nuestra muy eh em",
        "de a para con sin en por sobre entre desde hasta hacia",
        "qué quién quiénes dónde cuándo cómo cuánto cuánta cuántos cuál cuáles puedes puede podrías",
        "sí, no, vale, claro, bueno, ok, hola, adiós, gracias, muchas gracias, por favor, para, exacto, buenos días,"
        " buenas tardes, buenas noches, no sé",
        "más menos por entre coma punto",
        "cero uno dos tres cuatro cinco seis siete ocho nueve",
    ),
    "it": _cues(
        "e ed o ma perché che se quando mentre però quindi il lo la i gli le un uno una mio mia tuo tua suo sua nostro"
        " nostra molto ehm eh",
        "di a da in con su per tra fra del della dei delle al alla nel nella",
        "chi cosa che dove quando come perché quanto quanta quanti quale quali puoi può potresti",
        "sì, no, va bene, certo, ok, ciao, arrivederci, grazie, grazie mille, per favore, basta, esatto, buongiorno,"
        " buonasera, buonanotte, non lo so",
        "più meno per diviso virgola punto",
        "zero uno due tre quattro cinque sei sette otto nove",
    ),
}


@functools.lru_cache(maxsize=1024)
def completeness(text: str, language: str | None) -> Completeness:
    """How the words look. Languages without a list are judged by their punctuation; None is taken for English."""
    text = text.rstrip(_QUOTES)
    words = _WORD.findall(text.casefold().replace("’", "'"))
    if not words:
        return Completeness.OPEN
    if text.endswith(_PAUSING):
        return Completeness.UNFINISHED
    if text.endswith(_ASKING):
        return Completeness.FINISHED
    cues = _BY_LANGUAGE.get((language or "en").split("-")[0].lower())
    if cues is None:
        return Completeness.FINISHED if text.endswith(_CLOSING) else Completeness.OPEN
    return _by_words(words, cues, closed=text.endswith(_CLOSING))


def _by_words(words: list[str], cues: Cues, *, closed: bool) -> Completeness:
    """`closed`: the recogniser put a full stop, which it also does where the sound merely stops."""
    question = words[0] in cues.askers
    last = words[-1]
    if " ".join(words) in cues.answers:
        return Completeness.FINISHED
    if last in cues.dangling or (last in cues.operators and len(words) > 1):
        return Completeness.UNFINISHED
    if last in cues.prepositions:
        return Completeness.OPEN if question else Completeness.UNFINISHED
    if _dictates(words, cues):
        return Completeness.OPEN
    if closed or (question and len(words) >= 3):
        return Completeness.FINISHED
    return Completeness.OPEN


def _dictates(words: list[str], cues: Cues) -> bool:
    """Digits one by one, as in a telephone number, come in groups with pauses between."""
    tail = words[-_DICTATED_DIGITS:]
    return len(tail) == _DICTATED_DIGITS and all(word in cues.digits or word.isdecimal() for word in tail)
