"""The penalised quadratic inside each Newton step, against slow proximal gradient steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spred.exact.quadratic import minimise_groups, minimise_l1


def problem(seed: int, k: int, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """H of the given rank, and c in its range, as Gram matrices and their right-hand sides are."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((rank, k))
    return A.T @ A / rank, A.T @ rng.standard_normal(rank) / rank


def objective(H: np.ndarray, c: np.ndarray, lam: np.ndarray, starts: np.ndarray, v: np.ndarray) -> float:
    return float(0.5 * v @ H @ v - c @ v + lam @ np.sqrt(np.add.reduceat(v * v, starts)))


def slowly(H: np.ndarray, c: np.ndarray, lam: np.ndarray, starts: np.ndarray) -> float:
    sizes = np.diff(np.append(starts, len(c)))
    step, v = 1.0 / np.linalg.norm(H, 2), np.zeros(len(c))
    for _ in range(20_000):
        z = v - step * (H @ v - c)
        norm = np.sqrt(np.add.reduceat(z * z, starts))
        v = z * np.repeat(np.maximum(1 - step * lam / np.maximum(norm, 1e-300), 0), sizes)
    return objective(H, c, lam, starts, v)


@given(seed=st.integers(0, 10_000), k=st.integers(1, 12), rank=st.integers(1, 15), strength=st.floats(0.02, 1.5))
def test_l1_has_no_residual_left(seed: int, k: int, rank: int, strength: float) -> None:
    H, c = problem(seed, k, rank)
    lam = np.full(k, strength * np.abs(c).max())
    start = np.random.default_rng(seed + 1).standard_normal(k)
    v = minimise_l1(H, c, lam, start, tol=1e-12)
    r = H @ v - c
    residual = np.where(v != 0, np.abs(r + lam * np.sign(v)), np.abs(r) - lam)
    assert residual.max() <= 1e-8 * max(lam.max(), 1e-12)


@given(seed=st.integers(0, 10_000), groups=st.integers(1, 5), size=st.integers(1, 4), strength=st.floats(0.02, 1.5))
def test_groups_have_no_residual_left(seed: int, groups: int, size: int, strength: float) -> None:
    k = groups * size
    H, c = problem(seed, k, k + 3)
    starts = np.arange(0, k, size)
    lam = np.full(groups, strength * np.sqrt(np.add.reduceat(c * c, starts)).max())
    start = np.random.default_rng(seed + 1).standard_normal(k)
    v = minimise_groups(H, c, lam, starts, start, tol=1e-10 * lam.max())
    r = H @ v - c
    norms = np.sqrt(np.add.reduceat(v * v, starts))
    unit = v / np.repeat(np.where(norms > 0, norms, 1), size)
    on = np.sqrt(np.add.reduceat((r + np.repeat(lam, size) * unit) ** 2, starts))
    off = np.sqrt(np.add.reduceat(r * r, starts)) - lam
    assert np.where(norms > 0, on, off).max() <= 1e-7 * lam.max()


@pytest.mark.parametrize("seed", range(5))
def test_both_reach_the_slow_minimum(seed: int) -> None:
    H, c = problem(seed, 8, 6)
    singles, pairs = np.arange(8), np.arange(0, 8, 2)
    lam1, lam2 = np.full(8, 0.1 * np.abs(c).max()), np.full(4, 0.1 * np.abs(c).max())
    one = minimise_l1(H, c, lam1, np.zeros(8), tol=1e-12)
    two = minimise_groups(H, c, lam2, pairs, np.zeros(8), tol=1e-12)
    assert objective(H, c, lam1, singles, one) <= slowly(H, c, lam1, singles) + 1e-10
    assert objective(H, c, lam2, pairs, two) <= slowly(H, c, lam2, pairs) + 1e-10


def test_l1_as_groups_of_one_agree() -> None:
    H, c = problem(3, 10, 12)
    lam = np.full(10, 0.2 * np.abs(c).max())
    one = minimise_l1(H, c, lam, np.zeros(10), tol=1e-12)
    two = minimise_groups(H, c, lam, np.arange(10), np.zeros(10), tol=1e-12)
    np.testing.assert_allclose(one, two, atol=1e-9)


def test_free_coordinates_are_not_penalised() -> None:
    H, c = problem(4, 6, 10)
    lam = np.array([0.0, 0.0, 10.0, 10.0, 10.0, 10.0])
    expected = np.zeros(6)
    expected[:2] = np.linalg.solve(H[:2, :2], c[:2])
    np.testing.assert_allclose(minimise_l1(H, c, lam, np.zeros(6), tol=1e-12), expected, atol=1e-10)


def test_more_columns_than_rank_slides_to_a_vertex() -> None:
    column = np.array([1.0, 2.0, -1.0])
    A = np.column_stack([column, column, -column])  # twins and a mirror image
    H, c = A.T @ A, A.T @ np.array([1.0, 1.0, 0.0])
    lam = np.full(3, 0.1)
    v = minimise_l1(H, c, lam, np.array([5.0, -3.0, 2.0]), tol=1e-12)
    fit = v[0] + v[1] - v[2]
    assert fit == pytest.approx((3.0 - 0.1) / 6.0)
    assert np.abs(v).sum() == pytest.approx(fit)
