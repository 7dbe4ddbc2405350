"""The cheap first stage of voice activity detection: is it worth asking the speech model?"""

import webrtcvad

from configs.vad import VadConfig
from deployments.media.audio import SPEECH_RATE_HZ, ms_to_samples
from serve_app.session.levels import NoiseFloor

FRAME_SAMPLES = 320
"""20 ms at 16 kHz: what webrtcvad judges."""


class SpeechGate:
    """Open from a frame that webrtcvad takes for speech and that stands out of the noise, until `gate_hold_ms` after.

    webrtcvad alone would hold it open in loud steady noise: in white noise of -20 dB it finds speech in every frame.
    """

    def __init__(self, config: VadConfig) -> None:
        self.noise = NoiseFloor()
        self.open_until = 0
        """The sample at which it shuts."""
        self.configure(config)

    def configure(self, config: VadConfig) -> None:
        """Use other settings from the next frame on."""
        self._webrtc = webrtcvad.Vad(config.gate_mode)
        self._margin_db = config.gate_margin_db
        self._hold_samples = ms_to_samples(config.gate_hold_ms, SPEECH_RATE_HZ)

    def hold(self, until_sample: int) -> None:
        """Stay open at least so long."""
        self.open_until = max(self.open_until, until_sample)

    def hear(self, frame: bytes, level_db: float, end_sample: int) -> None:
        """Take the frame that ends at `end_sample`."""
        self.noise.update(level_db)
        # webrtcvad keeps a history, so it hears every frame.
        if self._webrtc.is_speech(frame, SPEECH_RATE_HZ) and level_db >= self.noise.db + self._margin_db:
            self.hold(end_sample + self._hold_samples)
