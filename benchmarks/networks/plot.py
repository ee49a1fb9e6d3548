"""The frontier: test accuracy against compression, a line for each method, a point for each run."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

TICKS = (10, 20, 50, 100, 200, 500)


def draw(rows: list[dict], out: Path) -> None:
    """Write the figure of the training runs in ``rows`` to ``out``; nothing without one."""
    runs = [row for row in rows if row["density"] > 0]
    if not runs:
        return
    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    axes = figure.add_subplot()
    for k, method in enumerate(dict.fromkeys(row["method"] for row in runs)):
        mine = [row for row in runs if row["method"] == method]
        strengths = sorted({row["strength"] for row in mine})
        means = [np.mean([_point(row) for row in mine if row["strength"] == s], axis=0) for s in strengths]
        means.sort(key=lambda point: point[0])
        axes.plot(*np.exp(np.transpose(means)[:1]), np.transpose(means)[1], color=f"C{k}", label=method)
        points = np.transpose([_point(row) for row in mine])
        axes.scatter(np.exp(points[0]), points[1], s=12, color=f"C{k}")
    axes.set(xscale="log", xlabel="compression: all weights over nonzero weights", ylabel="test accuracy, per cent")
    axes.set_xticks(TICKS)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}×"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    n_seeds = len({row["seed"] for row in runs})
    seeds = f"{n_seeds} seed{'s' if n_seeds > 1 else ''}"
    axes.set_title(f"LeNet-300-100 on MNIST, {runs[0]['epochs']} epochs, {seeds}")
    axes.grid(alpha=0.2)
    axes.legend(frameon=False)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "spred"}):
        figure.savefig(out, metadata={"Date": None})


def _point(row: dict) -> tuple[float, float]:
    """Return logarithm of the compression, and accuracy in per cent."""
    return float(-np.log(row["density"])), 100 * row["test"]
