"""The Hessian of a quadratic with groups, in the form that is quickest to solve with.

:class:`Dense` is a matrix, factorised. :class:`Factored` is ``AᵀA`` and a ridge, never multiplied out, :class:`Curved`
the same for any curvature between two factors: conjugate
gradients take a few passes over ``A``, because a group's norm has curvature in all directions but one of each group,
and so the system is well conditioned even with many more coordinates than samples.
"""

from __future__ import annotations

from collections.abc import Callable
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


class Curved:
    """``Jᵀ Λ J + diag(ridge)`` where ``Λ`` is the curvature of any loss, and J puts coordinates on columns and outputs.

    Products of two matrices, so several outputs cost little more than one; ``Λ`` itself is never written out.

    Args:
        columns: ``(n, q)``, float32 in Fortran order.
        at: ``(k,)``, the column of each coordinate.
        output: ``(k,)``, its output.
        times: ``U ↦ ΛU`` for ``(n, K)``, in float32.
        diagonal: ``(n, K)``, the diagonals of Λ or upper bounds.
        ridge: ``(k,)``.
    """

    def __init__(
        self,
        columns: np.ndarray,
        at: np.ndarray,
        output: np.ndarray,
        times: Callable[[np.ndarray], np.ndarray],
        diagonal: np.ndarray,
        ridge: np.ndarray,
    ) -> None:
        self.columns, self.at, self.output, self.weighted = columns, at, output, times
        self.ridge, self.n_outputs = ridge, diagonal.shape[1]
        own = np.asarray((columns * columns).T @ diagonal, dtype=np.float64)[at, output]
        self.diagonal = np.maximum(own, FLAT * own.max(initial=TINY)) + ridge

    def times(self, d: np.ndarray) -> np.ndarray:
        """Return ``Hd``."""
        top = float(np.abs(d).max(initial=0.0))  # single precision cannot hold very small numbers
        if top == 0.0:
            return np.zeros(len(d))
        full = np.zeros((self.columns.shape[1], self.n_outputs), dtype=np.float32)
        full[self.at, self.output] = d / top
        product = self.columns.T @ self.weighted(self.columns @ full)
        return np.asarray(top * product[self.at, self.output].astype(np.float64) + self.ridge * d)

    def part(self, rows: Part, columns: Part) -> np.ndarray:
        """Return a part of H, one product for each column."""
        each = np.arange(len(self.ridge))[columns]
        units = np.zeros((len(each), len(self.ridge)))
        units[np.arange(len(each)), each] = 1.0
        return np.stack([self.times(unit)[rows] for unit in units], axis=1)

    def bounds(self, blocks: Blocks) -> np.ndarray:
        """Return the largest diagonal entries of the groups' own blocks."""
        return np.maximum(np.maximum.reduceat(self.diagonal, blocks.starts), TINY)

    def solve(self, blocks: Blocks, norms: NormCurvature, b: np.ndarray, accuracy: float) -> np.ndarray:
        """Solve by conjugate gradients; ``diagonal`` and the curvature of the norms are the preconditioner."""
        inside, unit, strength, starts = norms.inside, norms.unit, norms.strength, blocks.starts
        inverse = np.where(inside, 1.0 / (self.diagonal + strength), 0.0)
        explained = np.add.reduceat(unit * unit * self.diagonal * inverse, starts)
        correction = np.where(explained > 0, strength[starts] / np.maximum(explained, TINY), 0.0)

        def preconditioned(x: np.ndarray) -> np.ndarray:
            z = inverse * x
            along = correction * np.add.reduceat(unit * z, starts)
            return np.asarray(z + inverse * unit * along[blocks.group])

        d, residual = np.zeros(len(b)), b
        z = preconditioned(residual)
        p, size = z, float(residual @ z)
        target = accuracy * accuracy * size
        for _ in range(MAX_CG):
            if size <= target:
                break
            along = np.add.reduceat(unit * p, starts)[blocks.group]
            change = np.where(inside, self.times(p) + strength * (p - unit * along), 0.0)
            curvature = float(change @ p)
            if not curvature > 0.0:
                break
            d, residual = d + size / curvature * p, residual - size / curvature * change
            z = preconditioned(residual)
            before, size = size, float(residual @ z)
            p = z + size / before * p
        return d


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
