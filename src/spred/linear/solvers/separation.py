"""Free columns without a best coefficient: what they separate is told before a path is solved.

Where unpenalised columns separate classes (counts of zero, times in perfect order), the loss falls for ever along a
direction, and its curvature vanishes there. So the curvature at the model of the free coefficients is compared with
that of the intercept alone.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy.linalg import eigh

from spred import errors
from spred.core.losses import Loss
from spred.errors import InputError
from spred.linear.problem import Problem
from spred.linear.solvers.working_set import WorkingSet

FLAT, DAMPING = 1e-8, 1e-11
"""Curvature along a direction, relative to that of the intercept alone, below which there is no best coefficient; and
what is added to both, so that columns that repeat others count as no change.

Newton's method ends at some 1e-13 where classes are separated. Larger accuses fits that are merely good.
"""

UNSETTLED = 1e-4
"""Slope that is left in a free coefficient, relative to the one at the start, above which it is still on its way: where
Newton's steps give out before the curvature does, as for times in perfect order."""

ROUNDING = 1e-12
"""Relative error of a slope, with room: what is smaller may be the sum of numbers that cancel."""

NOTHING = 1e-10
"""Objective, relative to that of the intercept alone, below which the free columns explain everything."""


def check_separation(problem: Problem, eta: np.ndarray) -> None:
    """Warn where free columns have no best coefficient; refuse where they leave nothing for the others to explain.

    Args:
        problem: any; only losses that are flat far out are looked at.
        eta: the linear predictor of the free coefficients.
    """
    free, loss = np.flatnonzero(problem.groups.weights == 0), problem.loss
    if not free.size or loss.of_residual or not loss.has_curvature:
        return
    null = np.atleast_1d(np.asarray(loss.null(problem.y, problem.s), dtype=float)) if problem.fit_intercept else 0.0
    start = problem.as_target(np.zeros((problem.design.n, problem.n_outputs)) + null)
    before, after = (float(loss.value(at, problem.y, problem.s)) for at in (start, eta))
    work = WorkingSet(problem, free, alpha=0.0)
    far = _least_curvature(work, loss, start, eta) < FLAT
    if far and after <= NOTHING * before:
        raise InputError(
            "the unpenalised columns separate the target completely, so their coefficients grow without end and leave "
            "nothing to explain; penalise them, or drop some"
        )
    if far or _slope(work, loss, eta) > UNSETTLED * _slope(work, loss, start) + _rounding(work, loss, start):
        warnings.warn(
            "the unpenalised columns separate part of the target, so some of their coefficients have no finite best "
            "value; the objective is right, these coefficients mean nothing: penalise or merge such columns",
            errors.ConvergenceWarning,
            stacklevel=4,
        )


def _slope(work: WorkingSet, loss: Loss, eta: np.ndarray) -> float:
    """Return the largest slope of the loss in a free coefficient."""
    theta = work.problem.as_matrix(loss.gradient(eta, work.problem.y, work.problem.s))
    return float(np.abs(work.gradient(theta)).max())


def _rounding(work: WorkingSet, loss: Loss, eta: np.ndarray) -> float:
    """Return a slope that is nothing but rounding, as that of a free column that is constant."""
    theta = work.problem.as_matrix(loss.gradient(eta, work.problem.y, work.problem.s))
    return ROUNDING * float((np.abs(work.columns).T @ np.abs(theta)).max())


def _least_curvature(work: WorkingSet, loss: Loss, start: np.ndarray, eta: np.ndarray) -> float:
    """Return the smallest curvature at ``eta`` over that at ``start``, along any direction of the free coefficients."""
    problem = work.problem
    index = np.arange(len(work.column_of))
    first, last = (work.hessian(index, loss.curvature(at, problem.y, problem.s)) for at in (start, eta))
    lengths = np.sqrt(np.diagonal(first))
    unit = np.where(lengths > 0, 1.0 / np.where(lengths > 0, lengths, 1.0), 0.0)
    damping = DAMPING * np.eye(len(index))
    first, last = (unit[:, None] * H * unit + damping for H in (first, last))
    return float(eigh(last, first, eigvals_only=True, subset_by_index=[0, 0])[0])
