"""A client's SDP offer (RFC 8866, 8829): which of its media are taken, and what is answered about the rest.

Taken are the first audio section with Opus, the first data channel, and the first video section with H.264 in
packetization mode 1 and a baseline profile (RFC 6184), which every browser offers (RFC 7742). What the media engine
gets holds only those, sound first; its answer is put back into the order of the offer, with the others declined.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from deployments.runtime.errors import InvalidRequest

_MAX_SECTIONS = 16
_MAX_CANDIDATES = 32
"""Each is an address to which this server sends checks."""
_OPUS = re.compile(r"a=rtpmap:\d+ opus/48000\b", re.IGNORECASE)
_H264 = re.compile(r"a=rtpmap:(\d+) H264/90000\b", re.IGNORECASE)
_BASELINE = re.compile(r"profile-level-id=42[0-9a-f]0(0[a-d]|1[4-6]|1[ef]|20|2[89a]|3[234])\b", re.IGNORECASE)
_RECEIVED = ("a=sendrecv", "a=recvonly")


@dataclass(frozen=True, slots=True)
class Section:
    """One `m=` line and those that belong to it."""

    lines: tuple[str, ...]

    @property
    def kind(self) -> str:
        """`audio`, `video`, `application` or something else."""
        return self.lines[0][2:].split(" ", 1)[0]

    @property
    def mid(self) -> str:
        """Its name; empty if it has none."""
        return next((line[6:].strip() for line in self.lines if line.startswith("a=mid:")), "")

    @property
    def offered(self) -> bool:
        """Not switched off: port 0 says so, unless it is one of those that share the first section's port."""
        return self.lines[0].split(" ")[1:2] != ["0"] or "a=bundle-only" in self.lines

    @property
    def has_opus(self) -> bool:
        """Its sound can be Opus."""
        return any(_OPUS.match(line) for line in self.lines)

    @property
    def has_h264(self) -> bool:
        """Its picture can be H.264 as we send it."""
        types = {match[1] for line in self.lines if (match := _H264.match(line))}
        return any(
            line.startswith(f"a=fmtp:{kind} ") and "packetization-mode=1" in line and _BASELINE.search(line)
            for line in self.lines
            for kind in types
        )

    @property
    def receives(self) -> bool:
        """The client wants to be sent something."""
        named = [line for line in self.lines if line in (*_RECEIVED, "a=sendonly", "a=inactive")]
        return not named or named[0] in _RECEIVED

    def declined(self) -> list[str]:
        """The answer to it."""
        media = self.lines[0].split(" ")
        return [" ".join([media[0], "0", *media[2:]]), "c=IN IP4 0.0.0.0", "a=inactive", f"a=mid:{self.mid}"]


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that can be answered."""

    head: tuple[str, ...]
    sections: tuple[Section, ...]
    audio: Section
    video: Section | None
    data: Section | None

    @property
    def taken(self) -> tuple[Section, ...]:
        """For the media engine, in the order in which it has them: aiortc 1.16 stops the transport of a bundle whose
        first section is not the first that was made."""
        return tuple(section for section in (self.audio, self.video, self.data) if section is not None)

    @property
    def text(self) -> str:
        """For the media engine."""
        bundle = "a=group:BUNDLE " + " ".join(section.mid for section in self.taken)
        head = [bundle if line.startswith("a=group:BUNDLE") else line for line in self.head]
        lines = [*head, *_usable(line for section in self.taken for line in section.lines)]
        return "\r\n".join(lines) + "\r\n"

    def answer(self, text: str) -> str:
        """The whole answer, given that of the media engine."""
        head, sections = _split(text)
        answers = {section.mid: section for section in sections}
        accepted = [section.mid for section in self.sections if section.mid in answers]
        bundle = "a=group:BUNDLE " + " ".join(accepted)
        lines = [bundle if line.startswith("a=group:BUNDLE") else line for line in head]
        for section in self.sections:
            lines += answers[section.mid].lines if section.mid in answers else section.declined()
        return "\r\n".join(lines) + "\r\n"


def read_offer(text: str) -> Offer:
    """Understand an offer. Raises InvalidRequest."""
    if not text.lstrip().startswith("v=0"):
        raise senseless("it must begin with v=0")
    head, sections = _split(text.lstrip())
    if not sections or len(sections) > _MAX_SECTIONS:
        raise senseless(f"it has {len(sections)} media sections, 1 to {_MAX_SECTIONS} are taken")
    mids = [section.mid for section in sections]
    if "" in mids or len(set(mids)) != len(mids):
        raise senseless("each media section needs an a=mid of its own")
    if not any(line.startswith("a=group:BUNDLE") for line in head):
        raise senseless("all media must go over one transport: a=group:BUNDLE is missing")
    offered = [section for section in sections if section.offered]
    audio = [section for section in offered if section.kind == "audio"]
    if not audio:
        raise senseless("there is no audio to talk with")
    with_opus = [section for section in audio if section.has_opus]
    if not with_opus:
        raise InvalidRequest("The audio must be offered as opus/48000.", "unsupported_codec", "sdp")
    video = [section for section in offered if section.kind == "video" and section.has_h264 and section.receives]
    data = [section for section in offered if section.kind == "application"]
    offer = Offer(tuple(head), tuple(sections), with_opus[0], next(iter(video), None), next(iter(data), None))
    for lines in () if _says_who(head) else (section.lines for section in offer.taken):
        if not _says_who(lines):
            raise senseless("without a=fingerprint nobody can know who answers")
    return offer


def _says_who(lines: Iterable[str]) -> bool:
    return any(line.startswith("a=fingerprint:") for line in lines)


def _split(text: str) -> tuple[list[str], list[Section]]:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    starts = [index for index, line in enumerate(lines) if line.startswith("m=")]
    ends = [*starts, len(lines)][1:]
    sections = [Section(tuple(lines[start:end])) for start, end in zip(starts, ends, strict=True)]
    return lines[: starts[0] if starts else len(lines)], sections


def _usable(lines: Iterable[str]) -> list[str]:
    """Without candidates that are no use: of TCP, beyond the bound, or behind a name in the client's own network, whose
    look-up would hold the answer for a second. Such a client is learnt from its own checks. As it may always have more
    of those, no end of candidates is passed on.
    """
    kept = []
    candidates = 0
    for line in lines:
        if line.startswith("a=end-of-candidates"):
            continue
        if line.startswith("a=candidate:"):
            words = line.split()
            candidates += 1
            if candidates > _MAX_CANDIDATES or words[2:3] not in (["udp"], ["UDP"]) or ".local" in line:
                continue
        kept.append(line)
    return kept


def senseless(why: str) -> InvalidRequest:
    """The error for an offer that cannot be answered."""
    return InvalidRequest(f"The SDP offer makes no sense: {why}.", "invalid_sdp", "sdp")
