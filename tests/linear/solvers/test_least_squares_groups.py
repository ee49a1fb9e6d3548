"""The solver of a squared loss with groups against the one for every problem: the same objectives and certificates."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from problems import PROBLEMS
from scipy import sparse

import spred
from spred.core.losses import LOSSES
from spred.linear.problem import Problem, make_problem
from spred.linear.results import Status
from spred.linear.solvers.least_squares_groups import LeastSquaresGroups
from spred.linear.solvers.newton import Newton, null_state
from spred.linear.solvers.outer import Limits, Outcome
from spred.linear.solvers.presolve import reduced

ROWS = [name for name in sorted(PROBLEMS) if name.startswith("squared")]

VARIANTS: dict[str, Callable[[int, int], dict[str, object]]] = {
    "plain": lambda n, p: {},
    "standardised": lambda n, p: {"standardize": True},
    "elastic net": lambda n, p: {"l1_ratio": 0.6},
    "weights": lambda n, p: {"penalty_weights": np.where(np.arange(p // 3) == 1, 0.0, np.linspace(0.5, 2.0, p // 3))},
    "sparse groups": lambda n, p: {"within_ratio": 0.4},
    "positive": lambda n, p: {"positive": np.arange(p) % 2 == 0},
    "samples": lambda n, p: {"sample_weight": np.arange(n) % 3.0},
    "all": lambda n, p: {
        "standardize": True,
        "l1_ratio": 0.8,
        "within_ratio": 0.5,
        "penalty_weights": np.arange(p // 3) != 1.0,
        "sample_weight": 1.0 + np.arange(n) % 2,
    },
}


def problem_of(name: str, variant: str = "plain") -> Problem:
    """Three features or so in each group, not neighbours."""
    row = PROBLEMS[name]
    n, p = row.X.shape
    given = {"feature_groups": np.arange(p) % (p // 3)} | VARIANTS[variant](n, p)
    return reduced(make_problem(row.X, row.y, loss="squared", **given)).problem


def many_columns(seed: int, n: int = 30, p: int = 400, size: int = 5) -> Problem:
    """More coefficients than samples on the support."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    y = X[:, : 4 * size].sum(axis=1) + rng.standard_normal(n)
    return reduced(make_problem(X, y, loss="squared", feature_groups=np.arange(p) // size)).problem


def solve_along(solver: type, problem: Problem, limits: Limits, fractions: np.ndarray) -> list[Outcome]:
    null = null_state(problem, limits)
    objective = float(problem.loss.value(null.eta, problem.y, problem.s))
    steps = solver(problem, null, objective)
    return [steps.advance(float(fraction * null.alpha), limits) for fraction in fractions]


def assert_same(problem: Problem, fractions: np.ndarray, tol: float = 1e-10) -> list[Outcome]:
    limits = Limits(tol)
    quick, slow = (
        solve_along(LeastSquaresGroups, problem, limits, fractions),
        solve_along(Newton, problem, limits, fractions),
    )
    for one, other in zip(quick, slow, strict=True):
        assert one.status is other.status is Status.CONVERGED
        assert one.certificate.gap <= tol
        assert one.certificate.kkt <= 1e-6
        assert one.certificate.primal == pytest.approx(other.certificate.primal, rel=1e-8)
    return quick


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ROWS)
def test_both_solvers_reach_the_same_minimum(name: str, variant: str) -> None:
    problem = problem_of(name, variant)
    assert LeastSquaresGroups.needs(problem) is None
    assert_same(problem, np.geomspace(0.9, 0.02, 12))


@pytest.mark.parametrize("seed", range(4))
def test_a_support_may_be_larger_than_the_number_of_samples(seed: int) -> None:
    problem = many_columns(seed)
    found = assert_same(problem, np.geomspace(0.95, 0.01, 40))
    assert len(found[-1].model.support) > 2 * problem.design.n
    slow = solve_along(Newton, problem, Limits(1e-12), np.geomspace(0.95, 0.01, 40))[-1]
    np.testing.assert_allclose(found[-1].model.dense(problem.design.p), slow.model.dense(problem.design.p), atol=1e-5)


def test_alphas_may_rise_and_leap() -> None:
    assert_same(many_columns(7), np.array([0.9, 0.5, 0.6, 0.05, 0.02, 0.3, 0.3]))


def test_duplicate_groups_and_dependent_columns_are_no_trouble() -> None:
    rng = np.random.default_rng(2)
    X = rng.standard_normal((25, 60))
    X[:, 30:45] = X[:, :15]
    X[:, 45] = X[:, 0] + X[:, 1]
    X[:, 50:55] = 0.0
    y = X[:, :10].sum(axis=1) + 0.1 * rng.standard_normal(25)
    assert_same(
        reduced(make_problem(X, y, loss="squared", feature_groups=np.arange(60) // 5)).problem,
        np.geomspace(0.9, 0.005, 25),
    )


def test_large_groups_are_left_as_they_are() -> None:
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 600))
    y = X[:, :50].sum(axis=1) + rng.standard_normal(40)
    labels = np.r_[np.zeros(200, dtype=int), 1 + np.arange(400) // 4]
    assert_same(reduced(make_problem(X, y, loss="squared", feature_groups=labels)).problem, np.geomspace(0.9, 0.05, 10))


def test_a_sparse_matrix_stays_sparse() -> None:
    rng = np.random.default_rng(4)
    dense = np.where(rng.random((60, 90)) < 0.2, rng.standard_normal((60, 90)), 0.0)
    y = dense[:, :6].sum(axis=1) + 0.1 * rng.standard_normal(60)
    groups = np.arange(90) // 3
    given = {"feature_groups": groups, "n_alphas": 15, "eps": 0.05}
    one = spred.path(sparse.csc_array(dense), y, **given)
    other = spred.path(dense, y, **given)
    np.testing.assert_allclose(one.coefs, other.coefs, atol=1e-6)


def test_what_it_does_not_take() -> None:
    row = PROBLEMS["squared-tall"]
    groups = {"feature_groups": np.arange(row.X.shape[1]) // 2}
    assert LeastSquaresGroups.needs(make_problem(row.X, row.y, loss="squared", **groups)) is not None  # an intercept
    assert LeastSquaresGroups.needs(reduced(make_problem(row.X, row.y, loss="squared")).problem) is not None
    assert LeastSquaresGroups.needs(make_problem(row.X, row.y, loss="huber", **groups)) is not None
    own = replace(LOSSES["squared"], value=lambda eta, y, s: 0.0)
    assert LeastSquaresGroups.needs(reduced(make_problem(row.X, row.y, loss=own, **groups)).problem) is not None


def test_it_stops_when_it_has_to() -> None:
    problem = many_columns(5)
    few = solve_along(LeastSquaresGroups, problem, Limits(1e-12, max_iter=1), np.array([0.05]))[0]
    assert few.status is Status.ITERATIONS
    assert few.n_iter == 1
    late = solve_along(LeastSquaresGroups, problem, Limits(1e-12, deadline=time.perf_counter()), np.array([0.05]))[0]
    assert late.status is Status.TIME
    assert late.certificate.gap > 1e-12
