"""Primal and dual objectives in extended precision, from their definitions: what a certificate is compared with.

It shares no code with the engine. NumPy's ``longdouble`` has 64 digits or more on most machines; where it is float64,
:data:`EXTENDED` is False.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EXTENDED = bool(np.finfo(np.longdouble).eps < 1e-18)

BIG = np.longdouble


@dataclass(frozen=True, eq=False)
class Exact:
    """One problem with one linear predictor: L1 or elastic net on single coefficients, an intercept, free columns.

    Attributes:
        loss: squared, huber, logistic or poisson.
        X: ``(n, p)``, dense.
        y: ``(n,)``.
        weight: ``(n,)``, sample weights.
        omega: ``(p,)``, penalty weights.
        alpha, l1_ratio, delta: strength, ρ, Huber's transition.
    """

    loss: str
    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    omega: np.ndarray
    alpha: float
    l1_ratio: float = 1.0
    delta: float = 1.345

    def gap(self, coef: np.ndarray, intercept: float) -> float:
        """Return the relative duality gap of a solution in the units of ``X``."""
        X, s = self.X.astype(BIG), self.weight.astype(BIG) / self.weight.astype(BIG).sum()
        X = X - X[0]  # exact in extended precision, and an intercept takes it up
        X = X - s @ X
        eta = X @ coef.astype(BIG) + (BIG(intercept) + (s @ self.X.astype(BIG)) @ coef.astype(BIG))
        free = np.column_stack([np.ones(len(s), dtype=BIG), X[:, self.omega == 0]])
        free = free / np.sqrt((free**2).sum(axis=0))
        primal = self.value(eta, s) + self.penalty(coef.astype(BIG))
        dual = self.dual(X, eta, s, free)
        return float((primal - dual) / self.null(s, free))

    def penalty(self, v: np.ndarray) -> np.ndarray:
        rho = BIG(self.l1_ratio)
        return BIG(self.alpha) * (rho * (self.omega * abs(v)).sum() + (1 - rho) / 2 * (self.omega * v * v).sum())

    def dual(self, X: np.ndarray, eta: np.ndarray, s: np.ndarray, free: np.ndarray) -> np.ndarray:
        """The best of the usual dual points: projected on the free columns' constraints, scaled into the ball."""
        theta = s * self.slope(eta)
        for _ in range(3):
            theta = theta + self.newton_shift(theta, eta, s, free)
        grad, used = X.T @ theta, self.omega > 0
        rho, ridge = BIG(self.l1_ratio), BIG(self.alpha) * (1 - BIG(self.l1_ratio))
        largest = (abs(grad[used]) / self.omega[used]).max(initial=0.0)
        inside = min(BIG(1), BIG(self.alpha) * rho / largest) if largest > 0 else BIG(1)
        found = []
        for c in (inside, BIG(1)) if ridge > 0 else (inside,):
            excess = np.maximum(abs(c * grad[used]) - self.alpha * rho * self.omega[used], 0)
            cost = (excess**2 / (2 * ridge * self.omega[used])).sum() if ridge > 0 else BIG(0)
            found.append(-self.conjugate(c * theta, s) - cost)
        return max(found)

    def newton_shift(self, theta: np.ndarray, eta: np.ndarray, s: np.ndarray, free: np.ndarray) -> np.ndarray:
        curved = (s * self.bend(eta))[:, None] * free
        return curved @ solved(free.T @ curved, -(free.T @ theta))

    def null(self, s: np.ndarray, free: np.ndarray) -> np.ndarray:
        """The objective of the free columns alone, by Newton's method."""
        eta = np.zeros(len(s), dtype=BIG) + self.start(s)
        for _ in range(200):
            curved = (s * self.bend(eta))[:, None] * free
            step = free @ solved(free.T @ curved, -(free.T @ (s * self.slope(eta))))
            length = BIG(1)
            while self.value(eta + length * step, s) > self.value(eta, s) and length > 1e-12:
                length /= 2
            eta = eta + length * step
        return self.value(eta, s)

    def start(self, s: np.ndarray) -> np.ndarray:
        mean = s @ self.y.astype(BIG)
        if self.loss in ("squared", "huber"):
            return mean if self.loss == "squared" else np.median(self.y).astype(BIG)
        return np.log(mean) if self.loss == "poisson" else np.log(mean / (1 - mean))

    def value(self, eta: np.ndarray, s: np.ndarray) -> np.ndarray:
        y, r = self.y.astype(BIG), abs(self.y - eta)
        if self.loss == "squared":
            each = r * r / 2
        elif self.loss == "huber":
            each = np.where(r <= self.delta, r * r / 2, self.delta * (r - BIG(self.delta) / 2))
        elif self.loss == "logistic":
            each = np.logaddexp(BIG(0), np.where(y > 0, -eta, eta))
        else:
            each = np.exp(eta) - y * eta + xlogx(y) - y
        return (s * each).sum()

    def slope(self, eta: np.ndarray) -> np.ndarray:
        if self.loss == "squared":
            return eta - self.y
        if self.loss == "huber":
            return np.clip(eta - self.y, -BIG(self.delta), BIG(self.delta))
        return (1 / (1 + np.exp(-eta)) if self.loss == "logistic" else np.exp(eta)) - self.y

    def bend(self, eta: np.ndarray) -> np.ndarray:
        if self.loss == "squared":
            return np.ones_like(eta)
        if self.loss == "huber":
            return (abs(self.y - eta) <= self.delta).astype(BIG)
        return 1 / (2 + np.exp(-eta) + np.exp(eta)) if self.loss == "logistic" else np.exp(eta)

    def conjugate(self, theta: np.ndarray, s: np.ndarray) -> np.ndarray:
        y, t = self.y.astype(BIG), theta / s
        if self.loss in ("squared", "huber"):
            return (theta * y + theta * t / 2).sum()
        p = t + y
        if self.loss == "logistic":
            return (s * (xlogx(p) + xlogx(1 - p))).sum()
        return (s * (xlogx(p) - p - xlogx(y) + y)).sum()


def xlogx(p: np.ndarray) -> np.ndarray:
    return np.where(p > 0, p * np.log(np.where(p > 0, p, BIG(1))), BIG(0))


def solved(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Solve ``Ax = b``, A positive semidefinite, by elimination; a direction without a pivot gets 0."""
    A, b, n = A.copy(), b.copy(), len(b)
    scale = np.diagonal(A).copy()
    for i in range(n):
        if A[i, i] <= 1e-15 * scale[i]:
            A[i], A[:, i], b[i], A[i, i] = 0, 0, 0, 1
        for j in range(i + 1, n):
            factor = A[j, i] / A[i, i]
            A[j, i:] -= factor * A[i, i:]
            b[j] -= factor * b[i]
    x = np.zeros(n, dtype=A.dtype)
    for i in range(n - 1, -1, -1):
        x[i] = (b[i] - A[i, i + 1 :] @ x[i + 1 :]) / A[i, i]
    return x
