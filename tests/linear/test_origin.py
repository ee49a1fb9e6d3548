"""Columns far from zero, and numbers whose squares have no place."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from spred.linear.origin import FAR, has_tiny, in_range, near_zero


@pytest.mark.parametrize("form", [np.asfortranarray, sparse.csc_array])
def test_columns_far_from_zero_move_and_others_stay(form) -> None:
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((40, 4))
    X = Z + np.array([0.0, 1.7e9, 0.0, 3.0])
    X[:, 2] = 0.1
    s = np.full(40, 0.025)
    given = form(X)
    before = given.copy()
    moved, origin, mean = near_zero(given, s, s @ X, FAR)
    assert (origin != 0).tolist() == [False, True, False, False]
    dense = moved.toarray() if sparse.issparse(moved) else moved
    np.testing.assert_array_equal(dense[:, 1], X[:, 1] - origin[1])
    np.testing.assert_array_equal(dense[:, [0, 2, 3]], X[:, [0, 2, 3]])
    assert mean[2] == 0.1  # constant: to the last digit
    assert abs(mean[1]) < 3.0
    assert abs(given - before).max() == 0


def test_what_has_no_such_column_is_not_copied() -> None:
    X = np.asfortranarray(np.random.default_rng(0).standard_normal((30, 5)) + 2000.0)
    s = np.full(30, 1 / 30)
    assert near_zero(X, s, s @ X, FAR)[0] is X


@pytest.mark.parametrize(
    ("size", "fits"), [(1e-200, False), (1e-130, True), (1.0, True), (1e149, True), (1e155, False), (1e200, False)]
)
@pytest.mark.parametrize("form", [np.asfortranarray, np.ascontiguousarray, sparse.csc_array, lambda X: X[::2]])
def test_numbers_have_a_range(size: float, fits: bool, form) -> None:
    X = form(size * np.random.default_rng(0).standard_normal((10, 3)))
    assert in_range(X) == fits


def test_nothing_at_all_and_single_precision_are_in_range() -> None:
    assert in_range(np.zeros((3, 2)))
    assert in_range(np.full((3, 2), 1e38, dtype=np.float32))


@pytest.mark.parametrize("form", [np.asarray, sparse.csc_array])
def test_a_column_that_varies_too_little_to_be_squared_is_seen(form) -> None:
    assert has_tiny(form(np.array([[1e-200], [2e-200]])))
    assert not has_tiny(form(np.array([[3.0], [3.0]])))
