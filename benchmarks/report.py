"""Tables as text that Markdown takes too, and plots."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

Value = str | int | float | None


@dataclass(frozen=True, slots=True)
class Table:
    """Figures under a title. A column's decimals follow its largest value."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Value, ...]]
    note: str = ""

    def text(self) -> str:
        """In Markdown, aligned for a terminal."""
        shown = [self.columns, *(tuple(_shown(value) for value in row) for row in self.rows)]
        widths = [max(len(row[n]) for row in shown) for n in range(len(self.columns))]
        head, *rows = (
            "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |"
            for row in shown
        )
        rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"
        return "\n".join([self.title, "", head, rule, *rows, *(("", self.note) if self.note else ())])


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a plot."""

    label: str
    points: list[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One set of axes."""

    title: str
    x_label: str
    y_label: str
    curves: list[Curve] = field(default_factory=list)
    aims: tuple[tuple[str, float], ...] = ()
    """Drawn as level lines."""
    log: bool = False


def draw(panels: Sequence[Panel], path: Path, caption: str) -> None:
    """Write a plot as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(panels), figsize=(5 * len(panels), 4), squeeze=False, layout="constrained")
    for panel, axis in zip(panels, axes[0], strict=True):
        for curve in panel.curves:
            axis.plot(*zip(*curve.points, strict=True), "o--" if curve.dashed else "o-", label=curve.label)
        for n, (label, level) in enumerate(panel.aims):
            axis.axhline(level, color="grey", linewidth=1, linestyle=(":", "-.")[n % 2], label=label)
        axis.set(title=panel.title, xlabel=panel.x_label, ylabel=panel.y_label)
        if panel.log:
            axis.set_yscale("log")
        else:
            axis.set_ylim(bottom=0)
        axis.legend(fontsize="small")
        axis.grid(alpha=0.3)
    figure.supxlabel(caption, fontsize="x-small")
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _shown(value: Value) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        size = abs(value)
        return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 1 else f"{value:.3f}"
    return str(value)
