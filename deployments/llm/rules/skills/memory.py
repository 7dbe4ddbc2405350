"""Takes note of what the user says about themselves, and answers questions about it."""

from typing import Final

from deployments.llm.rules.memory import stated
from deployments.llm.rules.turn import Reply, Turn
from deployments.llm.rules.words import listed, sentence

_OF_KEY: Final = (
    (r".*\b(?:what is my name|what am i called|say my name|tell me my name|know my name|remember my name)", "name"),
    (r".*\bwhat (?:did i say )?my name (?:is|was)", "name"),
    (r"(?:do you know |tell me )?who (?:am i|i am)", "name"),
    (r".*\b(?:how old (?:am i|i am)|what is my age|what my age is)", "age"),
    (r".*\bwhere (?:do i|i) live", "home"),
    (r".*\b(?:what|which) (?:city|town|country|place) (?:do i|i) live in", "home"),
    (r".*\bwhere (?:am i|i am|do i come|i come) from", "origin"),
    (r".*\b(?:when|where) was i born", "birth"),
    (r".*\bwhat (?:do i do(?: for a living)?|is my (?:job|work|profession|occupation))", "work"),
    (r".*\bwhere do i work", "work"),
    (r".*\b(?:what|which) (?P<k>[\w ]+?) do i like (?:best|most)", "favourite {k}"),
    (r".*\bwhat do i (?P<k>speak|play|study|drive|collect|teach)", "{k}"),
    (r".*\bwhat am i (?P<k>allergic to|married to|afraid of|interested in|learning)", "{k}"),
    (r".*\bwhat is the name of my (?P<k>[\w ]+)", "{k}"),
    (r".*\bwhat is my (?P<k>[\w ]+?)'?s name", "{k}"),
    (r".*\bwhat is my (?P<k>[\w ]+?) (?:called|named)", "{k}"),
    (r".*\b(?:what|who|when|where|which)(?: is| are| was)? my (?P<k>[\w ]+?)(?: is| was| again)*", "{k}"),
    (r".*\bdo you (?:know|remember|recall) my (?P<k>[\w ]+)", "{k}"),
    (r"what is the (?P<k>(?:code|password|word|number|secret)(?: word)?)", "{k}"),
)
_SYNONYMS: Final = {
    "job": "work",
    "city": "home",
    "home town": "origin",
    "hometown": "origin",
    "date of birth": "birth",
}
_ALL: Final = (
    r".*\b(?:what do you (?:know|remember) about me|what have i told you|what do you remember|tell me about me)"
)
_LIKES: Final = r"(?:do you (?:know|remember) )?what (?:do i|i) (?P<k>like|love|enjoy|hate|dislike|have)"
_WHETHER: Final = r"do i (?P<k>like|love|enjoy|hate|have) (?:an? |any )?(?P<v>[\w ]+)"
_WHO: Final = r"(?:who|what) is (?P<v>[\w ]+)"
_JUST_SAID: Final = (
    r".*\bwhat (?:did i|i|have i) (?:just |last )?(?:say|said|ask|asked|tell you)(?: you)?"
    r"(?: just)?(?: now| before| last| earlier)?"
)
_FIRST_SAID: Final = (
    r".*\bwhat (?:was|is) (?:the )?(?:my )?first (?:thing|question|message|word|sentence).*"
    r"|what did i (?:say|ask)(?: you)? first"
)
_LAST_QUESTION: Final = r".*\bwhat was my (?:last|previous) (?:question|message|sentence)"


def answer(turn: Turn) -> Reply | None:
    return _recalled(turn) or _noted(turn)


def _recalled(turn: Turn) -> Reply | None:
    if turn.match(_JUST_SAID, _LAST_QUESTION):
        return Reply(_quoted(turn.earlier[-1]) if turn.earlier else "You have not said anything before this.")
    if turn.match(_FIRST_SAID):
        return Reply(_quoted(turn.earlier[0]) if turn.earlier else "You have only just begun to talk to me.")
    return _about_key(turn) or _about_all(turn) or _about_value(turn)


def _quoted(text: str) -> str:
    return f"You said: {sentence(text)}"


def _about_key(turn: Turn) -> Reply | None:
    for pattern, key in _OF_KEY:
        found = turn.match(pattern + "(?: please| again| then)*")
        if not found:
            continue
        asked = key.format(**found.groupdict())
        fact = turn.known.get(_SYNONYMS.get(asked, asked)) or turn.known.get(asked)
        if fact:
            return Reply(sentence(fact.phrase))
        missing = {"age": "how old you are", "home": "where you live", "origin": "where you come from"}
        missing |= {"birth": "when you were born", "work": "what you do"}
        if asked in missing:
            return Reply(f"You have not told me {missing[asked]}.")
        whose = "" if pattern.startswith("what is the") or asked in ("play", "speak") else "your "
        return Reply(f"You have not told me {whose}{asked} yet.")
    return None


def _about_all(turn: Turn) -> Reply | None:
    lasting = [fact.phrase for fact in turn.known.values() if not fact.in_passing]
    if turn.match(_ALL):
        return Reply(
            sentence(f"You told me that {listed(lasting)}") if lasting else "You have not told me anything yet."
        )
    if found := turn.match(_LIKES):
        kinds = ("like", "love", "enjoy") if found["k"] in ("like", "love", "enjoy") else (found["k"],)
        phrases = [fact.phrase for fact in turn.known.values() if fact.key.startswith(kinds)]
        return Reply(sentence(listed(phrases)) if phrases else f"You have not told me what you {found['k']}.")
    return None


def _about_value(turn: Turn) -> Reply | None:
    if found := turn.match(_WHETHER):
        words = found["v"].split()
        for fact in turn.known.values():
            if words[-1] in fact.key.split() and fact.phrase.startswith("you "):
                return Reply(sentence(f"{'No' if 'not' in fact.phrase else 'Yes'}, {fact.phrase}"))
            if found["k"] == "have" and words[-1] == fact.key:
                return Reply(sentence(f"Yes, {fact.phrase}"))
    if found := turn.match(_WHO):
        for fact in turn.known.values():
            if fact.value.lower() == found["v"] and " is called " in fact.phrase:
                return Reply(sentence(f"{fact.value} is your {fact.key}"))
            if fact.value.lower() == found["v"] and fact.key == "name":
                return Reply(f"That is you: your name is {fact.value}.")
    return None


def _noted(turn: Turn) -> Reply | None:
    new = [fact for fact in stated(turn.said) if not fact.in_passing]
    if turn.text.startswith(("what ", "who ", "is ", "are ", "do ", "does ", "why ", "how ", "would ", "if ")):
        return None
    if not new:
        asked = turn.match(r"(?:can you |could you )?(?:please )?(?:remember|do not forget|keep in mind)(?: that)? .+")
        return Reply("I will remember that.") if asked else None
    names = [f"Nice to meet you, {fact.value}." for fact in new if fact.key == "name"]
    rest = [fact.phrase for fact in new if fact.key != "name"]
    return Reply(" ".join([*names, *([f"I will remember that {listed(rest)}."] if rest else [])]))
