"""The working set against the matrices written down in full."""

from __future__ import annotations

import numpy as np
import pytest
from problems import PROBLEMS

from spred.linear.kernels.screening import FEW
from spred.linear.problem import Problem, make_problem
from spred.linear.solvers.presolve import reduced
from spred.linear.solvers.working_set import WorkingSet, penalty_of, strongest


def problem_of(name: str, **options: object) -> Problem:
    row = PROBLEMS[name]
    return reduced(make_problem(row.X, row.y, loss=row.loss, **options)).problem


CASES = {
    "squared": problem_of("squared-tall"),
    "logistic": problem_of("logistic-tall", l1_ratio=0.7),
    "rows of classes": problem_of("multinomial-tall", l1_ratio=0.7),
    "entries of classes": problem_of("multinomial-tall", row_sparse=False),
    "groups": problem_of("logistic-tall", feature_groups=np.arange(10) % 3, within_ratio=0.3),
    "cox": problem_of("cox-tall"),
}


@pytest.mark.parametrize("name", CASES)
def test_products_and_hessian_are_those_of_the_dense_matrix(name: str) -> None:
    problem = CASES[name]
    rng, n, K = np.random.default_rng(0), problem.design.n, problem.n_outputs
    groups = np.array([0, 2])
    work = WorkingSet(problem, groups, 0.1)
    v, b = rng.standard_normal((problem.design.p, K)), rng.standard_normal(K) * problem.fit_intercept
    x = work.take(v, b)
    own, intercept = work.put(x)
    chosen = np.isin(problem.groups.labels, groups).reshape(v.shape)
    np.testing.assert_array_equal(own, np.where(chosen, v, 0.0))
    np.testing.assert_array_equal(intercept, b)

    def predictor(x: np.ndarray) -> np.ndarray:
        own, intercept = work.put(x)
        return problem.design.columns(np.arange(problem.design.p)) @ own + intercept

    # The linear map from coordinates to the predictor, one column each.
    J = np.stack([predictor(unit).ravel() for unit in np.eye(len(x))], axis=1)
    index = np.arange(len(x))
    np.testing.assert_allclose(work.predictor(index, x), (J @ x).reshape(n, K), atol=1e-12)
    theta = rng.standard_normal((n, K))
    np.testing.assert_allclose(work.gradient(theta), J.T @ theta.ravel(), atol=1e-12)

    eta = problem.as_target((J @ x).reshape(n, K))
    curvature = np.empty(0) if problem.loss.quadratic else problem.loss.curvature(eta, problem.y, problem.s)
    step = 1e-5

    def slope(x: np.ndarray) -> np.ndarray:
        at = problem.as_target((J @ x).reshape(n, K))
        return J.T @ problem.loss.gradient(at, problem.y, problem.s).ravel() + work.ridge * x

    numeric = np.stack([(slope(x + step * e) - slope(x - step * e)) / (2 * step) for e in np.eye(len(x))], axis=1)
    hessian = work.hessian(index, curvature)
    if problem.loss.multi and problem.basis is None:  # one class of the intercept is held by twice its curvature
        held = np.flatnonzero(np.abs(np.diagonal(hessian - numeric)) > 1e-6)
        assert len(held) == 1
        hessian[held, held] /= 2.0
    elif not problem.loss.quadratic:
        factors = work.factored(index[::-1], curvature).part(slice(None), slice(None))
        np.testing.assert_allclose(factors, numeric[::-1, ::-1], atol=2e-5 * np.abs(numeric).max())
    np.testing.assert_allclose(hessian, numeric, atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_its_penalty_is_that_of_core(name: str) -> None:
    problem = CASES[name]
    work = WorkingSet(problem, np.array([0, 1]), 0.3)
    x = np.random.default_rng(1).standard_normal(len(work.coordinates) + problem.fit_intercept * problem.n_outputs)
    assert work.value(x) == pytest.approx(float(problem.penalty(0.3).value(work.put(x)[0])))


def test_free_groups_have_no_penalty_at_all() -> None:
    problem = problem_of("logistic-tall", l1_ratio=0.5, feature_groups=np.arange(10) // 5, within_ratio=0.5)
    positive = np.zeros(5, dtype=bool)
    blocks, ridge = penalty_of(problem, 2.0, np.array([0, 2]), np.array([0.0, 3.0]), positive)
    assert blocks.lam.tolist() == [0.0, 1.5]
    assert blocks.mu.tolist() == [0.0, 0.5]
    assert ridge.tolist() == [0.0, 0.0, 3.0, 3.0, 3.0]


def test_the_strongest_are_taken_but_a_few_at_least() -> None:
    excess = np.random.default_rng(2).random(3 * FEW)
    candidates = np.arange(3 * FEW)[::-1]
    some = strongest(candidates, excess, 5)
    assert len(some) == FEW
    assert excess[np.isin(candidates, some)].min() > excess[~np.isin(candidates, some)].max()
    assert len(strongest(candidates, excess, 2 * FEW)) == 2 * FEW
    np.testing.assert_array_equal(strongest(candidates[:7], excess[:7], 0), candidates[:7])
