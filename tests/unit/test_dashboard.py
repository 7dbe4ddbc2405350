"""The dashboard asks for figures that exist."""

import json
import re
from pathlib import Path

from cluster.monitoring.dashboard import PANELS, dashboard, text

ROOT = Path(__file__).parents[2]
OURS = set(re.findall(r'"(parley_\w+)"', (ROOT / "deployments" / "runtime" / "metrics.py").read_text()))
SERVES = {"autoscaling_target_replicas", "event_loop_scheduling_latency_ms"}
"""Seen at the metrics port of a node with Ray 2.60."""


def asked() -> set[str]:
    """The figures in all queries, as they are called where they are made."""
    queries = [line.query for panel in PANELS for line in panel.lines]
    return {name.removesuffix("_bucket") for query in queries for name in re.findall(r"ray_(\w+)", query)}


def test_it_asks_for_figures_that_are_made() -> None:
    assert asked() <= OURS | {f"serve_{name}" for name in SERVES}


def test_it_shows_all_of_ours() -> None:
    assert asked() >= OURS


def test_what_is_committed_is_what_is_generated() -> None:
    assert (ROOT / "cluster" / "monitoring" / "grafana.json").read_text() == text()
    assert json.loads(text()) == dashboard()


def test_no_two_panels_lie_on_each_other() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard()["panels"]]
    assert len(set(places)) == len(places) == len(PANELS)
