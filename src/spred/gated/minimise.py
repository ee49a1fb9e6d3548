"""One alpha: damped Gauss-Newton steps on the active groups, which become zero where a step leads through zero.

On the active groups the objective is smooth. Directions are those of Gauss and Newton, improved by the differences of
gradients of the last steps (the two-loop recursion of L-BFGS started from the Gauss-Newton inverse), because that model
leaves out the curvature of the network itself. Near the minimum they are Newton's: conjugate gradients on differences
of gradients, with the Gauss-Newton inverse as the preconditioner. A group whose step turns it round is set to zero: it
stays zero until the path finds that its gradient exceeds αω.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np

from spred.core.line_search import backtrack
from spred.core.partition import Labels, norms
from spred.gated.network import Network, moved, pack, sensitivities, tangent, unpack
from spred.gated.newton import Point, Solver, gauss_newton
from spred.gated.problem import GatedProblem

# What the constants below trade is steps against the cost of a step; `scripts/bench selection-paths` measures both.

MEMORY = 8
"""Pairs of differences that directions are improved with: more remember a curvature that has changed since."""

FIRST_DAMPING = 1e-2
"""Damping at the start of an alpha, and at most after one: small enough for nearly full Gauss-Newton steps."""

LEAST_DAMPING, MOST_DAMPING = 1e-6, 1e10
"""Damping that keeps the system regular, and that at which no step helps: it would be shorter than rounding."""

EASING, STIFFENING, STIFFENING_MUCH = 0.4, 3.0, 10.0
"""Factors of the damping after a full step, a shortened one and none: faster changes overshoot, slower cost steps."""

ROUNDING = 1e-14
"""Relative error of the objective, which counts as no rise: a sum over samples and groups."""

SHRINK, LEAST_STEP = 0.3, 0.005
"""Factor of the line search, and the step down to which it goes: five trials, after which damping does better."""

NEAR = 10.0
"""KKT residual over alpha below which directions are Newton's; farther off they set groups to zero too soon."""

MANY = 80
"""Unknowns of a Gauss-Newton step from which Newton's directions are worth their gradients; below, steps are cheap."""

HOPED, PAUSE = 0.5, 5
"""Factor by which a direction of Newton's should lower the residual, and steps without them after one that did not."""

CONJUGATE_STEPS = 30
"""Conjugate gradients at most for one direction: each costs two gradients."""

FORCING = 0.1
"""Relative residual at which conjugate gradients end, far from the minimum; near it the square root of the gradient."""

UPWARDS = 1e-10
"""Curvature along a direction, relative to it, below which the objective counts as not convex there."""

DIFFERENCE = 1e-6
"""Relative step of the differences that give the Hessian's product: between truncation and rounding."""


@dataclass(frozen=True, eq=False)
class State:
    """A network and its active inputs.

    Attributes:
        network: parameters.
        inputs: ``(k,)``, which input each row of ``network.first`` belongs to.
        damping: where the next minimisation starts.
    """

    network: Network
    inputs: np.ndarray
    damping: float = FIRST_DAMPING


@dataclass(frozen=True, eq=False)
class Outcome:
    """What :func:`minimise` reached: the state, the KKT residual over alpha, steps."""

    state: State
    residual: float
    n_iter: int


@dataclass(frozen=True)
class Memory:
    """Differences of parameters and gradients along the last steps."""

    pairs: tuple[tuple[np.ndarray, np.ndarray], ...] = ()

    def added(self, step: np.ndarray, change: np.ndarray) -> Memory:
        """Return the memory with a pair, if the objective is convex along it."""
        if step @ change <= UPWARDS * np.linalg.norm(step) * np.linalg.norm(change):
            return self
        return Memory((*self.pairs[1 - MEMORY :], (step, change)))

    def direction(self, g: np.ndarray, solve: Solver) -> np.ndarray:
        """Return the direction of descent: L-BFGS on top of ``solve``."""
        q, factors = g.copy(), []
        for step, change in reversed(self.pairs):
            factor = (step @ q) / (step @ change)
            factors.append(factor)
            q -= factor * change
        q = solve(q)
        for (step, change), factor in zip(self.pairs, reversed(factors), strict=True):
            q += (factor - (change @ q) / (step @ change)) * step
        return -q


def minimise(problem: GatedProblem, state: State, alpha: float, *, kkt_tol: float, max_iter: int) -> Outcome:
    """Minimise the objective on the active inputs of ``state``, all of whose groups are nonzero.

    Ends when the KKT residual is at most ``kkt_tol`` times alpha, after ``max_iter`` steps, or where no step helps.
    """
    work = Work(problem, alpha, state)
    memory, damping = Memory(), state.damping
    n_iter = pause = 0
    hoped = inf  # what Newton's last direction should have brought the residual to
    while (residual := work.residual()) > kkt_tol * alpha and n_iter < max_iter:
        n_iter += 1
        solve = gauss_newton(work.point, work.strengths, damping)
        g = work.gradient
        pause = PAUSE if residual > hoped else max(pause - 1, 0)
        near = residual < NEAR * alpha and work.n_unknowns >= MANY and not pause
        hoped = HOPED * residual if near else inf
        d = newton_direction(work, solve) if near else memory.direction(g, solve)
        if g @ d >= 0:
            memory, d = Memory(), -solve(g)
        length, zeroed = work.search(d)
        if not length and near:
            continue
        if not length:
            memory, damping = Memory(), STIFFENING_MUCH * damping
            if damping > MOST_DAMPING:
                break
        else:
            memory = Memory() if zeroed else memory.added(length * d, work.gradient - g)
            damping = max(EASING * damping, LEAST_DAMPING) if length == 1.0 else STIFFENING * damping
    reached = State(work.point.network, work.inputs, min(max(damping, LEAST_DAMPING), FIRST_DAMPING))
    return Outcome(reached, residual / alpha, n_iter)


def newton_direction(work: Work, solve: Solver) -> np.ndarray:
    """Return Newton's direction as far as conjugate gradients find it before the objective is not convex along it.

    Source: T. Steihaug, SIAM Journal on Numerical Analysis 20, 1983.
    """
    d, r = np.zeros_like(work.gradient), work.gradient.copy()
    size = float(np.linalg.norm(r))
    enough = min(FORCING, size**0.5) * size
    z = solve(r)
    p, product = -z, float(r @ z)
    for _ in range(CONJUGATE_STEPS):
        curved = work.hessian_product(p)
        curvature = float(p @ curved)
        if curvature <= UPWARDS * float(p @ p):
            return d if d.any() else p
        length = product / curvature
        d, r = d + length * p, r + length * curved
        if np.linalg.norm(r) < enough:
            break
        z = solve(r)
        before, product = product, float(r @ z)
        p = product / before * p - z
    return d


class Work:
    """An iterate: its active inputs, the objective there, its gradient, and the search along a line."""

    def __init__(self, problem: GatedProblem, alpha: float, state: State) -> None:
        self.problem, self.alpha = problem, alpha
        self._activate(state.inputs, problem.design.columns(state.inputs))
        self._move_to(state.network)

    def residual(self) -> float:
        """Return the largest norm of the gradient over active groups and over the parts without penalty."""
        part = self.slope
        groups = norms(part.first, self.groups)
        others = (np.linalg.norm(each) for each in (part.free, *part.biases, *part.upper))
        return max(float(groups.max(initial=0.0)), *map(float, others))

    @property
    def n_unknowns(self) -> int:
        """Unknowns of a Gauss-Newton step: parameters, or samples times outputs."""
        return min(self.gradient.size, self.point.at.eta.size)

    def search(self, d: np.ndarray) -> tuple[float, bool]:
        """Step along ``d`` and return the length of the step, 0 if none helps, and whether it set a group to zero."""
        step = unpack(d, self.point.network)

        def trial(length: float) -> tuple[float, tuple[Network, np.ndarray, np.ndarray]]:
            network, keep = self._candidate(step, length)
            X = self.X if keep.all() else self.X[:, keep]
            inputs = self.inputs if keep.all() else self.inputs[keep]
            return objective(self.problem, self.alpha, network, X, self.problem.labels[inputs]), (network, inputs, X)

        slope = float(self.gradient @ d)
        found = backtrack(trial, self.value, slope, shrink=SHRINK, least=LEAST_STEP, rounding=ROUNDING)
        if found is None:
            return 0.0, False
        length, (network, inputs, X) = found
        fewer = len(inputs) < len(self.inputs)
        if fewer:
            self._activate(inputs, X)
        self._move_to(network)
        return length, fewer

    def _candidate(self, step: Network, length: float) -> tuple[Network, np.ndarray]:
        """Return the network after a step, without the groups that it turns round, and which inputs are left."""
        network = moved(self.point.network, step, length)
        if not self.inputs.size or not self.problem.penalty.sparse:
            return network, np.ones(len(self.inputs), dtype=bool)
        keep = (self.point.along_groups(network.first) > 0)[self.groups.labels]
        return (network if keep.all() else network.with_first(network.first[keep])), keep

    def _activate(self, inputs: np.ndarray, X: np.ndarray) -> None:
        self.inputs, self.X = inputs, X
        active, labels = np.unique(self.problem.labels[inputs], return_inverse=True)
        self.groups = Labels(labels, len(active))
        self.strengths = self.alpha * self.problem.weights[active]

    def hessian_product(self, p: np.ndarray) -> np.ndarray:
        """Return the change of the gradient along ``p``, upper rows on their spheres: the Hessian times ``p``."""
        step = unpack(p, self.point.network)
        length = DIFFERENCE * (1.0 + float(np.linalg.norm(pack(self.point.network)))) / float(np.linalg.norm(p))
        there, back = (self._evaluate(moved(self.point.network, step, sign * length)) for sign in (1.0, -1.0))
        change = unpack((pack(self._slope(there)) - pack(self._slope(back))) / (2.0 * length), step)
        along = (tangent(w, part) for w, part in zip(self.point.network.upper, change.upper, strict=True))
        return pack(replace(change, upper=tuple(along)))

    def _evaluate(self, network: Network) -> Point:
        at = self.problem.forward(network, self.X)
        return Point(self.problem, network, self.X, self.groups, at, sensitivities(network, at))

    def _slope(self, point: Point) -> Network:
        """Return the gradient of the objective at ``point``."""
        data = point.pull_back(self.problem.theta(point.at.eta))
        outwards = self.strengths * self.problem.penalty.slope(point.sizes)
        return data.with_first(data.first + outwards[self.groups.labels][:, None] * point.unit)

    def _move_to(self, network: Network) -> None:
        """Evaluate objective and gradient at ``network``."""
        self.point = self._evaluate(network)
        penalty = self.strengths @ self.problem.penalty.value(self.point.sizes)
        self.value = self.problem.value(self.point.at.eta) + float(penalty)
        self.slope = self._slope(self.point)
        self.gradient = pack(self.slope)


def objective(problem: GatedProblem, alpha: float, network: Network, X: np.ndarray, groups: np.ndarray) -> float:
    """Return the penalised objective of a network whose inputs ``X`` belong to ``groups``."""
    codes, labels = np.unique(groups, return_inverse=True)
    penalty = problem.weights[codes] @ problem.penalty.value(norms(network.first, Labels(labels, len(codes))))
    return problem.value(problem.forward(network, X).eta) + alpha * float(penalty)
