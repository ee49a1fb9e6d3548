"""Worst gap of a path against seconds: a panel for each problem, a line for each solver's ladder of tolerances."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure
from solvers import OURS

if TYPE_CHECKING:
    from measure import Row

COLUMNS = 4
FLOOR = 1e-17
"""Gaps below rounding are drawn here."""


def draw(rows: Sequence[Row], goal: float, out: Path) -> None:
    """Write the figure of ``rows``, problem after problem, with the peers' ``goal`` as a dotted line."""
    panels = [list(group) for _, group in groupby(rows, key=lambda row: (row.data, row.work))]
    if not panels:
        return
    columns = min(COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    names = list(dict.fromkeys(row.solver for row in rows))
    figure = Figure(figsize=(3.2 * columns, 2.6 * lines + 0.6), layout="constrained")
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(lines, columns, place + 1)
        for row in panel:
            points = [
                (seconds, max(gap, FLOOR)) for _, seconds, gap, _ in sorted(row.ladder, reverse=True) if isfinite(gap)
            ]
            style = {"color": f"C{names.index(row.solver)}", "linewidth": 2.0 if row.solver == OURS else 1.0}
            axes.plot(*zip(*points, strict=True) if points else ([], []), marker=".", label=row.solver, **style)
        axes.axhline(goal, color="0.6", linewidth=0.8, linestyle=":")
        axes.set(xscale="log", yscale="log", title=f"{panel[0].data}, {panel[0].work}")
        axes.grid(alpha=0.2)
    figure.supxlabel("seconds for the whole path")
    figure.supylabel("worst relative duality gap")
    handles = {
        label: line for axes in figure.axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles), frameon=False)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "spred"}):
        figure.savefig(out, metadata={"Date": None})
