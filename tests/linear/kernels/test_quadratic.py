"""The penalised quadratic model: optimal on the coordinates that remain, zero on those that left."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_records import hessian

from spred.linear.kernels.quadratic import minimise_model


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("positive", [False, True])
def test_the_model_is_minimised_over_its_coordinates(seed: int, positive: bool) -> None:
    """At the end the coordinates that remain are optimal, those that left are zero, and no sign is wrong."""
    rng = np.random.default_rng(seed)
    k = 9
    columns, curvature = rng.standard_normal((k, 30)), np.full(30, 1 / 30)
    lam = np.where(np.arange(k) == 0, 0.0, 0.2)
    x = np.where(rng.random(k) < 0.5, rng.standard_normal(k), 0.0)
    x = np.where((lam > 0) & positive, np.abs(x), x)
    c = rng.standard_normal(k)
    H = hessian(columns, curvature, np.zeros(k))
    descent = c - H @ x
    entering = (descent if positive else np.abs(descent)) > lam
    order = np.flatnonzero((x != 0) | (lam == 0) | entering)
    L = np.linalg.cholesky(H[np.ix_(order, order)])

    def objective(v: np.ndarray) -> float:
        return 0.5 * v @ H @ v - c @ v + lam @ np.abs(v)

    v = x.copy()
    remaining = minimise_model(v, H @ x - c, lam, np.full(k, positive) & (lam > 0), L, order, len(order))
    inside, g = order[:remaining], H @ v - c
    assert objective(v) <= objective(x) + 1e-12
    assert remaining > 0
    assert (v[np.setdiff1d(np.arange(k), inside)] == 0).all()
    np.testing.assert_allclose((g + lam * np.sign(v))[inside], 0.0, atol=1e-7)
    if positive:
        assert (v[lam > 0] >= 0).all()


def test_a_model_without_coordinates_moves_nothing() -> None:
    x, none = np.array([1.0, 0.0]), np.empty(0, dtype=np.int64)
    assert minimise_model(x, np.ones(2), np.ones(2), np.zeros(2, dtype=bool), np.empty((0, 0)), none, 0) == 0
    np.testing.assert_array_equal(x, [1.0, 0.0])
