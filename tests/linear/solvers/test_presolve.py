"""Taking out the intercept and the surplus rows changes nothing but the cost."""

from __future__ import annotations

import numpy as np
import pytest

import spred
from spred.linear.problem import make_problem
from spred.linear.solvers.presolve import reduced


def data(n: int, p: int, flaw: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(5.0, 2.0, (n, p))
    if flaw == "duplicates":
        X[:, 1] = X[:, 0]
    if flaw == "constant":
        X[:, 2] = 3.0
    return X, X[:, 0] - 2.0 * X[:, 3] + rng.standard_normal(n) + 7.0


@pytest.mark.parametrize("flaw", ["", "duplicates", "constant"])
@pytest.mark.parametrize("options", [{}, {"standardize": True}, {"fit_intercept": False}, {"l1_ratio": 0.5}])
def test_fewer_rows_have_the_same_minimum(flaw: str, options: dict) -> None:
    X, y = data(200, 8, flaw)
    weight = np.random.default_rng(1).random(200)
    few = spred.solve(X, y, alpha=0.2, sample_weight=weight, **options)  # 200 rows become 8
    half = np.tile(X, (1, 30))  # 240 columns: the rows stay
    many = spred.solve(
        half, y, alpha=0.2, sample_weight=weight, penalty_weights=np.r_[np.ones(8), np.full(232, 1e9)], **options
    )
    assert few.gap <= 1e-9
    assert few.certificate.primal == pytest.approx(many.certificate.primal, rel=1e-9)
    if flaw == "":
        np.testing.assert_allclose(few.coef, many.coef[:8], atol=1e-7)
        assert few.intercept == pytest.approx(many.intercept)


@pytest.mark.parametrize(("flaw", "groups"), [("constant", None), ("constant", np.arange(8) // 2), ("tiny", None)])
def test_free_columns_without_size_or_of_another_scale_are_certified(flaw: str, groups: np.ndarray | None) -> None:
    X, y = data(200, 8, flaw)
    if flaw == "tiny":
        X[:, 2] = 1e-9 * X[:, 0] + 1e-9 * np.random.default_rng(2).standard_normal(200)
        y = y + 3e9 * X[:, 2]
    weights = np.r_[1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0] if groups is None else np.array([1.0, 0.0, 1.0, 1.0])
    few = spred.solve(X, y, alpha=0.2, penalty_weights=weights, feature_groups=groups)
    assert few.gap <= 1e-9
    rest = y - X @ few.coef - few.intercept
    free = (X - X.mean(axis=0))[:, 2:4]
    slopes = free.T @ rest / np.maximum(np.linalg.norm(free, axis=0), 1e-300) / np.linalg.norm(rest)
    assert np.abs(slopes[free.std(axis=0) > 1e-12]).max() <= 1e-6


def test_the_objective_and_the_gap_are_those_of_the_problem_asked() -> None:
    X, y = data(300, 5, "")
    solution = spred.solve(X, y, alpha=0.3)
    by_hand = 0.5 * np.mean((y - X @ solution.coef - solution.intercept) ** 2) + 0.3 * np.abs(solution.coef).sum()
    assert solution.certificate.primal == pytest.approx(by_hand, rel=1e-12)
    path = spred.path(X, y, alphas=[0.3])
    explained = 1 - np.mean((y - X @ solution.coef - solution.intercept) ** 2) / y.var()
    assert path.deviance_explained[0] == pytest.approx(explained, rel=1e-9)


def test_only_tall_dense_squared_problems_lose_rows() -> None:
    X, y = data(100, 5, "")
    tall = make_problem(X, y, loss="squared")
    assert reduced(tall).problem.design.n == 5
    assert reduced(make_problem(X[:8], y[:8], loss="squared")).problem.design.n == 8
    assert reduced(make_problem(X, y > y.mean(), loss="logistic")).problem.design.n == 100


@pytest.mark.parametrize("shift", [0.0, 0.5, 1e6])
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("layout", [np.asfortranarray, np.ascontiguousarray, np.float32])
def test_inner_products_are_those_of_centred_columns_whatever_their_mean(shift: float, equal: bool, layout) -> None:
    rng = np.random.default_rng(2)
    X, y = layout(rng.standard_normal((300, 6)) + shift), rng.standard_normal(300)
    s = np.full(300, 1.0) if equal else rng.random(300)
    problem = make_problem(X, y, loss="squared", standardize=True, sample_weight=s)
    triangle = reduced(problem).problem.design.X
    dense = X.astype(np.float64)
    dense = dense - np.average(dense, axis=0, weights=s)
    scaled = dense / np.sqrt(np.average(dense**2, axis=0, weights=s))
    expected = scaled.T @ (s[:, None] / s.sum() * scaled)
    np.testing.assert_allclose(triangle.T @ triangle / len(triangle), expected, atol=1e-9)
