"""Sentences spoken by espeak with the times of their phonemes, for questions about lips. No clock takes part."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass

from deployments.media.audio import BYTES_PER_SAMPLE, VOICE_RATE_HZ, silence
from deployments.media.timing import PhonemeTime
from deployments.tts.contract import SpeechRequest
from deployments.tts.engines.espeak import Config, Engine
from deployments.tts.server import TtsServer

LEAD_MS, TAIL_MS = 200.0, 600.0
"""Of silence around each sentence."""

SENTENCES: dict[str, tuple[str, ...]] = {
    "en": (
        "Peter Piper picked a peck of pickled peppers.",
        "My mother thought a big paper baby would be happy.",
        "The weather will be fine on Thursday afternoon.",
        "Please bring me a cup of coffee and some bread.",
        "How much wood would a woodchuck chuck?",
        "Bob met Mary by the lamp post in the park.",
        "She sells sea shells by the sea shore.",
        "I do not know what you want to do about it.",
        "Maybe the train from Birmingham will be late.",
        "Number five is on the table in the bedroom.",
        "People often say simple things in a complicated way.",
        "That map of Boston is a bit old, but it may help.",
        "My father has a large dark car and drives it far too fast.",
        "What time is it over there, and is anybody at home?",
    ),
    "de": (
        "Bitte bringen Sie mir eine Tasse Kaffee und ein Brot.",
        "Am Abend gibt es im Park ein Konzert.",
        "Meine Mutter backt am Samstag immer Apfelkuchen.",
        "Der Bahnhof ist nur sieben Minuten entfernt.",
    ),
    "es": (
        "Mi madre compra pan y tomates por la mañana.",
        "El perro bebe agua en el patio pequeño.",
    ),
    "fr": (
        "Le petit bateau part demain pour Bordeaux.",
        "Ma mère prépare un bon repas pour papa.",
    ),
    "it": (
        "La mamma prepara una buona pizza per Paolo.",
        "Il bambino beve un bicchiere di latte prima di dormire.",
    ),
}
"""Those in even places are tuned on, the others are not."""

VOICES: dict[str, tuple[str, ...]] = {
    "en": ("en-us", "en-gb", "en-us+f2", "en-us+m3", "en-gb+f3", "en-us+f4", "en-us+quincy"),
    "de": ("de", "de+f3"),
    "es": ("es", "es+f3"),
    "fr": ("fr", "fr+f3"),
    "it": ("it", "it+f3"),
}


@dataclass(frozen=True, slots=True)
class SpokenScene:
    """A sentence in silence."""

    name: str
    tuned: bool
    """Whether anything was chosen by it."""
    pcm: bytes
    """24 kHz."""
    phonemes: tuple[PhonemeTime, ...]
    """Counted from the first sample of `pcm`."""


async def speak(server: TtsServer, text: str, voice: str) -> tuple[bytes, tuple[PhonemeTime, ...]]:
    """A sentence in silence, and its phonemes."""
    lead = silence(LEAD_MS, VOICE_RATE_HZ)
    pcm, phonemes = [lead], []
    offset = len(lead) // BYTES_PER_SAMPLE
    async with aclosing(server.synthesize(SpeechRequest(text, voice))) as blocks:
        async for block in blocks:
            pcm.append(block.pcm)
            phonemes += [
                PhonemeTime(phoneme.symbol, phoneme.start_sample + offset, phoneme.end_sample + offset)
                for phoneme in block.phonemes
            ]
    return b"".join([*pcm, silence(TAIL_MS, VOICE_RATE_HZ)]), tuple(phonemes)


def spoken_scenes(every: int = 1) -> Iterator[SpokenScene]:
    """The sentences by all voices of their language, or by every so manieth, the first one included."""

    async def all_scenes() -> list[SpokenScene]:
        server = TtsServer(Engine(Config()))
        await server.start()
        try:
            pairs = [
                (voice, place, text)
                for language, sentences in SENTENCES.items()
                for voice in VOICES[language][::every]
                for place, text in enumerate(sentences)
            ]
            return [
                SpokenScene(f"{voice}: {text}", place % 2 == 0, *await speak(server, text, voice))
                for voice, place, text in pairs
            ]
        finally:
            await server.close()

    yield from asyncio.run(all_scenes())
