"""Certificates against primal and dual in extended precision, over units of columns, targets and weights.

A gap is confirmed within a factor of 10, or it lies below what sums in float64 resolve, or the status says that the
precision does not reach.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from extended import EXTENDED, Exact
from scipy import sparse

import spred
from spred.core.losses import huber

FLOOR = 1e-12
"""Gap below which it is rounding: some thousand units."""

pytestmark = pytest.mark.skipif(not EXTENDED, reason="longdouble is float64 here")


def drawn(seed: int, loss: str) -> tuple[object, Exact]:
    """Return ``X`` as it is given, and the problem but for its alpha."""
    rng = np.random.default_rng(seed)
    p = int(rng.integers(2, 9))
    n = int(rng.integers(15, 40)) if rng.random() < 0.6 else 6 * p + 10
    Z = rng.standard_normal((n, p))
    if rng.random() < 0.3:
        Z[:, -1] = Z[:, 0] + 1e-4 * rng.standard_normal(n)
    eta, size = Z[:, 0] - 0.5 * Z[:, 1], 1.0
    weight = (0.05 + rng.random(n)) * 10.0 ** rng.uniform(-12, 12)
    if rng.random() < 0.3:
        weight = weight * 10.0 ** rng.uniform(-3, 3, n)
    if loss in ("squared", "huber"):
        noise = 0.5 * (rng.standard_normal(n) if loss == "squared" else rng.standard_t(2.0, n))
        size = 10.0 ** rng.uniform(-12, 12)
        y = size * (eta + noise + (10.0 ** rng.uniform(0, 6) if rng.random() < 0.5 else 0.0))
    elif loss == "logistic":
        y = np.r_[0.0, 1.0, (eta + rng.logistic(size=n) > 0)[2:]]
    else:
        y = np.r_[1.0, rng.poisson(np.exp(np.clip(eta, -4, 4)))[1:]]
    unit = np.broadcast_to(10.0 ** rng.uniform(-12, 12, p if rng.random() < 0.5 else 1), p)
    X = (Z + np.where(rng.random(p) < 0.5, 10.0 ** rng.uniform(0, 9, p), 0.0)) * unit
    omega = np.where(rng.random(p) < 0.25, 0.0, 1.0)
    omega[0] = 1.0
    omega = omega * unit / unit.max() if rng.random() < 0.5 else omega
    given = sparse.csc_array(X) if rng.random() < 0.4 else X
    return given, Exact(loss, X, y, weight, omega, 0.0, float(rng.choice([1.0, 1.0, 0.5])), 1.345 * size)


@pytest.mark.parametrize("loss", ["squared", "huber", "logistic", "poisson"])
@pytest.mark.parametrize("seed", range(12))
def test_a_gap_is_that_of_extended_precision(loss: str, seed: int) -> None:
    given, exact = drawn(seed, loss)
    options = {
        "loss": huber(exact.delta) if loss == "huber" else loss,
        "l1_ratio": exact.l1_ratio,
        "penalty_weights": exact.omega,
        "sample_weight": exact.weight,
    }
    fraction = 10.0 ** np.random.default_rng(seed).uniform(-3, -0.1)
    object.__setattr__(exact, "alpha", fraction * spred.alpha_max(given, exact.y, **options))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", spred.ConvergenceWarning)  # the status is what is tested
        found = spred.solve(given, exact.y, alpha=exact.alpha, max_seconds=2.0, **options)
    true = exact.gap(found.coef, found.intercept)
    assert true >= -FLOOR
    if found.status is spred.Status.CONVERGED:
        assert true <= 10.0 * max(found.gap, FLOOR)
        assert found.gap <= 10.0 * max(true, FLOOR)
    else:
        assert found.gap > 1e-9


@pytest.mark.parametrize("ratio", [1e4, 1e6, 1e9, 1e12, 1e14])
@pytest.mark.parametrize("form", ["dense", "tall", "sparse"])
@pytest.mark.parametrize("standardize", [False, True])
def test_columns_far_from_zero_have_the_solution_of_those_near_it(ratio: float, form: str, standardize: bool) -> None:
    """Their means are whole numbers times their resolution, so that subtracting them is exact."""
    rng = np.random.default_rng(0)
    n, p = (60, 20) if form != "tall" else (200, 8)
    Z = np.round(rng.standard_normal((n, p)) * 64.0) / 64.0
    y = Z[:, :3].sum(axis=1) + 0.3 * rng.standard_normal(n)
    X = Z + np.round(ratio)
    given = sparse.csc_array(X) if form == "sparse" else X
    near = spred.path(Z, y, n_alphas=8, eps=0.02, standardize=standardize)
    far = spred.path(given, y, alphas=near.alphas, standardize=standardize)
    assert far.gaps.max() <= 1e-9
    np.testing.assert_allclose(far.coefs, near.coefs, atol=1e-9)
    exact = Exact("squared", X, y, np.ones(n), X.std(axis=0) if standardize else np.ones(p), float(near.alphas[-1]))
    assert exact.gap(far.coefs[-1], far.intercepts[-1]) <= max(1e-12, (1e-15 * ratio) ** 2)
