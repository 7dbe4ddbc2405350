"""When nothing else fits: a short reply that reflects what was said, with the pronouns turned."""

import re
import zlib
from typing import Final

from deployments.llm.rules.turn import Reply, Turn
from deployments.llm.rules.words import sentence, turned

_LONGEST: Final = 14
"""Words that are reflected; of more only the end would be remembered by anyone."""

_FORMS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (r"(?:i am|i feel|i am feeling) (?P<x>.+)", ("Why are you {x}?", "How long have you been {x}?")),
    (
        r"i (?:want|would like|need|wish)(?: for)? (?P<x>.+)",
        ("What would it mean to you to have {x}?", "Why do you want {x}?"),
    ),
    (
        r"i (?:think|believe|guess|suppose)(?: that)? (?P<x>.+)",
        ("What makes you think that {x}?", "Are you sure that {x}?"),
    ),
    (r"i (?:remember|remembered) (?P<x>.+)", ("What else comes to mind when you think of {x}?",)),
    (r"i (?:can not|could not) (?P<x>.+)", ("What keeps you from it, when you want to {x}?",)),
    (
        r"my (?P<x>(?:mother|father|mum|mom|dad|sister|brother|wife|husband|son|daughter|friend|boss|dog|cat)\b.*)",
        ("Your {x}? Tell me more about that.",),
    ),
    (r"(?:because|since) (?P<x>.+)", ("Is that the only reason?", "I see: because {x}.")),
    (r"you are (?P<x>.+)", ("What makes you think that I am {x}?",)),
    (
        r"do you (?:like|love|enjoy|want|prefer) (?P<x>.+)",
        ("I have no taste of my own, but I would like to hear what you think of {x}.",),
    ),
    (
        r"(?:do|can|could|would|will|have) you (?P<x>.+)",
        ("I am a simple program, so I cannot {x}. What made you ask?",),
    ),
    (
        r"(?:tell me|talk to me|talk) about (?P<x>.+)",
        ("I answer by simple rules and know little about {x}. What interests you about it?",),
    ),
    (r"what is your favourite (?P<x>.+)", ("I have no favourite {x}, but tell me yours.",)),
    (r"why (?P<x>.+)", ("I do not know why. What do you think?",)),
    (
        r"(?:what|who|where|when|which|how|is|are|was|were|does|did) .+",
        ("I am afraid I do not know that: I answer by simple rules. Ask me for a sum, the time or a story.",),
    ),
)
_RULES: Final = tuple((re.compile(pattern), texts) for pattern, texts in _FORMS)
_STATEMENTS: Final = (
    "You say that {x}. Tell me more.",
    "I hear that {x}. What happened then?",
    "So {x}. How do you feel about that?",
)
_VERB: Final = re.compile(
    r"^(?:i|you|we|he|she|they|it|there|this|that|the|my|our|his|her|a|an|people|everybody|nobody)\b.*\b\w+"
)


def answer(turn: Turn) -> Reply | None:
    text = turn.text
    seed = zlib.crc32(text.encode()) + len(turn.earlier)
    for rule, replies in _RULES:
        if found := rule.fullmatch(text):
            part = _short(turned(found.groupdict().get("x") or ""))
            return Reply(sentence(replies[seed % len(replies)].format(x=part)))
    part = _short(turned(text))
    if _VERB.match(text) and len(turn.words) > 2:
        return Reply(sentence(_STATEMENTS[seed % len(_STATEMENTS)].format(x=part)))
    if text:
        return Reply(f"You said: {part}. Tell me more about that.")
    return Reply("I did not catch that. Could you say it again?")


def _short(text: str) -> str:
    words = text.split()
    return text if len(words) <= _LONGEST else " ".join(words[:_LONGEST]) + " and so on"
