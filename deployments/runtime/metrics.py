"""The figures that conversations leave behind, as `ray_parley_*` beside Serve's own in Prometheus."""

from typing import Final

from ray.serve.metrics import Counter, Gauge, Histogram

_ANSWER_MS: Final[list[float]] = [5, 10, 20, 35, 50, 80, 120, 200, 300, 500, 800, 1_200, 2_000, 5_000]
_STOP_MS: Final[list[float]] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000]
_GAP_MS: Final[list[float]] = [1, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000]


class ConversationMetrics:
    """One per Gateway replica; made in its constructor, so that Serve can add deployment and replica as tags.

    Every method returns at once and never raises.
    """

    def __init__(self) -> None:
        self._sessions = Gauge("parley_sessions", "Conversations open now.")
        self._refused = Counter("parley_sessions_refused_total", "Conversations refused because the server was full.")
        self._first_output = Histogram(
            "parley_first_output_ms",
            "Until the first of a reply goes out, since the endpoint `decision` or the last sample of `speech`.",
            boundaries=_ANSWER_MS,
            tag_keys=("since",),
        )
        self._responses = Counter("parley_responses_total", "Replies that ended, by status.", tag_keys=("status",))
        self._spoken_s = Counter("parley_spoken_seconds_total", "Speech sent to clients.")
        self._gap = Histogram(
            "parley_playback_gap_ms", "Longest time of a reply in which its client had nothing to play.", _GAP_MS
        )
        self._interruptions = Counter("parley_interruptions_total", "Turns that the user took from the assistant.")

    def sessions(self, count: int) -> None:
        """So many conversations are open."""
        self._sessions.set(count)

    def refused(self) -> None:
        """A conversation found the server full."""
        self._refused.inc()

    def first_output(self, from_decision_ms: float, from_speech_ms: float | None) -> None:
        """The first of a reply went out."""
        self._first_output.observe(from_decision_ms, {"since": "decision"})
        if from_speech_ms is not None:
            self._first_output.observe(from_speech_ms, {"since": "speech"})

    def response_ended(self, status: str, spoken_ms: int, worst_gap_ms: float) -> None:
        """A reply ended."""
        self._responses.inc(1, {"status": status})
        # A counter refuses to grow by nothing.
        if spoken_ms > 0:
            self._spoken_s.inc(spoken_ms / 1000)
        self._gap.observe(worst_gap_ms)

    def interrupted(self) -> None:
        """The user took the turn."""
        self._interruptions.inc()


class StageMetrics:
    """One per replica of a stage; like `ConversationMetrics`.

    A figure changes here at once. Ray hands it to the node's metrics agent every `metrics_report_interval_ms` (10 s):
    what is read there may be as old, what the replica's `describe` says is not.
    """

    def __init__(self, stage: str) -> None:
        self._active = Gauge("parley_stage_active_requests", "Requests in progress.", tag_keys=("stage",))
        self._stop = Histogram(
            "parley_stage_stop_ms",
            "From the cancellation of a request to the moment when the engine has stopped working on it.",
            boundaries=_STOP_MS,
            tag_keys=("stage",),
        )
        self._tags = {"stage": stage}

    def active(self, requests: int) -> None:
        """So many requests are in progress."""
        self._active.set(requests, self._tags)

    def stopped(self, took_ms: float) -> None:
        """A cancelled request has ended."""
        self._stop.observe(took_ms, self._tags)
