"""Targets are checked once, with one sentence for whatever is wrong."""

from __future__ import annotations

import numpy as np
import pytest

import spred
from spred.core.losses import get_loss
from spred.core.targets import survival_target
from spred.errors import InputError

SEEN, TIMES = [True, False, True], [1.0, 2.0, 3.0]


def test_a_survival_target_has_named_fields() -> None:
    y = survival_target(SEEN, TIMES, ["b", "a", "b"])
    assert y.dtype.names == ("event", "time", "stratum")
    assert y["stratum"].tolist() == [1, 0, 1]
    assert survival_target([1, 0, 1], TIMES).dtype.names == ("event", "time")


def test_other_peoples_field_names_will_do() -> None:
    y = np.array(list(zip(SEEN, TIMES, strict=True)), dtype=[("Status", "?"), ("Survival_in_days", "<f8")])
    target = get_loss("cox").target
    read = target.read(y, 3)
    np.testing.assert_array_equal(read, survival_target(SEEN, TIMES))
    assert target.encode(read).event.tolist() == SEEN


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("cox", TIMES, "y must be a structured array (event, time)"),
        ("cox", survival_target(SEEN[:2], TIMES[:2]), "y has shape (2,), and X has 3 samples"),
        ("cox", survival_target(SEEN, [1.0, -2.0, 3.0]), "the time of sample 1 is -2"),
        ("cox", survival_target(SEEN, [1.0, 2.0, np.nan]), "the time of sample 2 is nan"),
        ("cox", survival_target([False] * 3, TIMES), "every time is censored"),
        ("cox-efron", survival_target([False] * 3, TIMES), "every time is censored"),
        ("poisson", [0.0, 1.0, -1.0], "y is -1 at sample 2; counts must not be negative"),
        ("poisson", [0.0, 0.0, 0.0], "every count is zero"),
        ("huber", [0.0, np.inf, 0.0], "y has NaN or infinity at sample 1"),
    ],
)
def test_bad_targets_get_one_sentence(loss: str, y: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        spred.solve(np.eye(3), y, loss=loss, alpha=0.1)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_events_and_times_go_together() -> None:
    with pytest.raises(InputError, match="one of each for every sample"):
        survival_target(SEEN, TIMES[:2])
    with pytest.raises(InputError, match="event must hold True and False"):
        survival_target([0, 1, 2], TIMES)


def test_samples_of_weight_zero_do_not_count() -> None:
    with pytest.raises(InputError, match="every time is censored"):
        spred.solve(np.eye(3), survival_target(SEEN, TIMES), loss="cox", alpha=0.1, sample_weight=[0, 1, 0])
