"""The part of a problem that Newton works on: a few groups of coordinates, their columns dense.

Coordinates of the working set are numbered 0 … m − 1: the groups' coordinates one group after another, then the
intercept's, which belong to free groups and need no other treatment.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial

import numpy as np

from spred.core.curvature import OutputCurvature
from spred.core.risk_sets import Coupled
from spred.linear.kernels.screening import FEW, HEAVY, LIGHT
from spred.linear.problem import Problem
from spred.linear.subproblem.hessian import Curved
from spred.linear.subproblem.penalty import Blocks

Curvature = np.ndarray | OutputCurvature | Coupled


class WorkingSet:
    """Columns, groups and penalty levels of the chosen ``groups`` of a problem at one alpha.

    Where weights are far from 1, coefficients are taken in other units (:func:`units_of`).
    """

    def __init__(self, problem: Problem, groups: np.ndarray, alpha: float) -> None:
        self.problem = problem
        self.groups = groups
        k = problem.n_outputs
        coordinates, starts = problem.groups.members(groups)
        self.coordinates = coordinates
        self.features, at = np.unique(coordinates // k, return_inverse=True)
        columns = problem.design.columns(self.features)
        weights = problem.groups.weights[groups]
        output = coordinates % k
        if problem.fit_intercept:
            columns = np.column_stack([columns, np.ones(len(columns))])
            at = np.append(at, np.full(k, len(self.features)))
            output = np.append(output, np.arange(k))
            free = np.arange(k) if problem.groups.singles else np.zeros(1, dtype=int)
            starts = np.append(starts, len(coordinates) + free)
            weights = np.append(weights, np.zeros(len(free)))
        self.columns = np.asfortranarray(columns)
        self.column_of, self.output_of = at, output
        bounded = np.zeros(len(at), dtype=bool)
        bounded[: len(coordinates)] = problem.positive[coordinates // k]
        self.blocks, self.ridge = penalty_of(problem, alpha, starts, weights, bounded)
        self.unit = units_of(weights)[self.blocks.group]
        if (self.unit != 1.0).any():
            self._change_units(units_of(weights))

    def _change_units(self, unit: np.ndarray) -> None:
        """Take coefficients times the ``unit`` of their group, columns over it: the levels of all are alike then."""
        of_column = np.ones(self.columns.shape[1])
        of_column[self.column_of] = self.unit
        self.columns /= of_column
        levels = self.blocks
        self.blocks = Blocks(levels.starts, levels.lam / unit, levels.mu / unit, levels.positive)
        self.ridge = self.ridge / self.unit**2

    def take(self, v: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the working coordinates of coefficients ``(p, K)`` and intercept ``(K,)``."""
        own = v.reshape(-1)[self.coordinates]
        return np.asarray(self.unit * (np.append(own, b) if self.problem.fit_intercept else own))

    def put(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(v, b)`` whose working coordinates are ``x`` and all others zero."""
        k, p = self.problem.n_outputs, self.problem.design.p
        m, x = len(self.coordinates), x / self.unit
        flat = np.zeros(p * k)
        flat[self.coordinates] = x[:m]
        return flat.reshape(p, k), x[m:] if self.problem.fit_intercept else np.zeros(k)

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        """Return the gradient in the working coordinates, given ``theta`` ``(n, K)``, the gradient in ``eta``."""
        return np.asarray((self.columns.T @ theta)[self.column_of, self.output_of])

    def predictor(self, index: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Return the linear predictor ``(n, K)`` of ``d`` in the coordinates ``index`` and zeros elsewhere."""
        step = np.zeros((self.columns.shape[1], self.problem.n_outputs))
        step[self.column_of[index], self.output_of[index]] = d
        used = np.flatnonzero(step.any(axis=1))
        return self.columns[:, used] @ step[used]

    def value(self, x: np.ndarray) -> float:
        """Return Ω of the working coordinates."""
        return self.blocks.value(x) + 0.5 * float(self.ridge @ (x * x))

    @cached_property
    def single(self) -> np.ndarray:
        """The columns in single precision."""
        return self.columns.astype(np.float32)

    def factored(self, index: np.ndarray, curvature: Curvature) -> Curved:
        """Return the Hessian of loss and ridge in the coordinates ``index``, in factors."""
        used, output = self.column_of[index], self.output_of[index]
        columns, at = np.unique(used, return_inverse=True)
        times: Callable[[np.ndarray], np.ndarray]
        if isinstance(curvature, OutputCurvature):
            single = curvature.astype(np.float32)
            times, diagonal = single.times, single.diagonal()
        elif isinstance(curvature, Coupled):
            times, diagonal = curvature.times, curvature.diagonal[:, None]
        else:
            diagonal = np.maximum(curvature, 0.0)[:, None].astype(np.float32)
            times = partial(np.multiply, diagonal)
        return Curved(self.single[:, columns], at, output, times, diagonal, self.ridge[index])

    def hessian(self, index: np.ndarray, curvature: Curvature) -> np.ndarray:
        """Return the Hessian of loss and ridge in the coordinates ``index``."""
        out = self._gram(index) if self.problem.loss.quadratic else self._weighted(index, curvature)
        out[np.diag_indices_from(out)] += self.ridge[index]
        if self.problem.loss.multi and self.problem.basis is None:
            self._fix_shifts(index, out)
        return out

    def _fix_shifts(self, index: np.ndarray, out: np.ndarray) -> None:
        """Hold one class of each free feature (and of the intercept) where it is, by more curvature there.

        Softmax does not see a shift common to all classes, and here nothing penalises it: the Hessian is singular, and
        a step of any size along it is as good as none. The loss has no slope there, so with one class held, the one of
        the largest curvature, the same step is found without a shift.
        """
        free = np.flatnonzero(self.blocks.free[self.blocks.group[index]])
        for column in np.unique(self.column_of[index[free]]):
            at = free[self.column_of[index[free]] == column]
            held = at[np.argmax(out[at, at])]
            out[held, held] *= 2.0

    def _gram(self, index: np.ndarray) -> np.ndarray:
        used = self.column_of[index]  # features all: a squared loss comes here without its intercept
        self.problem.gram.add(self.features[used], self.columns[:, used])
        return self.problem.gram.of(self.features[used])

    def _weighted(self, index: np.ndarray, curvature: Curvature) -> np.ndarray:
        used, output = self.column_of[index], self.output_of[index]
        if isinstance(curvature, Coupled):
            return np.asarray(curvature.form(self.columns[:, used]))
        if isinstance(curvature, OutputCurvature):
            columns, at = np.unique(used, return_inverse=True)
            return np.asarray(curvature.form(self.columns[:, columns], at, output))
        columns = self.columns[:, used] * np.sqrt(np.maximum(curvature, 0.0))[:, None]
        return np.asarray(columns.T @ columns)


def units_of(weights: np.ndarray) -> np.ndarray:
    """Return a power of two near each weight that is far from 1, as where weights go along with the units of columns.

    One rule with ``kernels.screening.unit``.
    """
    far = (weights > 0) & ((weights < LIGHT) | (weights > HEAVY))
    return np.asarray(np.exp2(np.round(np.log2(np.where(far, weights, 1.0)))))


def penalty_of(
    problem: Problem, alpha: float, starts: np.ndarray, weights: np.ndarray, positive: np.ndarray
) -> tuple[Blocks, np.ndarray]:
    """Return the penalty of groups of coordinates at ``alpha``: the levels of its norms, the ridge of each coordinate.

    Args:
        problem: whose ratios are taken.
        alpha: strength.
        starts: ``(G,)``, the first coordinate of each group.
        weights: ``(G,)``, ω.
        positive: ``(k,)``, coordinates that must not be negative.
    """
    level = alpha * problem.l1_ratio
    blocks = Blocks(
        starts=starts,
        lam=level * (1.0 - problem.within_ratio) * weights,
        mu=np.where(weights > 0, level * problem.within_ratio, 0.0),
        positive=positive,
    )
    return blocks, alpha * (1.0 - problem.l1_ratio) * weights[blocks.group]


def strongest(candidates: np.ndarray, excess: np.ndarray, count: int) -> np.ndarray:
    """Return the ``count`` candidates (but ``FEW`` at least) with the largest excess, or all where they are fewer."""
    capacity = max(FEW, count)
    return candidates[np.argpartition(-excess, capacity)[:capacity]] if candidates.size > capacity else candidates
