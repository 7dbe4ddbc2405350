"""What others report, beside ours. Their users, rooms, tasks and definitions differ: read them as an order of size."""

from benchmarks.report import Table

_DASH = None
_TAU_VOICE = (
    # system, response s, yield s, yield rate, agent interrupts per user turn, kept on backchannels, on noise
    ("gpt-realtime-1.5", 1.389, 0.419, 1.0, 0.135, 0.02, 0.10),
    ("gpt-realtime-2, minimal", 1.440, 0.620, 0.999, 0.187, 0.02, 0.17),
    ("grok think-fast-2.0", 1.708, 0.937, 0.970, 0.107, 0.47, 0.28),
    ("gemini-3.1 live, minimal", 1.639, 0.822, 0.522, 0.098, 0.90, 0.27),
    ("qwen3.5-omni-plus", 1.698, 0.933, 0.902, 0.361, 0.84, 0.15),
    ("Pine voice", 2.001, 1.194, 0.411, 0.765, 0.97, 0.40),
    ("LiveKit cascade (nova-3, gpt-4.1, aura)", 4.237, 0.870, 0.988, 0.644, 0.67, 0.58),
)
"""tau-voice's leaderboard (sierra-research/tau2-bench a2c0247, 2026-08-18, `web/leaderboard/public/submissions`): L_R,
L_Y, R_Y, I_A, S_BC, S_ND, overall means."""
_PIPECAT_YIELD_P95_S = 0.287
"""Pipecat 1.14 on two cores like these, from the first sample of speech to the last sample sent."""


def table(ours: list[tuple[str, float, float, float, float, float, float]]) -> Table:
    """`ours`: rows in the same order of columns, first."""
    rows = [*ours, *_TAU_VOICE, ("Pipecat 1.14", _DASH, _PIPECAT_YIELD_P95_S, _DASH, _DASH, _DASH, _DASH)]
    return Table(
        "Beside others",
        (
            "system",
            "response (s)",
            "yield (s)",
            "yield rate",
            "agent interrupts per user turn",
            "kept on backchannels",
            "kept on noise",
        ),
        rows,
        "Ours: medians, short trials, local network. Theirs: tau-voice's means over phone calls with simulated "
        "customers, over the internet; its noise includes speech of others. Pipecat: p95 of the yield. The audio "
        "differs, so only large differences mean anything.",
    )
