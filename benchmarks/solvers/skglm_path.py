"""skglm: working sets, Anderson-accelerated coordinate descent, by blocks for groups; prox-Newton for log-losses."""

from __future__ import annotations

import numpy as np
from problem import Problem
from skglm.datafits import Cox, Logistic, Quadratic, QuadraticGroup
from skglm.penalties import L1, WeightedGroupL2
from skglm.solvers import AndersonCD, GroupBCD, ProxNewton
from skglm.utils.jit_compilation import compiled_clone

PACKAGE = "skglm"
TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


def lasso(problem: Problem, tol: float) -> np.ndarray:
    """Return the path."""
    return _path(problem, problem.y, AndersonCD(tol=tol, fit_intercept=False, warm_start=True), Quadratic(), L1(1.0))


def logistic(problem: Problem, tol: float) -> np.ndarray:
    """Return the path; labels are −1 and 1."""
    solver = ProxNewton(tol=tol, fit_intercept=False, warm_start=True)
    return _path(problem, 2 * problem.y - 1, solver, Logistic(), L1(1.0))


def cox(problem: Problem, tol: float) -> np.ndarray:
    """Return the path."""
    return _path(problem, problem.y, ProxNewton(tol=tol, fit_intercept=False, warm_start=True), Cox(), L1(1.0))


def group_lasso(problem: Problem, tol: float) -> np.ndarray:
    """Return the path."""
    p, size = problem.X.shape[1], problem.group_size
    starts, features = np.arange(0, p + 1, size, dtype=np.int32), np.arange(p, dtype=np.int32)
    penalty = WeightedGroupL2(1.0, np.ones(p // size), starts, features)
    solver = GroupBCD(tol=tol, fit_intercept=False, warm_start=True)
    return _path(problem, problem.y, solver, QuadraticGroup(starts, features), penalty)


def _path(problem: Problem, y: np.ndarray, solver: object, datafit: object, penalty: object) -> np.ndarray:
    """Solve each alpha from the last, with loss and penalty compiled once."""
    datafit, penalty = compiled_clone(datafit), compiled_clone(penalty)
    coef, fit = np.zeros(problem.X.shape[1]), np.zeros(len(y))
    coefs = []
    for alpha in problem.alphas:
        penalty.alpha = alpha
        coef = solver.solve(problem.X, y, datafit, penalty, coef.copy(), fit)[0]
        fit = problem.X @ coef
        coefs.append(coef)
    return np.array(coefs)


SOLVE = {"lasso": lasso, "logistic": logistic, "cox": cox, "group-lasso": group_lasso}
