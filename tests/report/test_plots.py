"""The figures draw what they are given, names included."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from spred.report import plots
from spred.report.html import inline

ALPHAS = np.geomspace(1.0, 0.05, 12)


def texts(figure: Figure) -> str:
    return str(inline(figure, "f"))


def sizes(p: int) -> np.ndarray:
    """Coefficients that grow along the path, the first ones most, with both signs."""
    ends = np.linspace(1.0, 0.1, p) * np.where(np.arange(p) % 2, -1, 1)
    return np.linspace(0, 1, len(ALPHAS))[:, None] * ends


def test_a_path_names_its_largest_coefficients() -> None:
    text = texts(plots.path_plot(ALPHAS, sizes(30), [f"gene{j}" for j in range(30)], chosen=0.1))
    assert all(f">gene{j}<" in text for j in range(plots.MOST_NAMES))
    assert ">gene20<" not in text


def test_a_path_of_thousands_stays_small() -> None:
    figure = plots.path_plot(ALPHAS, sizes(5000), [str(j) for j in range(5000)], chosen=0.1)
    assert len(figure.axes[0].lines) == plots.MOST_LINES + 1


def test_a_path_without_a_coefficient_is_drawn() -> None:
    assert "penalty" in texts(plots.path_plot(ALPHAS, np.zeros((12, 0)), [], chosen=1.0))


def test_labels_are_pushed_apart_in_order_and_stay_inside() -> None:
    heights = np.array([1.0, 0.99, 0.98, 0.2])
    moved = plots.apart(heights, step=0.1, top=1.0)
    assert np.all(np.diff(np.sort(moved)) >= 0.1 - 1e-12)
    assert list(np.argsort(moved)) == list(np.argsort(heights))
    assert moved.max() <= 1.0
    assert moved[3] == 0.2


def test_a_curve_shows_its_marks_and_counts() -> None:
    mean = (np.log(ALPHAS) - np.log(0.2)) ** 2
    figure = plots.curve_plot(
        ALPHAS, mean, np.full(12, 0.1), np.arange(12) * 7, marks={"chosen: lowest": 0.2, "other": 0.4}
    )
    text = texts(figure)
    assert "chosen: lowest" in text
    assert "other" in text
    assert ">77<" in text


@pytest.mark.parametrize("k", [2, 7])
def test_a_confusion_matrix_shows_every_count(k: int) -> None:
    counts = np.arange(k * k).reshape(k, k) + 100
    text = texts(plots.confusion_plot(counts, [f"class{i}" for i in range(k)]))
    assert all(f">{n}<" in text for n in counts.ravel())
    assert f">class{k - 1}<" in text


def test_a_heatmap_has_a_name_for_each_row_and_block() -> None:
    text = texts(plots.heatmap(np.zeros((6, 3)), ["A", "B", "C"], ["x", "x", "x", "y", "y", "y"]))
    assert all(f">{name}<" in text for name in "ABCxy")


def test_a_scatter_names_what_is_predicted() -> None:
    assert "true age" in texts(plots.scatter_plot(np.arange(5.0), np.arange(5.0), what="age"))


def test_names_are_cut_and_dollars_are_no_formula() -> None:
    assert plots.shorten("x" * 50) == "x" * 17 + "…"
    assert plots.shorten("a\x1b$") == r"a\x1b\$"
    assert ">cost$a$b<" in texts(plots.heatmap(np.zeros((2, 1)), ["cost$a$b"], ["x", "x"]))


def test_frequencies_name_what_reaches_the_threshold() -> None:
    frequency = np.array([0.1, 0.95, 0.6, 0.3, 0.0])
    text = texts(plots.frequency_plot(frequency, [f"gene{j}" for j in range(5)], threshold=0.6))
    assert ">gene1<" in text
    assert ">gene2<" in text
    assert ">gene3<" not in text
    assert "share of halves" in texts(plots.frequency_plot(np.zeros(5), list("abcde"), threshold=0.6))


def test_roc_curves_have_a_mean() -> None:
    steps = (np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]))
    figure = plots.roc_plot([steps, steps], positive="a$b")
    assert len(figure.axes[0].lines) == 4
    assert "true positive rate (a$b)" in texts(figure)
    assert len(plots.roc_plot([], positive="x").axes[0].lines) == 1


def test_survival_curves_step_to_the_last_time_and_mark_who_left() -> None:
    low = ("low risk", np.array([0.0, 2.0]), np.array([1.0, 0.5]), np.array([1.0, 9.0]))
    high = ("high risk", np.array([0.0, 1.0, 3.0]), np.array([1.0, 0.4, 0.0]), np.empty(0))
    figure = plots.survival_plot([low, high], time="days", p=0.0123)
    curve, ticks = figure.axes[0].lines[:2]
    assert curve.get_xdata()[-1] == 9.0
    assert ticks.get_ydata().tolist() == [1.0, 0.5]
    text = texts(figure)
    for words in ("low risk", "high risk", "days", "log-rank p = 0.012"):
        assert words in text
    assert "log-rank" not in texts(plots.survival_plot([low], time="days", p=None))
