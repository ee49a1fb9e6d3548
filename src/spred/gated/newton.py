"""Gauss-Newton steps: ``(JᵀΛJ + M)⁻¹ g``, solved over samples or over parameters, whichever are fewer.

J is the Jacobian of η in the parameters, Λ the curvature of the data term in η, M that of the penalty on the active
groups, ``(αω/‖v‖)(I − v vᵀ/‖v‖²)`` for the norm and ``αω I`` for a ridge, plus damping. By Woodbury's identity the
system is one of ``n·K`` unknowns with the matrix ``I + ΛJM⁻¹Jᵀ``; and ``JM⁻¹Jᵀ`` is a sum of entrywise products of
small Gram matrices, of inputs and of sensitivities, so neither J nor anything of the size of the parameters squared is
ever formed (docs/math.md, §9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve, lu_factor, lu_solve

from spred.core.partition import Labels, norms
from spred.gated.network import Forward, Network, input_slopes, pack, pull_back, push_forward, unpack
from spred.gated.problem import GatedProblem

Solver = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Point:
    """A network on its active inputs, evaluated, with everything that its Gauss-Newton model is made of.

    Attributes:
        problem: what is minimised.
        network: parameters; every row of ``first`` belongs to an active group.
        X: columns of the active inputs, ``(n, k)``.
        groups: the active groups, of the rows of ``first``; none of them is zero.
        at: the forward pass.
        sensitive: ∂η/∂z of each hidden layer.
    """

    problem: GatedProblem
    network: Network
    X: np.ndarray
    groups: Labels
    at: Forward
    sensitive: tuple[np.ndarray, ...]

    @cached_property
    def sizes(self) -> np.ndarray:
        """Norm of each active group, ``(G,)``."""
        return np.asarray(norms(self.network.first, self.groups))

    @cached_property
    def unit(self) -> np.ndarray:
        """``first`` over the norms of its groups."""
        return np.asarray(self.network.first / self.sizes[self.groups.labels][:, None])

    def along_groups(self, first: np.ndarray) -> np.ndarray:
        """Return the part of rows ``first`` along each group's own direction, ``(G,)``."""
        return np.asarray(self.groups.gather(first * self.unit))

    def pull_back(self, theta: np.ndarray) -> Network:
        """Return ``Jᵀθ``."""
        return pull_back(self.network, self.problem.free_columns, self.X, self.at, self.sensitive, theta)

    def push_forward(self, step: Network) -> np.ndarray:
        """Return ``J·step``."""
        return push_forward(self.network, self.problem.free_columns, self.X, self.at, self.sensitive, step)


def gauss_newton(point: Point, strengths: np.ndarray, damping: float) -> Solver:
    """Return ``g ↦ (JᵀΛJ + M)⁻¹ g`` at ``point``; ``strengths`` are αω of its active groups."""
    penalty = point.problem.penalty
    across = strengths * penalty.slope(point.sizes) / point.sizes
    model = PenaltyModel(point, across, damping, along=penalty.ridge * strengths)
    n_parameters = sum(part.size for part in point.network.parts)
    return over_parameters(model) if n_parameters <= point.at.eta.size else over_samples(model)


@dataclass(frozen=True, eq=False)
class PenaltyModel:
    """M: the curvature of the penalty across each group and along it, ``(G,)`` each, and damping in all directions."""

    point: Point
    across: np.ndarray
    damping: float
    along: np.ndarray | float = 0.0

    @property
    def rows(self) -> np.ndarray:
        """Inverse of M across the group of each active input, ``(k,)``."""
        return np.asarray(1.0 / (self.across + self.damping)[self.point.groups.labels])

    @property
    def surplus(self) -> np.ndarray:
        """By how much the inverse of M is larger along each group than across it, ``(G,)``."""
        return np.asarray(1.0 / (self.along + self.damping) - 1.0 / (self.across + self.damping))

    def inverse(self, flat: np.ndarray) -> np.ndarray:
        """Return ``M⁻¹g``."""
        point, out = self.point, flat / self.damping
        start = point.network.free.size
        stop = start + point.network.first.size
        first = flat[start:stop].reshape(point.network.first.shape)
        radial = self.surplus * point.along_groups(first)
        rows = self.rows[:, None] * first + radial[point.groups.labels][:, None] * point.unit
        out[start:stop] = rows.ravel()
        return out

    def matrix(self) -> np.ndarray:
        """Return M as a dense matrix."""
        point, labels = self.point, self.point.groups.labels
        start, width = point.network.free.size, point.network.first.shape[1]
        M = np.diag(np.full(sum(part.size for part in point.network.parts), self.damping))
        along = np.broadcast_to(self.along, self.across.shape)
        for group, across in enumerate(self.across):
            entries = (np.flatnonzero(labels == group)[:, None] * width + np.arange(width)).ravel() + start
            direction = point.unit[labels == group].ravel()
            radial = np.outer(direction, direction)
            M[np.ix_(entries, entries)] += across * (np.eye(len(entries)) - radial) + along[group] * radial
        return M


def over_parameters(model: PenaltyModel) -> Solver:
    """Solve with the dense matrix of all parameters."""
    J = jacobian(model.point)
    factor = cho_factor(
        model.point.problem.curved_gram(model.point.at.eta, J) + model.matrix(), overwrite_a=True, check_finite=False
    )
    return lambda g: np.asarray(cho_solve(factor, g, check_finite=False))


def over_samples(model: PenaltyModel) -> Solver:
    """Solve for the change of η: ``(I + KΛ) e = −J M⁻¹ g`` with ``K = J M⁻¹ Jᵀ``, then ``M⁻¹(g + JᵀΛe)``."""
    point = model.point
    curved = point.problem.curvature_product(point.at.eta)
    system = curved(kernel(model))
    system[np.diag_indices_from(system)] += 1.0
    factor = lu_factor(system, overwrite_a=True, check_finite=False)  # of the transpose, (I + ΛK)

    def solve(g: np.ndarray) -> np.ndarray:
        scaled = model.inverse(g)
        change = point.push_forward(unpack(scaled, point.network))
        e = lu_solve(factor, -change.reshape(-1), trans=1, check_finite=False)
        theta = curved(e[:, None]).reshape(change.shape)
        return np.asarray(scaled + model.inverse(pack(point.pull_back(theta))))

    return solve


def kernel(model: PenaltyModel) -> np.ndarray:
    """Return ``J M⁻¹ Jᵀ``, ``(n·K, n·K)``, from Gram matrices of inputs and sensitivities."""
    point, damping = model.point, model.damping
    network, (n, K) = point.network, point.at.eta.shape
    Z, top = point.problem.free_columns, point.at.hidden[-1]
    inputs = (point.X * model.rows) @ point.X.T
    below = [inputs + 1.0 / damping]  # what enters the first layer, and its bias
    below += [(h @ h.T + 1.0) / damping for h in point.at.hidden[:-1]]
    straight = (Z @ Z.T + top @ top.T) / damping + (inputs if network.n_linear else 0.0)
    radial_loss = [each * (h @ w.T)[:, None, :] for each, h, w in _inner(point)]
    out = np.empty((n, K, n, K))
    for a in range(K):
        for b in range(a + 1):
            block = (
                sum(gram * (each[:, a] @ each[:, b].T) for gram, each in zip(below, point.sensitive, strict=True))
                - sum(each[:, a] @ each[:, b].T for each in radial_loss) / damping
            )
            if a == b:
                pinned = top @ network.upper[-1][a]
                block += straight - np.outer(pinned, pinned) / damping
            out[:, a, :, b], out[:, b, :, a] = block, block.T
    radial = group_responses(point).reshape(n * K, -1)
    return np.asarray(out.reshape(n * K, n * K) + (radial * model.surplus) @ radial.T)


def group_responses(point: Point) -> np.ndarray:
    """Return the change of η along each active group's own direction, ``(n, K, G)``."""
    k, labels = point.network.n_linear, point.groups.labels
    response: np.ndarray = point.sensitive[0] @ point.unit[:, k:].T
    if k:
        response += point.unit[:, :k].T
    response *= point.X[:, None, :]
    n_groups = len(point.sizes)
    if n_groups == len(labels):
        return response[:, :, np.argsort(labels)]
    return np.asarray(response @ (labels[:, None] == np.arange(n_groups)))


def jacobian(point: Point) -> np.ndarray:
    """Return J, ``(n·K, parameters)`` in the order of :func:`spred.gated.network.pack`."""
    network, (n, K) = point.network, point.at.eta.shape
    eye, X, Z = np.eye(K), point.X, point.problem.free_columns
    each = input_slopes(network, point.sensitive[0])
    blocks = [Z[:, None, :, None] * eye[:, None, :], each[:, :, None, :] * X[:, None, :, None], *point.sensitive]
    for sensitive, h, w in _inner(point):
        free = h[:, None, :] - (h @ w.T)[:, :, None] * w
        blocks.append(sensitive[:, :, :, None] * free[:, None])
    top, w = point.at.hidden[-1], network.upper[-1]
    blocks.append(eye[None, :, :, None] * (top[:, None, :] - (top @ w.T)[:, :, None] * w)[:, None])
    J: np.ndarray = np.concatenate([block.reshape(n * K, -1) for block in blocks], axis=1)
    return J


def _inner(point: Point) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Give, for each weight matrix between hidden layers, the sensitivities above it, its input and itself."""
    return zip(point.sensitive[1:], point.at.hidden[:-1], point.network.upper[:-1], strict=True)
