"""XTTS's vocoder on a stream of latents: each sample is computed once, and is the one of the whole decode.

Upstream's `inference_stream` decodes all latents from the beginning for each chunk, so that a reply of n chunks costs
n²/2 of them, and cross-fades what differs at the seams. Here the two interpolations before the network go on over the
seams, and the network, which is convolutional, sees as many frames on either side as it looks at.
"""

from typing import Any, Final

from deployments.tts.xtts.stretch import LinearStretch

CONTEXT_FRAMES: Final = 14
"""How far the network looks to either side, in frames of 256 samples: 3 for its first convolution (7 wide), 1 for the
first transposed one, 7.5 for the residual blocks behind it (11 wide, dilated 1, 3 and 5, each followed by one that is
not: 60 samples of 8 a frame), and 1.8 for the later stages together, which have 64, 128 and 256 samples a frame."""
SAMPLES_PER_FRAME: Final = 256


class StreamingVocoder:
    """One stretch of speech."""

    def __init__(self, decoder: Any, speaker_embedding: Any, speed: float = 1.0) -> None:
        """`decoder`: upstream's HifiDecoder."""
        self._network = decoder.waveform_decoder
        self._speaker = speaker_embedding
        per_latent = decoder.ar_mel_length_compression / decoder.output_hop_length
        scales = [per_latent, decoder.output_sample_rate / decoder.input_sample_rate]
        if speed != 1.0:
            scales.insert(0, 1.0 / speed)
        self._stretches = [LinearStretch(scale) for scale in scales]
        self._frames: Any = None
        """Frames from `_first` on. Shape: (frames, channels)."""
        self._first = 0
        self._done = 0
        """Frames whose sound was given."""

    def push(self, latents: Any, *, last: bool = False) -> Any:
        """The next sound, as far as it is certain. Shapes: (latents, channels) in, (samples,) out."""
        import torch

        for stretch in self._stretches:
            latents = stretch.push(latents, last=last)
        self._frames = latents if self._frames is None else torch.cat((self._frames, latents))
        total = self._first + len(self._frames)
        ready = total if last else total - CONTEXT_FRAMES
        if ready <= self._done:
            return self._frames.new_zeros(0)
        window = self._frames[: ready + CONTEXT_FRAMES - self._first]
        sound = self._network(window.transpose(0, 1)[None], g=self._speaker)[0, 0]
        begin, end = (SAMPLES_PER_FRAME * (frame - self._first) for frame in (self._done, ready))
        self._done = ready
        drop = max(0, ready - CONTEXT_FRAMES - self._first)
        self._frames, self._first = self._frames[drop:], self._first + drop
        return sound[begin:end]
