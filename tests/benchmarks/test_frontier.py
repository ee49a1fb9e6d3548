"""Accuracy at equal compression is interpolated where a method has been, and nowhere else."""

from __future__ import annotations

from math import exp, log
from typing import Any

import numpy as np
from frontier import accuracies, cell, line


def row(density: float, test: float, seed: int = 0) -> dict[str, Any]:
    return {"seed": seed, "density": density, "test": test, "validation": test - 0.1}


def test_models_are_compared_at_equal_compression():
    runs = [row(0.2, 0.9), row(0.01, 0.5)]
    half = exp((log(5) + log(100)) / 2)
    asked = [1 / 0.3, 5, half, 100, 101, 200]
    np.testing.assert_allclose(accuracies(runs, asked), [np.nan, 0.9, 0.7, 0.5, 0.5, np.nan])
    np.testing.assert_allclose(accuracies(runs, [5.0], "validation"), [0.8])
    assert accuracies([row(1.0, 0.8)], [10, 100]) == [0.8, 0.8]  # the dense model
    assert np.isnan(accuracies([row(0.0, 0.1)], [10])).all()  # nothing is left of it


def test_a_line_has_means_over_seeds_and_their_standard_error():
    runs = [row(0.1, 0.8, 0), row(0.01, 0.6, 0), row(0.1, 0.9, 1)]
    assert line("PAT", runs, [10, 100]).split() == ["PAT", "85.00", "±5.00", "–"]
    assert cell([0.5]) == "50.00"
