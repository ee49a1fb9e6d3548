"""One alpha over all inputs: open what violates its KKT condition, minimise, look at every input, repeat.

The gradient of closed inputs is a product of the data matrix with few columns, so a look at all of them is one pass
over the data and no more, however wide the network is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spred.gated.minimise import State, minimise, objective
from spred.gated.network import leaving, sensitivities, signals
from spred.gated.problem import GatedProblem, summed

ROUNDS = 30
"""Times that violators are opened at one alpha, at most."""


@dataclass(frozen=True, eq=False)
class Step:
    """One alpha of a path: the state, its KKT residual over all inputs, objectives, Gauss-Newton steps."""

    alpha: float
    state: State
    kkt: float
    objective: float
    data_term: float
    n_iter: int


def solve_at(problem: GatedProblem, alpha: float, state: State, *, tol: float, max_iter: int) -> Step:
    """Find a stationary point at ``alpha`` from ``state``; ``tol`` is the KKT residual over alpha to reach."""
    n_iter, residual = 0, 0.0
    bound = alpha * problem.weights
    for round_number in range(ROUNDS):
        norms, R = closed_gradients(problem, state)
        excess = float(((norms - bound) / alpha).max(initial=0.0))
        violators = np.flatnonzero(norms > bound + (tol * alpha if round_number else 0.0))
        if round_number and (not violators.size or n_iter >= max_iter):
            break
        urgent = violators[np.argsort(-norms[violators] / bound[violators], kind="stable")]
        state = opened(problem, alpha, state, R, urgent[: max(10, len(state.inputs))])
        outcome = minimise(problem, state, alpha, tol=tol, max_iter=max_iter - n_iter)
        state, residual = outcome.state, outcome.residual
        n_iter += outcome.n_iter
    X, groups = problem.design.columns(state.inputs), problem.labels[state.inputs]
    data_term = problem.value(problem.forward(state.network, X).eta)
    value = objective(problem, alpha, state.network, X, groups)
    return Step(alpha, _sorted(state), max(residual, excess), value, data_term, n_iter)


def closed_gradients(problem: GatedProblem, state: State) -> tuple[np.ndarray, np.ndarray]:
    """Return ‖∂L/∂(θ, W)_g‖ of the closed groups, ``(G,)`` and 0 for open ones, and R with ``XᵀR`` that gradient.

    Where R has a smaller rank than columns, the pass is over an orthonormal basis of it.
    """
    at = problem.forward(state.network, problem.design.columns(state.inputs))
    theta = problem.theta(at.eta)
    R = leaving(state.network, theta, signals(theta, sensitivities(state.network, at))[0])
    left, sizes, _ = np.linalg.svd(R, full_matrices=False)
    kept = sizes >= 1e-9 * sizes[0]  # all, where there is no gradient
    norms = problem.group_norms(problem.design.correlate(left[:, kept] * sizes[kept]))
    norms[problem.labels[state.inputs]] = 0.0
    return norms, R


def opened(problem: GatedProblem, alpha: float, state: State, R: np.ndarray, groups: np.ndarray) -> State:
    """Return ``state`` with ``groups`` opened by one proximal gradient step, short enough that the objective falls."""
    if not groups.size:
        return state
    inputs = np.concatenate([problem.members[g] for g in groups])
    X, labels = problem.design.columns(inputs), problem.labels[inputs]
    g = X.T @ R
    norms = np.sqrt(summed(labels, np.sum(g * g, axis=1), len(problem.weights)))[labels]
    step = -(1.0 - alpha * problem.weights[labels] / norms)[:, None] * g
    already = problem.design.columns(state.inputs)
    before = objective(problem, alpha, state.network, already, problem.labels[state.inputs])
    columns, whole = np.hstack([already, X]), np.concatenate([state.inputs, inputs])
    length = 1.0 / len(groups)
    while length > 1e-10:
        network = state.network.with_first(np.vstack([state.network.first, length * step]))
        if objective(problem, alpha, network, columns, problem.labels[whole]) < before:
            return State(network, whole, state.damping)
        length *= 0.3
    return state


def _sorted(state: State) -> State:
    order = np.argsort(state.inputs)
    return replace(state, network=state.network.with_first(state.network.first[order]), inputs=state.inputs[order])
