"""A ridge in as many columns as samples: with more features, its solution lies in the row space of the data.

``L(Xv) + (α/2) Σ_j ω_j v_j²`` pulls v to zero in every direction that X does not see. With ``v = Ω^{-1/2} Q z``, the
orthonormal columns of Q spanning the rows of ``X Ω^{-1/2} = Rᵀ Qᵀ``, it is ``L(Rᵀz) + (α/2) ‖z‖²``: the same objective
in n columns, and so the same certificate. Unpenalised columns stay as they are.
(Hastie and Tibshirani, Efficient quadratic regularization for expression arrays, Biostatistics 5, 2004.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import qr

from spred.core.partition import SINGLES
from spred.linear.design import Design
from spred.linear.problem import Groups, Problem
from spred.linear.solvers.outer import Model


@dataclass(frozen=True, eq=False)
class RowSpace:
    """How the smaller problem's columns make those of the one that was asked.

    Attributes:
        penalised: ``(m,)``, features with a penalty.
        free: ``(q,)``, the others, whose columns follow those of the basis.
        basis: ``(m, r)``, ``Ω^{-1/2} Q``.
    """

    penalised: np.ndarray
    free: np.ndarray
    basis: np.ndarray

    def expanded(self, model: Model) -> Model:
        """Return the model in the features that were asked."""
        rank = self.basis.shape[1]
        z = model.dense(rank + len(self.free))
        features = np.concatenate([self.penalised, self.free])
        order = np.argsort(features)
        return Model(features[order], np.concatenate([self.basis @ z[:rank], z[rank:]])[order], model.b)


def in_row_space(problem: Problem) -> tuple[Problem, RowSpace] | None:
    """Return a ridge in the row space of its data; None for another penalty, or where that has no fewer columns.

    Coefficients that must not be negative are bound one by one, which no change of basis keeps.
    """
    weights = problem.groups.weights[problem.groups.labels].reshape(problem.design.p, -1)[:, 0]
    penalised, free = np.flatnonzero(weights > 0), np.flatnonzero(weights == 0)
    if problem.l1_ratio > 0.0 or problem.positive.any() or len(penalised) <= problem.design.n:
        return None
    roots = np.sqrt(weights[penalised])
    Q, R = qr((problem.design.columns(penalised) / roots).T, mode="economic", overwrite_a=True, check_finite=False)
    X, k = np.hstack([R.T, problem.design.columns(free)]), problem.n_outputs
    count = X.shape[1]
    omega = np.concatenate([np.ones(R.shape[0]), np.zeros(len(free))])
    smaller = replace(
        problem,
        design=Design(np.asfortranarray(X), problem.s, center=problem.fit_intercept, scale=False),
        groups=Groups(np.arange(count * k), np.repeat(omega, k), SINGLES, (count, k)),
        positive=np.zeros(count, dtype=bool),
        within_ratio=0.0,
        names=None,
    )
    return smaller, RowSpace(penalised, free, Q / roots[:, None])
