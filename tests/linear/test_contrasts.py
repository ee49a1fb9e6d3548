"""Softmax in K − 1 coordinates: the same loss, seen from an orthonormal basis of the rows that sum to zero."""

from __future__ import annotations

import numpy as np
import pytest

from spred.core.losses import get_loss
from spred.linear.contrasts import contrasts, in_contrasts


@pytest.mark.parametrize("k", [2, 3, 7])
def test_contrasts_are_orthonormal_and_sum_to_zero(k: int) -> None:
    basis = contrasts(k)
    np.testing.assert_allclose(basis.T @ basis, np.eye(k - 1), atol=1e-14)
    np.testing.assert_allclose(basis.sum(axis=0), 0.0, atol=1e-14)


def test_value_gradient_curvature_and_dual_agree_with_the_loss_itself() -> None:
    rng = np.random.default_rng(0)
    loss, basis = get_loss("multinomial"), contrasts(4)
    smaller = in_contrasts(loss, basis)
    z, y, s = rng.standard_normal((9, 3)), np.eye(4)[np.arange(9) % 4], np.full(9, 1 / 9)
    eta = z @ basis.T
    assert smaller.value(z, y, s) == pytest.approx(loss.value(eta, y, s))
    np.testing.assert_allclose(smaller.gradient(z, y, s) @ basis.T, loss.gradient(eta, y, s), atol=1e-15)
    step = 1e-6 * rng.standard_normal((9, 3))
    change = smaller.gradient(z + step, y, s) - smaller.gradient(z - step, y, s)
    np.testing.assert_allclose(smaller.curvature(z, y, s).times(2 * step), change, atol=1e-13)
    theta = smaller.gradient(z, y, s)  # Fenchel and Young: equality at the gradient
    assert smaller.conjugate(theta, y, s) == pytest.approx(np.sum(theta * z) - smaller.value(z, y, s))
    np.testing.assert_allclose(smaller.mean(z), loss.mean(eta))
    np.testing.assert_allclose(smaller.null(y, s) @ basis.T, loss.null(y, s), atol=1e-12)
