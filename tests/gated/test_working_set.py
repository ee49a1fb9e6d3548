"""One alpha over all inputs: what is activated lowers the objective, and the residual is that over every input."""

from __future__ import annotations

import numpy as np
import pytest
from gated_problems import LOSSES, gradient_by_torch, kkt_by_torch, problem_of

from spred.gated.minimise import objective
from spred.gated.starts import PathOptions, alpha_max, null_state
from spred.gated.working_set import activated, inactive_gradients, solve_at

OPTIONS = PathOptions(hidden=(4,))


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_inputs_at_zero_are_torchs(name: str) -> None:
    problem = problem_of(name)
    state = null_state(problem, OPTIONS)
    step = solve_at(problem, 0.7 * alpha_max(problem, state), state, kkt_tol=1e-3, max_iter=100)
    sizes, R = inactive_gradients(problem, step.state)
    everything = np.zeros((problem.design.p, step.state.network.first.shape[1]))
    everything[step.state.inputs] = step.state.network.first
    X = problem.design.columns(np.arange(problem.design.p))
    slope = gradient_by_torch(problem, step.state.network.with_first(everything), X).first
    np.testing.assert_allclose(X.T @ R, slope, atol=1e-10)
    expected = np.linalg.norm(slope, axis=1)
    expected[step.state.inputs] = 0.0
    np.testing.assert_allclose(sizes, expected, atol=1e-8)


@pytest.mark.parametrize("name", ["squared-wide", "multinomial-wide"])
def test_an_activation_lowers_the_objective(name: str) -> None:
    problem = problem_of(name)
    state = null_state(problem, OPTIONS)
    sizes, R = inactive_gradients(problem, state)
    strongest = np.argsort(-sizes)[:3]
    alpha = 0.9 * sizes[strongest[-1]]
    more = activated(problem, alpha, state, R, strongest)
    assert set(more.inputs) == set(strongest)
    before, after = (
        objective(problem, alpha, each.network, problem.design.columns(each.inputs), problem.labels[each.inputs])
        for each in (state, more)
    )
    assert after < before
    assert activated(problem, alpha, state, R, np.zeros(0, dtype=int)) is state


@pytest.mark.parametrize("name", ["squared-wide", "cox-tall"])
def test_the_residual_is_over_all_inputs(name: str) -> None:
    problem = problem_of(name)
    state = null_state(problem, OPTIONS)
    alpha = 0.5 * alpha_max(problem, state)
    step = solve_at(problem, alpha, state, kkt_tol=1e-4, max_iter=200)
    assert step.kkt <= 1e-4
    assert (np.diff(step.state.inputs) > 0).all()
    judged = kkt_by_torch(problem, step.state.network, step.state.inputs, alpha, problem.weights)
    assert step.kkt == pytest.approx(judged, rel=1e-4, abs=1e-9)
