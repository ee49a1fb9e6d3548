"""What every solver is judged by: one gap function, that of ``spred.core``, which shares no code with any solver.

The problem is ``L(v) + α‖v‖₁`` without intercept on standardised columns (and a centred target for the squared loss),
because that is the problem that all solvers can be given.
"""

from __future__ import annotations

import numpy as np

from spred.core.certificate import certify
from spred.core.losses import get_loss
from spred.core.penalties import Penalty, alpha_max


def grid(X: np.ndarray, y: np.ndarray, loss: str, n_alphas: int = 100, eps: float = 1e-2) -> np.ndarray:
    """Return ``n_alphas`` values from the smallest alpha with no feature down to ``eps`` times that."""
    n = len(y)
    at_null = X.T @ get_loss(loss).gradient(np.zeros(n), y, np.full(n, 1.0 / n))
    return alpha_max(at_null, Penalty(1.0)) * np.geomspace(1.0, eps, n_alphas)


def worst_gap(X: np.ndarray, y: np.ndarray, loss: str, alphas: np.ndarray, coefs: np.ndarray) -> float:
    """Return the largest relative duality gap of ``coefs`` ``(A, p)`` over the path."""
    n = len(y)
    s = np.full(n, 1.0 / n)
    kind = get_loss(loss)
    null = float(kind.value(np.zeros(n), y, s))
    gaps = [
        certify(
            kind,
            Penalty(float(alpha)),
            coef,
            X @ coef,
            y,
            s,
            correlate=lambda theta: X.T @ theta,
            free=None,
            null_objective=null,
        ).gap
        for alpha, coef in zip(alphas, coefs, strict=True)
    ]
    return max(gaps)
