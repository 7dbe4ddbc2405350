"""Are picture and sound in step at the receiver, does either drift or freeze, and how soon does the mouth shut?

A test pattern speaks a metronome; a client by WebRTC and one by the WebSocket watch and listen, one after the other.
Then: how much later does a reply begin with a face than without?
"""

import asyncio
import os
import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.call_viewer import BUFFER_S, CallViewer
from benchmarks.in_step import (
    drift_ms,
    edges_of_picture,
    edges_of_sound,
    freezes_ms,
    lost_and_repeated,
    offsets,
    shut_after_ms,
    spoken,
)
from benchmarks.report import Curve, Panel, Table
from benchmarks.server import ROOT, serving
from benchmarks.socket_viewer import SocketViewer
from benchmarks.spread import Spread
from benchmarks.viewers import Received, Viewer

NAME = "avatar"
_CONFIG = ROOT / "configs" / "pattern.yaml"
_BEAT_S = 0.8
"""Of the metronome: 400 ms of tone, 400 ms of silence."""
_WATCHED_S = 1.0
"""After an interruption, before the next reply."""
_IN_A_PAUSE_S = 0.6
"""After a beat."""
_SETTLED_S = 1.0
"""After the first picture: before, the connection is being made."""
_TIMES = 12
"""Interruptions of each way; replies whose beginning is measured."""
_TEN_WORDS = "One two three four five six seven eight nine ten."


@dataclass(frozen=True, slots=True)
class Way:
    """What one client received."""

    label: str
    spoken_s: float
    offsets_ms: list[tuple[float, float]]
    """Second of the metronome, and how late the picture was."""
    edges_alone: int
    picture_drift_ms: float
    sound_drift_ms: float
    """Gained on the receiver's clock while the metronome was heard."""
    freezes_ms: list[float]
    pictures: int
    lost: int
    repeated: int
    shut_ms: list[float]
    interruptions: int
    errors: list[str]
    """What the server reported."""
    load: float
    """Of the machine, over the last minute, at the end."""


@dataclass(frozen=True, slots=True)
class First:
    """How soon replies began, ms from `response.create`."""

    label: str
    sound_alone_ms: list[float]
    sound_ms: list[float]
    picture_ms: list[float]
    """The first with the reply's sound."""


@dataclass(frozen=True, slots=True)
class Measured:
    """All of it."""

    ways: list[Way]
    firsts: list[First]


async def ask(quick: bool, minutes: float | None, say: Callable[[str], None]) -> Measured:
    """Measure both ways, for `minutes` each where they are given, and what a face costs at a reply's beginning."""
    spoken_s = 60 * minutes if minutes is not None else 20.0 if quick else 30.0
    reply = " ".join([_TEN_WORDS] * (round(spoken_s / _BEAT_S / 10) + 1))
    ways, firsts = [], []
    async with serving(_CONFIG, replies=(reply,)) as server:
        viewers: tuple[tuple[str, CallViewer | SocketViewer], ...] = (
            ("WebRTC", CallViewer(server.url)),
            ("WebSocket", SocketViewer(server.url, face=True)),
        )
        for label, viewer in viewers:
            await server.quiet()
            say(f"avatar: {label}, {spoken_s:.0f} s and {_TIMES} interruptions")
            async with viewer:
                ways.append(await _watch(label, viewer, spoken_s))
        await server.quiet()
        firsts.append(await _first("pattern", server.url, say))
    async with serving(_CONFIG, replies=(reply,), face="portrait") as server:
        await server.quiet()
        firsts.append(await _first("portrait", server.url, say))
    return Measured(ways, firsts)


async def _watch(label: str, viewer: Viewer, spoken_s: float) -> Way:
    chance = random.Random(4)
    await asyncio.sleep(2 * _SETTLED_S)
    began_s = await viewer.ask()
    await asyncio.sleep(round(spoken_s / _BEAT_S) * _BEAT_S + _IN_A_PAUSE_S - (time.monotonic() - began_s))
    ended_s = await viewer.cancel()
    await asyncio.sleep(1.5)
    asked_s = []
    for _ in range(_TIMES):
        sound_s = await viewer.ask()
        # Well within the second tone: without the interruption the mouth would be open for 150 ms and more.
        await asyncio.sleep(_BEAT_S + chance.uniform(0.05, 0.25) - (time.monotonic() - sound_s))
        asked_s.append(await viewer.cancel())
        await asyncio.sleep(_WATCHED_S + chance.uniform(0.1, 0.3))
    return reckon(label, viewer.received(), began_s, ended_s, asked_s)


def reckon(label: str, received: Received, began_s: float, ended_s: float, asked_s: list[float]) -> Way:
    """From what a client received: the metronome from `began_s` to `ended_s`, then interruptions."""
    pictures = [each for each in received.pictures if began_s - _BEAT_S / 2 < each.shown_s < ended_s]
    sound = [each for each in received.sound if began_s - _BEAT_S / 2 < each.heard_s < ended_s]
    found = offsets(edges_of_picture(pictures), edges_of_sound(sound), _BEAT_S)
    talk = spoken(pictures)
    lost, repeated = lost_and_repeated([each.number for each in talk])
    settled_s = received.pictures[0].shown_s + _SETTLED_S if received.pictures else 0.0
    shut_ms = [
        shut_after_ms([each for each in received.pictures if at_s - _BEAT_S < each.shown_s < at_s + _WATCHED_S], at_s)
        for at_s in asked_s
    ]
    return Way(
        label,
        round(ended_s - began_s, 2),
        [(round(at_s - began_s, 3), round(ms, 2)) for at_s, ms in found.ms],
        found.alone,
        drift_ms([each.media_s for each in talk], [each.arrived_s for each in talk]),
        drift_ms([each.media_s for each in sound], [each.arrived_s for each in sound]),
        [round(ms) for ms in freezes_ms([each.shown_s for each in received.pictures if each.shown_s > settled_s])],
        len(talk),
        lost,
        repeated,
        [round(ms, 1) for ms in shut_ms if ms is not None],
        len(asked_s),
        received.errors,
        round(os.getloadavg()[0], 2),
    )


async def _first(label: str, url: str, say: Callable[[str], None]) -> First:
    say(f"avatar: first sound with and without a face ({label}), {_TIMES} replies each")
    chance = random.Random(5)
    alone: list[float] = []
    together: list[tuple[float, float]] = []
    async with AsyncExitStack() as stack:
        without = await stack.enter_async_context(SocketViewer(url, face=False))
        faced = await stack.enter_async_context(SocketViewer(url, face=True))
        await asyncio.sleep(_SETTLED_S)
        for n in range(_TIMES + 1):
            for viewer in (without, faced):
                sound_ms, picture_ms = await viewer.first_ms()
                await viewer.cancel()
                if n and viewer is without:  # the first reply loads what was never used
                    alone.append(round(sound_ms, 2))
                elif n:
                    together.append((round(sound_ms, 2), round(picture_ms, 2)))
                # At any place of the face's blocks of 200 ms.
                await asyncio.sleep(0.3 + chance.uniform(0, 0.2))
    return First(label, alone, [sound_ms for sound_ms, _ in together], [picture_ms for _, picture_ms in together])


def tables(measured: Measured) -> list[Table]:
    """In step; the mouth shuts; a reply begins."""
    in_step: list[tuple[Any, ...]] = []
    for way in measured.ways:
        late_ms = [ms for _, ms in way.offsets_ms]
        size = Spread.of([abs(ms) for ms in late_ms])
        shut = Spread.of(way.shut_ms)
        in_step.append(
            (
                way.label,
                way.spoken_s,
                size.count,
                Spread.of(late_ms).p50,
                size.p95,
                size.max,
                way.edges_alone,
                way.picture_drift_ms,
                way.sound_drift_ms,
                len(way.freezes_ms),
                f"{way.lost}/{way.repeated}",
                f"{shut.count}/{way.interruptions}",
                shut.p50,
                shut.p95,
                len(way.errors),
                way.load,
            )
        )
    begin = []
    for first in measured.firsts:
        alone, sound = Spread.of(first.sound_alone_ms), Spread.of(first.sound_ms)
        sound_later = Spread.of([ms - alone.p50 for ms in first.sound_ms])
        to_picture = Spread.of([ms - alone.p50 for ms in first.picture_ms])
        later = (sound_later.p50, sound_later.p95, to_picture.p50, to_picture.p95)
        begin.append((first.label, sound.count, alone.p50, alone.p95, sound.p50, sound.p95, *later))
    return [
        Table(
            "Picture against sound at the receiver",
            (
                "way",
                "metronome s",
                "edges",
                "picture late p50 ms",
                "|offset| p95 ms",
                "max",
                "edges alone",
                "picture drift ms",
                "sound drift ms",
                "freezes",
                "lost/repeated",
                "shut",
                "interruption → shut p50 ms",
                "p95",
                "errors",
                "load",
            ),
            in_step,
            "WebRTC: time stamps put on one clock by the sender's reports, then on the receiver's by the sound that "
            f"came quickest, with a jitter buffer of {1000 * BUFFER_S:.0f} ms. WebSocket: by the rule of docs/face.md. "
            "Drift: gained on the receiver's clock in that time. Aims: offset p95 40, drift 20 in 10 minutes, no "
            "freezes (120 ms), none lost or repeated, shut p95 200.",
        ),
        Table(
            "Where a reply begins (ms from response.create)",
            (
                "face",
                "replies",
                "sound without p50",
                "p95",
                "sound with p50",
                "p95",
                "later p50",
                "p95",
                "first block → picture p50",
                "p95",
            ),
            begin,
            "Without a face the first block of sound goes out as it comes from the Tts: the last four columns count "
            "from the median of that, to the first sound with a face and to the first picture of it. Aim: 60.",
        ),
    ]


def panels(measured: Measured) -> list[Panel]:
    """Offsets over time; how soon the mouth shuts; how soon a reply begins."""
    late = [Curve(way.label, [(at_s, abs(ms)) for at_s, ms in way.offsets_ms]) for way in measured.ways]
    shut = [Curve(way.label, list(enumerate(sorted(way.shut_ms), 1))) for way in measured.ways]
    begin = []
    for first in measured.firsts:
        begin.append(Curve(f"{first.label}: with", list(enumerate(sorted(first.sound_ms), 1))))
        begin.append(Curve(f"{first.label}: without", list(enumerate(sorted(first.sound_alone_ms), 1)), dashed=True))
    return [
        Panel("Picture against sound", "second", "|offset|, ms", [c for c in late if c.points], (("aim p95", 40.0),)),
        Panel("Interruption → shut mouth", "trial, sorted", "ms", [c for c in shut if c.points], (("aim p95", 200.0),)),
        Panel("First sound", "reply, sorted", "ms from response.create", [c for c in begin if c.points]),
    ]
