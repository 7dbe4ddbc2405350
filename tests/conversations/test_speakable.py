"""What is written stays in the transcript and the history; what is said goes to the voice."""

from configs.session import SessionConfig, SpeakableConfig
from deployments.llm.engines import fake as fake_llm
from deployments.tts.engines import fake as fake_tts
from serve_app.session import events as ev
from serve_app.session.commands import CreateResponse
from tests.conversations.scene import Log, Scene

REPLY = "It costs **$12.50** at [our shop](https://www.example.com/shop) today, Nginx."
SAID_WORDS = 13  # It costs twelve dollars and fifty cents at our shop today engine x


def told(user: tuple[tuple[float, float], ...] = (), speakable: SpeakableConfig | None = None) -> Log:
    """The reply is asked for at 0.5 s; each word of it takes 200 ms."""
    speakable = speakable or SpeakableConfig(lexicon={"Nginx": "engine x"})
    return Scene(
        user=user,
        llm=fake_llm.Config(replies=(REPLY,)),
        tts=fake_tts.Config(word_ms=200),
        config=SessionConfig(language="en", speakable=speakable, greeting=""),
        do=[(0.5, CreateResponse())],
        lasts_s=8,
    ).play()


def test_the_voice_says_words_and_the_transcript_keeps_what_is_written() -> None:
    log = told()
    assert log.history == [("assistant", REPLY)]
    assert "".join(event.delta for event in log.all(ev.OutputTranscriptDelta)) == REPLY
    assert log.sound_s() == SAID_WORDS * 0.2


def test_switched_off_the_engine_gets_what_is_written() -> None:
    log = told(speakable=SpeakableConfig(in_words=False))
    assert log.history == [("assistant", REPLY)]
    assert log.sound_s() == len(REPLY.split()) * 0.2


def test_an_interrupted_reply_keeps_whole_written_words() -> None:
    texts = {told(user=((at_s, at_s + 0.6),)).history[0][1] for at_s in (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2)}
    beginnings = {"It costs **$12.50** at", "It costs **$12.50**", "It costs", "It costs **$12.50** at [our"}
    assert len(texts & beginnings) >= 2
    assert all(REPLY.startswith(text) for text in texts)
    assert not any(text.endswith(("$", "$12", "$12.", "twelve", "https:")) for text in texts)
