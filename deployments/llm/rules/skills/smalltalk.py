"""Greetings, thanks, goodbyes and the small words of a conversation."""

from typing import Final

from deployments.llm.rules.instructions import persona, wants_greeting
from deployments.llm.rules.skills.story import OFFER
from deployments.llm.rules.turn import Reply, Turn
from deployments.llm.rules.words import vocabulary

_PHRASES: Final = (
    (
        "how are you/how are things/how do you do/how is it going/how are you doing/how are you feeling",
        "I am well, thank you. And how are you?",
    ),
    ("hello/hi/hey/hiya/howdy/greetings/good day/hello hello", "Hello{name}! What can I do for you?"),
    ("good morning/morning", "Good morning{name}! What can I do for you?"),
    ("good afternoon", "Good afternoon{name}! What can I do for you?"),
    ("good evening/evening", "Good evening{name}! What can I do for you?"),
    ("good night/sleep well", "Good night{name}. Sleep well."),
    ("thank you/thanks/thank/many thanks/cheers", "You are welcome{name}."),
    (
        (
            "good bye/goodbye/bye/bye bye/see you/see you later/see you soon/see you tomorrow/farewell/take care/"
            "talk to you later/talk to you soon"
        ),
        "Goodbye{name}. It was nice talking to you.",
    ),
    ("nice to meet you/pleased to meet you/good to see you/great to meet you", "Nice to meet you, too{name}."),
    (
        (
            "fine/i am fine/i am good/i am well/very well/i am great/not bad/all right/alright/i am doing well/"
            "i am doing fine/i am doing good/fine and you/good and you/i am fine and you/i am good and you"
        ),
        "I am glad to hear that. What shall we do?",
    ),
    (
        (
            "stop/wait/hold on/one moment/just a moment/just a second/just a minute/wait a moment/wait a minute/quiet/"
            "be quiet/shut up/silence/pause/stop talking/stop it/stop that/enough/never mind/nevermind/cancel"
        ),
        "All right.",
    ),
    ("sorry/i am sorry/my mistake/excuse me", "That is quite all right."),
    (
        (
            "yes/yeah/yep/yup/sure/of course/right/correct/that is right/exactly/ok/okay/mm hm/uh huh/definitely/"
            "yes i do/yes i am/i see"
        ),
        "Good. Please go on.",
    ),
    ("no/nope/nah/not really/no i do not/no thanks/no thank you", "All right. Is there something else?"),
    (
        (
            "are you there/can you hear me/is anybody there/is anyone there/do you hear me/testing/test/one two three/"
            "testing one two three/test one two three/mic check"
        ),
        "Yes, I can hear you.",
    ),
    ("i love you/i like you", "That is kind of you."),
    (
        (
            "well done/good job/great/wonderful/excellent/perfect/cool/nice/awesome/amazing/good/very good/great/"
            "that is nice/that is good/you are great/you are nice/you are smart/you are funny/you are clever"
        ),
        "Thank you, that is kind.",
    ),
    (
        "tell me something/say something/tell me anything/tell me something else/tell me something interesting",
        "Gladly. Shall it be a story, a joke or a sum?",
    ),
    ("what is up/what is new/what is going on", "Not much{name}. What shall we do?"),
    ("really/are you sure/is that true/seriously", "I believe so."),
    (
        "what do you mean/i do not understand/i do not get it",
        "I was not clear, I am sorry. Ask me for a sum, the time, a story, or what you have told me.",
    ),
    ("i do not know/no idea/i have no idea/i am not sure", f"That is all right. {OFFER}"),
    ("tell me more/more/go into detail", "About what would you like to hear more?"),
    ("happy birthday/merry christmas/happy new year/congratulations", "Thank you{name}, and the same to you!"),
    (
        "sing/sing a song/sing me a song/can you sing/sing for me",
        "I would rather not sing, but I can tell you a story.",
    ),
    (
        "let us play a game/play a game/can we play a game/let us play",
        "I know no games, but I can count and tell stories.",
    ),
    ("how old are you/when were you born/what is your age", "I have no age: I am a program."),
    ("where are you/where are you from/where do you live", "I live in the computer that you are talking to."),
    (
        (
            "can you speak german/can you speak french/can you speak spanish/do you speak german/do you speak french/"
            "do you speak spanish"
        ),
        "A little. Try me!",
    ),
    ("why/why not/how come", "I cannot say why. What do you think?"),
)
_REPLIES: Final = {phrase: reply for phrases, reply in _PHRASES for phrase in phrases.split("/")}
_TAILS: Final = (" for your help", " for that", " that was nice", " that was great", " that is nice", " that is great")
_AROUND: Final = vocabulary(
    "there again everyone very much so a lot today then now please oh well hello hi hey ok okay"
)
"""Words that change nothing about such a phrase."""


def answer(turn: Turn) -> Reply | None:
    name = f", {turn.known['name'].value}" if "name" in turn.known else ""
    own, _ = persona(turn)
    if wants_greeting(turn) or turn.asked_at < 0:
        return Reply(f"Hello{name}, I am {own}. How can I help you?")
    if not any(char.isalnum() for char in turn.text):
        return Reply("I did not catch that. Could you say it again?")
    text = turn.text.removesuffix(f" {own.lower()}")
    for tail in _TAILS:
        text = text.removesuffix(tail)
    words = text.split()
    reply = _found(words)
    return Reply(reply.format(name=name)) if reply else None


def _found(words: list[str]) -> str | None:
    """The reply to these words, or to what is left of them without the words around."""
    while words:
        if reply := _REPLIES.get(" ".join(words)):
            return reply
        if words[-1] in _AROUND:
            words = words[:-1]
        elif words[0] in _AROUND or (words[0] in ("yes", "no", "great", "good", "perfect") and "thank" in words[1:2]):
            words = words[1:]
        else:
            return None
    return None
