"""Gauss-Newton steps: ``(JᵀΛJ + M)⁻¹ g``, solved over samples or over parameters, whichever are fewer.

J is the Jacobian of η in the parameters, Λ the curvature of the data term in η, M that of the penalty on the open
groups, ``(αω/‖v‖)(I − v vᵀ/‖v‖²)`` for the norm and ``αω I`` for a ridge, plus damping. By Woodbury's identity the
system is one of ``n·K`` unknowns with the matrix ``I + ΛJM⁻¹Jᵀ``; and ``JM⁻¹Jᵀ`` is a sum of entrywise products of
small Gram matrices, of inputs and of sensitivities, so neither J nor anything of the size of the parameters squared is
ever formed (docs/math.md, §9).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve, lu_factor, lu_solve

from spred.gated.network import Forward, Network, entrances, pack, pull_back, push_forward, unpack
from spred.gated.problem import GatedProblem, summed

Solver = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Point:
    """A network on its open inputs, evaluated, with everything that its Gauss-Newton model is made of.

    Attributes:
        problem: what is minimised.
        network: parameters; every row of ``first`` belongs to an open group.
        X: columns of the open inputs, ``(n, k)``.
        labels: ``(k,)``, the open group of each input, 0 … G − 1.
        at: the forward pass.
        sensitive: ∂η/∂z of each hidden layer.
    """

    problem: GatedProblem
    network: Network
    X: np.ndarray
    labels: np.ndarray
    at: Forward
    sensitive: tuple[np.ndarray, ...]

    @cached_property
    def sizes(self) -> np.ndarray:
        """Norm of each open group, ``(G,)``."""
        return group_norms(self.network.first, self.labels)

    @cached_property
    def unit(self) -> np.ndarray:
        """``first`` over the norms of its groups."""
        return self.network.first / self.sizes[self.labels][:, None]

    def pull_back(self, theta: np.ndarray) -> Network:
        """Return ``Jᵀθ``."""
        return pull_back(self.network, self.problem.free_columns, self.X, self.at, self.sensitive, theta)

    def push_forward(self, step: Network) -> np.ndarray:
        """Return ``J·step``."""
        return push_forward(self.network, self.problem.free_columns, self.X, self.at, self.sensitive, step)


def group_norms(first: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the norm of each group of rows."""
    n_groups = int(labels.max()) + 1 if labels.size else 0
    return summed(labels, np.sum(first * first, axis=1), n_groups) ** 0.5


def gauss_newton(point: Point, strengths: np.ndarray, damping: float) -> Solver:
    """Return ``g ↦ (JᵀΛJ + M)⁻¹ g`` at ``point``; ``strengths`` are αω of its open groups."""
    penalty = point.problem.penalty
    pull = strengths * penalty.slope(point.sizes) / point.sizes
    metric = Metric(point, pull, damping, stretch=penalty.ridge * strengths)
    n_parameters = sum(part.size for part in point.network.parts)
    return over_parameters(metric) if n_parameters <= point.at.eta.size else over_samples(metric)


@dataclass(frozen=True, eq=False)
class Metric:
    """M: the curvature of the penalty across each group and along it, ``(G,)`` each, and damping in all directions."""

    point: Point
    pull: np.ndarray
    damping: float
    stretch: np.ndarray | float = 0.0

    @property
    def rows(self) -> np.ndarray:
        """Inverse of M across the group of each open input, ``(k,)``."""
        return 1.0 / (self.pull + self.damping)[self.point.labels]

    @property
    def along(self) -> np.ndarray:
        """What the inverse of M has more along each group than across it, ``(G,)``."""
        return 1.0 / (self.stretch + self.damping) - 1.0 / (self.pull + self.damping)

    def inverse(self, flat: np.ndarray) -> np.ndarray:
        """Return ``M⁻¹g``."""
        point, out = self.point, flat / self.damping
        start = point.network.free.size
        stop = start + point.network.first.size
        first = flat[start:stop].reshape(point.network.first.shape)
        radial = summed(point.labels, np.sum(first * point.unit, axis=1), len(self.pull))
        rows = self.rows[:, None] * first + (self.along * radial)[point.labels][:, None] * point.unit
        out[start:stop] = rows.ravel()
        return out

    def matrix(self) -> np.ndarray:
        """Return M, written out."""
        point = self.point
        start, width = point.network.free.size, point.network.first.shape[1]
        M = np.diag(np.full(sum(part.size for part in point.network.parts), self.damping))
        stretch = np.broadcast_to(self.stretch, self.pull.shape)
        for group, pull in enumerate(self.pull):
            places = (np.flatnonzero(point.labels == group)[:, None] * width + np.arange(width)).ravel() + start
            direction = point.unit[point.labels == group].ravel()
            radial = np.outer(direction, direction)
            M[np.ix_(places, places)] += pull * (np.eye(len(places)) - radial) + stretch[group] * radial
        return M


def over_parameters(metric: Metric) -> Solver:
    """Solve with the matrix of all parameters written out."""
    J = jacobian(metric.point)
    factor = cho_factor(
        metric.point.problem.bent_gram(metric.point.at.eta, J) + metric.matrix(), overwrite_a=True, check_finite=False
    )
    return lambda g: cho_solve(factor, g, check_finite=False)


def over_samples(metric: Metric) -> Solver:
    """Solve for the change of η: ``(I + KΛ) e = −J M⁻¹ g`` with ``K = J M⁻¹ Jᵀ``, then ``M⁻¹(g + JᵀΛe)``."""
    point = metric.point
    bend = point.problem.bend(point.at.eta)
    system = bend(kernel(metric))
    system[np.diag_indices_from(system)] += 1.0
    factor = lu_factor(system, overwrite_a=True, check_finite=False)  # of the transpose, (I + ΛK)

    def solve(g: np.ndarray) -> np.ndarray:
        scaled = metric.inverse(g)
        change = point.push_forward(unpack(scaled, point.network))
        e = lu_solve(factor, -change.reshape(-1), trans=1, check_finite=False)
        theta = bend(e[:, None]).reshape(change.shape)
        return scaled + metric.inverse(pack(point.pull_back(theta)))

    return solve


def kernel(metric: Metric) -> np.ndarray:
    """Return ``J M⁻¹ Jᵀ``, ``(n·K, n·K)``, from Gram matrices of inputs and sensitivities."""
    point, damping = metric.point, metric.damping
    network, (n, K) = point.network, point.at.eta.shape
    Z, top = point.problem.free_columns, point.at.hidden[-1]
    inputs = (point.X * metric.rows) @ point.X.T
    below = [inputs + 1.0 / damping]  # what enters the first layer, and its bias
    below += [(h @ h.T + 1.0) / damping for h in point.at.hidden[:-1]]
    straight = (Z @ Z.T + top @ top.T) / damping + (inputs if network.n_linear else 0.0)
    lost = [each * (h @ w.T)[:, None, :] for each, h, w in _inner(point)]
    out = np.empty((n, K, n, K))
    for a in range(K):
        for b in range(a + 1):
            block = (
                sum(gram * (each[:, a] @ each[:, b].T) for gram, each in zip(below, point.sensitive, strict=True))
                - sum(each[:, a] @ each[:, b].T for each in lost) / damping
            )
            if a == b:
                pinned = top @ network.upper[-1][a]
                block += straight - np.outer(pinned, pinned) / damping
            out[:, a, :, b], out[:, b, :, a] = block, block.T
    radial = along_groups(point).reshape(n * K, -1)
    return out.reshape(n * K, n * K) + (radial * metric.along) @ radial.T


def along_groups(point: Point) -> np.ndarray:
    """Return the change of η along each open group's own direction, ``(n, K, G)``."""
    k = point.network.n_linear
    response = point.sensitive[0] @ point.unit[:, k:].T
    if k:
        response += point.unit[:, :k].T
    response *= point.X[:, None, :]
    n_groups = len(point.sizes)
    if n_groups == len(point.labels):
        return response[:, :, np.argsort(point.labels)]
    return response @ (point.labels[:, None] == np.arange(n_groups))


def jacobian(point: Point) -> np.ndarray:
    """Return J, ``(n·K, parameters)`` in the order of :func:`spred.gated.network.pack`."""
    network, (n, K) = point.network, point.at.eta.shape
    eye, X, Z = np.eye(K), point.X, point.problem.free_columns
    each = entrances(network, point.sensitive[0])
    blocks = [Z[:, None, :, None] * eye[:, None, :], each[:, :, None, :] * X[:, None, :, None], *point.sensitive]
    for sensitive, h, w in _inner(point):
        free = h[:, None, :] - (h @ w.T)[:, :, None] * w
        blocks.append(sensitive[:, :, :, None] * free[:, None])
    top, w = point.at.hidden[-1], network.upper[-1]
    blocks.append(eye[None, :, :, None] * (top[:, None, :] - (top @ w.T)[:, :, None] * w)[:, None])
    return np.concatenate([block.reshape(n * K, -1) for block in blocks], axis=1)


def _inner(point: Point) -> zip:
    """Give, for each weight matrix between hidden layers, the sensitivities above it, its input and itself."""
    return zip(point.sensitive[1:], point.at.hidden[:-1], point.network.upper[:-1], strict=True)
