"""What a path shares: groups, curvature, fitted networks; and it pickles."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from gated_problems import LOSSES, problem_of, random_network

import spred
from spred.core.losses import LOSSES as TABLE
from spred.gated import PathOptions, network_path
from spred.gated.penalty import elastic


@pytest.mark.parametrize("name", LOSSES)
def test_an_unpickled_problem_has_the_same_path_to_the_bit(name: str) -> None:
    problem = replace(problem_of(name), penalty=elastic(0.5))
    again = pickle.loads(pickle.dumps(problem))
    options = PathOptions(hidden=(3,), n_alphas=3, eps=0.5)
    ours, theirs = (network_path(each, options) for each in (problem, again))
    assert ours.n_nonzero[-1] > 0
    for one, two in zip(ours.networks, theirs.networks, strict=True):
        for a, b in zip(one.parts, two.parts, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_problem_with_several_outputs_pickles() -> None:
    problem = problem_of("squared-wide")
    several = replace(problem, loss=TABLE["squared"].several, y=np.column_stack([problem.y, -problem.y]), n_outputs=2)
    again = pickle.loads(pickle.dumps(several))
    eta = np.zeros_like(several.y)
    assert again.value(eta) == several.value(eta) > 0


def test_norms_of_groups_leave_free_inputs_out() -> None:
    weights = np.r_[0.0, np.ones(39)]
    problem = problem_of("squared-wide", feature_groups=np.arange(120) // 3, penalty_weights=weights)
    rows = np.random.default_rng(0).standard_normal((120, 2))
    assert problem.free_inputs.tolist() == [0, 1, 2]
    expected = [np.linalg.norm(rows[3 * g : 3 * g + 3]) for g in range(1, 40)]
    np.testing.assert_allclose(problem.group_norms(rows), expected)
    assert [inputs.tolist() for inputs in problem.members[:2]] == [[3, 4, 5], [6, 7, 8]]


@pytest.mark.parametrize("name", LOSSES)
def test_the_curvature_is_the_change_of_theta(name: str) -> None:
    problem, rng = problem_of(name), np.random.default_rng(0)
    eta, step = rng.standard_normal((2, problem.design.n, problem.n_outputs))
    length = 1e-5
    change = (problem.theta(eta + length * step) - problem.theta(eta - length * step)) / (2.0 * length)
    times = problem.curvature_product(eta)
    error = np.abs(times(step.reshape(-1, 1))[:, 0] - change.reshape(-1)).max()
    assert error <= 1e-6 + problem.loss.stand_in
    J = rng.standard_normal((eta.size, 3))
    np.testing.assert_allclose(problem.curved_gram(eta, J), J.T @ times(J), atol=1e-12)


def test_a_fitted_network_takes_data_in_their_own_units() -> None:
    problem = problem_of("squared-wide")
    inputs = np.array([3, 7])
    network = random_network(problem, 2, (4,), linear=True)
    raw = problem.design.X
    eta = problem.forward(network, problem.design.columns(inputs)).eta
    np.testing.assert_allclose(problem.fitted(network, inputs).eta(raw), eta)
    slopes = problem.fitted(network, inputs).mean_slopes(raw, problem.s)
    moved = raw.copy()
    moved[:, 3] += 1e-5
    change = problem.fitted(network, inputs).eta(moved).mean() - eta.mean()
    assert slopes[0, 0] == pytest.approx(change / 1e-5, rel=1e-4)


def test_networks_of_the_estimators_come_from_such_problems() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    model = spred.NetworkRegressor(hidden=3, n_alphas=3, eps=0.3, cv=2).fit(X, np.column_stack([X[:, 0], X[:, 1]]))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
