"""Checks that linear models and networks share: each refuses what it must in one sentence."""

from __future__ import annotations

import numpy as np
import pytest

import spred
from spred import _checks
from spred.errors import InputError
from spred.gated import PathOptions


@pytest.mark.parametrize("given", [1, 1.0, 0.3, np.float64(0.5)])
def test_a_ratio_in_range_is_a_number(given: float) -> None:
    assert _checks.l1_ratio(given) == float(given)
    assert type(_checks.l1_ratio(given)) is float


def test_a_ratio_of_zero_is_for_a_ridge_alone() -> None:
    assert _checks.l1_ratio(0, ridge=True) == 0.0
    with pytest.raises(InputError, match="l1_ratio is 0; give a number above 0 and at most 1"):
        _checks.l1_ratio(0)
    for bad in (-1e-9, 1.0001, np.nan):
        with pytest.raises(InputError, match="from 0 \\(a ridge\\) to 1"):
            _checks.l1_ratio(bad, ridge=True)


def test_several_ratios_are_for_cross_validation_alone() -> None:
    for refused in (_checks.l1_ratio, lambda ratios: PathOptions(l1_ratio=ratios)):
        with pytest.raises(InputError, match="give one number here"):
            refused([0.5, 1.0])
    with pytest.raises(InputError, match=r"l1_ratio is 2\.0"):
        spred.SparseRegressorCV(l1_ratio=[0.5, 2.0]).fit(np.eye(9), np.arange(9.0))


def test_a_grid_falls_evenly_in_the_logarithm() -> None:
    grid = _checks.falling_grid(8.0, 4, 1 / 8)
    np.testing.assert_allclose(grid, [8.0, 4.0, 2.0, 1.0])
    assert _checks.falling_grid(3.0, 1, 0.5).tolist() == [3.0]
    assert _checks.falling_grid(0.0, 1, 0.5).tolist() == [1.0]  # nothing to explain


@pytest.mark.parametrize(
    ("n_alphas", "eps", "message"), [(0, 0.1, "n_alphas is 0"), (5, 0.0, "eps is 0.0"), (5, 1.0, "eps")]
)
def test_a_grid_that_is_none_is_refused_everywhere(n_alphas: int, eps: float, message: str) -> None:
    for make in (
        lambda: _checks.falling_grid(1.0, n_alphas, eps),
        lambda: PathOptions(n_alphas=n_alphas, eps=eps),
        lambda: spred.path(np.eye(4), np.arange(4.0), n_alphas=n_alphas, eps=eps),
    ):
        with pytest.raises(InputError, match=message):
            make()


def test_alphas_are_sorted_falling() -> None:
    assert _checks.falling_alphas([1.0, 3.0, 2.0]).tolist() == [3.0, 2.0, 1.0]
    assert _checks.falling_alphas(2).tolist() == [2.0]


@pytest.mark.parametrize("given", [[], [[1.0, 2.0]], [1.0, 0.0], [1.0, -1.0], [np.nan], [np.inf, 1.0]])
def test_alphas_must_be_positive_and_finite(given: list) -> None:
    with pytest.raises(InputError, match="alpha"):
        _checks.falling_alphas(given)


def test_weights_stay_as_they_are() -> None:
    assert _checks.sample_weights(None, 3).tolist() == [1.0, 1.0, 1.0]
    assert _checks.sample_weights([0, 2, 1], 3).tolist() == [0.0, 2.0, 1.0]


@pytest.mark.parametrize("given", [[1.0], [[1.0, 1.0]], [1.0, -1.0], [0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_bad_weights_are_refused_for_linear_models_and_networks(given: list) -> None:
    X, y = np.eye(2), np.array([0.0, 1.0])
    with pytest.raises(InputError, match="sample_weight"):
        _checks.sample_weights(given, 2)
    for fit in (
        lambda: spred.solve(X, y, alpha=0.1, sample_weight=given),
        lambda: spred.NetworkRegressor(hidden=2).fit(X, y, sample_weight=given),
    ):
        with pytest.raises(InputError, match="sample_weight"):
            fit()
