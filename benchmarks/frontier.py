"""Accuracy at equal compression: what the runs of a method say of compressions that none of them has hit exactly.

Between two models of one seed the accuracy is interpolated in the logarithm of the compression; means and standard
errors are over seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

import numpy as np

NEAR = 0.02
"""A compression that is this near to one that was reached, on a logarithmic scale, is that one."""

Rows = list[dict[str, Any]]


def line(name: str, runs: Rows, ratios: Sequence[float], part: str = "test") -> str:
    """Return a method's line of the table: its accuracy at each compression, over all seeds of its runs."""
    seeds = sorted({row["seed"] for row in runs})
    each = [accuracies([row for row in runs if row["seed"] == seed], ratios, part) for seed in seeds]
    return f"{name:20}" + "".join(f"{cell(column):>15}" for column in zip(*each, strict=True))


def accuracies(runs: Rows, ratios: Sequence[float], part: str = "test") -> list[float]:
    """Return the accuracy of one method and seed at each compression, NaN outside of what it spans.

    A dense model has one accuracy.
    """
    if len(runs) == 1 and runs[0]["density"] == 1.0:
        return [runs[0][part]] * len(ratios)
    points = sorted((-np.log(row["density"]), row[part]) for row in runs if row["density"] > 0)
    if not points:
        return [np.nan] * len(ratios)
    sizes, found = zip(*points, strict=True)
    asked = np.log(ratios)
    inside = (asked > sizes[0] - NEAR) & (asked < sizes[-1] + NEAR)
    return np.where(inside, np.interp(asked, sizes, found), np.nan).tolist()


def cell(found: Sequence[float]) -> str:
    """Return the mean of accuracies in per cent and its standard error; a dash where one is missing."""
    if any(np.isnan(found)):
        return "–"
    spread = f" ±{100 * stdev(found) / len(found) ** 0.5:.2f}" if len(found) > 1 else ""
    return f"{100 * mean(found):.2f}{spread}"
