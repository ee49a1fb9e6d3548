"""The transition of Huber's loss."""

from __future__ import annotations

import numpy as np
import pytest
from strategies import sample

from spred.core.losses import LOSSES, huber
from spred.errors import InputError


@pytest.mark.parametrize("delta", [0.0, -1.0, np.inf, np.nan])
def test_huber_wants_a_positive_transition(delta: float) -> None:
    with pytest.raises(InputError, match="delta is"):
        huber(delta)


def test_huber_is_squared_with_a_far_transition() -> None:
    eta, y, s = sample(LOSSES["squared"], seed=0)
    for part in ("value", "gradient", "curvature"):
        far, squared = getattr(huber(1e3), part), getattr(LOSSES["squared"], part)
        np.testing.assert_allclose(far(eta, y, s), squared(eta, y, s))
