"""Least squares for several outputs is the sum of those for one."""

from __future__ import annotations

import numpy as np
import pytest

from spred.core.losses import LOSSES


def test_several_outputs_add_up() -> None:
    rng = np.random.default_rng(0)
    eta, y, s = rng.standard_normal((5, 3)), rng.standard_normal((5, 3)), rng.uniform(0.1, 0.3, 5)
    one, several = LOSSES["squared"], LOSSES["squared"].several
    assert several is not None
    columns = range(3)
    theta = several.gradient(eta, y, s)
    assert several.value(eta, y, s) == pytest.approx(sum(one.value(eta[:, k], y[:, k], s) for k in columns))
    assert several.conjugate(theta, y, s) == pytest.approx(sum(one.conjugate(theta[:, k], y[:, k], s) for k in columns))
    for k in columns:
        np.testing.assert_allclose(theta[:, k], one.gradient(eta[:, k], y[:, k], s))
        np.testing.assert_allclose(several.curvature(eta, y, s).diagonal()[:, k], one.curvature(eta[:, k], y[:, k], s))
        assert several.null(y, s)[k] == pytest.approx(one.null(y[:, k], s))
