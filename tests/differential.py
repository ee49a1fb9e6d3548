"""Random problems of the exact engine, their objective from its definition, and CVXPY's answer where that is installed.

``tests/linear/test_differential.py`` holds a few of them with CVXPY's optimal values; ``scripts/check-exactness`` draws
as many as wanted. Nothing here shares code with the engine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.special import logsumexp, xlogy

from spred import survival_target

LOSSES = ("squared", "huber", "logistic", "poisson", "multinomial", "cox")
PENALTIES = ("l1", "elastic net", "groups", "sparse groups", "positive")
DELTA = 1.345


@dataclass(frozen=True, eq=False)
class Drawn:
    """One problem, as :func:`spred.solve` takes it: ``X`` and ``y`` as they are, ``options`` by name."""

    seed: int
    loss: str
    penalty: str
    X: np.ndarray
    y: np.ndarray
    options: dict
    is_sparse: bool

    @property
    def given(self) -> object:
        return sparse.csc_array(self.X) if self.is_sparse else self.X

    @property
    def s(self) -> np.ndarray:
        weight = np.asarray(self.options["sample_weight"])
        return weight / weight.sum()

    @property
    def omega(self) -> np.ndarray:
        return self.options["penalty_weights"]

    def __str__(self) -> str:
        free = int((self.omega == 0).sum())
        kind = "sparse" if self.is_sparse else "dense"
        return f"problem {self.seed}: {self.loss}, {self.penalty}, {kind} {self.X.shape}, {free} free"


def draw(seed: int) -> Drawn:
    """Draw a problem: its loss and penalty in turn, all else at random, units of columns and weights among it."""
    rng = np.random.default_rng(seed)
    loss, penalty = LOSSES[seed % len(LOSSES)], PENALTIES[seed // len(LOSSES) % len(PENALTIES)]
    if loss == "multinomial" and penalty in ("sparse groups", "positive"):
        penalty = "l1"
    n, p = int(rng.integers(20, 60)), 2 * int(rng.integers(2, 16))
    Z = rng.standard_normal((n, p))
    is_sparse = bool(rng.random() < 0.4)
    if is_sparse:
        Z *= rng.random((n, p)) < 0.5
    y = _target(rng, loss, Z[:, 0] - Z[:, 1])
    units, groups = np.ones(p), np.arange(p) // 2
    free = rng.random(p) < (0.15 if rng.random() < 0.5 else 0.0)
    free[:2] = False
    if penalty in ("groups", "sparse groups"):
        free = free[2 * groups]
        omega = np.where(free[::2], 0.0, rng.uniform(0.5, 2.0, p // 2))
        units[free] = 10.0 ** rng.uniform(-6, 6, int(free.sum()))
    else:
        if rng.random() < 0.5:
            units = 10.0 ** rng.uniform(-6, 6, p)
        ridge = penalty == "elastic net"  # its two parts ask for two weights
        units = np.where(free | ~np.full(p, ridge), units, 1.0)
        omega = np.where(free, 0.0, rng.uniform(0.5, 2.0, p) * units)
    X = Z * units
    if not is_sparse:
        X = X + units * np.where(rng.random(p) < 0.3, 10.0 ** rng.uniform(0, 6, p), 0.0)
    options: dict = {"loss": loss, "penalty_weights": omega}
    options["sample_weight"] = (0.1 + rng.random(n)) * 10.0 ** rng.uniform(-9, 9)
    if penalty in ("groups", "sparse groups"):
        options["feature_groups"] = groups
    if penalty == "sparse groups":
        options["within_ratio"] = 0.4
    if penalty == "elastic net":
        options["l1_ratio"] = 0.6
    if penalty == "positive":
        options["positive"] = True
    if loss == "multinomial" and penalty in ("l1", "elastic net"):
        options["row_sparse"] = bool(rng.random() < 0.5)
    options["alpha"] = 10.0 ** rng.uniform(-2.5, -0.7)
    return Drawn(seed, loss, penalty, X, y, options, is_sparse)


def _target(rng: np.random.Generator, loss: str, eta: np.ndarray) -> np.ndarray:
    n = len(eta)
    if loss == "squared":
        return eta + 0.5 * rng.standard_normal(n) + 10.0 ** rng.uniform(0, 4)
    if loss == "huber":
        return eta + rng.standard_t(2.0, size=n)
    if loss == "logistic":
        return np.r_[0.0, 1.0, (eta + rng.logistic(size=n) > 0)[2:]]
    if loss == "poisson":
        return np.r_[1.0, rng.poisson(np.exp(np.clip(eta, -2, 2)))[1:]]
    if loss == "multinomial":
        return np.r_[0.0, 1.0, 2.0, np.digitize(eta + rng.logistic(size=n), [-1.0, 1.0])[3:]]
    time = rng.exponential(np.exp(-np.clip(eta, -2, 2)))
    return survival_target(np.r_[True, rng.random(n - 1) < 0.7], np.ceil(10.0 * time))


def objective(problem: Drawn, coef: np.ndarray, intercept: np.ndarray) -> float:
    """Return the penalised objective of coefficients ``(p,)`` or ``(K, p)``."""
    return _data_term(problem, (problem.X @ coef.T).T, intercept) + _penalty(problem, np.atleast_2d(coef))


def _data_term(problem: Drawn, eta: np.ndarray, intercept: np.ndarray) -> float:
    y, s, loss = problem.y, problem.s, problem.loss
    if loss == "cox":
        eta, risk, total = eta + intercept, eta + intercept + np.log(s), 0.0
        for i in np.flatnonzero(y["event"]):
            total += s[i] * (logsumexp(risk[y["time"] >= y["time"][i]]) - risk[i])
        return float(total)
    if loss == "multinomial":
        eta = eta.T + intercept
        return float(s @ (logsumexp(eta, axis=1) - eta[np.arange(len(y)), y.astype(int)]))
    eta = eta + intercept
    if loss in ("squared", "huber"):
        r = np.abs(y - eta)
        return float(s @ (r * r / 2 if loss == "squared" else np.where(r <= DELTA, r * r / 2, DELTA * (r - DELTA / 2))))
    if loss == "logistic":
        return float(s @ np.logaddexp(0.0, np.where(y > 0, -eta, eta)))
    return float(s @ (np.exp(eta) - y * eta + xlogy(y, y) - y))


def _penalty(problem: Drawn, coef: np.ndarray) -> float:
    options, omega = problem.options, problem.omega
    rho, kappa = options.get("l1_ratio", 1.0), options.get("within_ratio", 0.0)
    if options.get("positive") and (coef[:, omega > 0] < 0).any():
        return np.inf
    size, single = np.abs(coef), 0.0
    if "feature_groups" in options:
        labels = options["feature_groups"]
        size = np.sqrt(np.bincount(labels, (coef**2).sum(axis=0)))
        single = float((np.abs(coef).sum(axis=0) * (omega > 0)[labels]).sum())
    elif options.get("row_sparse"):
        size = np.linalg.norm(coef, axis=0)
    ridge = 0.5 * float((omega * size**2).sum())
    grouped = (1 - kappa) * float((omega * size).sum()) + kappa * single
    return options["alpha"] * (rho * grouped + (1 - rho) * ridge)


def by_cvxpy(problem: Drawn) -> float:
    """Return the lowest objective that CVXPY and Clarabel find, at a point that they give.

    They get columns of mean 0 and variance 1, with the penalty that this makes of it: an interior-point method is no
    more accurate than its data are well scaled.
    """
    import cvxpy as cp

    options, omega, s, y = problem.options, problem.omega, problem.s, problem.y
    mean, several = s @ problem.X, problem.loss == "multinomial"
    unit = np.sqrt(s @ (problem.X - mean) ** 2)
    unit[unit == 0] = 1.0
    Z, k = (problem.X - mean) / unit, 3 if several else 1
    middle = float(s @ y) if problem.loss == "squared" else 0.0
    v, b = cp.Variable((Z.shape[1], k)), cp.Variable((1, k))
    raw = cp.multiply(1.0 / unit[:, None], v)  # in the units of X
    eta = Z @ v + (0 if problem.loss == "cox" else np.ones((len(s), 1)) @ b)
    data = _cvxpy_data_term(cp, problem, eta, y - middle if problem.loss == "squared" else y, s)
    rho, kappa = options.get("l1_ratio", 1.0), options.get("within_ratio", 0.0)
    if "feature_groups" in options:
        labels, used = options["feature_groups"], np.flatnonzero(omega > 0)
        parts = [omega[g] * cp.norm(cp.vec(raw[labels == g], order="C"), 2) for g in used]
        single = sum(cp.sum(cp.abs(raw[labels == g])) for g in used)
        penalty = (1 - kappa) * sum(parts) + kappa * single
    elif options.get("row_sparse"):
        penalty = cp.sum(cp.multiply(omega / unit, cp.norm(v, 2, axis=1)))
    else:
        penalty = cp.sum(cp.multiply((omega / unit)[:, None], cp.abs(v)))
    penalty = rho * penalty
    if rho < 1:
        penalty += (1 - rho) / 2 * cp.sum(cp.multiply((omega / unit**2)[:, None], cp.square(v)))
    within = [v[omega > 0] >= 0] if options.get("positive") else []
    asked = cp.Problem(cp.Minimize(data + options["alpha"] * penalty), within)
    asked.solve(solver="CLARABEL", tol_gap_abs=1e-13, tol_gap_rel=1e-13, tol_feas=1e-13, max_iter=200)
    found = v.value.copy()
    if within:
        found[omega > 0] = np.maximum(found[omega > 0], 0.0)
    b_found = np.zeros(k) if problem.loss == "cox" else b.value[0] + middle
    coef = (found / unit[:, None]).T
    predictor = (Z @ found).T
    data_term = _data_term(problem, predictor if several else predictor[0], b_found if several else b_found[0])
    return data_term + _penalty(problem, coef)


def _cvxpy_data_term(cp: object, problem: Drawn, eta: object, y: np.ndarray, s: np.ndarray) -> object:
    if problem.loss == "multinomial":
        rows = np.eye(3)[y.astype(int)]
        return s @ (cp.log_sum_exp(eta, axis=1) - cp.sum(cp.multiply(rows, eta), axis=1))
    line = eta[:, 0]
    if problem.loss == "squared":
        return 0.5 * cp.sum(cp.multiply(s, cp.square(y - line)))
    if problem.loss == "huber":
        return 0.5 * cp.sum(cp.multiply(s, cp.huber(y - line, DELTA)))
    if problem.loss == "logistic":
        return cp.sum(cp.multiply(s, cp.logistic(line) - cp.multiply(y, line)))
    if problem.loss == "poisson":
        return cp.sum(cp.multiply(s, cp.exp(line) - cp.multiply(y, line))) + float(s @ (xlogy(y, y) - y))
    events = np.flatnonzero(y["event"])
    risk = line + np.log(s)
    return sum(s[i] * (cp.log_sum_exp(risk[y["time"] >= y["time"][i]]) - risk[i]) for i in events)
