"""The Hessian of a quadratic with groups, in the form that is quickest to solve with.

:class:`Dense` is a matrix, factorised. :class:`Factored` is ``AᵀA`` and a ridge, never multiplied out: conjugate
gradients take a few passes over ``A``, because a group's norm has curvature in all directions but one of each group,
and so the system is well conditioned even with many more coordinates than samples.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.linalg.blas import dgemv

from spred.linear.kernels.conjugate_gradients import conjugate_gradients
from spred.linear.subproblem.cholesky import FLAT, solve_damped
from spred.linear.subproblem.penalty import Blocks

Part = np.ndarray | slice

MAX_CG = 100
"""Conjugate gradients at most, before a matrix is made and factorised after all."""

TINY = 1e-300
"""Keeps a quotient of zeros finite."""


class Hessian(Protocol):
    """What the steps of ``groups`` ask of a Hessian ``H`` ``(k, k)``, positive semidefinite."""

    def times(self, d: np.ndarray) -> np.ndarray:
        """Return ``Hd``."""

    def part(self, rows: Part, columns: Part) -> np.ndarray:
        """Return a part of H, dense."""

    def bounds(self, blocks: Blocks) -> np.ndarray:
        """Return about the largest curvature of each group's own block of H, ``(G,)``, positive."""

    def solve(self, blocks: Blocks, norms: NormCurvature, b: np.ndarray, accuracy: float) -> np.ndarray:
        """Solve ``(H + norms) d = b`` in the coordinates inside; those outside are zero in ``b``, ``norms`` and ``d``.

        A residual of ``accuracy`` relative to ``b`` may be left.
        """


class NormCurvature:
    """The curvature of the groups' norms: ``strength·(I − unit unitᵀ)`` in each group, in coordinates ``inside``.

    Args:
        inside: ``(k,)``, bool.
        unit: ``(k,)``, a vector of length 1 in each group.
        strength: ``(k,)``, one number in each group.
    """

    def __init__(self, inside: np.ndarray, unit: np.ndarray, strength: np.ndarray) -> None:
        self.inside, self.unit, self.strength = inside, unit, strength

    def added_to(self, H: Hessian, blocks: Blocks) -> np.ndarray:
        """Return ``H`` and this, dense, in the coordinates inside."""
        index = np.flatnonzero(self.inside)
        out = H.part(index, index)
        unit, strength, group = self.unit[index], self.strength[index], blocks.group[index]
        row, column = blocks.pairs if len(index) == len(self.inside) else np.nonzero(group[:, None] == group)
        out[row, column] -= strength[row] * unit[row] * unit[column]
        out[np.diag_indices_from(out)] += strength
        return out


class Dense:
    """A matrix ``(k, k)``."""

    def __init__(self, H: np.ndarray) -> None:
        self.H = H

    def times(self, d: np.ndarray) -> np.ndarray:
        """Return ``Hd``."""
        return np.asarray(self.H @ d)

    def part(self, rows: Part, columns: Part) -> np.ndarray:
        """Return a copy of a part of H."""
        if isinstance(rows, slice) or isinstance(columns, slice):
            return self.H[rows, columns].copy()
        # All is the usual case near the end, and a copy is quicker than a selection.
        return self.H.copy() if len(rows) == len(columns) == len(self.H) else self.H[np.ix_(rows, columns)]

    def bounds(self, blocks: Blocks) -> np.ndarray:
        """Return the Frobenius norms of the groups' own blocks."""
        row, column = blocks.pairs
        square = np.bincount(blocks.group[row], weights=self.H[row, column] ** 2)
        return np.maximum(np.sqrt(square), TINY)

    def solve(self, blocks: Blocks, norms: NormCurvature, b: np.ndarray, accuracy: float) -> np.ndarray:
        """Solve by Cholesky, with a tiny ridge where the matrix is singular."""
        return _solve_dense(self, blocks, norms, b)


class Factored:
    """``AᵀA + diag(ridge)``.

    Args:
        columns: those of ``A``, one in each row, ``(k, n)``, float64 in C order.
        single: the same in float32.
        diagonal: that of ``AᵀA``, ``(k,)``.
        ridge: ``(k,)``.
    """

    def __init__(self, columns: np.ndarray, single: np.ndarray, diagonal: np.ndarray, ridge: np.ndarray) -> None:
        self.columns, self.single, self.diagonal, self.ridge = columns, single, diagonal + ridge, ridge

    def times(self, d: np.ndarray) -> np.ndarray:
        """Return ``Hd``."""
        return np.asarray(rmatvec(self.columns, matvec(self.columns, d)) + self.ridge * d)

    def part(self, rows: Part, columns: Part) -> np.ndarray:
        """Return a part of H, made now."""
        at = np.arange(len(self.ridge))
        rows, columns = at[rows], at[columns]
        ridge = np.where(rows[:, None] == columns, self.ridge[rows][:, None], 0.0)
        return np.asarray(self.columns[rows] @ self.columns[columns].T + ridge)

    def bounds(self, blocks: Blocks) -> np.ndarray:
        """Return the largest diagonal entries of the groups' own blocks."""
        return np.maximum(np.maximum.reduceat(self.diagonal, blocks.starts), TINY)

    def solve(self, blocks: Blocks, norms: NormCurvature, b: np.ndarray, accuracy: float) -> np.ndarray:
        """Solve by conjugate gradients, ``A`` in single precision: each direction corrects the error of the last."""
        least = max(FLAT * float(self.diagonal.max()), TINY)  # an empty column must not lead
        d, converged = conjugate_gradients(
            self.single,
            self.ridge,
            self.diagonal,
            least,
            blocks.starts,
            norms.inside,
            norms.unit,
            norms.strength,
            b,
            accuracy,
            MAX_CG,
        )
        return d if converged else _solve_dense(self, blocks, norms, b)


def matvec(columns: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return ``Ad`` by SciPy's BLAS, which has all threads where NumPy's has one (see ``path``)."""
    return dgemv(1.0, columns.T, d) if len(columns) else np.zeros(columns.shape[1])


def rmatvec(columns: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Return ``Aᵀθ`` likewise."""
    return dgemv(1.0, columns.T, theta, trans=1) if len(columns) else np.empty(0)


def _solve_dense(H: Hessian, blocks: Blocks, norms: NormCurvature, b: np.ndarray) -> np.ndarray:
    d = np.zeros(len(b))
    if norms.inside.any():
        d[norms.inside] = solve_damped(norms.added_to(H, blocks), b[norms.inside])
    return d
