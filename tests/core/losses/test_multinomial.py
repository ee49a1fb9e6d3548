"""Softmax on predictors that lie near each other, which share one maximum, and on those that do not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from spred.core.losses import get_loss
from spred.core.losses.multinomial import NARROW


@pytest.mark.parametrize("width", [0.0, 1.0, 0.49 * NARROW, 0.51 * NARROW, 40 * NARROW])
def test_values_and_probabilities_are_those_of_scipy(width: float) -> None:
    rng, loss = np.random.default_rng(0), get_loss("multinomial")
    eta = width * rng.uniform(-1, 1, (30, 4)) + 1000.0
    y, s = np.eye(4)[rng.integers(0, 4, 30)], rng.dirichlet(np.ones(30))
    assert loss.value(eta, y, s) == pytest.approx(-np.sum(s[:, None] * y * log_softmax(eta, axis=1)), rel=1e-12)
    np.testing.assert_allclose(loss.mean(eta), softmax(eta, axis=1), rtol=1e-12, atol=1e-300)
