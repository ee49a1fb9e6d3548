"""The figures of the report: records in, Matplotlib figures out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from spred.compress.results import Curve, Layer, Point
from spred.report.plots import ACCENT, HUES, INK, SOFT, blank, shorten

MOST_NAMED = len(HUES)
"""Curves with a colour and a name of their own; the others are grey."""


def frontier_plot(points: Sequence[Point], dense: Point, chosen: Point) -> Figure:
    """Draw validation accuracy over compression, a line for each method and seed, the chosen model in a ring."""
    figure, axes = blank(5.6, 3.7)
    sparse = sorted(
        (point for point in points if point.method != dense.method),
        key=lambda point: (point.method, point.seed, point.compression),
    )
    methods = sorted({point.method for point in sparse}, key=lambda method: (method != chosen.method, method))
    hues = dict(zip(methods, HUES, strict=False))
    named = set()
    for (method, _), group in groupby(sparse, key=lambda point: (point.method, point.seed)):
        line = list(group)
        axes.plot(
            [point.compression for point in line],
            [100 * point.validation for point in line],
            color=hues.get(method, SOFT),
            marker="o",
            markersize=3.5,
            linewidth=1.4,
            zorder=3 if method == chosen.method else 2,
            label=None if method in named else shorten(method),
        )
        named.add(method)
    axes.axhline(100 * dense.validation, color=INK, linewidth=0.9, linestyle="--", label="dense")
    axes.plot([chosen.compression], [100 * chosen.validation], "o", markersize=10, mfc="none", mec=INK, label="chosen")
    compression_axis(axes)
    axes.set_ylabel("validation accuracy, %")
    axes.legend(frameon=False, fontsize=8)
    return figure


def density_plot(layers: Sequence[Layer]) -> Figure:
    """Draw the fraction of weights that is left in each tensor, in the order of the model."""
    figure, axes = blank(5.6, 0.9 + 0.21 * max(len(layers), 4))
    percents = [100 * layer.density for layer in layers]
    lowest = min((percent for percent in percents if percent > 0), default=1.0)
    left = min(lowest / 3, 10.0)
    axes.barh(
        range(len(layers)), [max(percent - left, 0.0) for percent in percents], left=left, color=ACCENT, height=0.65
    )
    for k, (layer, percent) in enumerate(zip(layers, percents, strict=True)):
        axes.text(max(percent, left) * 1.06, k, f"{layer.nonzero:,} of {layer.weights:,}", va="center", fontsize=7)
    axes.set_xscale("log")
    axes.set_xlim(left, 1000.0)
    plain_ticks(axes, [tick for tick in (0.01, 0.1, 1.0, 10.0, 100.0) if tick >= left])
    axes.set_yticks(range(len(layers)), [shorten(layer.name, 34) for layer in layers], fontsize=7)
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.set_xlabel("weights left, %")
    return figure


def loss_plot(curves: Sequence[Curve]) -> Figure:
    """Draw the training loss of every stage, epoch by epoch."""
    figure, axes = blank(5.6, 3.7)
    lines(axes, curves, [curve.loss for curve in curves])
    if all(value > 0 for curve in curves for value in curve.loss):
        axes.set_yscale("log")
    axes.set_ylabel("training loss, without the penalty")
    return figure


def accuracy_plot(curves: Sequence[Curve]) -> Figure:
    """Draw the validation accuracy of every stage, epoch by epoch."""
    figure, axes = blank(5.6, 3.7)
    lines(axes, curves, [[100 * value for value in curve.validation] for curve in curves])
    axes.set_ylabel("validation accuracy, %")
    axes.legend(frameon=False, fontsize=7, loc="lower right")
    return figure


def lines(axes: Axes, curves: Sequence[Curve], heights: Sequence[Sequence[float]]) -> None:
    """Draw a line for each stage; the last ones are named."""
    first = max(0, len(curves) - MOST_NAMED)
    for k, (curve, values) in enumerate(zip(curves, heights, strict=True)):
        hue, label = (SOFT, None) if k < first else (HUES[k - first], shorten(curve.stage, 34))
        axes.plot(curve.epochs, values, color=hue, linewidth=1.4, label=label)
        if len(curve.epochs) == 1:
            axes.plot(curve.epochs, values, ".", color=hue)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch of the stage")


def compression_axis(axes: Axes) -> None:
    """Make the horizontal axis the compression, on a logarithmic scale."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.set_xlabel("compression: weights over weights left")


def plain_ticks(axes: Axes, ticks: Sequence[float]) -> None:
    """Write numbers instead of powers of ten."""
    axes.set_xticks(list(ticks), [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
