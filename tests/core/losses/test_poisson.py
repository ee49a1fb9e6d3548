"""What is particular to counts."""

from __future__ import annotations

import numpy as np
import pytest

from spred.core.losses import LOSSES


def test_the_conjugate_of_poisson_is_finite_at_zero_counts() -> None:
    loss, s = LOSSES["poisson"], np.array([0.5, 0.5])
    assert loss.conjugate(np.zeros(2), np.array([0.0, 3.0]), s) == pytest.approx(0.0)  # a saturated fit has no deviance
