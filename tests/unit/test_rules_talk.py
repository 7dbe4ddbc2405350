"""Clock, counting, repeating, spelling, stories, going on, small talk, other languages and instructions."""

import re
from datetime import UTC, datetime

import pytest

from deployments.llm.contract import LlmRequest, Message
from deployments.llm.rules import reply
from deployments.llm.rules.skills.clock import clock_time, day
from deployments.llm.rules.turn import Turn
from deployments.llm.rules.words import plain, tidy, turned
from tests.unit.rules_talk import NOW, Talk, say


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("what time is it", "It is five past three in the afternoon."),
        ("What's the time, please?", "It is five past three in the afternoon."),
        ("what day is it today", "Today is Friday, the twenty-first of August, twenty twenty-six."),
        ("what is the date", "Today is Friday, the twenty-first of August, twenty twenty-six."),
        ("what day is it tomorrow", "Tomorrow is Saturday, the twenty-second of August, twenty twenty-six."),
        ("what was the date yesterday", "Yesterday was Thursday, the twentieth of August, twenty twenty-six."),
        ("what date is it in two weeks", "In two weeks it will be Friday, the fourth of September, twenty twenty-six."),
        ("what year is it", "It is twenty twenty-six."),
        ("what month is it", "It is August."),
    ],
)
def test_the_clock(text: str, answer: str) -> None:
    assert say(text) == answer


@pytest.mark.parametrize(
    ("hour", "minute", "spoken"),
    [
        (0, 0, "midnight"),
        (12, 0, "noon"),
        (7, 0, "seven o'clock in the morning"),
        (23, 45, "quarter to twelve in the evening"),
        (12, 15, "quarter past twelve in the afternoon"),
        (9, 30, "half past nine in the morning"),
        (0, 31, "twenty-nine minutes to one in the morning"),
        (17, 59, "one minute to six in the afternoon"),
    ],
)
def test_times_are_told_as_people_do(hour: int, minute: int, spoken: str) -> None:
    assert clock_time(datetime(2026, 1, 1, hour, minute, tzinfo=UTC)) == spoken


def test_years() -> None:
    assert day(datetime(2005, 12, 31, tzinfo=UTC)).endswith("the thirty-first of December, two thousand and five")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("count from one to five", "One, two, three, four, five."),
        ("count to three", "One, two, three."),
        ("can you count for me to 3 please", "One, two, three."),
        ("Count from 5 down to 3.", "Five, four, three."),
        ("count backwards from three", "Three, two, one."),
        ("count down from ten to eight", "Ten, nine, eight."),
        ("count to ten by twos", "Two, four, six, eight, ten."),
        ("count from zero to one hundred in steps of fifty", "Zero, fifty, one hundred."),
        ("count from -1 to 1", "Minus one, zero, one."),
        ("count from won to for", "One, two, three, four."),
        ("count from to to for", "Two, three, four."),
        ("count one two three", "One, two, three."),
    ],
)
def test_counting(text: str, answer: str) -> None:
    assert say(text) == answer


def test_counting_is_capped() -> None:
    answer = say("count from 1 to " + "9" * 400)
    assert answer.count(",") == 100
    assert answer.endswith("I will stop there, after one hundred numbers.")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Repeat after me: I can't do it!", "I can't do it!"),
        ("repeat after me the sky is blue", "The sky is blue."),
        ("please say cheese", "Cheese."),
        ('Say "good night".', "Good night."),
        ("can you repeat after me: what time is it?", "What time is it?"),
    ],
)
def test_repeating(text: str, answer: str) -> None:
    assert say(text) == answer


def test_repeating_its_own_words() -> None:
    talk = Talk()
    assert "not said anything" in talk.say("what did you say")
    first = talk.say("hello")
    assert talk.say("say that again please") == first


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("spell banana", "Banana is spelt B, A, N, A, N, A."),
        ("How do you spell Mississippi?", "Mississippi is spelt M, I, S, S, I, S, S, I, P, P, I."),
        ("spell the words ice cream please", "Ice cream is spelt I, C, E, then C, R, E, A, M."),
        ("how is knight spelled", "Knight is spelt K, N, I, G, H, T."),
    ],
)
def test_spelling(text: str, answer: str) -> None:
    assert say(text) == answer


def test_stories_are_long_enough_to_be_interrupted() -> None:
    short, long = say("tell me a story"), say("tell me a long story")
    # espeak says 20.9 letters a second: 25 s and 75 s.
    assert len(short) > 520
    assert len(long) > 1570
    assert say("tell me a story") == short


def test_stories_are_about_what_was_asked() -> None:
    dragon = say("tell me a story about a dragon who can't fly")
    assert "a dragon who cannot fly" in dragon
    assert "your dog" in say("tell me a story about my dog")
    assert len({say(f"tell me a story about {topic}") for topic in ("a dragon", "a train", "the moon", "rain")}) == 4


def test_another_story_differs() -> None:
    talk = Talk()
    told = [talk.say("tell me a story"), talk.say("another one please"), talk.say("tell me another story")]
    assert len(set(told)) == 3


def test_an_offer_is_kept() -> None:
    talk = Talk()
    assert talk.say("i don't know").endswith("Shall I tell you a story?")
    assert talk.say("yes please").startswith("Once upon a time")


def test_a_story_goes_on_where_it_was_cut_off() -> None:
    talk = Talk()
    words = talk.say("tell me a long story about a dragon").split()
    talk.heard(" ".join(words[:40]) + " " + words[40][:2])
    assert talk.say("wait") == "All right."
    rest = talk.say("go on please")
    assert rest.lower().split() == [word.lower() for word in words[40:]]
    talk.heard(" ".join(rest.split()[:10]))
    assert talk.say("continue").lower().split() == [word.lower() for word in words[50:]]


def test_a_count_goes_on_where_it_was_cut_off() -> None:
    talk = Talk()
    talk.say("count from one to six")
    talk.heard("One, two, th")
    assert talk.say("carry on") == "Three, four, five, six."
    talk.heard("")
    assert talk.say("keep going") == "Three, four, five, six."


def test_there_is_nothing_to_go_on_with() -> None:
    assert say("go on") == "What shall I go on with?"
    talk = Talk()
    talk.say("count to three")
    assert talk.say("continue") == "I had finished. What would you like next?"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("hello", "Hello!"),
        ("hi how are you", "I am well"),
        ("help me", "I can do sums"),
        ("thank you", "You are welcome"),
        ("yes", "Please go on"),
        ("no", "something else"),
        ("good evening", "Good evening"),
        ("goodbye", "Goodbye"),
        ("who are you", "I am Parley"),
        ("are you a robot", "computer program"),
        ("stop", "All right."),
        ("tell me a joke", "?"),
        ("", "did not catch"),
        ("...", "did not catch"),
    ],
)
def test_small_talk(text: str, part: str) -> None:
    assert part in say(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("i am sad", "you"),
        ("i think the moon is made of cheese", "that the moon is made of cheese?"),
        ("you are stupid", "that I am stupid?"),
        ("my mother hates me", "Your mother hates you"),
        ("what is the capital of france", "do not know"),
        ("the weather is nice today", "the weather is nice today"),
    ],
)
def test_anything_else_is_reflected(text: str, part: str) -> None:
    assert part in say(text)


@pytest.mark.parametrize(
    ("mine", "yours"),
    [
        ("i told you", "you told me"),
        ("you told me", "I told you"),
        ("i was there and he was late", "you were there and he was late"),
        ("i am your friend", "you are my friend"),
        ("can you hear me", "can I hear you"),
        ("are you there", "am I there"),
        ("what my country can do for you", "what your country can do for me"),
    ],
)
def test_pronouns_are_turned(mine: str, yours: str) -> None:
    assert turned(mine) == yours


def test_words_have_one_form() -> None:
    assert plain(tidy("Um, what’s  my dog's name? I'm 21, it isn't 1,000 - 3.")) == (
        "what is my dog's name i am 21 it is not 1000 - 3"
    )


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("hallo wie geht es dir", "Mir geht es gut, danke. Und dir?"),
        ("was ist drei mal vier", "Das ergibt 12."),
        ("wie spät ist es", "Es ist 15:05 Uhr."),
        ("merci beaucoup", "De rien."),
        ("hola, ¿cómo estás?", "Estoy bien, gracias. ¿Y tú?"),
        ("cuánto es 7 dividido por 2", "El resultado es 3,5."),
        ("erzähl mir eine geschichte", "Ich bin ein einfaches Programm und verstehe auf Deutsch nur wenig."),
    ],
)
def test_other_languages(text: str, answer: str) -> None:
    assert say(text) == answer


def test_the_language_of_the_conversation_counts_where_the_words_do_not_tell() -> None:
    assert Talk(language="fr").say("tralala") == "Je suis un programme simple et je comprends peu le français."
    assert Talk(language="de").say("hello") == "Hello! What can I do for you?"


@pytest.mark.parametrize(
    ("instructions", "text", "answer"),
    [
        ("You are Ada, a librarian. Be kind.", "who are you", "I am Ada, a librarian."),
        ("Your name is Max.", "what is your name", "I am Max, a voice that answers by simple rules."),
        ("You are a pirate named Jack who loves rum.", "who are you", "I am Jack, a pirate."),
        ('Say exactly: "Hello, I can\'t stay."', "what time is it", "Hello, I can't stay."),
        ("Be brief. Say 'banana'.", "hi", "banana"),
        ('Say "Welcome" when the user arrives.', "hi", "Hello! What can I do for you?"),
        ('If somebody is rude, say "Go away".', "hi", "Hello! What can I do for you?"),
        ("Greet the user.", "", "Hello, I am Parley. How can I help you?"),
        ('End every answer with "over".', "count to two", "One, two. over"),
        ("Answer in at most three words.", "count to nine", "One, two, three."),
    ],
)
def test_instructions(instructions: str, text: str, answer: str) -> None:
    assert say(text, instructions) == answer


def test_one_sentence_only() -> None:
    assert len(re.findall(r"[.!?](?: |$)", say("tell me a story", "Always answer in one sentence."))) == 1


def test_without_a_word_from_the_user() -> None:
    for messages in ((), (Message("system", "You are Ada."),), (Message("assistant", "Hm."),)):
        assert reply(Turn(LlmRequest(messages), NOW)).text.startswith("Hello, I am ")
