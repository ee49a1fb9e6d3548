"""Offsets: a known part of the predictor, built into a loss."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from strategies import sample, seeds

from spred.core.losses import LOSSES, get_loss, with_offset
from spred.errors import InputError


@pytest.mark.parametrize("name", ["huber", "poisson", "logistic", "cox", "cox-efron"])
@given(seed=seeds)
def test_an_offset_is_a_known_part_of_the_predictor(name: str, seed: int) -> None:
    loss = get_loss(name)
    eta, y, s = sample(loss, seed)
    offset = np.random.default_rng(seed).standard_normal(len(eta))
    moved = with_offset(loss, offset)
    theta = moved.gradient(eta, y, s)
    np.testing.assert_array_equal(theta, loss.gradient(eta + offset, y, s))
    assert moved.value(eta, y, s) + moved.conjugate(theta, y, s) == pytest.approx(theta @ eta, abs=1e-10)
    assert moved.gradient(np.zeros_like(eta) + moved.null(y, s), y, s).sum() == pytest.approx(0.0, abs=1e-12)


def test_an_offset_is_for_one_predictor() -> None:
    with pytest.raises(InputError, match="one linear predictor"):
        with_offset(LOSSES["multinomial"], np.zeros(3))


def test_offsets_add_up() -> None:
    loss, rng = LOSSES["logistic"], np.random.default_rng(0)
    eta, y, s = sample(loss, seed=0)
    one, two = rng.standard_normal((2, len(eta)))
    twice = with_offset(with_offset(loss, one), two)
    np.testing.assert_allclose(twice.gradient(eta, y, s), loss.gradient(eta + one + two, y, s))
    np.testing.assert_array_equal(twice.offset, one + two)
    assert twice.origin is loss


def test_a_loss_with_an_offset_pickles() -> None:
    eta, y, s = sample(LOSSES["poisson"], seed=0)
    moved = with_offset(LOSSES["poisson"], np.arange(len(eta)) / 3)
    again = pickle.loads(pickle.dumps(moved))
    np.testing.assert_array_equal(again.gradient(eta, y, s), moved.gradient(eta, y, s))
    assert float(again.null(y, s)) == float(moved.null(y, s))
