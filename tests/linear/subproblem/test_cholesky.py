"""Newton's equations where the matrix is singular; each inner product computed once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import sparse

from spred.linear.design import Design
from spred.linear.subproblem.cholesky import GramCache, newton_or_null_step, solve_damped


def gram(seed: int, k: int, n: int) -> np.ndarray:
    A = np.random.default_rng(seed).standard_normal((n, k))
    return A.T @ A / n


def test_a_flat_direction_is_followed() -> None:
    A = np.array([[1.0, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(newton_or_null_step(A, np.array([1.0, -1.0])), [1.0, -1.0])
    np.testing.assert_allclose(newton_or_null_step(A, np.array([1.0, 1.0])), [0.5, 0.5])


@pytest.mark.parametrize("n", [3, 30])
def test_damping_solves_what_has_a_solution(n: int) -> None:
    A = gram(4, 6, n)
    b = A @ np.arange(6.0)
    np.testing.assert_allclose(A @ solve_damped(A, b), b, atol=1e-6)


@pytest.mark.parametrize("form", [np.asarray, sparse.csc_array])
def test_the_gram_cache_grows_and_stays_right(form: Callable) -> None:
    rng = np.random.default_rng(5)
    X, s = np.where(rng.random((30, 6)) < 0.5, rng.normal(3.0, 2.0, (30, 6)), 0.0), rng.random(30)
    X[:, 4] = 0.1  # constant, and not a binary fraction
    s = s / s.sum()
    design, cache = Design(form(X), s, center=True, scale=True), GramCache(6, s)
    for features in ([2], [2, 0], [5, 1, 2], [0, 1, 2, 3, 5]):
        index = np.array(features)
        columns = design.columns(index)
        cache.add(index, columns)
        np.testing.assert_allclose(cache.of(index), columns.T @ (s[:, None] * columns), atol=1e-12)
