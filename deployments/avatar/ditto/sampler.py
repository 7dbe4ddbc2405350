"""Sound to motion: DDIM sampling of Ditto's motion model, for windows of several sessions at once.

The same numbers as upstream's `LMDM.ddim_sample`, with less done for them. Sound is encoded once per window, not 2·N
times for N steps, since it does not depend on the step. With and without the sound, which classifier-free guidance
needs both, are one batch; and sessions share each step. Noise comes from the seed and the window's number, never from
who else is in the batch, so the same sound gives the same motion.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from deployments.avatar.ditto.law import WINDOW_FRAMES
from deployments.avatar.ditto.replay import Replay
from deployments.runtime.errors import ConfigError

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]

_USED = (
    "abs_pos_encoding",
    "cond_encoder",
    "cond_projection",
    "final_layer",
    "input_projection",
    "non_attn_cond_projection",
    "norm_cond",
    "null_cond_embed",
    "null_cond_hidden",
    "seqTransDecoder",
    "time_mlp",
    "to_time_cond",
    "to_time_tokens",
)
_SEED_STRIDE = 1_000_003
"""Between the seeds of two windows' noise."""


class Sampler:
    """`model` is upstream's `LMDM` module on its device. Raises ConfigError for one that is built otherwise."""

    def __init__(self, model: Any, steps: int, seed: int, device: str) -> None:
        import torch

        missing = [name for name in _USED if not hasattr(model.model, name)]
        if missing or model.model.multi_cond_frame:
            raise ConfigError(
                "avatar engine 'ditto': the checkout's motion model is not the one this engine knows "
                f"({', '.join(missing) or 'multi_cond_frame'}); take commit e9191cf"
            )
        self.model = model
        self._net = model.model
        self._device = device
        self._seed = seed
        # Upstream's module believes that it is on "cuda" wherever it is.
        model.device = device
        model.sampling_timesteps = None
        model.setup(steps)
        # Upstream draws the noise between steps once per process, unseeded.
        draw = torch.Generator().manual_seed(seed)
        self._shape = (WINDOW_FRAMES, int(model.motion_feat_dim))
        self.noise = [torch.randn((1, *self._shape), generator=draw).to(device) for _ in model.noise_list]
        self.guided = Replay("Ditto's motion step", self._guided)
        self.encodings = 0
        """Windows whose sound was encoded."""
        self.passes = 0
        """Calls of the motion network."""

    def record(self, sizes: Sequence[int]) -> None:
        """As CUDA graphs, for these numbers of windows."""
        import torch

        with torch.inference_mode():
            frames, width = self._shape
            cond = torch.zeros((1, frames, self._net.cond_projection.in_features), device=self._device)
            x = torch.zeros((1, frames, width), device=self._device)
            time = torch.zeros((1,), dtype=torch.long, device=self._device)
            self.guided.record(sizes, x, torch.zeros((1, width), device=self._device), *self.encode(cond), time)

    def sample(self, start: Floats, cond: Floats, windows: Sequence[int]) -> Floats:
        """Motion of each window. Shapes: (B, 265), (B, 80, D), B numbers → (B, 80, 265)."""
        import torch

        with torch.inference_mode():
            begun = torch.from_numpy(np.ascontiguousarray(start)).to(self._device)
            tokens, hidden = self.encode(torch.from_numpy(np.ascontiguousarray(cond)).to(self._device))
            self.encodings += len(windows)
            x = torch.stack([self._first_noise(window) for window in windows]).to(self._device)
            model, place = self.model, 0
            for (_, after), time in zip(model.time_pairs, model.time_cond_list, strict=True):
                times = time.expand(len(windows))
                self.passes += 1
                x_start = model.maybe_clip(self.guided(x, begun, tokens, hidden, times))
                if after < 0:
                    x = x_start
                    continue
                noise = model.predict_noise_from_start(x, times, x_start)
                x = x_start * model.alpha_next_sqrt_list[place] + model.c_list[place] * noise
                x = x + model.sigma_list[place] * self.noise[place]
                place += 1
            sampled: Floats = x.float().cpu().numpy()
        return sampled

    def noise_seed(self, window: int) -> int:
        """Of what a window's sampling begins with."""
        return self._seed * _SEED_STRIDE + window + 1

    def _first_noise(self, window: int) -> "torch.Tensor":
        import torch

        draw = torch.Generator().manual_seed(self.noise_seed(window))
        return torch.randn(self._shape, generator=draw)

    def encode(self, cond: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
        """The sound, and its absence, as the decoder attends to them.

        Shapes: (B, 80, D) → (B, 2, 80, 512), (B, 2, 512); first without the sound, then with it.
        """
        import torch

        net = self._net
        tokens = net.cond_encoder(net.abs_pos_encoding(net.cond_projection(cond)))
        hidden = net.non_attn_cond_projection(tokens.mean(dim=-2))
        none = net.null_cond_embed.to(tokens.dtype).expand_as(tokens)
        none_hidden = net.null_cond_hidden.to(hidden.dtype).expand_as(hidden)
        return torch.stack([none, tokens], dim=1), torch.stack([none_hidden, hidden], dim=1)

    def _guided(
        self,
        x: "torch.Tensor",
        start: "torch.Tensor",
        tokens: "torch.Tensor",
        hidden: "torch.Tensor",
        time: "torch.Tensor",
    ) -> "torch.Tensor":
        """What the clean motion looks like from here. Shapes: (B, 80, 265), (B, 265), see `encode`, (B,)."""
        import torch

        net = self._net
        given = torch.cat([x, start.unsqueeze(1).expand(-1, x.shape[1], -1)], dim=-1)
        given = net.abs_pos_encoding(net.input_projection(given)).repeat_interleave(2, dim=0)  # (2B, 80, 512)
        at = net.time_mlp(time).repeat_interleave(2, dim=0)
        feeling = net.to_time_cond(at) + hidden.flatten(0, 1)  # (2B, 512)
        memory = net.norm_cond(torch.cat([tokens.flatten(0, 1), net.to_time_tokens(at)], dim=-2))  # (2B, 82, 512)
        moved = net.final_layer(net.seqTransDecoder(given, memory, feeling)).unflatten(0, (-1, 2))
        without, with_sound = moved[:, 0], moved[:, 1]
        guided: torch.Tensor = without + (with_sound - without) * self.model.guidance_weight
        return guided
