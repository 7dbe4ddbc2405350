"""From the verdicts of many trials to figures with their intervals."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.duplex.intervals import Estimate, mean, quantile, rate
from benchmarks.duplex.judge import Verdict, Yield
from benchmarks.duplex.trials import Kind

_NOISES = (Kind.NOISE, Kind.NOISE_ALONE, Kind.SILENCE)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report."""

    name: str
    of: Callable[[Sequence[Verdict]], Estimate]
    aim: str = ""
    reached: Callable[[float], bool] | None = None
    """Whether a value reaches the aim; None where there is none."""


def yields(verdicts: Iterable[Verdict]) -> list[Yield]:
    """All interruptions."""
    return [each for verdict in verdicts for each in verdict.yields]


def _yield_rate(verdicts: Sequence[Verdict]) -> Estimate:
    all_yields = yields(verdicts)
    return rate(sum(each.yielded for each in all_yields), len(all_yields))


def _kept(*kinds: Kind) -> Callable[[Sequence[Verdict]], Estimate]:
    def of(verdicts: Sequence[Verdict]) -> Estimate:
        kept = [bool(verdict.kept) for verdict in verdicts if verdict.kind in kinds]
        return rate(sum(kept), len(kept))

    return of


def _interrupts(*kinds: Kind) -> Callable[[Sequence[Verdict]], Estimate]:
    def of(verdicts: Sequence[Verdict]) -> Estimate:
        cut = [verdict.cut_off for verdict in verdicts if verdict.kind in kinds and verdict.cut_off is not None]
        return rate(sum(cut), len(cut))

    return of


def _echo(verdicts: Sequence[Verdict]) -> Estimate:
    kept = [bool(verdict.kept) for verdict in verdicts if verdict.kind is Kind.ECHO]
    return rate(len(kept) - sum(kept), len(kept))


def _sent_ms(share: float) -> Callable[[Sequence[Verdict]], Estimate]:
    return lambda verdicts: quantile([y.last_sent_ms for y in yields(verdicts) if y.last_sent_ms is not None], share)


def _faded_ms(share: float) -> Callable[[Sequence[Verdict]], Estimate]:
    return lambda verdicts: quantile([y.last_fade_ms for y in yields(verdicts) if y.last_fade_ms is not None], share)


def _played_ms(share: float) -> Callable[[Sequence[Verdict]], Estimate]:
    return lambda verdicts: quantile(
        [y.last_played_ms for y in yields(verdicts) if y.last_played_ms is not None], share
    )


def _response_ms(share: float) -> Callable[[Sequence[Verdict]], Estimate]:
    return lambda verdicts: quantile([v.response_ms for v in verdicts if v.response_ms is not None], share)


def _resume_worst_ms(verdicts: Sequence[Verdict]) -> Estimate:
    return quantile([error for verdict in verdicts for error in verdict.resume_ms], 1.0)


def _pause_ms(verdicts: Sequence[Verdict]) -> Estimate:
    return quantile([verdict.pause_ms for verdict in verdicts if verdict.kind is Kind.BACKCHANNEL], 0.5)


def _heard_words(verdicts: Sequence[Verdict]) -> Estimate:
    return mean([float(words) for verdict in verdicts for words in verdict.heard_words])


def _tools(verdicts: Sequence[Verdict]) -> Estimate:
    calls = sum(verdict.calls for verdict in verdicts)
    return rate(sum(verdict.lost + verdict.repeated for verdict in verdicts), calls)


def _late_ms(verdicts: Sequence[Verdict]) -> Estimate:
    return quantile([verdict.wake_late_ms for verdict in verdicts], 0.5)


HESITATIONS = (Kind.HESITATION, Kind.NUMBER)
FIGURES = (
    Figure("yield rate", _yield_rate, "≥ 0.98", lambda value: value >= 0.98),
    Figure("speech → last sound sent, p50 (ms)", _sent_ms(0.5)),
    Figure("speech → last sound sent, p95 (ms)", _sent_ms(0.95), "≤ 150", lambda value: value <= 150),
    Figure("the same with the fade of 10 ms, p95 (ms)", _faded_ms(0.95)),
    Figure("speech → last sound played, p95 (ms)", _played_ms(0.95)),
    Figure("turn kept on backchannels", _kept(Kind.BACKCHANNEL), "≥ 0.9", lambda value: value >= 0.9),
    Figure("pause in a reply that a backchannel held, p50 (ms)", _pause_ms),
    Figure("turn kept on noise and silence", _kept(*_NOISES), "≥ 0.95", lambda value: value >= 0.95),
    Figure("interrupted by its own echo", _echo, "0", lambda value: value == 0),
    Figure("agent interrupts per user turn", _interrupts(*HESITATIONS), "≤ 0.05", lambda value: value <= 0.05),
    Figure("… in phone numbers", _interrupts(Kind.NUMBER)),
    Figure("response latency, p50 (ms)", _response_ms(0.5)),
    Figure("response latency, p95 (ms)", _response_ms(0.95)),
    Figure("resume error, worst (ms)", _resume_worst_ms, "≤ 1", lambda value: value <= 1),
    Figure("heard-exact error, mean (words)", _heard_words, "≤ 0.5", lambda value: value <= 0.5),
    Figure("tools lost or repeated, per call", _tools, "0", lambda value: value == 0),
    Figure("the client's own worst lateness in a trial, p50 (ms)", _late_ms),
)


def half(verdicts: Sequence[Verdict], held_out: bool) -> list[Verdict]:
    """Those of one half."""
    return [verdict for verdict in verdicts if verdict.held_out == held_out]
