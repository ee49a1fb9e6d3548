"""Products with columns, dense and sparse, against the matrix product; by BLAS and without."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_records import hessian, sparse_columns
from numba import njit

from spred.linear.kernels import columns as kernels

RNG = np.random.default_rng(0)


@njit
def dots(columns, work, count, v, out):
    kernels.column_dots(columns, work, count, v, out)


@njit
def gram(columns, order, k, curvature, intercept, H):
    kernels.gram(columns, order, k, curvature, intercept, H)


def test_sparse_columns_move_the_predictor_as_dense_ones_do() -> None:
    columns, given = sparse_columns(RNG.standard_normal((12, 40)), True)
    change, eta = np.where(np.arange(12) % 3, RNG.standard_normal(12), 0.0), RNG.standard_normal(40)
    work, moved = np.flatnonzero(change), eta.copy()
    kernels.move_predictor(given, work, change, moved)
    np.testing.assert_allclose(moved, eta + change @ columns, atol=1e-12)
    kernels.move_predictor(columns, work, -change, moved)
    np.testing.assert_allclose(moved, eta, atol=1e-12)


@pytest.mark.parametrize("wanted", [40, 15])
def test_many_columns_give_the_same_by_blas_and_one_by_one(wanted: int) -> None:
    """40 × 30,000 entries are more than ``WIDE``; 15 of 40 columns are not nearly all of them."""
    n = 30_000
    columns, v, out = RNG.standard_normal((48, n)), RNG.standard_normal(n), np.full(40, np.nan)
    assert (n * wanted > kernels.WIDE) == (wanted == 40)
    work = RNG.permutation(40)[:wanted]
    dots(columns, work, 40, v, out)
    np.testing.assert_allclose(out[work], columns[work] @ v, rtol=1e-9, atol=1e-8)
    change, eta = np.zeros(40), np.zeros(n)
    change[work] = RNG.standard_normal(wanted)
    kernels.move_predictor(columns, work, change, eta)
    np.testing.assert_allclose(eta, change @ columns[:40], atol=1e-10)


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("k", "n"), [(5, 40), (100, 5000)])
def test_the_weighted_products_are_those_of_the_hessian(k: int, n: int, intercept: bool, form: str) -> None:
    """100 columns are more than one stripe, 5,000 samples more than one chunk."""
    columns, curvature, H = RNG.standard_normal((k, n)), RNG.random(n) / n, np.zeros((k, k))
    given: kernels.Columns = columns
    if form == "sparse":
        # Sparse columns are not centred by the intercept but by their means.
        columns, given = sparse_columns(columns, intercept)
    order = RNG.permutation(k)
    gram(given, order, k, curvature, intercept, H)
    np.testing.assert_allclose(
        np.tril(H), np.tril(hessian(columns[order], curvature, np.zeros(k), intercept)), atol=1e-12
    )


@pytest.mark.parametrize("layout", ["C", "F", "float32", "read only"])
def test_a_few_features_are_correlated_in_every_layout(layout: str) -> None:
    X, theta = RNG.standard_normal((30, 50)), RNG.standard_normal(30)
    given = {"C": X, "F": np.asfortranarray(X), "float32": X.astype(np.float32), "read only": X.copy()}[layout]
    given.flags.writeable = layout != "read only"
    mean, scale, features = X.mean(axis=0), RNG.random(50) + 0.5, np.array([3, 49, 0])
    out = kernels.correlate_some(given.T, theta, features, mean, scale)
    np.testing.assert_allclose(out, (((X - mean) / scale).T @ theta)[features], atol=1e-5)
