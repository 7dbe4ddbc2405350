"""Plays trials: on the virtual clock as fast as they go, or one after another against a server."""

import asyncio
from collections.abc import Callable, Sequence

from benchmarks.duplex.client import Client
from benchmarks.duplex.clips import CLIPS
from benchmarks.duplex.judge import Verdict, judge
from benchmarks.duplex.line import connected
from benchmarks.duplex.mixing import room, utterances
from benchmarks.duplex.stage import InlineSilero, staged
from benchmarks.duplex.studio import Studio
from benchmarks.duplex.take import Take
from benchmarks.duplex.trials import Trial
from benchmarks.server import ROOT, serving
from deployments.media.audio import VOICE_RATE_HZ
from tests.virtual_time import run_virtual

_ROOM_SAMPLES = 5 * VOICE_RATE_HZ
_LONGEST_S = 60.0
Say = Callable[[str], None]


def on_virtual_clock(trials: Sequence[Trial], studio: Studio) -> list[Verdict]:
    """No server, no waiting."""
    silero = InlineSilero()
    return [judge(trial, run_virtual(_staged(trial, studio, silero)), studio, scripted=True) for trial in trials]


async def in_real_time(trials: Sequence[Trial], studio: Studio, say: Say) -> list[Verdict]:
    """One at a time, against the shipped configuration in a process of its own."""
    verdicts = []
    async with serving(ROOT / "serve_config.yaml") as server:
        await take_in_real_time(trials[0], studio, server.url)  # not counted: everything is loaded once
        await server.quiet()
        for n, trial in enumerate(trials, 1):
            verdict = judge(trial, await take_in_real_time(trial, studio, server.url), studio, scripted=False)
            verdicts.append(verdict)
            say(f"{n}/{len(trials)} {trial.kind}: {verdict.why or 'right'}")
    return verdicts


async def take_in_real_time(trial: Trial, studio: Studio, url: str) -> Take:
    """One trial against the server at `url`."""
    sounds, noise = utterances(trial, studio), room(trial, _ROOM_SAMPLES)
    async with asyncio.timeout(_LONGEST_S), connected(url) as line:
        return await Client(line, trial, sounds, noise).play()


async def _staged(trial: Trial, studio: Studio, silero: InlineSilero) -> Take:
    language = CLIPS[trial.clips[0]].language if trial.clips else "en"
    async with staged(studio, silero, language) as line:
        return await Client(line, trial, utterances(trial, studio), room(trial, _ROOM_SAMPLES)).play()
