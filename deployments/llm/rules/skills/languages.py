"""German, French and Spanish, a little: greetings, thanks, its name, sums in digits, and an honest word otherwise."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from deployments.llm.rules.instructions import persona
from deployments.llm.rules.numbers import written
from deployments.llm.rules.skills.arithmetic import value_of
from deployments.llm.rules.turn import Reply, Turn
from deployments.llm.rules.words import vocabulary


@dataclass(frozen=True, slots=True)
class _Phrases:
    common: frozenset[str]
    """Words that give the language away."""
    answers: tuple[tuple[str, str], ...]
    """What is asked, and the answer; the first that is found counts."""
    numbers: tuple[str, ...]
    """From 0 on."""
    result: str
    otherwise: str


_LANGUAGES: Final = {
    "de": _Phrases(
        vocabulary(
            "ich du ist nicht und das der wie heißt heisst viel mal bist mir mein dein danke hallo guten "
            "bitte wer kannst eine einen auf geht tschüss wiedersehen spät warum wo"
        ),
        (
            (r"\bwie geht", "Mir geht es gut, danke. Und dir?"),
            (r"\b(?:hallo|guten (?:tag|morgen|abend)|grüß)", "Hallo! Was kann ich für dich tun?"),
            (r"\b(?:danke|vielen dank)", "Gern geschehen."),
            (r"\b(?:tschüss|wiedersehen|bis (?:bald|später))", "Auf Wiedersehen!"),
            (r"\b(?:wer bist|wie heißt|wie heisst|dein name)", "Ich bin {name}."),
            (r"\b(?:wie spät|uhrzeit|wie viel uhr)", "Es ist {time} Uhr."),
            (r"\bwas kannst", "Auf Deutsch kann ich nur wenig: grüßen, die Uhrzeit sagen und rechnen."),
        ),
        ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf"),
        "Das ergibt {value}.",
        "Ich bin ein einfaches Programm und verstehe auf Deutsch nur wenig.",
    ),
    "fr": _Phrases(
        vocabulary(
            "je tu est pas et le les une comment quoi quel quelle ton merci bonjour salut au revoir combien "
            "suis vous êtes ça va pourquoi où heure"
        ),
        (
            (r"\b(?:ça va|comment (?:vas|allez|ça))", "Je vais bien, merci. Et toi ?"),
            (r"\b(?:bonjour|salut|bonsoir)", "Bonjour ! Que puis-je faire pour toi ?"),
            (r"\bmerci", "De rien."),
            (r"\b(?:au revoir|à bientôt|adieu)", "Au revoir !"),
            (r"\b(?:qui es|qui êtes|comment (?:tu t|t'|vous)|ton nom)", "Je suis {name}."),
            (r"\bquelle heure", "Il est {time}."),
        ),
        ("zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze"),
        "Cela fait {value}.",
        "Je suis un programme simple et je comprends peu le français.",
    ),
    "es": _Phrases(
        vocabulary(
            "yo tú es cuánto cuanto eres y el los una cómo como qué que mi tu gracias hola buenos buenas adiós "
            "quién estás soy usted hora por dónde llamas"
        ),
        (
            (r"\b(?:cómo|como) (?:estás|estas|está|te va)", "Estoy bien, gracias. ¿Y tú?"),
            (r"\b(?:hola|buenos días|buenas (?:tardes|noches))", "¡Hola! ¿Qué puedo hacer por ti?"),
            (r"\bgracias", "De nada."),
            (r"\b(?:adiós|adios|hasta (?:luego|pronto))", "¡Adiós!"),
            (r"\b(?:quién eres|quien eres|cómo te llamas|como te llamas|tu nombre)", "Soy {name}."),
            (r"\b(?:qué|que) hora", "Son las {time}."),
        ),
        ("cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez", "once", "doce"),
        "El resultado es {value}.",
        "Soy un programa sencillo y entiendo poco español.",
    ),
}
_ENGLISH: Final = vocabulary(
    "i you the is are what my your it and do not to of a in that can me tell how who hello hi thank thanks yes no "
    "have this please say for with when where why name am"
)
_OPERATORS: Final = (
    (r"\b(?:geteilt durch|divisé par|dividido por|dividido entre)\b", "divided by"),
    (r"\b(?:mal|fois|por)\b", "times"),
    (r"\b(?:minus|moins|menos)\b", "minus"),
    (r"\b(?:und|plus|más)\b", "plus"),
    (r"\b(?:was ist|wie viel ist|was ergibt|combien font|cuánto es|cuanto es)\b", "what is"),
)


def answer(turn: Turn) -> Reply | None:
    phrases = _LANGUAGES.get(language_of(turn))
    if phrases is None or not turn.words:
        return None
    values = {"name": persona(turn)[0], "time": f"{turn.now.hour}:{turn.now.minute:02d}"}
    text = turn.said.lower()
    value = _result(turn, phrases, text)
    if value is not None:
        return Reply(phrases.result.format(value=written(value, places=4).replace(".", ",")))
    for pattern, reply in phrases.answers:
        if re.search(pattern, text):
            return Reply(reply.format(**values))
    return Reply(phrases.otherwise)


def language_of(turn: Turn) -> str:
    """By the words where they are plain enough, else as the conversation says."""
    words = set(turn.said.lower().replace("'", " ").split()) | set(turn.words)
    words = {word.strip(".,!?¿¡") for word in words}
    scores = {code: len(words & phrases.common) for code, phrases in _LANGUAGES.items()}
    best = max(scores, key=lambda code: scores[code])
    english = len(words & _ENGLISH)
    if scores[best] > english:
        return best
    told = (turn.request.language or "en")[:2].lower()
    return "en" if english > scores.get(told, 0) else told


def _result(turn: Turn, phrases: _Phrases, text: str) -> Fraction | None:
    for value, word in enumerate(phrases.numbers):
        text = re.sub(rf"\b{word}\b", str(value), text)
    for pattern, to in _OPERATORS:
        text = re.sub(pattern, to, text)
    return value_of(turn, text)
