"""The Cholesky factor, kept from step to step, against that of the Hessian made anew."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_records import factor_of, hessian, iterate_of, sparse_columns

from spred.linear.kernels import factor
from spred.linear.kernels.columns import Columns
from spred.linear.kernels.state import set_penalty

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("intercept", [True, False])
def test_the_factor_is_that_of_the_hessian_however_it_came_about(intercept: bool, form: str) -> None:
    m = 40  # more than two batches
    columns, curvature, ridge = RNG.standard_normal((m, 60)), RNG.random(60) / 60, RNG.random(m)
    given: Columns = columns
    if form == "sparse":
        columns, given = sparse_columns(columns, intercept)
    iterate = iterate_of(given, curvature, x=np.zeros(m), weights=ridge, intercept=intercept)
    set_penalty(iterate, 0.0, 1.0)
    work = np.arange(m)
    factor.build(iterate, work, work < 3)
    for active in (work < 3, work < 39, work % 2 == 0, work != 5, work == 3, work > 50):
        factor.synchronise(iterate, work, active)
        L, order = factor_of(iterate)
        assert sorted(order) == np.flatnonzero(active).tolist()
        lower, H = np.tril(L), hessian(columns[order], curvature, ridge[order], intercept)
        np.testing.assert_allclose(lower @ lower.T, H, rtol=1e-7, atol=1e-12)
        right, d = RNG.standard_normal(len(order)), np.empty(len(order))
        factor.solve(L, len(order), right, d)
        np.testing.assert_allclose(lower @ (lower.T @ d), right, atol=1e-10)


def test_a_duplicate_is_left_out_unless_it_is_the_first() -> None:
    columns = RNG.standard_normal((3, 20))
    columns[2] = columns[0]
    iterate = iterate_of(columns, np.full(20, 1 / 20), x=np.zeros(3))
    set_penalty(iterate, 0.0, 0.0)
    factor.append_rows(iterate, np.array([0, 1, 2]), True)
    assert factor_of(iterate)[1].tolist() == [0, 1]
    empty = iterate_of(np.zeros((1, 20)), np.full(20, 1 / 20), x=np.zeros(1))
    set_penalty(empty, 0.0, 0.0)
    factor.append_rows(empty, np.array([0]), False)
    assert factor_of(empty)[1].tolist() == []
    factor.append_rows(empty, np.array([0]), True)
    assert factor_of(empty)[1].tolist() == [0]
