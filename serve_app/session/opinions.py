"""What the speech model says of a session's sound: asked once, or twice where that is hard to hear."""

import asyncio
from dataclasses import dataclass

from serve_app.session.recent_sound import RecentSound, louder, model_gain_db
from serve_app.session.second_opinion import SecondOpinion
from serve_app.session.speech_model import CHUNK_SAMPLES, SpeechModel, SpeechStream

_NOISE_TO_DB = -40.0
"""How loud the room's noise may get by what makes quiet speech louder for the model."""
_NOISE_TO_DB_TWICE = -26.0
"""Asked twice. Finds a "hello" 10 dB above the noise always instead of in two cases of three, and four times as many
barks, which the second opinion tells from speech."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """Of one chunk; both are the same where the model was asked once."""

    highest: float
    """Of the probabilities of speech."""
    mean: float


@dataclass(frozen=True, slots=True)
class Loudness:
    """In dB of full scale."""

    peak_db: float
    noise_db: float


class Opinions:
    """Asks on behalf of one session's detector."""

    def __init__(self, model: SpeechModel) -> None:
        self._model = model
        self._first = SpeechStream()
        self._second = SecondOpinion()
        self.sound = RecentSound()

    async def of_chunk(
        self, end_sample: int, preroll_samples: int, loudness: Loudness, *, gate_open: bool, twice: bool
    ) -> list[Opinion]:
        """Of the chunk that ends there, and of those before it where the model was cold. None while the gate is shut.

        The second opinion is asked whatever the gate says: what it suspects opens it. Raises what the model raises.
        """
        start_sample = end_sample - CHUNK_SAMPLES
        twice = self._is_asked_twice(start_sample, twice)
        cold_start = max(0, start_sample - preroll_samples // CHUNK_SAMPLES * CHUNK_SAMPLES)
        asked: list[tuple[SpeechStream, bytes]] = []
        if gate_open:
            noise_to_db = _NOISE_TO_DB_TWICE if twice else _NOISE_TO_DB
            gain_db = model_gain_db(loudness.peak_db, loudness.noise_db, noise_to_db)
            pcm = self.sound.between(cold_start if self._first.memory is None else start_sample, end_sample)
            asked.append((self._first, louder(pcm, gain_db)))
        else:
            self._first.memory = None
        if twice:
            stream = self._second.stream
            pcm = self.sound.between(cold_start if stream.memory is None else start_sample, end_sample)
            asked.append((stream, self._second.sound(pcm, loudness.peak_db, loudness.noise_db)))
        answers = await self._answers(asked)
        if not twice:
            return [Opinion(probability, probability) for probability in answers[0]] if gate_open else []
        self._second.take(answers[-1])
        first = answers[0] if gate_open else [0.0]
        both = zip(first, self._second.latest(len(first)), strict=True)
        return [Opinion(max(pair), sum(pair) / 2) for pair in both]

    def _is_asked_twice(self, start_sample: int, wanted: bool) -> bool:
        if wanted:
            return self._second.given or self._second.begin(self.sound, start_sample)
        if self._second.given:
            self._second.end()
        return False

    async def _answers(self, asked: list[tuple[SpeechStream, bytes]]) -> list[list[float]]:
        """Those of one session share a run."""
        questions = [self._model.probabilities(stream, pcm) for stream, pcm in asked]
        return [await questions[0]] if len(questions) == 1 else list(await asyncio.gather(*questions))
