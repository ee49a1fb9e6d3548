"""A squared loss in fewer rows and without its intercept, a ridge in fewer columns: the same minima, less to carry.

With centred columns the best intercept is the mean of ``y``, whatever the coefficients; it is taken out first. And
the data then enter only through ``XᵀSX`` and ``XᵀSy``: where there are many more samples than features, ``X`` is
replaced by a triangular ``R`` with ``RᵀR = XᵀSX``, which has as many rows as columns. The objective changes by a
constant. A ridge of more features than samples goes into their row space (``row_space``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import qr, solve_triangular
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpotrf

from spred.linear.design import Design
from spred.linear.origin import FAR
from spred.linear.problem import Problem
from spred.linear.solvers.outer import Model
from spred.linear.solvers.row_space import RowSpace, in_row_space

MOST_COLUMNS = 4000
"""Columns up to which the triangle is made: beyond, its p² numbers take 128 MB and more."""

TALL = 2
"""Samples over features from which the triangle pays: its making costs a pass over X and p³/3."""

AT_ONCE = 500
"""Columns up to which the triangle is made before anything else: it costs some milliseconds.

With more columns, a Lasso makes it once its steps have cost as much (``TRIANGLE``): a short path with a small support
is over before. Larger pays for a triangle that is not used, smaller works with all rows for longer.
"""

TRIANGLE = 0.03
"""Cost of a multiply-add of the product ``XᵀX`` over that of one in a step: BLAS makes it from cache, by blocks."""

BLOCK = 4096
"""Rows that are centred and multiplied at once: a copy that stays small beside X."""

SAFE = 4.0
"""Second moment over squared mean from which the mean can be taken out of products without losing digits."""

CONSTANT_TARGET, CONSTANT_COLUMN = 1e-14, 1e-13
"""Largest deviation, relative to the mean, at which a target or a column is constant and what is left is rounding."""

PIVOTS = 1e-3
"""Ratio of the smallest to the largest pivot from which a Cholesky factor keeps enough digits: it loses twice those of
the ratio. Below, reflections take twice as long."""

DEPENDENT = 1e-13
"""Part of a column of length 1 that others do not explain, up to which it is rounding."""

ROUNDING = 1e-15
"""Relative error of a column of the triangle: some units of rounding (``tests/linear/test_precision.py``)."""

TINY = 1e-300
"""Keeps a quotient of zeros finite."""


@dataclass(frozen=True, eq=False)
class Reduced:
    """The problem that Newton works on, and how it differs from the one that was asked.

    Attributes:
        problem: what is solved.
        constant: to be added to its objective.
        intercept: to be added to its intercept, ``(K,)``.
        row_space: what its columns stand for, where they are not those that were asked.
        sizes: ``(p,)``, lengths of the columns where rows were taken out, which rounds them: what coefficients of
            opposite signs (columns nearly dependent) leave of a predictor has that much larger an error.
        surplus: multiply-adds after which surplus rows are worth taking out (:func:`in_fewer_rows`); infinite where
            there are none.
    """

    problem: Problem
    constant: float
    intercept: np.ndarray
    row_space: RowSpace | None = None
    sizes: np.ndarray | None = None
    surplus: float = np.inf

    def original(self, model: Model) -> Model:
        """Return a model of ``problem`` as one of the features that were asked."""
        return model if self.row_space is None else self.row_space.expanded(model)

    def rounding(self, model: Model, data_term: float) -> float:
        """Return by how much the objective of the problem that was asked may differ from that of ``problem``."""
        if self.sizes is None:
            return 0.0
        terms = float(self.sizes[model.support] @ np.abs(model.v).sum(axis=1))
        return ROUNDING * terms * float(np.sqrt(2.0 * max(data_term, 0.0)))


def reduced(problem: Problem) -> Reduced:
    """Return ``problem`` with its intercept, surplus rows and surplus columns taken out, where that is the same."""
    fewer = _without_intercept_and_rows(problem)
    found = in_row_space(fewer.problem)
    return fewer if found is None else replace(fewer, problem=found[0], row_space=found[1])


def _without_intercept_and_rows(problem: Problem) -> Reduced:
    nothing = np.zeros(problem.n_outputs)
    if not problem.loss.quadratic:
        return _target_near_zero(problem, nothing)
    if problem.fit_intercept:
        mean = float(problem.s @ problem.y)
        rest = problem.y - mean
        if np.abs(rest).max() <= CONSTANT_TARGET * abs(mean):  # a constant target: what is left is rounding
            rest = np.zeros_like(rest)
        problem = replace(problem, y=rest, fit_intercept=False)
        nothing = nothing + mean
    design, whole = problem.design, Reduced(problem, 0.0, nothing)
    if design.sparse or design.n < TALL * design.p or design.p > MOST_COLUMNS:
        return whole
    if design.p > AT_ONCE and problem.groups.singles and problem.l1_ratio > 0:
        return replace(whole, surplus=TRIANGLE * (design.n + design.p) * design.p**2)
    return in_fewer_rows(whole)


def _target_near_zero(problem: Problem, nothing: np.ndarray) -> Reduced:
    """Take a target far from zero there, where the loss sees residuals alone: sums keep their digits."""
    if not (problem.loss.of_residual and problem.fit_intercept):
        return Reduced(problem, 0.0, nothing)
    middle = float(np.median(problem.y))
    rest = problem.y - middle
    if abs(middle) <= FAR * np.abs(rest).mean():
        return Reduced(problem, 0.0, nothing)
    return Reduced(replace(problem, y=rest), 0.0, nothing + middle)


def in_fewer_rows(whole: Reduced) -> Reduced:
    """Return a problem of a squared loss without an intercept with as many rows as columns, or fewer."""
    problem = whole.problem
    y, s = problem.y, problem.s
    gram, cross = _products(problem.design, s, y)
    sizes = np.sqrt(np.maximum(np.diagonal(gram), 0.0))
    floor = CONSTANT_COLUMN * np.abs(problem.design.mean / problem.design.scale)
    sizes[sizes <= floor] = 0.0  # what is left of a constant column is rounding
    R, target = _triangle(problem, gram, cross, sizes)
    weight = np.full(len(R), 1.0 / len(R))
    factor = np.sqrt(len(R))
    smaller = replace(
        problem,
        design=Design(factor * R, weight, center=False, scale=False),
        y=factor * target,
        s=weight,
    )
    return Reduced(smaller, 0.5 * float(s @ (y * y) - target @ target), whole.intercept, sizes=sizes)


def _triangle(
    problem: Problem, gram: np.ndarray, cross: np.ndarray, sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``R`` with ``RᵀR = XᵀSX`` and ``t`` with ``Rᵀt = XᵀSy``: p rows, or one of zeros without any column.

    By Cholesky's method where the columns, brought to length 1, are far from dependent: ``gram`` has squared what they
    differ by. Else by orthogonal transformations of the columns themselves, which keep it.
    """
    unit = np.where(sizes > 0, 1.0 / np.maximum(sizes, TINY), 0.0)
    gram *= unit[:, None]
    gram *= unit
    used = np.flatnonzero(sizes)
    if not used.size:
        return np.zeros((1, len(sizes))), np.zeros(1)
    R, info = dpotrf(gram if used.size == len(sizes) else gram[np.ix_(used, used)], lower=0, clean=1)
    pivots = np.diagonal(R)
    if info == 0 and pivots.min() > PIVOTS * pivots.max():
        target = solve_triangular(R, (unit * cross)[used], trans="T")
    else:
        R, target = _by_reflections(problem, used, unit[used])
    full = np.zeros((len(R), len(sizes)))
    full[:, used] = R * sizes[used]
    return full, target


def _by_reflections(problem: Problem, used: np.ndarray, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return R and t of the columns ``used``, times ``unit``, from blocks of rows one after another."""
    roots, table = np.sqrt(problem.s), np.empty((0, len(used) + 1))
    for start in range(0, problem.design.n, BLOCK):
        part = slice(start, start + BLOCK)
        rows = np.column_stack([problem.design.rows(part)[:, used] * unit, problem.y[part]]) * roots[part, None]
        table = qr(np.vstack([table, rows]), mode="r", check_finite=False)[0][: len(used) + 1]
    R, at = table[: len(used), :-1], np.arange(len(used))
    R[at, at] = np.where(np.abs(np.diagonal(R)) > DEPENDENT, np.diagonal(R), 0.0)
    return R, table[: len(used), -1]


def _products(design: Design, s: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the upper half of ``XᵀSX`` of the centred and scaled columns, and ``XᵀSy``.

    Samples of equal weight need no copy of X: the means are taken out of the products, where that cancels no digits.
    Otherwise blocks of rows are centred first.
    """
    X, outer = design.X, np.outer(design.mean, design.mean)
    if np.ptp(s) == 0 and X.dtype == np.float64:
        gram = _squared(X)
        gram /= design.n
        if (np.diagonal(gram) >= SAFE * np.diagonal(outer)).all():
            gram -= outer
            gram /= design.scale
            gram /= design.scale[:, None]
            return gram, design.correlate(s * y)
    gram, cross = np.zeros((design.p, design.p)), np.zeros(design.p)
    for start in range(0, design.n, BLOCK):
        part = slice(start, start + BLOCK)
        rows = design.rows(part)
        cross += rows.T @ (s[part] * y[part])
        rows *= np.sqrt(s[part])[:, None]
        gram += _squared(rows)
    return gram, cross


def _squared(X: np.ndarray) -> np.ndarray:
    """Return the upper half of ``XᵀX``, by SciPy's BLAS: NumPy's threads would spin on while SciPy's factorise it."""
    half: np.ndarray = dsyrk(1.0, X, trans=1) if X.flags.f_contiguous else dsyrk(1.0, X.T)
    return half
