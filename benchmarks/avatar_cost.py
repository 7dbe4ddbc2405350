"""What a face of the engine `portrait` costs: CPU time a picture, by part.

    python -m benchmarks.avatar_cost [--size 384x579] [--seconds 20] [--bitrate 800]

CPU time, not time on the wall: other work on the machine makes it a little longer (shared caches), not a multiple.
"""

import argparse
import asyncio
import math
import statistics
import time
from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks import machine
from benchmarks.report import Table
from deployments.avatar.contract import BLOCK_SAMPLES, FaceBlock, Mood
from deployments.avatar.drawing.portrait import drawn_portrait
from deployments.avatar.encoder import H264Encoder
from deployments.avatar.engines.portrait import Config, Engine
from deployments.avatar.lipsync import LipSync
from deployments.avatar.motion import Motion
from deployments.avatar.portrait_model import PortraitModel
from deployments.media.audio import VOICE_RATE_HZ, from_float
from deployments.media.video import FRAME_RATE_HZ, FRAMES_PER_BLOCK

NAME = "avatar_cost"
PARTS = ("lips from sound", "motion, mouth and eyes", "head warp", "to YUV and H.264")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one size."""

    width_px: int
    height_px: int
    prepare_ms: float
    """To work a portrait's shapes out, once."""
    parts_ms: dict[str, float]
    """CPU time a picture."""
    first_block_ms: float
    """CPU time from a new face's first block to its five pictures, in the engine: median of five faces."""
    kbps: float

    @property
    def frame_ms(self) -> float:
        return sum(self.parts_ms.values())

    @property
    def cores(self) -> float:
        """Of one processor, for a face in real time."""
        return self.frame_ms * FRAME_RATE_HZ / 1000


def voice(blocks: int) -> list[bytes]:
    """Syllables of a hoarse tone, four a second, with pauses."""
    at = np.arange(blocks * BLOCK_SAMPLES) / VOICE_RATE_HZ
    tone = sum(np.sin(2 * np.pi * 130 * k * at) / k for k in range(1, 20))
    swell = np.clip(np.sin(2 * np.pi * 4 * at), 0, 1) * (np.sin(2 * np.pi * 0.3 * at) > -0.5)
    pcm = from_float(0.2 * tone * swell + np.random.default_rng(0).normal(0, 0.01, at.size) * swell)
    return [pcm[start : start + 2 * BLOCK_SAMPLES] for start in range(0, len(pcm), 2 * BLOCK_SAMPLES)]


def cost(width_px: int = 384, height_px: int = 579, seconds: float = 20.0, bitrate_kbps: int = 800) -> Cost:
    """Measure. Takes about a quarter of the time that it shows."""
    cv2.setNumThreads(1)
    picture, description = drawn_portrait(width_px, height_px)
    begin_s = time.thread_time()
    model = PortraitModel(picture, description)
    prepare_ms = 1000 * (time.thread_time() - begin_s)
    encoder = H264Encoder(model.width_px, model.height_px, "libx264", bitrate_kbps)
    spent = dict.fromkeys(PARTS, 0.0)
    sizes = []
    blocks = voice(math.ceil(seconds * FRAME_RATE_HZ / FRAMES_PER_BLOCK))
    motion, lips, canvas = Motion("benchmark"), LipSync(), model.picture.copy()
    for n, pcm in enumerate(blocks):
        marks = [time.thread_time()]
        poses = lips.block(pcm, b"", None)
        spent[PARTS[0]] += time.thread_time() - marks[0]
        for index, pose in enumerate(poses):
            number = FRAMES_PER_BLOCK * n + index
            mood: Mood = "speaking" if pose.aperture > 0 else "listening"
            marks = [time.thread_time()]
            head = motion.frame(number, mood, pose.aperture)
            for eye in model.eyes:
                canvas[eye.region.slices] = eye.at(head.closure, head.gaze_x, head.gaze_y)
            canvas[model.mouth.region.slices] = model.mouth.at(pose)
            marks.append(time.thread_time())
            moved = model.head.moved(canvas, head)
            marks.append(time.thread_time())
            sizes.append(len(encoder.encode(moved).data))
            marks.append(time.thread_time())
            for part, begin, end in zip(PARTS[1:], marks, marks[1:], strict=False):
                spent[part] += end - begin
    frames = FRAMES_PER_BLOCK * len(blocks)
    return Cost(
        model.width_px,
        model.height_px,
        prepare_ms,
        {part: 1000 * spent_s / frames for part, spent_s in spent.items()},
        asyncio.run(_first_block_ms(width_px, height_px)),
        sum(sizes) * 8 * FRAME_RATE_HZ / frames / 1000,
    )


async def _first_block_ms(width_px: int, height_px: int) -> float:
    engine = Engine(Config(width_px=width_px, height_px=height_px, encoder="libx264"))
    await engine.start()
    taken = []
    for _ in range(5):
        begin_s = time.process_time()
        face = engine.open("")
        await face.render(FaceBlock(0, voice(1)[0], mood="speaking"))
        taken.append(1000 * (time.process_time() - begin_s))
        await face.close()
    await engine.close()
    return statistics.median(taken)


def table(measured: Cost) -> Table:
    """By part."""
    rows = [(part, part_ms, part_ms * FRAME_RATE_HZ / 1000) for part, part_ms in measured.parts_ms.items()]
    return Table(
        f"Cost of the portrait at {measured.width_px}×{measured.height_px}, CPU time",
        ("part", "ms a picture", f"cores at {FRAME_RATE_HZ} a second"),
        [*rows, ("together", measured.frame_ms, measured.cores)],
        f"First block {measured.first_block_ms:.1f} ms, prepared in {measured.prepare_ms:.0f} ms, {measured.kbps:.0f} "
        "kbit/s. Aims: 0.15 of a core, 60 ms from the first block of sound to the first picture.",
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="CPU time of the engine portrait, by part")
    parser.add_argument("--size", default="384x579", help="width x height of the portrait, px")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--bitrate", type=int, default=800, help="kbit/s")
    options = parser.parse_args()
    width_px, height_px = map(int, options.size.split("x"))
    measured = cost(width_px, height_px, options.seconds, options.bitrate)
    print(machine.line())
    print(table(measured).text())


if __name__ == "__main__":
    main()
