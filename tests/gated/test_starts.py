"""Where a path starts: the null network, the slopes of a dense one, and the options."""

from __future__ import annotations

import numpy as np
import pytest
from gated_problems import problem_of, random_network
from problems import PROBLEMS

import spred
from spred.errors import InputError
from spred.gated import PathOptions
from spred.gated.minimise import State
from spred.gated.starts import LEAST, POWER, alpha_max, dense_state, null_state, used_slopes


@pytest.mark.parametrize("name", ["squared-wide", "logistic-wide", "multinomial-wide"])
def test_alpha_max_is_that_of_the_linear_model_times_the_root_of_two(name: str) -> None:
    """Whatever the upper weights: their rows are orthonormal, and tanh has slope 1 at zero."""
    problem, row = problem_of(name), PROBLEMS[name]
    X = problem.design.columns(np.arange(problem.design.p))
    linear = spred.path(X, row.y, loss=row.loss, n_alphas=1).alphas[0]
    for seed in range(3):
        top = alpha_max(problem, null_state(problem, PathOptions(hidden=(8, 5), seed=seed)))
        assert top == pytest.approx(np.sqrt(2.0) * linear)
    alone = alpha_max(problem, null_state(problem, PathOptions(hidden=(8,), linear=False)))
    assert alone == pytest.approx(linear)


@pytest.mark.parametrize("name", ["squared-wide", "multinomial-wide", "cox-tall"])
@pytest.mark.parametrize("linear", [True, False])
def test_slopes_are_those_of_small_changes(name: str, linear: bool) -> None:
    problem = problem_of(name, feature_groups=np.arange(PROBLEMS[name].X.shape[1]) // 2)
    inputs = np.arange(2, 8)
    network, step = random_network(problem, len(inputs), (4, 3), linear=linear), 1e-5
    slopes = used_slopes(problem, State(network, inputs))
    X, squares = problem.design.columns(inputs), np.zeros(len(problem.weights))
    for j, group in enumerate(problem.labels[inputs]):
        moves = (X + sign * step * np.eye(len(inputs))[j] for sign in (1.0, -1.0))
        up, down = (problem.forward(network, moved).eta for moved in moves)
        squares[group] += np.sum(((up - down) / (2.0 * step)) ** 2, axis=1).mean()
    np.testing.assert_allclose(slopes, np.sqrt(squares), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "dence"}, "did you mean 'dense'"),
        ({"hidden": ()}, "width of each hidden layer"),
        ({"hidden": (0,)}, "width of each hidden layer"),
        ({"n_alphas": 0}, "n_alphas is 0"),
        ({"eps": 1.0}, "eps is 1.0"),
        ({"l1_ratio": 0.0}, "l1_ratio is 0.0"),
        ({"l1_ratio": [1.0, 0.5]}, "give one number here"),
        ({"kkt_tol": 0.0}, "kkt_tol is 0.0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PathOptions(**options)


def test_the_null_network_is_stationary_in_its_free_part() -> None:
    problem = problem_of("logistic-tall", penalty_weights=np.r_[0.0, np.ones(9)])
    state = null_state(problem, PathOptions(hidden=(3,)))
    eta = problem.forward(state.network, np.zeros((problem.design.n, 0))).eta
    np.testing.assert_allclose(problem.free_columns.T @ problem.theta(eta), 0.0, atol=1e-9)
    assert not state.inputs.size
    assert not used_slopes(problem, state).any()


def test_a_dense_start_weighs_groups_by_the_inverse_of_their_slopes() -> None:
    problem, options = problem_of("squared-tall"), PathOptions(hidden=(4,), start="dense")
    weighted, state, alpha = dense_state(problem, options, null_state(problem, options))
    slopes = used_slopes(problem, state)
    relative = np.maximum(slopes / slopes.max(), LEAST)
    np.testing.assert_allclose(weighted.weights, problem.weights / relative**POWER)
    assert alpha > 0
    assert weighted.weights.min() == problem.weights[slopes.argmax()]
