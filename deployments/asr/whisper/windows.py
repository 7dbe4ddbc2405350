"""Where an utterance that is longer than the model can hear is cut in two."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deployments.asr.whisper.heard import SECONDS_MOST, Word

KEPT_S: Final = 5.0
"""What is heard again with what comes after, so that no word is judged without what follows it."""
LEAST_S: Final = 5.0
"""What is cut off at least, so that each cut brings the end nearer."""
BEFORE_WORD_S: Final = 0.1
"""Of sound that a word is left with before its beginning; word times are that rough."""
STEP_S: Final = 5.0
"""Windows are whole multiples, so that utterances of different lengths share a batch."""
MARGIN_S: Final = 1.0
"""Of silence that a fitted window has after the sound at least."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Words that stay as they are, and where the next window begins."""

    words: int
    at_s: float


def cut(words: Sequence[Word], seconds: float, stable: int = 0) -> Cut:
    """Cut `seconds` of sound with these words, in order, of which at least `stable` stay.

    Between two words, the later at most 5 s from the end where words allow it; at least 5 s are cut off.
    """
    count = sum(1 for word in words if word.end_s <= seconds - KEPT_S)
    count = max(count, stable)
    while count < len(words) and words[count].start_s - BEFORE_WORD_S < LEAST_S:
        count += 1
    if count == len(words):
        last_s = words[-1].end_s if words else 0.0
        return Cut(count, min(seconds, max(last_s, seconds - KEPT_S, LEAST_S)))
    before_s = words[count - 1].end_s if count else 0.0
    return Cut(count, max(before_s, words[count].start_s - BEFORE_WORD_S))


def fitted_s(seconds: float, least_s: float) -> float:
    """The window for so much sound: a multiple of 5 s with a margin of silence, up to the model's 30 s."""
    steps = -(-(seconds + MARGIN_S) // STEP_S)
    return min(SECONDS_MOST, max(least_s, steps * STEP_S))
