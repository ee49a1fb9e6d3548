"""One alpha over all inputs: activate what violates its KKT condition, minimise, check every input, repeat.

The gradient of inputs at zero is a product of the data matrix with few columns, so a check of all of them is one pass
over the data and no more, however wide the network is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spred.core.line_search import backtrack
from spred.core.partition import norms
from spred.gated.minimise import State, minimise, objective
from spred.gated.network import Network, input_signals, sensitivities, signals
from spred.gated.problem import GatedProblem

ROUNDS = 30
"""Times that violators are activated at one alpha, at most: the active set may double each time, so few are needed."""

FEW = 10
"""Violators activated at once where fewer are active, the strongest first: most of the others do not violate
afterwards."""

RANK = 1e-9
"""Singular values of the signals over the largest below which a direction is rounding and is left out of the pass."""

SHRINK, SHORTEST = 0.3, 1e-10
"""Factor between trial steps of an activation, and the step below which it is given up: no decrease is left to find."""


@dataclass(frozen=True, eq=False)
class Step:
    """One alpha of a path: the state, its KKT residual over all inputs, objectives, Gauss-Newton steps."""

    alpha: float
    state: State
    kkt: float
    objective: float
    data_term: float
    n_iter: int


def solve_at(problem: GatedProblem, alpha: float, state: State, *, kkt_tol: float, max_iter: int) -> Step:
    """Find a stationary point at ``alpha`` from ``state``; ``kkt_tol`` is the KKT residual over alpha to reach."""
    n_iter, residual = 0, 0.0
    threshold = alpha * problem.weights
    for round_number in range(ROUNDS):
        sizes, R = inactive_gradients(problem, state)
        excess = float(((sizes - threshold) / alpha).max(initial=0.0))
        violators = np.flatnonzero(sizes > threshold + (kkt_tol * alpha if round_number else 0.0))
        if round_number and (not violators.size or n_iter >= max_iter):
            break
        strongest = violators[np.argsort(-sizes[violators] / threshold[violators], kind="stable")]
        state = activated(problem, alpha, state, R, strongest[: max(FEW, len(state.inputs))])
        outcome = minimise(problem, state, alpha, kkt_tol=kkt_tol, max_iter=max_iter - n_iter)
        state, residual = outcome.state, outcome.residual
        n_iter += outcome.n_iter
    X, groups = problem.design.columns(state.inputs), problem.labels[state.inputs]
    data_term = problem.value(problem.forward(state.network, X).eta)
    value = objective(problem, alpha, state.network, X, groups)
    return Step(alpha, _sorted(state), max(residual, excess), value, data_term, n_iter)


def inactive_gradients(problem: GatedProblem, state: State) -> tuple[np.ndarray, np.ndarray]:
    """Return ‖∂L/∂(θ, W)_g‖ of the groups at zero, ``(G,)`` and 0 for active ones, and R with ``XᵀR`` that gradient.

    Where R has a smaller rank than columns, the pass is over an orthonormal basis of it.
    """
    at = problem.forward(state.network, problem.design.columns(state.inputs))
    theta = problem.theta(at.eta)
    R = input_signals(state.network, theta, signals(theta, sensitivities(state.network, at))[0])
    left, values, _ = np.linalg.svd(R, full_matrices=False)
    kept = values >= RANK * values[0]  # all, where there is no gradient
    sizes = problem.group_norms(problem.design.correlate(left[:, kept] * values[kept]))
    sizes[problem.labels[state.inputs]] = 0.0
    return sizes, R


def activated(problem: GatedProblem, alpha: float, state: State, R: np.ndarray, groups: np.ndarray) -> State:
    """Return ``state`` with ``groups`` active, by a proximal gradient step short enough to lower the objective."""
    if not groups.size:
        return state
    inputs = np.concatenate([problem.members[g] for g in groups])
    X, labels = problem.design.columns(inputs), problem.labels[inputs]
    g = X.T @ R
    sizes = norms(g, problem.groups_of(inputs))[labels]
    step = -(1.0 - alpha * problem.weights[labels] / sizes)[:, None] * g
    already = problem.design.columns(state.inputs)
    before = objective(problem, alpha, state.network, already, problem.labels[state.inputs])
    columns, whole = np.hstack([already, X]), np.concatenate([state.inputs, inputs])

    def trial(length: float) -> tuple[float, Network]:
        network = state.network.with_first(np.vstack([state.network.first, length * step]))
        return objective(problem, alpha, network, columns, problem.labels[whole]), network

    found = backtrack(trial, before, 0.0, first=1.0 / len(groups), shrink=SHRINK, least=SHORTEST)
    return state if found is None else State(found[1], whole, state.damping)


def _sorted(state: State) -> State:
    order = np.argsort(state.inputs)
    return replace(state, network=state.network.with_first(state.network.first[order]), inputs=state.inputs[order])
