"""What the user says about themselves, and questions about it."""

import pytest

from deployments.llm.rules.memory import facts, stated
from deployments.llm.rules.words import tidy
from tests.unit.rules_talk import Talk


@pytest.mark.parametrize(
    ("said", "asked", "answer"),
    [
        ("my name is anna", "what is my name", "Your name is Anna."),
        ("Hi, I'm Tom.", "who am i", "Your name is Tom."),
        ("call me bob", "do you know my name", "Your name is Bob."),
        ("my favorite number is seven", "what's my favourite number", "Your favourite number is seven."),
        ("blue is my favourite colour", "which colour do i like best", "Your favourite colour is blue."),
        ("i live in new york", "where do i live", "You live in New York."),
        ("i come from berlin", "where am i from", "You come from Berlin."),
        ("i am thirty two years old", "how old am i", "You are thirty two years old."),
        ("my dog is called rex", "what is my dog called", "Your dog is called Rex."),
        ("my dog's name is rex", "what's my dog's name", "Your dog is called Rex."),
        ("i have a cat named tom", "what is the name of my cat", "Your cat is called Tom."),
        ("my sister is called mary", "who is mary", "Mary is your sister."),
        ("i work as a teacher", "what do i do", "You work as a teacher."),
        ("i am a doctor", "what is my job", "You are a doctor."),
        ("i like apples and pears", "what do i like", "You like apples and pears."),
        ("i like apples", "do i like apples", "Yes, you like apples."),
        ("i don't like rain", "do i like rain", "No, you do not like rain."),
        ("i have two dogs", "do i have dogs", "Yes, you have two dogs."),
        ("my birthday is on the third of may", "when is my birthday", "Your birthday is on the third of may."),
        ("i was born in rome", "where was i born", "You were born in Rome."),
        ("remember the word banana", "what is the word", "The word is banana."),
        ("remember that the code is 1234", "what is the code", "The code is 1234."),
        ("i am allergic to nuts", "what am i allergic to", "You are allergic to nuts."),
    ],
)
def test_what_was_said_is_remembered(said: str, asked: str, answer: str) -> None:
    talk = Talk()
    talk.say(said)
    talk.say("tell me a joke")
    assert talk.say(asked) == answer


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("what is my name", "You have not told me your name yet."),
        ("how old am i", "You have not told me how old you are."),
        ("what is my favourite colour", "You have not told me your favourite colour yet."),
        ("what do you know about me", "You have not told me anything yet."),
        ("what did i just say", "You have not said anything before this."),
    ],
)
def test_what_was_not_said_is_not_made_up(asked: str, answer: str) -> None:
    assert Talk().say(asked) == answer


def test_it_takes_note() -> None:
    talk = Talk()
    assert talk.say("hello my name is anna") == "Nice to meet you, Anna."
    assert talk.say("i live in rome and my dog is called rex") == (
        "I will remember that you live in Rome and your dog is called Rex."
    )
    assert talk.say("thanks") == "You are welcome, Anna."


def test_the_newest_word_counts() -> None:
    talk = Talk()
    talk.say("my name is anna")
    talk.say("actually my name is Ben")
    assert talk.say("what is my name") == "Your name is Ben."


def test_everything_is_told() -> None:
    talk = Talk()
    talk.say("my name is anna and i live in rome")
    talk.say("my head is empty")
    assert talk.say("what do you know about me") == "You told me that your name is Anna and you live in Rome."


def test_what_was_just_said() -> None:
    talk = Talk()
    talk.say("the sky is blue")
    assert talk.say("what did i just say") == "You said: The sky is blue."
    assert talk.say("what was my first question") == "You said: The sky is blue."


@pytest.mark.parametrize(
    "text",
    [
        "what is my name",
        "call me later",
        "i am tired",
        "hello i am ready",
        "what is my favourite colour",
        "i like it",
        "",
    ],
)
def test_what_says_nothing(text: str) -> None:
    assert stated(tidy(text)) == ()


def test_recognised_text_without_punctuation_ends_where_the_next_thought_begins() -> None:
    found = {fact.key: fact.value for fact in stated("my favourite number is seven what is two plus two")}
    assert found["favourite number"] == "seven"
    assert [fact.value for fact in facts(["my name is anna nice to meet you"])] == ["Anna"]
