"""Implicit centring and scaling equal the matrix written out; the Gram cache equals the product."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from spred.exact.design import Design, GramCache


@pytest.fixture(params=["dense", "sparse"])
def data(request: pytest.FixtureRequest) -> tuple[object, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = np.where(rng.random((30, 6)) < 0.5, rng.normal(3.0, 2.0, (30, 6)), 0.0)
    X[:, 4] = 0.1  # constant, and not a binary fraction
    s = rng.random(30)
    return (sparse.csc_array(X) if request.param == "sparse" else X), X, s / s.sum()


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
def test_it_is_the_matrix_written_out(data: tuple, center: bool, scale: bool) -> None:
    given, X, s = data
    design = Design(given, s, center=center, scale=scale)
    mean = s @ X
    deviation = np.sqrt(s @ (X - mean) ** 2)
    deviation[4] = 1.0
    full = (X - (mean if center else 0.0)) / (deviation if scale else 1.0)
    theta = np.random.default_rng(1).standard_normal((30, 2))
    np.testing.assert_allclose(design.columns(np.array([5, 0, 3])), full[:, [5, 0, 3]], atol=1e-12)
    np.testing.assert_allclose(design.correlate(theta), full.T @ theta, atol=1e-12)
    np.testing.assert_allclose(design.correlate(theta[:, 0]), full.T @ theta[:, 0], atol=1e-12)
    v, b = np.random.default_rng(2).standard_normal((6, 2)), np.array([1.0, -2.0])
    coef, intercept = design.original_units(v, b)
    np.testing.assert_allclose(X @ coef + intercept, full @ v + b, atol=1e-10)


def test_the_gram_cache_grows_and_stays_right(data: tuple) -> None:
    given, _, s = data
    design = Design(given, s, center=True, scale=True)
    cache = GramCache(design, s)
    for features in ([2], [2, 0], [5, 1, 2], [0, 1, 2, 3, 5]):
        index = np.array(features)
        columns = design.columns(index)
        np.testing.assert_allclose(cache.get(index, columns), columns.T @ (s[:, None] * columns), atol=1e-12)
