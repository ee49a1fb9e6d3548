"""The figures of a run hold its points, layers and curves, whatever their number."""

from dataclasses import replace

import pytest
from compress_outcome import NASTY

from spred.compress.report import figures
from spred.compress.results import Curve, Layer


def texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_frontier_has_a_line_for_each_method_and_a_ring(outcome):
    axes = figures.frontier_plot(outcome.points, outcome.dense, outcome.chosen).axes[0]
    ring = next(line for line in axes.lines if line.get_label() == "chosen")
    assert list(ring.get_xdata()) == [outcome.chosen.compression]
    assert list(ring.get_ydata()) == [100 * outcome.chosen.validation]
    assert {"spred", "pat", "dense", "chosen"} <= set(texts(axes))
    assert axes.get_xscale() == "log"


def test_seeds_of_a_method_are_lines_of_one_name(outcome):
    again = [replace(point, seed=1) for point in outcome.points if point.method == "pat"]
    axes = figures.frontier_plot([*outcome.points, *again], outcome.dense, outcome.chosen).axes[0]
    assert texts(axes).count("pat") == 1
    assert (
        len(axes.lines) == len(figures.frontier_plot(outcome.points, outcome.dense, outcome.chosen).axes[0].lines) + 1
    )


def test_a_layer_without_weights_has_a_bar_of_no_length():
    layers = [Layer("full", (10, 10), 100, 100), Layer("half", (10, 10), 100, 50), Layer("empty", (10, 10), 100, 0)]
    axes = figures.density_plot(layers).axes[0]
    ends = [bar.get_x() + bar.get_width() for bar in axes.patches]
    assert ends == pytest.approx([100.0, 50.0, axes.patches[2].get_x()])
    assert [text.get_text() for text in axes.texts] == ["100 of 100", "50 of 100", "0 of 100"]


def test_losses_are_logarithmic_unless_one_is_not_positive(outcome):
    assert figures.loss_plot(outcome.curves).axes[0].get_yscale() == "log"
    zero = Curve("dense", (1, 2), (1.0, 0.0), (0.9, 0.95))
    assert figures.loss_plot([zero]).axes[0].get_yscale() == "linear"


def test_the_last_curves_are_named_and_escaped(outcome):
    axes = figures.accuracy_plot(outcome.curves).axes[0]
    assert len(axes.lines) == len(outcome.curves)
    assert len(texts(axes)) == figures.MOST_NAMED
    named = figures.accuracy_plot([Curve(NASTY, (1,), (1.0,), (0.9,))]).axes[0]
    assert texts(named) == [NASTY.replace("$", r"\$")]
    assert any(line.get_marker() == "." for line in named.lines)
