"""One factor for many subsets, equal to what a fresh factorisation gives; each inner product computed once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from spred.linear.design import Design
from spred.linear.subproblem.cholesky import GramCache, System, newton_or_null_step, solve_damped


def gram(seed: int, k: int, n: int) -> np.ndarray:
    A = np.random.default_rng(seed).standard_normal((n, k))
    return A.T @ A / n


@given(seed=st.integers(0, 1000), k=st.integers(2, 12), share=st.floats(0.1, 1.0))
def test_a_subset_is_solved_as_if_it_were_alone(seed: int, k: int, share: float) -> None:
    H = gram(seed, k, k + 5)
    rng = np.random.default_rng(seed)
    system = System(H)
    for _ in range(4):  # the same system again: columns of the inverse are kept
        b, chosen = rng.standard_normal(k), rng.random(k) < share
        chosen[0] = True
        step = system.step(b, chosen)
        alone = np.linalg.solve(H[np.ix_(chosen, chosen)], b[chosen])
        np.testing.assert_allclose(step[chosen], alone, rtol=1e-6, atol=1e-8)
        assert (step[~chosen] == 0).all()


def test_a_singular_system_is_solved_subset_by_subset() -> None:
    H = gram(0, 6, 3)
    system = System(H)
    assert not system.regular
    chosen = np.array([True, True, False, False, False, False])
    b = np.arange(6.0)
    np.testing.assert_allclose(system.step(b, chosen)[:2], np.linalg.solve(H[:2, :2], b[:2]))


def test_a_flat_direction_is_slid_along() -> None:
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
