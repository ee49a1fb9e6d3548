"""The penalised quadratic inside each Newton step, against slow proximal gradient steps and a form in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quadratic_oracle import minimise_l1 as in_numpy
from scipy.optimize import nnls

from spred.linear.subproblem.l1 import minimise_l1


def problem(seed: int, k: int, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """H of the given rank, and c in its range, as Gram matrices and their right-hand sides are."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((rank, k))
    return A.T @ A / rank, A.T @ rng.standard_normal(rank) / rank


def objective(H: np.ndarray, c: np.ndarray, lam: np.ndarray, v: np.ndarray) -> float:
    return float(0.5 * v @ H @ v - c @ v + lam @ np.abs(v))


def slowly(H: np.ndarray, c: np.ndarray, lam: np.ndarray, positive: np.ndarray) -> float:
    step, v = 1.0 / np.linalg.norm(H, 2), np.zeros(len(c))
    for _ in range(20_000):
        z = v - step * (H @ v - c)
        z = np.sign(z) * np.maximum(np.abs(z) - step * lam, 0.0)
        v = np.where(positive, np.maximum(z, 0.0), z)
    return objective(H, c, lam, v)


@given(
    seed=st.integers(0, 10_000),
    k=st.integers(1, 12),
    rank=st.integers(1, 15),
    strength=st.floats(0.02, 1.5),
    bounded=st.sampled_from((0, 1, 2)),
)
def test_no_residual_is_left(seed: int, k: int, rank: int, strength: float, bounded: int) -> None:
    H, c = problem(seed, k, rank)
    lam = np.full(k, strength * np.abs(c).max())
    positive = np.arange(k) % 2 < bounded  # none, every other one, all
    start = np.random.default_rng(seed + 1).standard_normal(k)
    v = minimise_l1(H, c, lam, np.where(positive, np.abs(start), start), tol=1e-12, positive=positive)
    r = H @ v - c
    residual = np.where(v != 0, np.abs(r + lam * np.sign(v)), np.where(positive, -r, np.abs(r)) - lam)
    assert not (positive & (v < 0)).any()
    assert residual.max() <= 1e-8 * max(lam.max(), 1e-12)


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_slow_minimum_is_reached(seed: int, bounded: bool) -> None:
    H, c = problem(seed, 8, 6)
    lam, positive = np.full(8, 0.1 * np.abs(c).max()), np.full(8, bounded)
    v = minimise_l1(H, c, lam, np.zeros(8), tol=1e-12, positive=positive)
    assert objective(H, c, lam, v) <= slowly(H, c, lam, positive) + 1e-10


def test_coordinates_with_a_bound_and_no_penalty_are_least_squares_that_is_not_negative() -> None:
    rng = np.random.default_rng(0)
    A, y = rng.standard_normal((20, 6)), rng.standard_normal(20)
    v = minimise_l1(A.T @ A, A.T @ y, np.zeros(6), np.zeros(6), tol=1e-12, positive=np.ones(6, dtype=bool))
    np.testing.assert_allclose(v, nnls(A, y)[0], atol=1e-10)
    assert 0 < (v == 0).sum() < 6


def test_free_coordinates_are_not_penalised() -> None:
    H, c = problem(4, 6, 10)
    lam = np.array([0.0, 0.0, 10.0, 10.0, 10.0, 10.0])
    expected = np.zeros(6)
    expected[:2] = np.linalg.solve(H[:2, :2], c[:2])
    np.testing.assert_allclose(minimise_l1(H, c, lam, np.zeros(6), tol=1e-12), expected, atol=1e-10)


def test_more_columns_than_rank_end_at_a_vertex() -> None:
    column = np.array([1.0, 2.0, -1.0])
    A = np.column_stack([column, column, -column])  # duplicates and a mirror image
    H, c = A.T @ A, A.T @ np.array([1.0, 1.0, 0.0])
    lam = np.full(3, 0.1)
    v = minimise_l1(H, c, lam, np.array([5.0, -3.0, 2.0]), tol=1e-12)
    fit = v[0] + v[1] - v[2]
    assert fit == pytest.approx((3.0 - 0.1) / 6.0)
    assert np.abs(v).sum() == pytest.approx(fit)


@given(
    seed=st.integers(0, 10_000),
    k=st.integers(1, 25),
    surplus=st.integers(-10, 10),
    strength=st.floats(0.01, 1.2),
    bounded=st.sampled_from((0, 1, 2)),
)
def test_it_is_the_oracles_minimum(seed: int, k: int, surplus: int, strength: float, bounded: int) -> None:
    H, c = problem(seed, k, max(k + surplus, 1))
    rng = np.random.default_rng(seed)
    lam = strength * np.abs(c).max() * np.where(rng.random(k) < 0.8, rng.uniform(0.5, 2.0, k), 0.0)
    positive = (np.arange(k) % 2 < bounded) & (rng.random(k) < 0.9)
    start = np.where(rng.random(k) < 0.5, rng.standard_normal(k), 0.0)
    start = np.where(positive, np.abs(start), start)
    found, oracle = (form(H, c, lam, start, tol=1e-12, positive=positive) for form in (minimise_l1, in_numpy))
    assert not (positive & (found < 0)).any()
    reached = objective(H, c, lam, found)
    assert reached == pytest.approx(objective(H, c, lam, oracle), rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(H @ found, H @ oracle, atol=1e-6)


def test_an_empty_column_stays_at_zero() -> None:
    H, c = problem(1, 5, 8)
    H[2], H[:, 2], c[2] = 0.0, 0.0, 0.0
    assert minimise_l1(H, c, np.full(5, 0.01), np.zeros(5), tol=1e-12)[2] == 0.0
