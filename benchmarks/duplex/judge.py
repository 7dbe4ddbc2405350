"""From what a client noted to what is reported of the trial."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.duplex import memory, seam
from benchmarks.duplex.studio import Studio
from benchmarks.duplex.take import Said, Take
from benchmarks.duplex.trials import Kind, Right, Trial
from benchmarks.speech_scenes import Samples

_YIELDS_WITHIN_S = 1.5
"""After the user has finished: later it is no yielding any more."""


@dataclass(frozen=True, slots=True)
class Yield:
    """What became of one interruption; ms from the first sample of the user's speech."""

    yielded: bool
    last_sent_ms: float | None = None
    """To the arrival of the reply's last sound."""
    last_fade_ms: float | None = None
    """The same, with the fade that a held reply ends in."""
    last_played_ms: float | None = None
    """To the end of what the client played of it."""


@dataclass(slots=True)
class Verdict:
    """One trial."""

    kind: Kind
    held_out: bool
    right: bool = False
    why: str = ""
    """What was wrong."""
    yields: list[Yield] = field(default_factory=list)
    kept: bool | None = None
    """Where the turn was to be kept: whether it was."""
    cut_off: bool | None = None
    """Where the user hesitated: whether the turn was taken."""
    held: int = 0
    """How often the reply was held."""
    pause_ms: float = 0.0
    """The longest silence within a reply that went on."""
    response_ms: float | None = None
    """From the last sample of the user's speech to the first sound of the answer."""
    resume_ms: list[float] = field(default_factory=list)
    heard_words: list[int] = field(default_factory=list)
    """Words by which the remembered text differs from what was heard, of each reply that was cut off."""
    calls: int = 0
    lost: int = 0
    """Calls whose result did not enter the conversation."""
    repeated: int = 0
    """Calls that were made, or answered, once more."""
    wake_late_ms: float = 0.0


def judge(trial: Trial, take: Take, studio: Studio, *, scripted: bool) -> Verdict:
    """`scripted`: what the synthesiser said is known to the sample."""
    verdict = Verdict(trial.kind, trial.held_out, wake_late_ms=take.wake_late_ms)
    verdict.held = len(take.of("parley.playback.held"))
    _judge_tools(take, verdict)
    _judge_memory(trial, take, studio, verdict)
    _judge_seams(trial, take, studio if scripted else None, verdict)
    if trial.right in (Right.YIELD, Right.WAIT):
        verdict.response_ms = _response_ms(take)
    match trial.right:
        case Right.YIELD:
            verdict.yields = [_yield(said, take) for said in take.said]
            verdict.why = "" if all(each.yielded for each in verdict.yields) else "the reply went on"
            expected = 2 if trial.kind is Kind.TWICE else 1
            if len(take.said) < expected:
                verdict.why = "no second reply to interrupt"
        case Right.KEEP:
            verdict.kept = not _cancelled(take) and not _announced(take)
            verdict.why = "" if verdict.kept else "the turn was given away"
        case Right.QUIET:
            verdict.kept = not take.blocks
            verdict.why = "" if verdict.kept else "something was said"
        case Right.WAIT:
            _judge_waiting(trial, take, verdict)
    verdict.right = not verdict.why
    return verdict


def _judge_waiting(trial: Trial, take: Take, verdict: Verdict) -> None:
    said = take.said[-1]
    if said.heard.gaps:
        taken = [at_s for at_s, _ in take.of("input_audio_buffer.committed")]
        verdict.cut_off = any(said.first_s < at_s < said.last_s for at_s in taken)
        verdict.why = "cut off" if verdict.cut_off else ""
    if verdict.response_ms is None:
        verdict.why = verdict.why or "no answer"
    if trial.kind is Kind.DURING_CALL and (verdict.lost or verdict.repeated or not verdict.calls):
        verdict.why = f"{verdict.calls} calls, {verdict.lost} lost, {verdict.repeated} repeated"


def _yield(said: Said, take: Take) -> Yield:
    """Of the reply that sounded last when the user began."""
    before = [block for block in take.blocks if block.at_s < said.first_s + 0.1]
    if not before:
        return Yield(False)
    response_id = before[-1].response_id
    until_s = said.last_s + _YIELDS_WITHIN_S
    ended = [at_s for at_s, event in take.of("response.done") if _status(event, response_id) == "cancelled"]
    items = {block.item_id for block in take.blocks_of(response_id)}
    ended += [at_s for at_s, event in take.of("conversation.item.truncated") if event["item_id"] in items]
    if not any(at_s <= until_s for at_s in ended):
        return Yield(False)
    blocks = take.blocks_of(response_id)
    sounding = [block for n, block in enumerate(blocks) if n not in seam.fades(blocks, complete=False)]
    return Yield(
        True,
        _since_ms(said, sounding[-1].at_s),
        _since_ms(said, blocks[-1].at_s),
        _since_ms(said, max(block.end_s for block in blocks)),
    )


def _since_ms(said: Said, at_s: float) -> float:
    return max(0.0, 1000 * (at_s - said.first_s))


def _response_ms(take: Take) -> float | None:
    """None where no answer came, or one to half of what was said."""
    last_s = take.said[-1].last_s
    created = {event["response"]["id"] for at_s, event in take.of("response.created") if at_s > last_s}
    first = next((block.at_s for block in take.blocks if block.response_id in created), None)
    return None if first is None else 1000 * (first - last_s)


def _status(event: dict[str, Any], response_id: str) -> str:
    response = event["response"]
    return str(response["status"]) if response["id"] == response_id else ""


def _complete(take: Take, response_id: str) -> bool:
    return any(_status(event, response_id) == "completed" for _, event in take.of("response.done"))


def _cancelled(take: Take) -> bool:
    return any(event["response"]["status"] == "cancelled" for _, event in take.of("response.done"))


def _announced(take: Take) -> bool:
    """The client was told that the user speaks."""
    return bool(take.of("input_audio_buffer.speech_started"))


def _sent_text(take: Take, response_id: str) -> str:
    deltas = take.of("response.output_audio_transcript.delta")
    return "".join(event["delta"] for _, event in deltas if event["response_id"] == response_id)


def _whole_text(trial: Trial, take: Take, response_id: str) -> str | None:
    """All words of a reply, said or not; None where nobody knows them. Part of a clause is spoken differently."""
    sent = _sent_text(take, response_id)
    whole = memory.reply_to(trial.ask) if trial.ask else ""
    if whole.startswith(sent.rstrip()):
        return whole
    return sent if _complete(take, response_id) else None


def _judge_memory(trial: Trial, take: Take, studio: Studio, verdict: Verdict) -> None:
    ended = {event["response"]["id"] for _, event in take.of("response.done")}
    for response_id in take.responses():
        blocks = take.blocks_of(response_id)
        item_id = blocks[0].item_id
        if response_id not in ended or _complete(take, response_id) or item_id not in take.kept:
            continue
        samples = memory.played_samples(blocks, complete=False)
        text = _whole_text(trial, take, response_id) or _sent_text(take, response_id)
        heard = memory.heard_words(text, samples, studio)
        verdict.heard_words.append(memory.differing_words(take.kept[item_id], heard))


def _judge_seams(trial: Trial, take: Take, studio: Studio | None, verdict: Verdict) -> None:
    for response_id in take.responses():
        blocks = take.blocks_of(response_id)
        complete = _complete(take, response_id)
        text = _whole_text(trial, take, response_id)
        if studio is None or text is None:
            verdict.resume_ms += seam.errors_by_fade_ms(blocks, complete=complete)
        else:
            pcm = b"".join(clause.pcm for clause in studio.reply(text))
            reference: Samples = np.frombuffer(pcm, "<i2").astype(np.float64)
            verdict.resume_ms += seam.errors_by_reference_ms(blocks, reference, complete=complete)
        gaps = [after.start_s - before.end_s for before, after in itertools.pairwise(blocks)]
        verdict.pause_ms = max([verdict.pause_ms, *(1000 * gap_s for gap_s in gaps)])


def _judge_tools(take: Take, verdict: Verdict) -> None:
    calls = [event for _, event in take.of("response.function_call_arguments.done")]
    added = [event["item"] for _, event in take.of("conversation.item.added")]
    answers = [item["call_id"] for item in added if item["type"] == "function_call_output"]
    made = [(call["name"], call["arguments"]) for call in calls]
    verdict.calls = len(calls)
    verdict.lost = sum(call["call_id"] not in answers for call in calls)
    verdict.repeated = (len(made) - len(set(made))) + (len(answers) - len(set(answers)))
