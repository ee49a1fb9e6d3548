"""Who judges: solvers that share no code with the engines under test, and the certificate of any claim.

``fista`` is slow, plain and takes every penalty; ``scikit_learn`` is somebody else's. Both return a
:class:`Reference`, in the shapes that ``core`` works in.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from problems import Problem
from scipy import sparse
from sklearn.linear_model import ElasticNet, LogisticRegression

from spred.core.certificate import Certificate, certify
from spred.core.losses import EFFICIENT
from spred.core.penalties import Penalty

# An upper bound of the second derivative of each loss in one linear predictor; where there is none, steps are tried.
_STEEPEST = {"squared": 1.0, "huber": 1.0, "logistic": 0.25, "multinomial": 0.5}

KNOWN_TO_SCIKIT_LEARN = ("squared", "logistic", "multinomial")


@dataclass(frozen=True)
class Reference:
    """A solution to compare with: ``coef`` is ``(p,)`` or ``(p, K)``, ``intercept`` a number or ``(K,)``."""

    coef: np.ndarray
    intercept: np.ndarray
    objective: float


def predictor(problem: Problem, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    return problem.X @ coef + intercept


def objective(problem: Problem, penalty: Penalty, coef: np.ndarray, intercept: np.ndarray) -> float:
    eta = predictor(problem, coef, intercept)
    return float(problem.data_term.value(eta, problem.target, problem.weights) + penalty.value(coef))


def gradient(problem: Problem, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """The gradient of the data term in the coefficients."""
    eta = predictor(problem, coef, intercept)
    return problem.X.T @ problem.data_term.gradient(eta, problem.target, problem.weights)


def null_gradient(problem: Problem) -> np.ndarray:
    """The gradient at the model with an intercept alone: its dual norm is the largest useful alpha."""
    null = problem.data_term.null(problem.target, problem.weights)
    return gradient(problem, np.zeros(problem.coef_shape), null)


def null_objective(problem: Problem) -> float:
    null = problem.data_term.null(problem.target, problem.weights)
    eta = np.zeros(problem.predictor_shape) + null
    return float(problem.data_term.value(eta, problem.target, problem.weights))


def judge(problem: Problem, penalty: Penalty, coef: np.ndarray, intercept: np.ndarray) -> Certificate:
    """The certificate of a claimed solution with an unpenalised intercept."""
    return certify(
        problem.data_term,
        penalty,
        coef,
        predictor(problem, coef, intercept),
        problem.target,
        problem.weights,
        correlate=lambda theta: problem.X.T @ theta,
        free=np.ones((len(problem.y), 1)),
        null_objective=null_objective(problem),
    )


def fista(problem: Problem, penalty: Penalty, *, tol: float = 1e-12, max_iter: int = 100_000) -> Reference:
    """Minimises the objective by proximal gradient steps with momentum, restarted when momentum leads uphill.

    It ends when a step moves no coordinate by more than ``tol``, and says so loudly when that never happens.
    """
    X = problem.X.toarray() if sparse.issparse(problem.X) else problem.X
    X = np.column_stack([X, np.ones(len(X))])  # the intercept is the last row of every array below
    known = problem.loss in _STEEPEST
    step = len(X) / (_STEEPEST.get(problem.loss, 0.1) * np.linalg.norm(X, 2) ** 2)
    best = ahead = np.zeros((X.shape[1], *problem.coef_shape[1:]))
    momentum = 1.0

    def slope_at(point: np.ndarray) -> np.ndarray:
        return X.T @ problem.data_term.gradient(X @ point, problem.target, problem.weights)

    for _ in range(max_iter):
        slope = slope_at(ahead)
        while True:
            new = ahead - step * slope
            new[:-1] = penalty.prox(new[:-1], step)
            move = new - ahead
            if known or np.sum((slope_at(new) - slope) * move) <= np.sum(move**2) / step + 1e-18:
                break
            step *= 0.5
        if np.abs(new - ahead).max() <= tol:
            return Reference(new[:-1], new[-1], objective(problem, penalty, new[:-1], new[-1]))
        if np.sum((ahead - new) * (new - best)) > 0:
            momentum = 1.0
        faster = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        ahead, best, momentum = new + (momentum - 1.0) / faster * (new - best), new, faster
    raise RuntimeError(f"fista did not converge on {problem.name} in {max_iter} steps")


def scikit_learn(problem: Problem, alpha: float, l1_ratio: float = 1.0, positive: bool = False) -> Reference:
    """Minimises the same objective with scikit-learn at its tightest: L1 or elastic net; positive if squared."""
    with warnings.catch_warnings():
        # A tolerance near machine precision is asked for so that the solver ends where it can do no more.
        warnings.simplefilter("ignore")
        if problem.loss == "squared":
            model = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, positive=positive, tol=1e-14, max_iter=100_000)
        else:
            strength = 1.0 / (alpha * len(problem.y))
            model = LogisticRegression(C=strength, l1_ratio=l1_ratio, solver="saga", tol=1e-13, max_iter=50_000)
        model.fit(problem.X, problem.y)
    coef, intercept = model.coef_.T, np.asarray(model.intercept_)
    if not problem.data_term.multi:
        coef, intercept = np.reshape(coef, (-1,)), np.reshape(intercept, ())
    penalty = Penalty(alpha, l1_ratio=l1_ratio, positive=positive)
    return Reference(coef, intercept, objective(problem, penalty, coef, intercept))


def skglm(problem: Problem, alpha: float) -> Reference:
    """Minimises the same objective, L1 without an intercept and without strata, with skglm at its tightest."""
    from skglm import datafits, solvers
    from skglm.penalties import L1

    target, solver = problem.y, solvers.ProxNewton(tol=1e-12, fit_intercept=False, max_iter=100)
    if problem.loss == "huber":
        datafit = datafits.Huber(EFFICIENT)
        solver = solvers.AndersonCD(tol=1e-12, fit_intercept=False, max_epochs=100_000)
    elif problem.loss == "poisson":
        datafit = datafits.Poisson()
    else:
        datafit = datafits.Cox(use_efron=problem.loss == "cox-efron")
        target = np.column_stack([problem.y["time"], problem.y["event"]]).astype(float)
    X = np.asfortranarray(problem.X.toarray() if sparse.issparse(problem.X) else problem.X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its tolerance is set out of reach
        coef = solver.solve(X, target, datafit, L1(alpha))[0]
    intercept = np.zeros(())
    return Reference(coef, intercept, objective(problem, Penalty(alpha), coef, intercept))
