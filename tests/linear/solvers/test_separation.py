"""Free columns without a best coefficient are told at once; those that have one are left in peace."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pytest

import spred
from spred.errors import ConvergenceWarning, InputError
from spred.linear.problem import make_problem
from spred.linear.solvers.outer import Limits
from spred.linear.solvers.path_solver import PathSolver

LOSSES = ("logistic", "poisson", "multinomial", "cox")


def target(rng: np.random.Generator, loss: str, line: np.ndarray, noise: float) -> np.ndarray:
    """A target that ``line`` orders, wholly where there is no ``noise``."""
    line = line + noise * rng.logistic(size=len(line))
    if loss == "logistic":
        return (line > 0).astype(float)
    if loss == "multinomial":
        return np.digitize(line, np.quantile(line, [0.3, 0.6])).astype(float)
    if loss == "poisson":
        return np.where(line > 0, 1.0 + rng.poisson(2.0, len(line)), 0.0)
    return spred.survival_target(np.ones(len(line), dtype=bool), line.max() - line)


def given(loss: str, noise: float) -> dict:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 6))
    if loss == "poisson":
        X[:, 0] = X[:, 0] > 0  # a level at which nothing was counted
    line = X[:, 0] - 0.5 if loss == "poisson" else X[:, 0]
    return {"X": X, "y": target(rng, loss, line, noise), "loss": loss, "penalty_weights": np.r_[0.0, np.ones(5)]}


@pytest.mark.parametrize("loss", LOSSES)
def test_separation_is_told_at_once(loss: str) -> None:
    began = time.perf_counter()
    problem = make_problem(**given(loss, 0.0))
    if loss in ("logistic", "multinomial"):
        with pytest.raises(InputError, match="separate the target completely"):
            PathSolver(problem, Limits())
    else:  # counts at the other level are left to explain; times in perfect order are nearer to it with each step
        with pytest.warns(ConvergenceWarning, match="separate part of the target"):
            PathSolver(problem, Limits())
    assert time.perf_counter() - began < 20.0


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_what_has_a_best_coefficient_is_left_in_peace_in_any_unit(loss: str, unit: float) -> None:
    problem = given(loss, 0.5)
    plain = spred.path(**problem, n_alphas=3, eps=0.1)
    problem["X"] = problem["X"] * np.r_[unit, np.ones(5)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = spred.path(**problem, n_alphas=3, eps=0.1)
    assert found.gaps.max() <= 1e-9
    np.testing.assert_allclose(found.objectives, plain.objectives, rtol=1e-9)


@pytest.mark.parametrize("loss", ["logistic", "multinomial", "poisson"])
@pytest.mark.parametrize("constant", [0.0, 7.0])
def test_a_free_column_that_is_constant_separates_nothing(loss: str, constant: float) -> None:
    """The corner of scikit-learn's digits is white in every picture; warnings are errors here."""
    rng = np.random.default_rng(0)
    X = np.column_stack([np.full(60, constant), rng.normal(size=(60, 5))])
    y = np.arange(60) % (2 if loss == "logistic" else 3)
    path = spred.path(X, y, loss=loss, penalty_weights=np.r_[0.0, np.ones(5)], n_alphas=4, eps=0.3)
    assert path.converged
