"""Where a path starts: all gates at zero, or none.

The null network is a stationary point above ``alpha_max``, and the first-order test there sees linear marginal
effects alone. A dense start draws all gates at random, trains them at a small alpha for a while, and lets the path
weigh each group by the inverse of what the trained network makes of it (the adaptive group lasso: H. Wang and C. Leng,
Computational Statistics & Data Analysis 52, 2008), so that what the dense network hardly uses becomes zero first. What
it makes of an input is the slope of its predictor there, and not the norm of the gate: weights drawn at random that the
layer above averages out make a large gate and move nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spred import _checks
from spred._defaults import KKT_TOL, MAX_ITER, NETWORK_EPS, NETWORK_N_ALPHAS
from spred.errors import InputError, did_you_mean
from spred.gated.minimise import State, minimise
from spred.gated.network import initial, input_slopes, sensitivities
from spred.gated.problem import GatedProblem
from spred.gated.working_set import inactive_gradients

STARTS = ("sparse", "dense")

PILOT_ALPHA = 3e-3
"""Alpha of the dense start over the null objective; much larger, and products become zero with the noise
(``scripts/bench selection`` measures this and the four below)."""

PILOT_STEPS, PILOT_TOL = 40, 0.1
"""Gauss-Newton steps of the dense start at most, and its KKT residual over alpha: slopes need no more."""

LOWEST = 0.2
"""First alpha of a rising path over that of the dense network: with few active inputs, less shrinkage predicts best."""

POWER = 2
"""Weights grow with this power of the inverse slope: with 1, the alpha that predicts best lets inputs of noise in."""

LEAST = 1e-2
"""Slope of a group over the largest below which its weight grows no more: beyond, alphas would differ by too much."""

ROUNDING = 16 * float(np.finfo(np.float64).eps)
"""Relative error of a centred entry, and so of a gradient over the sum of its terms: a few of float64's."""

NULL_TOL = 1e-10
"""Gradient at which the free coefficients of the null network are fitted, at an alpha of 1."""


@dataclass(frozen=True)
class PathOptions:
    """How a path is made.

    Attributes:
        hidden: width of each hidden layer.
        linear: whether the linear branch is there.
        start: ``"sparse"`` or ``"dense"``.
        n_alphas: length of the automatic grid.
        eps: its last value over its first.
        l1_ratio: ρ of the group elastic net.
        kkt_tol: KKT residual over alpha·l1_ratio to reach.
        max_iter: Gauss-Newton steps at most for one alpha.
        seed: of the initial weights.
        refit: refit the inputs of each alpha with a ridge of the same alpha.
    """

    hidden: tuple[int, ...] = (50,)
    linear: bool = True
    start: str = "sparse"
    n_alphas: int = NETWORK_N_ALPHAS
    eps: float = NETWORK_EPS
    l1_ratio: float = 1.0
    kkt_tol: float = KKT_TOL
    max_iter: int = MAX_ITER
    seed: int | None = 0
    refit: bool = False

    def __post_init__(self) -> None:
        if self.start not in STARTS:
            raise InputError(f"start is {self.start!r}{did_you_mean(self.start, STARTS)}; use 'sparse' or 'dense'")
        if not self.hidden or any(isinstance(h, bool) or int(h) != h or h < 1 for h in self.hidden):
            raise InputError(f"hidden is {self.hidden}; give the width of each hidden layer, such as (50,)")
        _checks.grid_options(self.n_alphas, self.eps)
        _checks.l1_ratio(self.l1_ratio)
        if not self.kkt_tol > 0:
            raise InputError(f"kkt_tol is {self.kkt_tol}; give a positive number, such as 1e-3")


def null_state(problem: GatedProblem, options: PathOptions) -> State:
    """Return the network with all gates at zero, its free coefficients fitted."""
    network = initial(
        problem.free_columns.shape[1], problem.n_outputs, options.hidden, linear=options.linear, seed=options.seed
    )
    state = State(network, np.zeros(0, dtype=int))
    if problem.intercept:
        constant = problem.forward(network, np.zeros((problem.design.n, 0))).eta[0]
        network.free[0] = problem.loss.null(problem.y, problem.s) - constant
    if not problem.free_inputs.size:
        return state
    return minimise(problem, state, 1.0, kkt_tol=NULL_TOL, max_iter=options.max_iter).state


def alpha_max(problem: GatedProblem, state: State) -> float:
    """Return ``max_g ‖(∂L/∂θ, ∂L/∂W)_g‖/ω_g`` at the null network: the smallest αρ at which it is stationary.

    0 where those gradients are rounding: the inputs are constant, or there is nothing to explain.
    """
    sizes, R = inactive_gradients(problem, state)
    design = problem.design
    noise = ROUNDING * np.abs(R).sum() * problem.group_norms((1.0 + np.abs(design.location) / design.scale)[:, None])
    return float(np.where(sizes > noise, sizes / problem.weights, 0.0).max(initial=0.0))


def dense_state(problem: GatedProblem, options: PathOptions, null: State) -> tuple[GatedProblem, State, float]:
    """Return the problem with adaptive weights, the trained dense network, and the alpha that a path begins with.

    Where there is nothing to explain the network is the null one.
    """
    if explained_by_a_constant(problem):
        return problem, null, options.eps
    rng = np.random.default_rng(None if options.seed is None else [options.seed, 1])
    inputs = problem.penalised
    first = rng.standard_normal((len(inputs), null.network.first.shape[1])) / np.sqrt(len(inputs))
    first[:, : null.network.n_linear] = 0.0
    objective = problem.value(problem.forward(null.network, np.zeros((problem.design.n, 0))).eta)
    alpha = PILOT_ALPHA * objective / float(problem.weights.mean())
    biases = tuple(rng.standard_normal(bias.shape) for bias in null.network.biases)
    start = State(replace(null.network, first=first, biases=biases), inputs)
    state = minimise(problem, start, alpha, kkt_tol=PILOT_TOL, max_iter=PILOT_STEPS).state
    slopes = used_slopes(problem, state)
    if not slopes.any():  # nothing to learn from: the weights stay as they are
        return problem, state, LOWEST * alpha
    weights = problem.weights / np.maximum(slopes / slopes.max(), LEAST) ** POWER
    return replace(problem, weights=weights), state, LOWEST * alpha


def explained_by_a_constant(problem: GatedProblem) -> bool:
    """Return whether all samples have the same target."""
    return isinstance(problem.y, np.ndarray) and not problem.y.dtype.names and bool((problem.y == problem.y[0]).all())


def used_slopes(problem: GatedProblem, state: State) -> np.ndarray:
    """Return the root mean square over weighted samples of the slope of η in each group, ``(G,)``; 0 if inactive."""
    if not state.inputs.size:
        return np.zeros(len(problem.weights))
    at = problem.forward(state.network, problem.design.columns(state.inputs))
    slopes = input_slopes(state.network, sensitivities(state.network, at)[0])
    moments = np.tensordot(problem.s[:, None, None] * slopes, slopes, axes=((0, 1), (0, 1)))
    squares = np.sum(state.network.first @ moments * state.network.first, axis=1)
    return np.asarray(problem.groups_of(state.inputs).gather(np.maximum(squares, 0.0)) ** 0.5)
