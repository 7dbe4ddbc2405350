"""The dashboard: a panel for each question. The figures are those of `deployments/runtime/metrics.py` and of Serve."""

import json
from dataclasses import dataclass
from typing import Any, Final

_WIDTH, _HEIGHT, _PER_ROW = 8, 7, 3
_OVER: Final = "[5m]"


@dataclass(frozen=True, slots=True)
class Line:
    """One query of Prometheus."""

    query: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph."""

    title: str
    unit: str
    """Grafana's name of the unit."""
    lines: tuple[Line, ...]


def _rate(metric: str, by: str = "") -> str:
    return f"sum(rate({metric}{_OVER}))" + (f" by ({by})" if by else "")


def _quantiles(metric: str, by: str = "") -> tuple[Line, ...]:
    """p50 and p95 of a histogram."""
    name, _, labels = metric.partition("{")
    buckets = f"{name}_bucket" + (f"{{{labels}" if labels else "")
    grouped = f"le, {by}" if by else "le"
    legend = f" {{{{{by}}}}}" if by else ""
    return tuple(
        Line(f"histogram_quantile({q}, {_rate(buckets, grouped)})", f"p{round(100 * q)}{legend}") for q in (0.5, 0.95)
    )


def _per_minute(title: str, metric: str, legend: str, by: str = "") -> Panel:
    return Panel(title, "short", (Line(f"60 * {_rate(metric, by)}", legend),))


def _sum(title: str, metric: str, by: str) -> Panel:
    return Panel(title, "short", (Line(f"sum({metric}) by ({by})", f"{{{{{by}}}}}"),))


_FIRST_OUTPUT: Final = "ray_parley_first_output_ms"

PANELS: Final = (
    Panel("Conversations", "short", (Line("sum(ray_parley_sessions)", "open"),)),
    _per_minute("Refused because full, per minute", "ray_parley_sessions_refused_total", "refused"),
    _per_minute("Replies per minute, by how they ended", "ray_parley_responses_total", "{{status}}", "status"),
    Panel("From the decision to answer to the first output", "ms", _quantiles(_FIRST_OUTPUT + '{since="decision"}')),
    Panel("From the user's last speech to the first output", "ms", _quantiles(_FIRST_OUTPUT + '{since="speech"}')),
    Panel("Longest time of a reply with nothing to play", "ms", _quantiles("ray_parley_playback_gap_ms")),
    _per_minute("Turns taken from the assistant, per minute", "ray_parley_interruptions_total", "interrupted"),
    _sum("Requests in progress", "ray_parley_stage_active_requests", "stage"),
    Panel("From a cancelled request to a resting engine", "ms", _quantiles("ray_parley_stage_stop_ms", "stage")),
    _sum("Replicas that autoscaling wants", "ray_serve_autoscaling_target_replicas", "deployment"),
    Panel("Delay of event loops", "ms", _quantiles("ray_serve_event_loop_scheduling_latency_ms", "deployment")),
    Panel("Speech sent, seconds per second", "short", (Line(_rate("ray_parley_spoken_seconds_total"), "spoken"),)),
)


def dashboard() -> dict[str, Any]:
    """Grafana's JSON model, to be imported; it asks for the Prometheus to use."""
    return {
        "title": "Parley",
        "uid": "parley",
        "schemaVersion": 39,
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "panels": [_placed(index, panel) for index, panel in enumerate(PANELS)],
    }


def _placed(index: int, panel: Panel) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    row, column = divmod(index, _PER_ROW)
    return {
        "id": index + 1,
        "title": panel.title,
        "type": "timeseries",
        "datasource": source,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": source, "expr": line.query, "legendFormat": line.legend}
            for number, line in enumerate(panel.lines)
        ],
    }


def text() -> str:
    """The file."""
    return json.dumps(dashboard(), indent=1) + "\n"
