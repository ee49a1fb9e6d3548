"""Cox's likelihood against its definition, term by term; the conjugate against a numerical maximum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from scipy.optimize import minimize
from strategies import sample, seeds

from spred.core.losses import LOSSES
from spred.core.losses.cox import cox_value
from spred.core.risk_sets import Coupled, risk_sets


def by_definition(
    eta: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    stratum: np.ndarray,
    efron: bool,
) -> float:
    """The negative log partial likelihood over n, equal weights, as the books write it."""
    total = 0.0
    for h in np.unique(stratum):
        for t in np.unique(time[event & (stratum == h)]):
            at_risk = np.exp(eta[(stratum == h) & (time >= t)]).sum()
            dying = (stratum == h) & (time == t) & event
            total -= eta[dying].sum()
            for before in range(dying.sum()):
                total += np.log(at_risk - (before / dying.sum() * np.exp(eta[dying]).sum() if efron else 0.0))
    return total / len(eta)


@pytest.mark.parametrize("efron", [False, True], ids=["breslow", "efron"])
@given(seed=seeds)
def test_value_is_the_textbooks(seed: int, efron: bool) -> None:
    rng = np.random.default_rng(seed)
    n = 12
    time, event, stratum = rng.integers(0, 5, n) * 1.5, rng.random(n) < 0.7, rng.integers(0, 3, n)
    event[0] = True
    eta, s = rng.standard_normal(n), np.full(n, 1 / n)
    value = cox_value(eta, risk_sets(time, event, stratum, efron=efron), s)
    assert value == pytest.approx(by_definition(eta, time, event, stratum, efron), rel=1e-12)


def test_without_ties_both_forms_are_one() -> None:
    rng = np.random.default_rng(0)
    time, event, eta, s = rng.random(9), np.arange(9) % 3 > 0, rng.standard_normal(9), np.full(9, 1 / 9)
    values = [cox_value(eta, risk_sets(time, event, efron=efron), s) for efron in (False, True)]
    assert values[0] == pytest.approx(values[1], rel=1e-14)


def test_a_sample_weight_of_two_is_the_row_twice() -> None:
    """For Breslow's ties; Efron's, where a copy is one more tie, differ, as in every other program."""
    rng = np.random.default_rng(1)
    time, event, eta = rng.integers(1, 5, 10) * 1.0, rng.random(10) < 0.6, rng.standard_normal(10)
    times = np.arange(10) % 2 + 1
    twice = np.repeat(np.arange(10), times)
    loss = LOSSES["cox"]
    weighted = loss.gradient(eta, risk_sets(time, event), times / times.sum())
    doubled = loss.gradient(eta[twice], risk_sets(time[twice], event[twice]), np.full(len(twice), 1 / len(twice)))
    np.testing.assert_allclose(weighted, np.bincount(twice, weights=doubled), atol=1e-15)


@pytest.mark.parametrize("name", ["cox", "cox-efron"])
@given(seed=seeds)
def test_conjugate_is_the_supremum(name: str, seed: int) -> None:
    """At a point between two gradients, which is no gradient known beforehand."""
    loss, rng = LOSSES[name], np.random.default_rng(seed)
    eta, y, s = sample(loss, seed)
    theta = 0.5 * (loss.gradient(eta, y, s) + loss.gradient(rng.standard_normal(len(eta)), y, s))
    best = minimize(
        lambda at: loss.value(at, y, s) - theta @ at,
        np.zeros_like(eta),
        jac=lambda at: loss.gradient(at, y, s) - theta,
        method="BFGS",
        options={"gtol": 1e-10},
    )
    claimed = float(loss.conjugate(theta, y, s))
    assert claimed >= -best.fun - 1e-9
    assert claimed == pytest.approx(-best.fun, abs=1e-7)


@pytest.mark.parametrize("name", ["cox", "cox-efron"])
def test_conjugate_is_infinite_where_the_risk_sets_cannot_pay(name: str) -> None:
    y = risk_sets(np.array([1.0, 2.0, 3.0]), np.array([False, True, False]), efron=name == "cox-efron")
    s = np.full(3, 1 / 3)
    for theta in ([0.1, -0.1, 0.0], [0.0, 0.1, 0.0], [0.0, 0.1, -0.1], [0.0, -0.5, 0.5]):
        assert np.isinf(LOSSES[name].conjugate(np.array(theta), y, s)), theta
    assert np.isfinite(LOSSES[name].conjugate(np.array([0.0, -0.1, 0.1]), y, s))


def test_the_gradient_is_hazard_less_events() -> None:
    """Three samples, no η: the hazard steps by 1/3 and, after one has gone, by 1/2."""
    y, s = risk_sets(np.array([1.0, 2.0, 3.0]), np.array([True, True, False])), np.full(3, 1 / 3)
    np.testing.assert_allclose(3 * LOSSES["cox"].gradient(np.zeros(3), y, s), [1 / 3 - 1, 5 / 6 - 1, 5 / 6])


def test_a_stratum_without_events_says_nothing() -> None:
    time, event, stratum = np.array([1.0, 2.0, 1.0, 5.0]), np.array([True, False, False, False]), [0, 0, 1, 1]
    y, s = risk_sets(time, event, np.array(stratum)), np.full(4, 0.25)
    curvature = LOSSES["cox"].curvature(np.zeros(4), y, s)
    assert isinstance(curvature, Coupled)
    assert LOSSES["cox"].gradient(np.zeros(4), y, s)[2:].tolist() == [0.0, 0.0]
    assert not curvature.times(np.eye(4))[2:].any()
