"""The forms of a Hessian with groups: what they solve, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from spred.core.curvature import OutputCurvature
from spred.linear.subproblem.groups import solve_groups
from spred.linear.subproblem.hessian import Curved, Dense, Factored, NormCurvature
from spred.linear.subproblem.penalty import Blocks


def factored(seed: int, n: int, k: int, ridge: float = 0.0) -> Factored:
    columns = np.random.default_rng(seed).standard_normal((k, n)) / np.sqrt(n)
    return Factored(columns, columns.astype(np.float32), np.einsum("ij,ij->i", columns, columns), np.full(k, ridge))


def matrix(H: Factored) -> np.ndarray:
    return H.columns @ H.columns.T + np.diag(H.ridge)


def blocks_of(k: int, size: int, lam: float) -> Blocks:
    starts = np.arange(0, k, size)
    full = np.full(len(starts), lam)
    return Blocks(starts, full, 0.0 * full, np.zeros(k, dtype=bool))


def norms_of(seed: int, blocks: Blocks, strength: float) -> NormCurvature:
    """All groups inside but the first; the second is free."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(len(blocks.positive))
    inside = blocks.group > 0
    each = strength * rng.uniform(0.1, 2.0, len(blocks.starts)) * (np.arange(len(blocks.starts)) != 1)
    unit = np.where(inside, x / blocks.norms(x)[blocks.group], 0.0)
    return NormCurvature(inside, unit, np.where(inside, each[blocks.group], 0.0))


@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("strength", [1.0, 1e6])
@pytest.mark.parametrize("n", [20, 60])
def test_both_forms_solve_the_same_system(n: int, strength: float, ridge: float) -> None:
    H, blocks = factored(1, n, 30, ridge), blocks_of(30, 3, 1.0)
    norms = norms_of(2, blocks, strength)
    b = np.where(norms.inside, np.random.default_rng(3).standard_normal(30), 0.0)
    d = Dense(matrix(H)).solve(blocks, norms, b, 0.0)
    full = matrix(H) + np.diag(norms.strength)
    for part in blocks.slices:
        full[part, part] -= norms.strength[part.start] * np.outer(norms.unit[part], norms.unit[part])
    assert not d[:3].any()
    np.testing.assert_allclose((full @ d)[3:], b[3:], atol=1e-9)
    rough = H.solve(blocks, norms, b, 1e-5)
    assert np.linalg.norm(rough - d) <= 1e-3 * np.linalg.norm(d)


def test_parts_and_products_are_those_of_the_matrix() -> None:
    H = factored(4, 8, 12, 0.5)
    full, index = matrix(H), np.array([1, 4, 5])
    d = np.random.default_rng(5).standard_normal(12)
    for form in (H, Dense(full)):
        np.testing.assert_allclose(form.times(d), full @ d)
        np.testing.assert_allclose(form.part(index, index), full[np.ix_(index, index)])
        np.testing.assert_allclose(form.part(np.arange(12), np.arange(12)), full)
        np.testing.assert_allclose(form.part(slice(None), slice(3, 6)), full[:, 3:6])
        assert (form.bounds(blocks_of(12, 3, 1.0)) > 0).all()


def test_the_bounds_of_a_matrix_are_norms_of_its_blocks() -> None:
    H = matrix(factored(7, 8, 10))
    blocks = Blocks(np.array([0, 1, 6]), np.ones(3), np.zeros(3), np.zeros(10, dtype=bool))
    expected = [np.linalg.norm(H[part, part]) for part in blocks.slices]
    np.testing.assert_allclose(Dense(H).bounds(blocks), expected)


def test_a_part_is_a_copy() -> None:
    H = np.eye(4)
    Dense(H).part(np.arange(4), np.arange(4))[0, 0] = 7.0
    Dense(H).part(slice(0, 2), slice(0, 2))[0, 0] = 7.0
    assert (np.eye(4) == H).all()


def test_what_iterations_cannot_solve_is_factorised() -> None:
    """Columns of very unequal length, and no curvature of norms: far too steep for single precision."""
    rng = np.random.default_rng(6)
    Q = np.linalg.qr(rng.standard_normal((40, 12)))[0]
    A = (Q * np.geomspace(1.0, 1e-5, 12)) @ np.linalg.qr(rng.standard_normal((12, 12)))[0]
    columns = np.ascontiguousarray(A.T)
    H = Factored(columns, columns.astype(np.float32), np.einsum("ij,ij->j", A, A), np.zeros(12))
    blocks = blocks_of(12, 4, 0.0)
    norms = NormCurvature(np.ones(12, dtype=bool), np.zeros(12), np.zeros(12))
    x = rng.standard_normal(12)
    d = H.solve(blocks, norms, A.T @ (A @ x), 1e-12)
    assert np.linalg.norm(A @ (d - x)) <= 1e-6 * np.linalg.norm(A @ x)


@pytest.mark.parametrize("seed", range(5))
def test_the_form_does_not_change_the_minimum(seed: int) -> None:
    H, k = factored(seed, 15, 60), 60
    c = H.columns @ np.random.default_rng(seed).standard_normal(15)
    blocks = blocks_of(k, 4, 0.05 * float(np.abs(c).max()))
    tol = 1e-9 * float(blocks.lam[0])
    one, r, _ = solve_groups(H, blocks, np.zeros(k), -c, tol=tol)
    other, _, _ = solve_groups(Dense(matrix(H)), blocks, np.zeros(k), -c, tol=tol)
    np.testing.assert_allclose(r, matrix(H) @ one - c, atol=1e-12)
    assert blocks.residuals(one, r).max() <= tol
    np.testing.assert_allclose(one, other, atol=1e-6)


def curved(seed: int, n: int, q: int, K: int) -> tuple[Curved, np.ndarray]:
    """Rows of K coordinates each for q columns, under softmax; and the matrix."""
    rng = np.random.default_rng(seed)
    columns, p = rng.standard_normal((n, q)), rng.dirichlet(np.ones(K), size=n)
    curvature = OutputCurvature(p / n, p / np.sqrt(n))
    at, output, ridge = np.repeat(np.arange(q), K), np.tile(np.arange(K), q), np.full(q * K, 0.01)
    single = curvature.astype(np.float32)
    H = Curved(np.asfortranarray(columns, dtype=np.float32), at, output, single.times, single.diagonal(), ridge)
    return H, curvature.form(columns, at, output) + np.diag(ridge)


def test_products_in_single_precision_are_those_of_the_matrix_but_for_rounding() -> None:
    H, full = curved(0, 30, 5, 4)
    d, blocks, scale = np.random.default_rng(1).standard_normal(20), blocks_of(20, 4, 1.0), np.abs(full).max()
    for size in (1.0, 1e-60, 1e60):
        np.testing.assert_allclose(H.times(size * d), size * (full @ d), atol=1e-5 * size * scale)
    assert not H.times(0.0 * d).any()
    np.testing.assert_allclose(H.part(slice(None), slice(3, 6)), full[:, 3:6], atol=1e-5 * scale)
    np.testing.assert_allclose(H.part(np.array([1, 7]), np.array([2])), full[[1, 7]][:, [2]], atol=1e-5 * scale)
    expected = [np.diag(full)[part].max() for part in blocks.slices]
    np.testing.assert_allclose(H.bounds(blocks), expected, rtol=1e-5)


@pytest.mark.parametrize("strength", [0.0, 1.0, 1e4])
def test_conjugate_gradients_solve_with_softmax_between_the_factors(strength: float) -> None:
    H, full = curved(2, 60, 8, 3)
    blocks = blocks_of(24, 3, 1.0)
    norms = norms_of(3, blocks, strength)
    b = np.where(norms.inside, np.random.default_rng(4).standard_normal(24), 0.0)
    expected = Dense(full).solve(blocks, norms, b, 0.0)
    assert np.linalg.norm(H.solve(blocks, norms, b, 1e-5) - expected) <= 1e-3 * np.linalg.norm(expected)
