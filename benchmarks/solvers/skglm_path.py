"""skglm: working sets with Anderson-accelerated coordinate descent, or prox-Newton for the logistic loss."""

from __future__ import annotations

import numpy as np
from skglm.datafits import Logistic, Quadratic
from skglm.penalties import L1
from skglm.solvers import AndersonCD, ProxNewton

LOSSES = ("squared", "logistic")
TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


def solve(X: np.ndarray, y: np.ndarray, loss: str, alphas: np.ndarray, tol: float) -> np.ndarray:
    """Return the coefficients along the path, each alpha from the last."""
    kind, target = (AndersonCD, y) if loss == "squared" else (ProxNewton, 2 * y - 1)
    datafit = Quadratic() if loss == "squared" else Logistic()
    solver = kind(tol=tol, fit_intercept=False, warm_start=True)
    coef, out = np.zeros(X.shape[1]), []
    fit = None
    for alpha in alphas:
        coef, _, _ = solver.solve(X, target, datafit, L1(alpha), coef.copy(), fit)
        fit = X @ coef
        out.append(coef)
    return np.array(out)
