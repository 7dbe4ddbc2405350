"""Where the phonemes of recorded speech lie, by what is known to be said: forced alignment with pocketsphinx.

Its Gaussian models tell a boundary to about 20 ms, half a frame of a face. Symbols are IPA, as espeak writes them.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from deployments.media.audio import SPEECH_RATE_HZ, VOICE_RATE_HZ
from deployments.media.timing import PhonemeTime

TEXTS: Final = {
    "jfk": "and so my fellow americans ask not what your country can do for you ask what you can do for your country",
    "hello": "hello",
    "help_me": "can you help me with something",
    "hi_how_are_you": "hi how are you",
    "thank_you": "thank you very much",
    "yes": "yes",
    "no": "no",
}
"""What the clips of `tests/data` say."""
_ARPABET: Final = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
_AS_IPA: Final = "ɑː æ ʌ ɔː aʊ aɪ b tʃ d ð ɛ ɜː eɪ f ɡ h ɪ iː dʒ k l m n ŋ oʊ ɔɪ p ɹ s ʃ t θ ʊ uː v w j z ʒ"
_IPA: Final = dict(zip(_ARPABET.split(), _AS_IPA.split(), strict=True))
_FRAMES_PER_S: Final = 100
_QUIET_SAMPLES: Final = SPEECH_RATE_HZ // 10
"""The models want some silence at both ends; with much of it, which is no room's, they lose short words."""


def aligned(clip: npt.NDArray[np.int16], text: str) -> tuple[PhonemeTime, ...]:
    """The phonemes of a clip of 16 kHz, in samples of 24 kHz from its first one.

    Raises ValueError where they do not fit.
    """
    from pocketsphinx import Decoder

    quiet = np.random.default_rng(0).normal(0, 2, _QUIET_SAMPLES).astype("<i2")
    pcm = np.concatenate([quiet, clip, quiet]).astype("<i2").tobytes()
    decoder = Decoder(loglevel="FATAL", lm=None)
    decoder.set_align_text(text)
    _decode(decoder, pcm)
    if not (decoder.hyp() and decoder.hyp().hypstr):
        raise ValueError(f"{text!r} is not what is said")
    decoder.set_alignment()  # of words; now of their phonemes
    _decode(decoder, pcm)
    found = []
    for word in decoder.get_alignment():
        for phone in word:
            start = phone.start * VOICE_RATE_HZ // _FRAMES_PER_S - _QUIET_SAMPLES * VOICE_RATE_HZ // SPEECH_RATE_HZ
            length = phone.duration * VOICE_RATE_HZ // _FRAMES_PER_S
            if phone.name in _IPA:
                found.append(PhonemeTime(_IPA[phone.name], max(0, start), max(0, start) + length))
    return tuple(found)


def _decode(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
