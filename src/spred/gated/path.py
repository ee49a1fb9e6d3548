"""Whole paths of gated networks: the grid, its certificates, and the two ways along it.

A sparse start goes down from the alpha where all gates are closed, a dense one up from a trained dense network. Every
alpha ends with one pass over *all* inputs; the largest KKT residual found, over all of them, is its certificate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from spred.errors import InputError
from spred.gated.minimise import Outcome, State, minimise
from spred.gated.network import Network, get_activation
from spred.gated.penalty import RIDGE, elastic
from spred.gated.problem import GatedProblem
from spred.gated.starts import PathOptions, alpha_max, closed, dense
from spred.gated.working_set import Step, solve_at

SATURATED = 0.999
"""Share of the null objective explained at which a sparse grid of our own making ends."""

BEYOND = 2
"""A rising grid ends where all gates are closed, or when it is so many times as long as a falling one."""

Advance = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class NetworkPath:
    """Stationary points along a falling grid of alphas.

    Attributes:
        alphas: ``(A,)``, falling.
        networks: one for each alpha, on its open inputs.
        inputs: the open inputs of each, sorted.
        weights: ``(G,)``, ω of each penalised group; adaptive ones where the start was dense.
        kkts: ``(A,)``, largest KKT residual over all inputs and all free parameters, over alpha·l1_ratio.
        objectives: ``(A,)``, penalised.
        deviance_explained: ``(A,)``, share of the null objective that the data term explains.
        n_iter: ``(A,)``, Gauss-Newton steps.
        alpha_max: the smallest alpha at which the closed network is stationary, before any adaptive weights.
        l1_ratio: ρ.
        start: ``"sparse"`` or ``"dense"``.
        kkt_tol: the KKT residual that was asked for.
        seconds: wall time.
        refits: of each alpha, the network on the same inputs with ``α/2 Σ ω_g ‖(θ, W)_g‖²``; empty without ``refit``.
        refit_residuals: ``(A,)``, the largest gradient of that objective over any group or free part, over alpha.
    """

    alphas: np.ndarray
    networks: tuple[Network, ...]
    inputs: tuple[np.ndarray, ...]
    weights: np.ndarray
    kkts: np.ndarray
    objectives: np.ndarray
    deviance_explained: np.ndarray
    n_iter: np.ndarray
    alpha_max: float
    l1_ratio: float
    start: str
    kkt_tol: float
    seconds: float
    refits: tuple[Network, ...] = ()
    refit_residuals: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @cached_property
    def n_nonzero(self) -> np.ndarray:
        """Open inputs at each alpha, ``(A,)``."""
        return np.array([len(inputs) for inputs in self.inputs])

    @property
    def models(self) -> tuple[Network, ...]:
        """The networks to predict with: the second fits where there are any."""
        return self.refits or self.networks

    @property
    def worst(self) -> float:
        """The largest residual over alpha, of the path and of the second fits."""
        return float(max(self.kkts.max(), self.refit_residuals.max(initial=0.0)))

    @property
    def converged(self) -> bool:
        """Whether every alpha reached ``kkt_tol``."""
        return self.worst <= self.kkt_tol


def network_path(
    problem: GatedProblem,
    options: PathOptions,
    *,
    alphas: ArrayLike | None = None,
    on_alpha: Advance | None = None,
) -> NetworkPath:
    """Follow stationary points of ``L + α Σ_g ω_g (ρ‖(θ, W)_g‖ + (1 − ρ)/2·‖(θ, W)_g‖²)`` along a grid of alphas.

    Args:
        problem: data, loss, groups.
        options: the network, the start, the grid, tolerances.
        alphas: the grid, in any order, never cut short. By default: for a sparse start from ``alpha_max`` down to
            ``eps`` times that, ended early when the fit is saturated; for a dense one from a fifth of the
            alpha of the trained dense network, or ``eps`` times ``alpha_max`` where that is smaller, up to where all
            gates are closed.
        on_alpha: called with (alphas done, alphas at most).

    Raises:
        InputError: an option out of range.
    """
    began = time.perf_counter()
    get_activation(problem.activation)
    problem, ratio = replace(problem, penalty=elastic(options.l1_ratio)), options.l1_ratio
    null = closed(problem, options)
    top = alpha_max(problem, null)
    null_value = problem.value(problem.forward(null.network, np.zeros((problem.design.n, 0))).eta)
    given = None if alphas is None else ratio * _checked(alphas)
    route = Route(options, given, top, null, null_value, on_alpha)
    weighted, steps = route.upwards(problem) if options.start == "dense" else (problem, route.downwards(problem))
    again = [refit(problem, step, options) for step in steps] if options.refit else []
    return NetworkPath(
        alphas=np.array([step.alpha for step in steps]) / ratio,
        networks=tuple(step.state.network for step in steps),
        inputs=tuple(step.state.inputs for step in steps),
        weights=weighted.weights,
        kkts=np.array([step.kkt for step in steps]),
        objectives=np.array([step.objective for step in steps]),
        deviance_explained=np.array([1.0 - step.data_term / null_value if null_value > 0 else 0.0 for step in steps]),
        n_iter=np.array([step.n_iter for step in steps]),
        alpha_max=top / ratio,
        l1_ratio=ratio,
        start=options.start,
        kkt_tol=options.kkt_tol,
        seconds=time.perf_counter() - began,
        refits=tuple(outcome.state.network for outcome in again),
        refit_residuals=np.array([outcome.residual for outcome in again]),
    )


def refit(problem: GatedProblem, step: Step, options: PathOptions) -> Outcome:
    """Fit the inputs of one alpha again with a ridge of the same strength in the place of the norm.

    The norm chooses inputs and shrinks them; the ridge chooses nothing, and weighs them without adaptive weights.
    """
    ridge = replace(problem, penalty=RIDGE)
    return minimise(ridge, step.state, step.alpha / options.l1_ratio, tol=options.kkt_tol, max_iter=options.max_iter)


@dataclass(frozen=True, eq=False)
class Route:
    """The grid and how it is followed: options, alphas if they were given, the closed network and its values.

    Its alphas are strengths of the norm, αρ: the engine's unit, whatever the share of a ridge.
    """

    options: PathOptions
    alphas: np.ndarray | None
    alpha_max: float
    null: State
    null_value: float
    on_alpha: Advance | None

    def downwards(self, problem: GatedProblem) -> Sequence[Step]:
        """Go from the closed network to ever smaller alphas."""
        steps: list[Step] = []
        state, grid = self.null, self._falling() if self.alphas is None else self.alphas
        for alpha in grid:
            state = self._one(problem, float(alpha), state, steps, len(grid))
            if self.alphas is None and steps[-1].data_term <= (1.0 - SATURATED) * self.null_value:
                break
        return steps

    def upwards(self, problem: GatedProblem) -> tuple[GatedProblem, Sequence[Step]]:
        """Go from the trained dense network to ever larger alphas; return the problem with its weights too."""
        steps: list[Step] = []
        problem, state, low = dense(problem, self.options, self.null)
        grid = self._rising(low) if self.alphas is None else self.alphas[::-1]
        for alpha in grid:
            state = self._one(problem, float(alpha), state, steps, len(grid))
            if self.alphas is None and not state.inputs.size:
                break
        return problem, steps[::-1]

    def _one(self, problem: GatedProblem, alpha: float, state: State, steps: list[Step], most: int) -> State:
        steps.append(solve_at(problem, alpha, state, tol=self.options.kkt_tol, max_iter=self.options.max_iter))
        if self.on_alpha is not None:
            self.on_alpha(len(steps), most)
        return steps[-1].state

    def _falling(self) -> np.ndarray:
        top, n_alphas = self.alpha_max or 1.0, self.options.n_alphas  # 1 where there is nothing to explain
        return np.geomspace(top, top * self.options.eps, n_alphas) if n_alphas > 1 else np.array([top])

    def _rising(self, low: float) -> np.ndarray:
        """As long as a falling grid, from ``low`` (or lower) to ``alpha_max``; then on, for what lives above it."""
        top, n_alphas = self.alpha_max or 1.0, self.options.n_alphas
        low = min(low, self.options.eps * top)
        return low * (top / low) ** (np.arange(BEYOND * n_alphas) / max(n_alphas - 1, 1))


def _checked(alphas: ArrayLike) -> np.ndarray:
    grid = np.sort(np.atleast_1d(np.asarray(alphas, dtype=np.float64)))[::-1]
    if grid.ndim != 1 or not grid.size or not (np.isfinite(grid).all() and grid[-1] > 0):
        raise InputError("alphas must hold positive, finite numbers, at least one")
    return grid
