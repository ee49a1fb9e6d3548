"""Curvature across outputs: products, diagonals and forms are those of the matrices written down in full."""

from __future__ import annotations

import numpy as np
import pytest

from spred.core.curvature import OutputCurvature

N, K, RNG = 7, 4, np.random.default_rng(0)
P = RNG.dirichlet(np.ones(K), size=N)
S = RNG.dirichlet(np.ones(N))
BASIS = np.linalg.qr(RNG.standard_normal((K, K)))[0][:, :3]


def curvature(basis: np.ndarray | None) -> OutputCurvature:
    plain = OutputCurvature(S[:, None] * P, np.sqrt(S)[:, None] * P)
    return plain if basis is None else plain.in_basis(basis)


def matrices(basis: np.ndarray | None) -> np.ndarray:
    full = np.stack([s * (np.diag(p) - np.outer(p, p)) for s, p in zip(S, P, strict=True)])
    return full if basis is None else basis.T @ full @ basis


@pytest.mark.parametrize("basis", [None, BASIS], ids=["classes", "contrasts"])
def test_products_diagonals_and_forms(basis: np.ndarray | None) -> None:
    there, full = curvature(basis), matrices(basis)
    L = full.shape[1]
    u = RNG.standard_normal((N, L, 2))
    np.testing.assert_allclose(there.times(u), full @ u, atol=1e-15)
    np.testing.assert_allclose(there.times(u[..., 0]), (full @ u)[..., 0], atol=1e-15)
    np.testing.assert_allclose(there.diagonal(), np.einsum("nkk->nk", full), atol=1e-15)
    X = RNG.standard_normal((N, 3))
    at, output = np.array([0, 2, 2, 1]), np.array([1, 0, 2, 2])
    expected = np.einsum("ni,nij,nj->ij", X[:, at], full[:, output][:, :, output], X[:, at])
    np.testing.assert_allclose(there.form(X, at, output), expected, atol=1e-14)


def test_another_precision_is_the_same_but_for_rounding() -> None:
    single = curvature(BASIS).astype(np.float32)
    u = RNG.standard_normal((N, 3)).astype(np.float32)
    out = single.times(u)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, curvature(BASIS).times(u), rtol=1e-4, atol=1e-6)


def test_bases_follow_one_another() -> None:
    turn = np.linalg.qr(RNG.standard_normal((3, 3)))[0]
    there = curvature(BASIS).in_basis(turn)
    np.testing.assert_allclose(there.diagonal(), curvature(BASIS @ turn).diagonal(), atol=1e-15)
