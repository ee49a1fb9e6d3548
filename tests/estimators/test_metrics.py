"""Scores that scikit-learn does not have, beside the definition written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spred.errors import InputError
from spred.estimators.metrics import concordance


@given(seed=st.integers(0, 1000))
def test_concordance_counts_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    event, time, risk, label = rng.random(12) < 0.7, rng.integers(1, 6, 12), rng.integers(0, 4, 12), np.arange(12) % 2
    event[:2], time[:2], risk[:2] = True, [1, 2], [1, 0]
    label[1] = 0
    good = pairs = 0.0
    for i in range(12):
        for j in range(12):
            first = event[i] and (time[i] < time[j] or (time[i] == time[j] and not event[j]))
            if first and label[i] == label[j]:
                pairs += 1
                good += 1.0 if risk[i] > risk[j] else 0.5 * (risk[i] == risk[j])
    assert concordance(event, time, risk, label) == pytest.approx(good / pairs)
    assert concordance(event, time, -risk, label) == pytest.approx(1 - good / pairs)


def test_pairs_that_cannot_be_compared_are_no_score() -> None:
    with pytest.raises(InputError, match="no two samples can be compared"):
        concordance([False, False], [1.0, 2.0], [0.0, 1.0])


@pytest.mark.parametrize(
    ("event", "time", "risk", "sentence"),
    [
        ([True, False], [1.0, 2.0], [0.1], r"risk has shape \(1,\) for 2 times"),
        ([True, False], [1.0, 2.0], [0.1, np.nan], "one finite number for each"),
        ([True], [1.0, 2.0], [0.1, 0.2], "event, time and stratum have shapes"),
        ([True, False], [1.0, np.nan], [0.1, 0.2], "time"),
        ([True, 2], [1.0, 2.0], [0.1, 0.2], "event"),
    ],
)
def test_what_is_no_survival_data_is_one_sentence(event: list, time: list, risk: list, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        concordance(event, time, risk)


def test_a_weight_of_two_is_the_sample_twice() -> None:
    rng = np.random.default_rng(0)
    event, time, risk = rng.random(30) < 0.6, rng.integers(1, 9, size=30).astype(float), rng.normal(size=30)
    times = rng.integers(0, 3, size=30)
    twice = np.repeat(np.arange(30), times)
    weighted = concordance(event, time, risk, sample_weight=times)
    assert weighted == pytest.approx(concordance(event[twice], time[twice], risk[twice]))
