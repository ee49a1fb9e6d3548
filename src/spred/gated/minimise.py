"""One alpha: damped Gauss-Newton steps on the open groups, closed where a step leads through zero.

On the open groups the objective is smooth. Directions are those of Gauss and Newton, improved by the differences of
gradients seen on the way (the two-loop recursion of L-BFGS started from the Gauss-Newton inverse), because that model
leaves out the curvature of the network itself. Near the end they are Newton's: conjugate gradients on differences of
gradients, with the Gauss-Newton inverse as the preconditioner. A group whose step turns it round is set to zero: it
stays closed until the path finds that its gradient exceeds αω.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np

from spred.core.line_search import backtrack
from spred.gated.network import Network, moved, pack, sensitivities, tangent, unpack
from spred.gated.newton import Point, Solver, gauss_newton, group_norms
from spred.gated.problem import GatedProblem

MEMORY = 8
LEAST_DAMPING, MOST_DAMPING = 1e-6, 1e10
ROUNDING = 1e-14

SHRINK, LEAST_STEP = 0.3, 0.005
"""Factor of the line search, and the step down to which it goes: five trials, after which damping does better."""

NEAR = 10.0
"""Residual over alpha below which directions are Newton's; farther off they close gates too soon."""

MANY = 80
"""Unknowns of a Gauss-Newton step from which Newton's directions are worth their gradients; below, steps are cheap."""

PAUSE = 5
"""Steps without Newton's directions after one that did not halve the residual."""

CONJUGATE_STEPS = 30


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


@dataclass(frozen=True)
class Memory:
    """Differences of parameters and gradients along the last steps."""

    pairs: tuple[tuple[np.ndarray, np.ndarray], ...] = ()

    def added(self, step: np.ndarray, change: np.ndarray) -> Memory:
        """Return the memory with a pair, if the objective bends upwards along it."""
        if step @ change <= 1e-10 * np.linalg.norm(step) * np.linalg.norm(change):
            return self
        return Memory((*self.pairs[1 - MEMORY :], (step, change)))

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
    n_iter = pause = 0
    hoped = inf  # what Newton's last direction should have brought the residual to
    while (residual := work.residual()) > tol * alpha and n_iter < max_iter:
        n_iter += 1
        solve = gauss_newton(work.point, work.strengths, damping)
        g = work.gradient
        pause = PAUSE if residual > hoped else max(pause - 1, 0)
        near = residual < NEAR * alpha and work.n_unknowns >= MANY and not pause
        hoped = 0.5 * residual if near else inf
        d = newton_direction(work, solve) if near else memory.direction(g, solve)
        if g @ d >= 0:
            memory, d = Memory(), -solve(g)
        length, closed = work.search(d)
        if not length and near:
            continue
        if not length:
            memory, damping = Memory(), 10.0 * damping
            if damping > MOST_DAMPING:
                break
        else:
            memory = Memory() if closed else memory.added(length * d, work.gradient - g)
            damping = max(0.4 * damping, LEAST_DAMPING) if length == 1.0 else 3.0 * damping
    settled = State(work.point.network, work.inputs, min(max(damping, LEAST_DAMPING), 1e-2))
    return Outcome(settled, residual / alpha, n_iter)


def newton_direction(work: Work, solve: Solver) -> np.ndarray:
    """Return Newton's direction as far as conjugate gradients find it before the objective bends downwards.

    Source: T. Steihaug, SIAM Journal on Numerical Analysis 20, 1983.
    """
    d, r = np.zeros_like(work.gradient), work.gradient.copy()
    size = float(np.linalg.norm(r))
    enough = min(0.1, size**0.5) * size
    z = solve(r)
    p, product = -z, float(r @ z)
    for _ in range(CONJUGATE_STEPS):
        bent = work.bend(p)
        curvature = float(p @ bent)
        if curvature <= 1e-10 * float(p @ p):
            return d if d.any() else p
        length = product / curvature
        d, r = d + length * p, r + length * bent
        if np.linalg.norm(r) < enough:
            break
        z = solve(r)
        before, product = product, float(r @ z)
        p = product / before * p - z
    return d


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

    @property
    def n_unknowns(self) -> int:
        """Unknowns of a Gauss-Newton step: parameters, or samples times outputs."""
        return min(self.gradient.size, self.point.at.eta.size)

    def search(self, d: np.ndarray) -> tuple[float, bool]:
        """Go down along ``d`` and return the length of the step, 0 if none helps, and whether it closed a group."""
        step = unpack(d, self.point.network)

        def trial(length: float) -> tuple[float, tuple[Network, np.ndarray, np.ndarray]]:
            network, keep = self._candidate(step, length)
            X = self.X if keep.all() else self.X[:, keep]
            labels = self.labels if keep.all() else self.labels[keep]
            return objective(self.problem, self.alpha, network, X, self.groups[labels]), (network, keep, X)

        slope = float(self.gradient @ d)
        found = backtrack(trial, self.value, slope, shrink=SHRINK, least=LEAST_STEP, rounding=ROUNDING)
        if found is None:
            return 0.0, False
        length, (network, keep, X) = found
        if not keep.all():
            self._open(self.inputs[keep], X)
        self._arrive(network)
        return length, not keep.all()

    def _candidate(self, step: Network, length: float) -> tuple[Network, np.ndarray]:
        """Return the network after a step, without the groups that it turns round, and which inputs are left."""
        network = moved(self.point.network, step, length)
        if not self.labels.size or not self.problem.penalty.closes:
            return network, np.ones(len(self.labels), dtype=bool)
        onwards = np.bincount(self.labels, weights=np.sum(network.first * self.point.unit, axis=1))
        keep = (onwards > 0)[self.labels]
        return (network if keep.all() else network.with_first(network.first[keep])), keep

    def _open(self, inputs: np.ndarray, X: np.ndarray) -> None:
        self.inputs, self.X = inputs, X
        self.groups, self.labels = np.unique(self.problem.labels[inputs], return_inverse=True)
        self.strengths = self.alpha * self.problem.weights[self.groups]

    def bend(self, p: np.ndarray) -> np.ndarray:
        """Return the change of the gradient along ``p``, upper rows on their spheres: the curvature times ``p``."""
        step = unpack(p, self.point.network)
        length = 1e-6 * (1.0 + float(np.linalg.norm(pack(self.point.network)))) / float(np.linalg.norm(p))
        there, back = (self._look(moved(self.point.network, step, way * length)) for way in (1.0, -1.0))
        change = unpack((pack(self._slope(there)) - pack(self._slope(back))) / (2.0 * length), step)
        along = (tangent(w, part) for w, part in zip(self.point.network.upper, change.upper, strict=True))
        return pack(replace(change, upper=tuple(along)))

    def _look(self, network: Network) -> Point:
        at = self.problem.forward(network, self.X)
        return Point(self.problem, network, self.X, self.labels, at, sensitivities(network, at))

    def _slope(self, point: Point) -> Network:
        """Return the gradient of the objective at ``point``."""
        data = point.pull_back(self.problem.theta(point.at.eta))
        outwards = self.strengths * self.problem.penalty.slope(point.sizes)
        return data.with_first(data.first + outwards[self.labels][:, None] * point.unit)

    def _arrive(self, network: Network) -> None:
        """Evaluate objective and gradient at ``network``."""
        self.point = self._look(network)
        penalty = self.strengths @ self.problem.penalty.value(self.point.sizes)
        self.value = self.problem.value(self.point.at.eta) + float(penalty)
        self.slope = self._slope(self.point)
        self.gradient = pack(self.slope)


def objective(problem: GatedProblem, alpha: float, network: Network, X: np.ndarray, groups: np.ndarray) -> float:
    """Return the penalised objective of a network whose inputs ``X`` belong to ``groups``."""
    codes, labels = np.unique(groups, return_inverse=True)
    penalty = problem.weights[codes] @ problem.penalty.value(group_norms(network.first, labels))
    return problem.value(problem.forward(network, X).eta) + alpha * float(penalty)
