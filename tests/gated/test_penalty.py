"""The penalty as a function of norms is core's on coordinates."""

from __future__ import annotations

import numpy as np
import pytest

from spred.core.partition import Labels, norms
from spred.core.penalties import Penalty
from spred.gated.penalty import NORM, RIDGE, NormPenalty, elastic

ROWS, GROUPS = np.random.default_rng(0).standard_normal((5, 3)), Labels(np.array([0, 1, 1, 2, 0]), 3)
WEIGHTS = np.array([1.0, 2.0, 0.5])


@pytest.mark.parametrize(
    ("ours", "alpha", "core"),
    [
        (NORM, 0.7, Penalty(0.7, 1.0, WEIGHTS, GROUPS)),
        (elastic(0.4), 0.7 * 0.4, Penalty(0.7, 0.4, WEIGHTS, GROUPS)),
        (RIDGE, 0.7, Penalty(0.7, 0.0, WEIGHTS, GROUPS)),
    ],
    ids=["norm", "elastic net", "ridge"],
)
def test_value_and_slope_are_cores(ours: NormPenalty, alpha: float, core: Penalty) -> None:
    sizes = norms(ROWS, GROUPS)
    assert alpha * WEIGHTS @ ours.value(sizes) == pytest.approx(core.value(ROWS))
    # The gradient of the penalty, with the sign turned, is a gradient of the data term that makes rows stationary.
    outwards = alpha * WEIGHTS * ours.slope(sizes) / sizes
    np.testing.assert_allclose(core.kkt_residual(ROWS, -GROUPS.spread(outwards, ROWS) * ROWS), 0.0, atol=1e-15)


def test_a_ridge_alone_sets_nothing_to_zero() -> None:
    assert [NORM.sparse, elastic(0.1).sparse, RIDGE.sparse] == [True, True, False]
