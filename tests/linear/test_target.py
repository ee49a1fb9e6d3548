"""An offset goes into the target where the loss sees residuals alone, and else into the loss."""

from __future__ import annotations

import numpy as np
import pytest

from spred.core.losses import LOSSES
from spred.errors import InputError
from spred.linear.target import read_offset, take_in_offset

Y, ETA, S = np.array([1.0, 0.0, 1.0]), np.array([0.3, -0.2, 1.0]), np.full(3, 1 / 3)


@pytest.mark.parametrize("name", ["squared", "huber", "logistic", "poisson"])
def test_an_offset_is_added_to_the_predictor_whichever_way(name: str) -> None:
    loss, offset = LOSSES[name], np.array([0.5, -1.0, 0.0])
    moved, target = take_in_offset(loss, Y, offset)
    assert (moved is loss) == (name in ("squared", "huber"))
    assert moved.value(ETA, target, S) == pytest.approx(loss.value(ETA + offset, Y, S))


def test_no_offset_changes_nothing() -> None:
    loss = LOSSES["multinomial"]
    assert take_in_offset(loss, Y, np.zeros(3)) == (loss, Y)
    several = LOSSES["squared"].several
    with pytest.raises(InputError, match="an offset is for one linear predictor"):
        take_in_offset(several, np.eye(3), np.ones(3))


def test_a_bad_offset_gets_one_sentence() -> None:
    assert read_offset(None, 2).tolist() == [0.0, 0.0]
    with pytest.raises(InputError, match=r"offset has shape \(1,\), and X has 2 samples"):
        read_offset([1.0], 2)
    with pytest.raises(InputError, match="offset has NaN or infinity at sample 1"):
        read_offset([0.0, np.nan], 2)
