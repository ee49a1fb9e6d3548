"""One alpha: damped Gauss-Newton steps on the open groups, closed where a step leads through zero.

On the open groups the objective is smooth. Directions are those of Gauss and Newton, improved by the differences of
gradients seen on the way (the two-loop recursion of L-BFGS started from the Gauss-Newton inverse), because that model
leaves out the curvature of the network itself. A group whose step turns it round is set to zero: it stays closed until
the path finds that its gradient exceeds αω.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from spred.gated.network import Network, moved, pack, sensitivities, unpack
from spred.gated.newton import Point, Solver, gauss_newton, group_norms
from spred.gated.problem import GatedProblem

MEMORY = 8
LEAST_DAMPING, MOST_DAMPING = 1e-6, 1e10
ROUNDING = 1e-14


@dataclass(frozen=True, eq=False)
class State:
    """A network and the inputs that are open in it.

    Attributes:
        network: parameters.
        inputs: ``(k,)``, which input each row of ``network.first`` belongs to.
        damping: where the next minimisation starts.
    """

    network: Network
    inputs: np.ndarray
    damping: float = 1e-2


@dataclass(frozen=True, eq=False)
class Outcome:
    """What :func:`minimise` reached: the state, the stationarity residual over alpha, steps."""

    state: State
    residual: float
    n_iter: int


@dataclass
class Memory:
    """Differences of parameters and gradients along the last steps."""

    pairs: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def add(self, step: np.ndarray, change: np.ndarray) -> None:
        """Keep a pair if the objective bends upwards along it."""
        if step @ change > 1e-10 * np.linalg.norm(step) * np.linalg.norm(change):
            self.pairs = [*self.pairs[1 - MEMORY :], (step, change)]

    def direction(self, g: np.ndarray, solve: Solver) -> np.ndarray:
        """Return the direction of descent: L-BFGS on top of ``solve``."""
        q, shares = g.copy(), []
        for step, change in reversed(self.pairs):
            share = (step @ q) / (step @ change)
            shares.append(share)
            q -= share * change
        q = solve(q)
        for (step, change), share in zip(self.pairs, reversed(shares), strict=True):
            q += (share - (change @ q) / (step @ change)) * step
        return -q


def minimise(problem: GatedProblem, state: State, alpha: float, *, tol: float, max_iter: int) -> Outcome:
    """Minimise the objective on the open inputs of ``state``, all of whose groups are nonzero.

    Stops when the residual is at most ``tol`` times alpha, after ``max_iter`` steps, or where no step helps.
    """
    work = Work(problem, alpha, state)
    memory, damping = Memory(), state.damping
    n_iter = 0
    while (residual := work.residual()) > tol * alpha and n_iter < max_iter:
        n_iter += 1
        solve = gauss_newton(work.point, work.strengths, damping)
        g = work.gradient
        d = memory.direction(g, solve)
        if memory.pairs and g @ d >= 0:
            memory, d = Memory(), -solve(g)
        length, closed = work.search(d)
        if not length:
            memory, damping = Memory(), 10.0 * damping
            if damping > MOST_DAMPING:
                break
            continue
        if closed:
            memory = Memory()
        else:
            memory.add(length * d, work.gradient - g)
        damping = max(0.4 * damping, LEAST_DAMPING) if length == 1.0 else damping * (2.0 if length < 0.1 else 1.0)
    settled = State(work.point.network, work.inputs, min(max(damping, LEAST_DAMPING), 1e-2))
    return Outcome(settled, residual / alpha, n_iter)


class Work:
    """A point on its way down: the open inputs, the objective there, its gradient, and the search along a line."""

    def __init__(self, problem: GatedProblem, alpha: float, state: State) -> None:
        self.problem, self.alpha = problem, alpha
        self._open(state.inputs, problem.design.columns(state.inputs))
        self._arrive(state.network)

    def residual(self) -> float:
        """Return the largest norm of the gradient over open groups and over the parts without penalty."""
        part = self.slope
        groups = group_norms(part.first, self.labels)
        others = (np.linalg.norm(each) for each in (part.free, *part.biases, *part.upper))
        return max(float(groups.max(initial=0.0)), *map(float, others))

    def search(self, d: np.ndarray) -> tuple[float, bool]:
        """Go down along ``d`` and return the length of the step, 0 if none helps, and whether it closed a group."""
        step, fall = unpack(d, self.point.network), float(self.gradient @ d)
        length = 1.0
        for _ in range(5):
            network, keep = self._candidate(step, length)
            X = self.X if keep.all() else self.X[:, keep]
            labels = self.labels if keep.all() else self.labels[keep]
            value = self._objective(network, X, self.groups[labels])
            if value <= self.value + 1e-4 * length * fall + ROUNDING * abs(self.value):
                if not keep.all():
                    self._open(self.inputs[keep], X)
                self._arrive(network)
                return length, not keep.all()
            length *= 0.3
        return 0.0, False

    def _candidate(self, step: Network, length: float) -> tuple[Network, np.ndarray]:
        """Return the network after a step, without the groups that it turns round, and which inputs are left."""
        network = moved(self.point.network, step, length)
        if not self.labels.size:
            return network, np.ones(0, dtype=bool)
        onwards = np.bincount(self.labels, weights=np.sum(network.first * self.point.unit, axis=1))
        keep = (onwards > 0)[self.labels]
        return (network if keep.all() else network.with_first(network.first[keep])), keep

    def _open(self, inputs: np.ndarray, X: np.ndarray) -> None:
        self.inputs, self.X = inputs, X
        self.groups, self.labels = np.unique(self.problem.labels[inputs], return_inverse=True)
        self.strengths = self.alpha * self.problem.weights[self.groups]

    def _arrive(self, network: Network) -> None:
        """Evaluate objective and gradient at ``network``."""
        at = self.problem.forward(network, self.X)
        self.point = Point(self.problem, network, self.X, self.labels, at, sensitivities(network, at))
        self.value = self.problem.value(at.eta) + float(self.strengths @ self.point.sizes)
        data = self.point.pull_back(self.problem.theta(at.eta))
        pulled = self.strengths[self.labels][:, None] * self.point.unit
        self.slope = data.with_first(data.first + pulled)
        self.gradient = pack(self.slope)

    def _objective(self, network: Network, X: np.ndarray, groups: np.ndarray) -> float:
        return objective(self.problem, self.alpha, network, X, groups)


def objective(problem: GatedProblem, alpha: float, network: Network, X: np.ndarray, groups: np.ndarray) -> float:
    """Return the penalised objective of a network whose inputs ``X`` belong to ``groups``."""
    codes, labels = np.unique(groups, return_inverse=True)
    penalty = problem.weights[codes] @ group_norms(network.first, labels)
    return problem.value(problem.forward(network, X).eta) + alpha * float(penalty)
