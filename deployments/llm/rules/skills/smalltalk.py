"""Greetings, thanks, goodbyes and the small words of a conversation."""

import re
from typing import Final

from deployments.llm.rules.instructions import persona, wants_greeting
from deployments.llm.rules.memory import facts
from deployments.llm.rules.turn import Reply, Turn

_TAIL: Final = (
    r"(?: (?:there|again|everyone|you|very|much|so|a lot|for (?:that|your help|everything)|to you|then|now|please))*"
)
_ANSWERS: Final[tuple[tuple[str, str], ...]] = (
    (r"(?:hi |hello |hey )?(?:there )?(?:how are you|how are things|how do you do|how is it going|how are you doing)(?: doing)?(?: today)?",
     "I am well, thank you. And how are you?"),
    (r"(?:hello|hi|hey|hiya|howdy|greetings|good day|hallo)", "Hello{name}! What can I do for you?"),
    (r"good (?P<part>morning|afternoon|evening)", "Good {part}{name}! What can I do for you?"),
    (r"(?:good night|sleep well)", "Good night{name}. Sleep well."),
    (r"(?:no |yes |ok |great |good |perfect |wonderful )*(?:thank you|thanks|thank|many thanks|cheers)", "You are welcome{name}."),
    (r"(?:good ?bye|bye|bye bye|see you|see you (?:later|soon|tomorrow)|farewell|take care|talk to you (?:later|soon))",
     "Goodbye{name}. It was nice talking to you."),
    (r"(?:nice|good|pleased|great) to (?:meet|see|hear) you(?: too)?", "Nice to meet you, too{name}."),
    (r"(?:i am )?(?:fine|good|very well|great|well|not bad|all right|alright|doing (?:well|fine|good))(?: and you| how about you)?",
     "I am glad to hear that. What shall we do?"),
    (r"(?:stop|wait|hold on|one moment|just a (?:moment|second|minute)|quiet|be quiet|shut up|silence|pause|stop talking|enough|never mind|nevermind|cancel)(?: it| that| a (?:moment|second|minute))?",
     "All right."),
    (r"(?:sorry|i am sorry|my mistake|excuse me)", "That is quite all right."),
    (r"(?:yes|yeah|yep|yup|sure|of course|right|correct|exactly|ok|okay|mm hm|uh huh|absolutely|definitely|yes i do|yes i am)",
     "Good. Please go on."),
    (r"(?:no|nope|nah|not really|no i do not|no thanks|no thank you)", "All right. Is there something else?"),
    (r"(?:are you there|can you hear me|is anybody there|is anyone there|do you hear me|testing|test|one two three|mic check)(?: one two three)?",
     "Yes, I can hear you."),
    (r"(?:i love you|i like you)", "That is kind of you."),
    (r"(?:well done|good job|great|wonderful|excellent|perfect|cool|nice|awesome|amazing|good|very good|you are (?:great|nice|smart|clever|funny|good))",
     "Thank you, that is kind."),
    (r"(?:tell me|say) (?:something|anything)(?: else| interesting| nice| new)?", "Gladly. Shall it be a story, a joke or a sum?"),
    (r"(?:why)", "I cannot say why. What do you think?"),
    (r"(?:what|huh|pardon)", "Shall I say it again?"),
)  # fmt: skip
_RULES: Final = tuple((re.compile(pattern + _TAIL), text) for pattern, text in _ANSWERS)


def answer(turn: Turn) -> Reply | None:
    known = {fact.key: fact.value for fact in facts((*turn.earlier, turn.said))}
    name = f", {known['name']}" if "name" in known else ""
    if wants_greeting(turn) or turn.asked_at < 0:
        own, _ = persona(turn)
        return Reply(f"Hello{name}, I am {own}. How can I help you?")
    if not any(char.isalnum() for char in turn.text):
        return Reply("I did not catch that. Could you say it again?")
    text = turn.text.removesuffix(f" {persona(turn)[0].lower()}")
    for rule, reply in _RULES:
        if found := rule.fullmatch(text):
            return Reply(reply.format(name=name, **found.groupdict()))
    return None
