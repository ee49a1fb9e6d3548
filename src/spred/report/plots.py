"""The figures of the reports: plain arrays in, a Matplotlib ``Figure`` out, no global state touched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from spred.report.wording import printable

if TYPE_CHECKING:  # Matplotlib is slow to import, and most runs of the command line draw nothing
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, ACCENT = "#1f2933", "#9aa5b1", "#0b6e99"
HUES = (
    "#0b6e99",
    "#c2571a",
    "#4b7f52",
    "#8e4585",
    "#b3862b",
    "#5b6abf",
    "#a63d40",
    "#3d8b8b",
    "#6b705c",
    "#c06c84",
)
MOST_LINES = 150
"""Lines of a path; the smaller coefficients of a long list would only blacken the corner."""

MOST_BARS = 60
"""Frequencies that are drawn; the rest are rare."""

MOST_NAMES = 10
"""Labels at the ends of a path before they run into one another."""


def path_plot(
    alphas: np.ndarray,
    sizes: np.ndarray,
    names: Sequence[str],
    *,
    chosen: float | None,
    what: str = "standardised coefficient",
) -> Figure:
    """Draw how coefficients grow as the penalty falls.

    Args:
        alphas: strengths of the penalty, shape (A,).
        sizes: size of each coefficient (or its norm over classes) along the path, shape (A, p).
        names: names of the p coefficients; the largest at the end are written beside their lines.
        chosen: the alpha that was chosen, marked by a line; None marks none, and the last one stands for it.
        what: what the sizes are.
    """
    figure, axes = blank(5.6, 3.7)
    falling_alpha(axes)
    at = len(alphas) - 1 if chosen is None else int(np.argmin(np.abs(np.log(alphas) - np.log(chosen))))
    order = np.argsort(-np.abs(sizes[at]), kind="stable")
    order = order[:MOST_LINES]
    named = [j for j in order[:MOST_NAMES] if sizes[at, j] != 0]
    for j in order[::-1]:
        if j not in named:
            axes.plot(alphas, sizes[:, j], color=SOFT, linewidth=0.6, alpha=0.6)
    for j, hue in zip(named, HUES, strict=False):
        axes.plot(alphas, sizes[:, j], color=hue, linewidth=1.6)
    write_at_ends(axes, alphas, sizes, names, named)
    if chosen is not None:
        axes.axvline(chosen, color=INK, linewidth=0.9, linestyle="--")
    axes.set_ylabel(what)
    return figure


def write_at_ends(axes: Axes, alphas: np.ndarray, sizes: np.ndarray, names: Sequence[str], which: list[int]) -> None:
    """Write names right of the lines' ends, pushed apart so that they can be read."""
    low, high = axes.get_ylim()
    for j, height in zip(which, apart(sizes[-1, which], (high - low) / 18, high), strict=True):
        axes.annotate(
            shorten(names[j]),
            (float(alphas[-1]), float(height)),
            xytext=(5, 0),
            textcoords="offset points",
            color=HUES[which.index(j)],
            va="center",
            fontsize=8,
            annotation_clip=False,
        )


def apart(heights: np.ndarray, step: float, top: float) -> np.ndarray:
    """Return the heights moved as little as needed to lie ``step`` apart and below ``top``, in the same order."""
    order = np.argsort(heights, kind="stable")
    moved = heights[order].astype(float)
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + step)
    ceiling = top
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], ceiling)
        ceiling = moved[i] - step
    result = np.empty(len(moved))
    result[order] = moved
    return result


def curve_plot(
    alphas: np.ndarray,
    mean: np.ndarray,
    se: np.ndarray,
    n_nonzero: np.ndarray,
    *,
    marks: dict[str, float],
) -> Figure:
    """Draw the held-out deviance over alpha with its standard error, and the number of features on top.

    ``marks`` are vertical lines: their names and alphas.
    """
    figure, axes = blank(5.6, 3.7)
    falling_alpha(axes)
    axes.fill_between(alphas, mean - se, mean + se, color=ACCENT, alpha=0.15, linewidth=0)
    axes.plot(alphas, mean, color=ACCENT, linewidth=1.8)
    for (name, alpha), style in zip(marks.items(), ("--", ":", "-."), strict=False):
        axes.axvline(alpha, color=INK, linewidth=0.9, linestyle=style, label=name)
    if marks:
        axes.legend(frameon=False, fontsize=8, handlelength=2.5)
    axes.set_ylabel("held-out deviance per sample")
    top = axes.twiny()
    top.set_xscale("log")
    top.set_xlim(axes.get_xlim())
    ticks = np.unique(np.linspace(0, len(alphas) - 1, 7).round().astype(int))
    top.set_xticks(alphas[ticks], [str(int(n_nonzero[i])) for i in ticks], fontsize=8, color=INK)
    top.set_xticks([], minor=True)
    top.tick_params(length=0)
    top.spines[:].set_visible(False)
    top.set_xlabel("features selected", fontsize=9, color=INK)
    return figure


def confusion_plot(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw how often each true class (row) was predicted as each class (column), shaded by the fraction of the row."""
    k = len(classes)
    figure, axes = blank(1.8 + 0.62 * k, 1.3 + 0.52 * k)
    fraction = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.pcolormesh(fraction[::-1], cmap="Blues", vmin=0, vmax=1.15, edgecolors="white", linewidth=2)
    for i in range(k):
        for j in range(k):
            hue = "white" if fraction[i, j] > 0.6 else INK
            axes.text(j + 0.5, k - i - 0.5, str(int(counts[i, j])), ha="center", va="center", color=hue, fontsize=9)
    axes.set_xticks(
        np.arange(k) + 0.5,
        [shorten(c) for c in classes],
        rotation=40 if k > 3 else 0,
        ha="right" if k > 3 else "center",
    )
    axes.set_yticks(np.arange(k)[::-1] + 0.5, [shorten(c) for c in classes])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return figure


def heatmap(values: np.ndarray, names: Sequence[str], groups: Sequence[str]) -> Figure:
    """Draw features (rows) over samples (columns) as z-scores, samples in blocks by group.

    Args:
        values: shape (n_samples, n_features), z-scored by feature.
        names: the features.
        groups: the group of each sample; samples must already be in the groups' order.
    """
    n, p = values.shape
    figure, axes = blank(9.4, 0.9 + 0.17 * max(p, 4))
    axes.imshow(values.T, aspect="auto", cmap="RdBu_r", vmin=-2.5, vmax=2.5, interpolation="nearest")
    starts = [i for i in range(n) if i == 0 or groups[i] != groups[i - 1]]
    for i in starts[1:]:
        axes.axvline(i - 0.5, color="white", linewidth=2)
    middles = [(a + b - 1) / 2 for a, b in zip(starts, [*starts[1:], n], strict=True)]
    crowded = len(starts) > 4
    axes.set_xticks(
        middles,
        [shorten(groups[i]) for i in starts],
        rotation=30 if crowded else 0,
        ha="right" if crowded else "center",
    )
    axes.set_yticks(range(p), [shorten(name) for name in names], fontsize=7)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def frequency_plot(frequency: np.ndarray, names: Sequence[str], *, threshold: float) -> Figure:
    """Draw selection frequencies, largest first, with the threshold; features that reach it are named.

    Args:
        frequency: shape (p,), between 0 and 1.
        names: the p features.
        threshold: where the line is drawn.
    """
    figure, axes = blank(5.6, 3.7)
    order = np.argsort(-frequency, kind="stable")[:MOST_BARS]
    order = order[: max(int((frequency[order] > 0).sum()), 1)]
    heights = frequency[order]
    kept = heights >= threshold - 1e-9
    axes.vlines(np.arange(len(order)), 0, heights, color=np.where(kept, ACCENT, SOFT), linewidth=2.5)
    axes.axhline(threshold, color=INK, linewidth=0.9, linestyle="--")
    named = np.flatnonzero(kept)[:MOST_NAMES]
    at = apart(heights[named], 1.05 / 18, 1.05)
    for i, height in zip(named, at, strict=True):
        axes.annotate(
            shorten(names[order[i]]),
            (float(i), float(heights[i])),
            xytext=(float(max(len(order) * 0.45, kept.sum() + 2)), float(height)),
            va="center",
            fontsize=8,
            color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            arrowprops={"arrowstyle": "-", "color": SOFT, "linewidth": 0.6},
        )
    axes.set_ylim(0, 1.08)
    axes.set_xlim(-1, max(len(order), 10))
    axes.set_xlabel("features, most frequent first")
    axes.set_ylabel("share of halves that select it")
    return figure


def roc_plot(curves: Sequence[tuple[np.ndarray, np.ndarray]], *, positive: str) -> Figure:
    """Draw ROC curves of folds, given as (false positive rate, true positive rate), and their mean."""
    figure, axes = blank(4.6, 4.0)
    grid = np.linspace(0, 1, 101)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1)
    for false_rate, true_rate in curves:
        axes.plot(false_rate, true_rate, color=ACCENT, linewidth=0.8, alpha=0.45)
    if curves:
        mean = np.mean([np.interp(grid, false_rate, true_rate) for false_rate, true_rate in curves], axis=0)
        axes.plot(np.r_[0.0, grid], np.r_[0.0, mean], color=ACCENT, linewidth=2.2)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("false positive rate")
    axes.set_ylabel(f"true positive rate ({shorten(positive)})")
    return figure


def scatter_plot(true: np.ndarray, predicted: np.ndarray, *, what: str) -> Figure:
    """Draw held-out predictions of a number over the truth, with the line where they agree."""
    figure, axes = blank(4.6, 4.0)
    low, high = float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))
    axes.plot([low, high], [low, high], color=SOFT, linewidth=1)
    axes.scatter(true, predicted, s=18, color=ACCENT, alpha=0.8, linewidths=0)
    axes.set_xlabel(shorten(f"true {what}", 40))
    axes.set_ylabel(shorten(f"predicted {what}", 40))
    return figure


def survival_plot(
    curves: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]], *, time: str, p: float | None
) -> Figure:
    """Draw survival curves, given as (name, times of steps, fraction from each on, times of censored samples).

    ``p`` of the log-rank test is written into the corner, if there is one.
    """
    figure, axes = blank(5.6, 3.7)
    for (name, steps, alive, left), hue in zip(curves, HUES, strict=False):
        end = np.r_[steps, left].max()
        axes.step(np.r_[steps, end], np.r_[alive, alive[-1]], where="post", color=hue, linewidth=1.8, label=name)
        heights = alive[np.searchsorted(steps, left, side="right") - 1]
        axes.plot(left, heights, "|", color=hue, markersize=6)
    axes.set_ylim(0, 1.03)
    axes.set_xlim(left=0)
    axes.set_xlabel(shorten(time, 40))
    axes.set_ylabel("share without the event")
    axes.legend(frameon=False, fontsize=8, title=None if p is None else f"log-rank p = {p:.2g}", title_fontsize=8)
    return figure


def falling_alpha(axes: Axes) -> None:
    """Make the horizontal axis a penalty that falls from left to right, on a logarithmic scale."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.invert_xaxis()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda alpha, _: f"{alpha:g}"))
    axes.set_xlabel("penalty α, falling")


def blank(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure (inches) with one quiet pair of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT)
    axes.tick_params(colors=INK, labelsize=8)
    axes.xaxis.label.set(color=INK, fontsize=9)
    axes.yaxis.label.set(color=INK, fontsize=9)
    return figure, axes


def shorten(name: str, most: int = 18) -> str:
    """Cut a name that is too long for a figure; ``$`` is escaped, for it would start a formula, and so are controls."""
    name = printable(name)
    name = name if len(name) <= most else name[: most - 1] + "…"
    return name.replace("$", r"\$")
