"""One session's face between its sound and its key points: upstream's components with the networks taken out.

Upstream keeps a network inside each component, so that nothing can be shared or batched. Here each session's component
gets a stand-in for it: the networks run for all sessions at once, and their results are handed in.
"""

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from deployments.avatar.contract import FaceBlock
from deployments.avatar.ditto.checkout import Components
from deployments.avatar.ditto.features import Features
from deployments.avatar.ditto.identity import Identity
from deployments.avatar.ditto.law import WINDOW_FRAMES, Law
from deployments.avatar.ditto.motion import Motion, Window
from deployments.avatar.ditto.sound import Sound

Floats = npt.NDArray[np.float32]

MAX_GAP_BLOCKS = WINDOW_FRAMES // 5
"""After more missing blocks nothing of the past is in sight, and the face begins anew."""
_OPEN_FRAMES = (60, 100)
"""Between two blinks, as upstream draws them."""
_BLINKS = 24
"""Drawn ahead; then they repeat."""


@dataclass(frozen=True)
class SessionParts:
    """What all sessions of an engine have in common."""

    components: Components
    conditions: dict[str, Any]
    """Arguments of `ConditionHandler`."""
    defaults: dict[str, Any]
    """Upstream's `default_kwargs`."""
    law: Law
    silence: Floats
    """Features of silence. Shape: (5, 1024)."""
    emotion: int = 4
    seed: int = 0


@dataclass(frozen=True)
class KeyPoints:
    """Of a block's frames. Shapes: (1, 21, 3) and (5, 21, 3)."""

    source: Floats
    driven: Floats


@dataclass
class _Handed:
    """In the place of the motion model: gives what was computed elsewhere."""

    seq_frames: int = WINDOW_FRAMES
    predicted: Floats = field(default_factory=lambda: np.zeros((1, 0, 0), np.float32))

    def setup(self, sampling_timesteps: int) -> None:
        """Upstream's name; the sampler has been set up already."""

    def __call__(self, kp_cond: Floats, aud_cond: Floats | None, sampling_timesteps: int) -> Floats:
        return self.predicted


class UpstreamSequence:
    """Upstream's `Audio2Motion` as a `Sequence`."""

    def __init__(self, parts: SessionParts, motion: dict[str, Floats]) -> None:
        kind, defaults = parts.components.motion, parts.defaults
        self._handed = _Handed()
        self.upstream: Any = kind.__new__(kind)
        self.upstream.lmdm = self._handed
        self.upstream.setup(
            motion,
            overlap_v2=parts.law.overlap,
            fix_kp_cond=defaults.get("fix_kp_cond", 0),
            fix_kp_cond_dim=defaults.get("fix_kp_cond_dim"),
            sampling_timesteps=1,
            online_mode=True,
            v_min_max_for_clip=defaults.get("v_min_max_for_clip"),
            smo_k_d=defaults.get("smo_k_d", 3),
        )

    @property
    def kp_cond(self) -> Floats:
        """The motion that the next window goes on from. Shape: (1, 265)."""
        motion: Floats = self.upstream.kp_cond
        return motion

    @kp_cond.setter
    def kp_cond(self, motion: Floats) -> None:
        self.upstream.kp_cond = motion

    @property
    def clip_idx(self) -> int:
        """Windows so far."""
        return int(self.upstream.clip_idx)

    @clip_idx.setter
    def clip_idx(self, windows: int) -> None:
        self.upstream.clip_idx = windows

    def __call__(self, predicted: Floats, sequence: Floats | None) -> Floats:
        # Upstream smooths and blends in place.
        self._handed.predicted = predicted.copy()
        blended: Floats = self.upstream(None, sequence)
        return blended


class FaceSession:
    """Used by one thread. For each block: `begin`, features, windows, then `key_points`."""

    def __init__(self, parts: SessionParts, identity: Identity) -> None:
        self.identity = identity
        self._parts = parts
        self._origin: int | None = None
        self._newest = 0

    def restart(self) -> None:
        """The next block is the first again."""
        self._origin = None

    def begin(self, block: FaceBlock) -> None:
        """Take the block's sound in."""
        if self._origin is None or not 0 < block.n - self._newest <= MAX_GAP_BLOCKS:
            self._set_up(block.n)
        self._newest = block.n
        self._block = block.n - (self._origin or 0)
        self._sound.push(self._block, block.pcm, block.ahead)

    def _set_up(self, origin: int) -> None:
        parts, source = self._parts, self.identity.source_info()
        defaults = parts.defaults
        self._origin = origin
        self._sound = Sound()
        self._features = Features(parts.silence)
        self._conditions = parts.components.conditions(**parts.conditions)
        self._conditions.setup(source, parts.emotion, eye_f0_mode=defaults.get("eye_f0_mode", False), ch_info=None)
        self._sequence = UpstreamSequence(parts, self.identity.motion)
        self.motion = Motion(parts.law, self._sequence)
        self.stitch = self._stitcher()

    def _stitcher(self) -> Any:
        kind, defaults = self._parts.components.stitch, self._parts.defaults
        stitch: Any = kind.__new__(kind)
        stitch.stitch_net = lambda source, driven: driven
        stitch.setup(
            N_d=-1,
            use_d_keys=defaults.get("use_d_keys"),
            relative_d=defaults.get("relative_d", True),
            drive_eye=defaults.get("drive_eye"),
            delta_eye_arr=defaults.get("delta_eye_arr"),
            delta_eye_open_n=self._blinks(defaults.get("delta_eye_open_n", 0)),
            fade_type="",
            flag_stitching=True,
            is_image_flag=True,
            x_s_info=self.identity.motion,
            d0=None,
            ch_info=None,
            overall_ctrl_info=dict(defaults.get("overall_ctrl_info") or {}),
        )
        return stitch

    def _blinks(self, wanted: Any) -> Any:
        """Upstream draws the times between blinks from the process's random numbers; here they are the seed's."""
        if wanted != 0:
            return wanted
        # Not for secrets: the same seed must give the same blinks.
        draw = random.Random(self._parts.seed)
        return [draw.randint(*_OPEN_FRAMES) for _ in range(_BLINKS)]

    def stale(self) -> list[tuple[int, bytes]]:
        """Pieces of sound whose features are wanted: (block, piece)."""
        return self._features.stale(self._sound, self._block, self._parts.law.last_block(self._block))

    def put_features(self, block: int, piece: bytes, rows: Floats) -> None:
        """Shape: (5, 1024)."""
        self._features.put(block, piece, rows)

    def features_complete(self) -> None:
        """Every stale piece has been answered."""
        self.motion.begin(self._block, self._features)

    def wanted(self) -> Window | None:
        """The next window to run, if any."""
        return self.motion.wanted(self._features)

    def condition(self, window: Window) -> Floats:
        """What the motion model is told. Shape: (80, whatever the checkpoint wants)."""
        told: Floats = np.asarray(self._conditions(window.features, window.first_frame), np.float32)
        return told

    def put_motion(self, window: Window, predicted: Floats) -> None:
        """Shape: (1, 80, 265)."""
        primes = self.motion.first is None
        self.motion.put(window, predicted)
        if primes:
            self.stitch.d0 = self._sequence.upstream.cvt_fmt(self.motion.first)[0]

    def key_points(self) -> KeyPoints:
        """Where the block's frames move the face to."""
        driven, source = [], None
        for moved in self._sequence.upstream.cvt_fmt(self.motion.shown()[None]):
            source, target = self.stitch(self.identity.motion, moved)
            driven.append(np.asarray(target, np.float32)[0])
        return KeyPoints(np.asarray(source, np.float32), np.stack(driven))
