"""Sums over risk sets against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from strategies import sample, seeds

from spred.core.losses import LOSSES
from spred.core.risk_sets import Coupled, risk_sets


@given(seed=seeds)
def test_sums_over_risk_sets_ties_and_times(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 11
    time, event, stratum = rng.integers(0, 4, n) * 1.0, rng.random(n) < 0.6, rng.integers(0, 3, n)
    event[0] = True
    sets, x = risk_sets(time, event, stratum), rng.standard_normal(n)
    moments = [sets.time_of == k for k in range(len(sets.ends))]
    at_risk = np.array([(stratum == stratum[own][0]) & (time >= time[own][0]) for own in moments])
    np.testing.assert_allclose(sets.at_risk(x), at_risk @ x)
    np.testing.assert_allclose(sets.tied(x), [x[own].sum() for own in moments])
    g = rng.standard_normal(len(moments))
    np.testing.assert_allclose(sets.over_time(g), g @ at_risk, atol=1e-14)
    np.testing.assert_array_equal(sets.own(g), np.append(g, 0.0)[sets.time_of])
    np.testing.assert_array_equal(sets.event, event)
    np.testing.assert_array_equal(sets.never, ~at_risk.any(axis=0))


@pytest.mark.parametrize("name", ["cox", "cox-efron"])
@given(seed=seeds)
def test_the_form_of_a_coupled_curvature_is_its_product(name: str, seed: int) -> None:
    eta, y, s = sample(LOSSES[name], seed)
    curvature = LOSSES[name].curvature(eta, y, s)
    assert isinstance(curvature, Coupled)
    columns = np.random.default_rng(seed).standard_normal((len(eta), 3)) + 2.0
    np.testing.assert_allclose(curvature.form(columns), columns.T @ curvature.times(columns), atol=1e-12)
