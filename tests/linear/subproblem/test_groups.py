"""The quadratic with groups inside each Newton step, against slow proximal gradient steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spred.linear.subproblem.groups import minimise_groups
from spred.linear.subproblem.l1 import minimise_l1
from spred.linear.subproblem.penalty import Blocks


def problem(seed: int, k: int, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """H of the given rank, and c in its range, as Gram matrices and their right-hand sides are."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((rank, k))
    return A.T @ A / rank, A.T @ rng.standard_normal(rank) / rank


def levels(c: np.ndarray, size: int, strength: float, within: float = 0.0, bound: str = "none") -> Blocks:
    """Groups of one size, with a penalty that is ``strength`` times what would close them all."""
    starts = np.arange(0, len(c), size)
    top = strength * np.sqrt(np.add.reduceat(c * c, starts)).max()
    full = np.full(len(starts), top)
    positive = {"none": np.zeros(len(c)), "all": np.ones(len(c)), "some": np.arange(len(c)) % 2}[bound]
    return Blocks(starts, (1.0 - within) * full, within * full, positive.astype(bool))


def objective(H: np.ndarray, c: np.ndarray, blocks: Blocks, v: np.ndarray) -> float:
    assert not (blocks.positive & (v < 0)).any()
    group = np.sqrt(np.add.reduceat(v * v, blocks.starts))
    entries = np.add.reduceat(np.abs(v), blocks.starts)
    return float(0.5 * v @ H @ v - c @ v + blocks.lam @ group + blocks.mu @ entries)


def slowly(H: np.ndarray, c: np.ndarray, blocks: Blocks) -> float:
    sizes = np.diff(np.append(blocks.starts, len(c)))
    step, v = 1.0 / np.linalg.norm(H, 2), np.zeros(len(c))
    for _ in range(20_000):
        z = v - step * (H @ v - c)
        z = np.sign(z) * np.maximum(np.abs(z) - step * np.repeat(blocks.mu, sizes), 0.0)
        z[blocks.positive & (z < 0)] = 0.0
        norm = np.sqrt(np.add.reduceat(z * z, blocks.starts))
        v = z * np.repeat(np.maximum(1 - step * blocks.lam / np.maximum(norm, 1e-300), 0), sizes)
    return objective(H, c, blocks, v)


@given(
    seed=st.integers(0, 10_000),
    groups=st.integers(1, 5),
    size=st.integers(1, 4),
    surplus=st.integers(-4, 4),
    strength=st.floats(0.02, 1.5),
    within=st.sampled_from((0.0, 0.3, 0.9, 0.9999)),
    bound=st.sampled_from(("none", "some", "all")),
)
def test_no_residual_is_left(
    seed: int, groups: int, size: int, surplus: int, strength: float, within: float, bound: str
) -> None:
    k = groups * size
    H, c = problem(seed, k, max(k + surplus, 1))
    blocks = levels(c, size, strength, within, bound)
    start = blocks.admissible(np.random.default_rng(seed + 1).standard_normal(k))
    scale = blocks.levels.max()
    v = minimise_groups(H, c, blocks, start, tol=1e-10 * scale)
    assert not (blocks.positive & (v < 0)).any()
    assert blocks.residuals(v, H @ v - c).max() <= 1e-7 * scale


@pytest.mark.parametrize("bound", ["none", "some", "all"])
@pytest.mark.parametrize("within", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("seed", range(3))
def test_the_slow_minimum_is_reached(seed: int, within: float, bound: str) -> None:
    H, c = problem(seed, 12, 9)
    blocks = levels(c, 3, 0.1, within, bound)
    v = minimise_groups(H, c, blocks, np.zeros(12), tol=1e-12)
    assert objective(H, c, blocks, v) <= slowly(H, c, blocks) + 1e-10


@pytest.mark.parametrize("within", [0.0, 0.4])
def test_groups_of_one_agree_with_l1(within: float) -> None:
    H, c = problem(3, 10, 12)
    blocks = levels(c, 1, 0.2, within)
    one = minimise_l1(H, c, blocks.levels, np.zeros(10), tol=1e-12)
    np.testing.assert_allclose(minimise_groups(H, c, blocks, np.zeros(10), tol=1e-12), one, atol=1e-9)


def test_free_groups_are_not_penalised() -> None:
    H, c = problem(4, 6, 10)
    blocks = Blocks(np.array([0, 2, 4]), np.array([0.0, 10.0, 10.0]), np.array([0.0, 1.0, 0.0]), np.zeros(6, bool))
    expected = np.zeros(6)
    expected[:2] = np.linalg.solve(H[:2, :2], c[:2])
    np.testing.assert_allclose(minimise_groups(H, c, blocks, np.zeros(6), tol=1e-12), expected, atol=1e-10)
