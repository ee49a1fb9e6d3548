"""Sums and products of vectors against NumPy, and what reordering leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

from spred.linear.kernels import vectors


@pytest.mark.parametrize("size", [0, 1, 7, 1000])
def test_sums_and_products_are_those_of_numpy(size: int) -> None:
    rng = np.random.default_rng(size)
    a, b = rng.standard_normal(size), rng.standard_normal(size)
    assert vectors.dot(a, b) == pytest.approx(a @ b, abs=1e-12)
    assert vectors.total(a) == pytest.approx(a.sum(), abs=1e-12)
    assert vectors.norm1(a) == pytest.approx(np.abs(a).sum(), abs=1e-12)
    assert vectors.distance(a, 0.3, b) == pytest.approx(np.linalg.norm(a - 0.3 * b), abs=1e-12)
    assert vectors.largest(a) == max(a.max(initial=0.0), 0.0)
    c = a.copy()
    vectors.add(c, 2.0, b)
    np.testing.assert_allclose(c, a + 2.0 * b)
    vectors.copy(a, c)
    np.testing.assert_array_equal(a, c)


def test_no_number_and_infinity_stay_what_they_are() -> None:
    a = np.ones(9)
    a[4] = np.nan
    assert np.isnan(vectors.total(a))
    assert np.isnan(vectors.dot(a, np.ones(9)))
    a[4] = np.inf
    assert vectors.norm1(-a) == np.inf
    assert vectors.largest(-a) == 0.0
