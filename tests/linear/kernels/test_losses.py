"""The compiled losses against those of core; exp and log1p against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from spred.core.losses import LOSSES, with_offset
from spred.linear.kernels import losses

RNG = np.random.default_rng(0)
Y = {
    "squared": RNG.standard_normal(50),
    "logistic": RNG.integers(0, 2, 50) * 1.0,
    "poisson": RNG.poisson(2.0, 50) * 1.0,
}
S = RNG.dirichlet(np.ones(50))


@pytest.mark.parametrize("name", losses.CODES)
@pytest.mark.parametrize("size", [0.1, 3.0, 40.0])
def test_losses_are_those_of_core(name: str, size: float) -> None:
    code, loss, y = losses.CODES[name], LOSSES[name], Y[name]
    eta = size * RNG.standard_normal(50)
    theta, curvature = np.empty(50), np.empty(50)
    losses.slopes(code, eta, y, S, theta, curvature)
    assert losses.loss_value(code, eta, y, S) == pytest.approx(float(loss.value(eta, y, S)), rel=1e-13)
    np.testing.assert_allclose(theta, loss.gradient(eta, y, S), rtol=1e-13, atol=1e-18)
    np.testing.assert_allclose(curvature, loss.curvature(eta, y, S), rtol=1e-12, atol=1e-17)


def test_exp_and_log1p_are_those_of_the_library_to_two_units_in_the_last_place() -> None:
    x = np.append(np.linspace(-708.0, 709.0, 20_001), [0.0, 1e-300, -1e-9])
    u = np.append(np.linspace(0.0, 1.0, 20_001)[1:], np.geomspace(1e-300, 1e-2, 1000))
    np.testing.assert_allclose([losses.exp(value) for value in x], np.exp(x), rtol=5e-16)
    np.testing.assert_allclose([losses.log1p(value) for value in u], np.log1p(u), rtol=5e-16)
    assert losses.log1p(0.0) == 0.0
    assert 0.0 < losses.exp(-1e4) < 1e-300
    assert np.isnan(losses.exp(np.nan))


@pytest.mark.parametrize("name", losses.CODES)
def test_conjugates_are_those_of_core_with_and_without_an_offset(name: str) -> None:
    code, loss, y = losses.CODES[name], LOSSES[name], Y[name]
    theta, offset = 0.9 * loss.gradient(RNG.standard_normal(50), y, S), RNG.standard_normal(50)
    assert losses.conjugate(code, theta, y, S, 0 * y) == pytest.approx(float(loss.conjugate(theta, y, S)), rel=1e-12)
    moved = with_offset(loss, offset)
    assert losses.conjugate(code, theta, y, S, offset) == pytest.approx(float(moved.conjugate(theta, y, S)), rel=1e-12)
    if name != "squared":
        outside = theta + 2.0 * S * (1.0 if name == "logistic" else -10.0)
        assert losses.conjugate(code, outside, y, S, offset) == np.inf


@pytest.mark.parametrize("name", losses.CODES)
@pytest.mark.parametrize("start", [0.0, 30.0, -30.0])
def test_the_best_constant_makes_the_slopes_sum_to_zero(name: str, start: float) -> None:
    eta = start + RNG.standard_normal(50)
    moved, theta, curvature = eta.copy(), np.empty(50), np.empty(50)
    change = losses.centre(losses.CODES[name], moved, Y[name], S, theta, curvature)
    np.testing.assert_allclose(moved, eta + change, atol=1e-12)
    assert abs(theta.sum()) <= 1e-14 * np.abs(theta).sum()
