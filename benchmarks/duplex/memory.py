"""Does the server remember what was heard? The client counts for itself, by its own loudspeaker's clock."""

from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest

from benchmarks.duplex.playback import Block
from benchmarks.duplex.seam import fades
from benchmarks.duplex.studio import Studio
from deployments.llm.contract import LlmRequest, Message
from deployments.llm.rules import reply
from deployments.llm.rules.turn import Turn
from deployments.media.audio import samples_of
from serve_app.session.lexicon import words_of


def reply_to(ask: str) -> str:
    """What the embedded model says to the first thing that it is asked."""
    request = LlmRequest((Message("user", ask),))
    return reply(Turn(request, datetime.now().astimezone())).text


def played_samples(blocks: Sequence[Block], *, complete: bool) -> int:
    """How much of a reply was played, the fades not counted."""
    left_out = fades(blocks, complete=complete)
    return sum(block.played for n, block in enumerate(blocks) if n not in left_out)


def heard_words(text: str, samples: int, studio: Studio) -> list[str]:
    """The words of a reply that lie in its first samples: those of which more than half does."""
    heard: list[str] = []
    start = 0
    for spoken in studio.reply(text):
        for word in spoken.words:
            if start + (word.start_sample + word.end_sample) / 2 <= samples:
                heard += words_of(spoken.text[word.text_start : word.text_end])
        start += samples_of(spoken.pcm)
    return heard


def differing_words(kept: str, heard: Sequence[str]) -> int:
    """How many words are too many, missing, or others."""
    return sum(one != other for one, other in zip_longest(words_of(kept), heard))
