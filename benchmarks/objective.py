"""What every solver is judged by: duality gap and KKT residual of a whole path, in plain NumPy.

It shares no code with spred. For coefficients v with ``θ = ∇L(Xv)`` and ``z = Xᵀθ`` the bound is that of Fenchel,

    L(Xv) + α Σ‖v_g‖ − min ≤ gap = L(Xv) + α Σ‖v_g‖ + L*(cθ),    c = min(1, α / max_g ‖z_g‖),

and the gap is given over ``L(0)``. The residual is that of stationarity over α: ``‖z_g + α v_g/‖v_g‖‖`` on the support
and ``max(‖z_g‖ − α, 0)`` off it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from problem import Problem
from scipy.special import entr, expit, logsumexp, softmax


class Loss(NamedTuple):
    """A data term of η: ``value(η, y)``, ``gradient(η, y)``, and ``bound(η, y, c)``, at most ``−L*(c∇L(η))``."""

    value: Callable[[np.ndarray, np.ndarray], float]
    gradient: Callable[[np.ndarray, np.ndarray], np.ndarray]
    bound: Callable[[np.ndarray, np.ndarray, float], float]


class Verdict(NamedTuple):
    """The worst alpha of a path: relative duality gap and relative KKT residual."""

    gap: float
    kkt: float


def judge(problem: Problem, loss: Loss, coefs: np.ndarray) -> Verdict:
    """Return the :class:`Verdict` of ``coefs`` ``(A, p)`` or ``(A, p, K)``."""
    if not np.isfinite(coefs).all():
        return Verdict(np.inf, np.inf)
    X, y, (n, p), k = problem.X, problem.y, problem.X.shape, problem.n_outputs
    count = len(problem.alphas)
    paths = np.moveaxis(coefs.reshape(count, p, k), 0, -1).reshape(p, k * count)
    etas = np.moveaxis((X @ paths).reshape(n, k, count), -1, 0)
    thetas = np.stack([loss.gradient(eta, y) for eta in etas], axis=-1)
    grads = np.moveaxis((X.T @ thetas.reshape(n, k * count)).reshape(p, k, count), -1, 0)
    null = loss.value(np.zeros((n, k)), y)
    worst = Verdict(0.0, 0.0)
    for alpha, coef, eta, grad in zip(problem.alphas, coefs, etas, grads, strict=True):
        v, z = _groups(problem, coef), _groups(problem, grad)
        size, slope = np.linalg.norm(v, axis=1), np.linalg.norm(z, axis=1)
        primal = loss.value(eta, y) + alpha * size.sum()
        dual = loss.bound(eta, y, min(1.0, alpha / max(slope.max(), 1e-300)))
        on = size > 0
        residual = np.maximum(slope - alpha, 0.0)
        residual[on] = np.linalg.norm(z[on] + alpha * v[on] / size[on, None], axis=1)
        worst = Verdict(max(worst.gap, float(primal - dual) / null), max(worst.kkt, float(residual.max()) / alpha))
    return worst


def slopes_at_null(problem: Problem, loss: Loss) -> np.ndarray:
    """Return ``‖z_g‖`` of every group at v = 0: the largest is the smallest alpha with no feature."""
    theta = loss.gradient(np.zeros((len(problem.y), problem.n_outputs)), problem.y)
    return np.linalg.norm(_groups(problem, problem.X.T @ theta), axis=1)


def _groups(problem: Problem, x: np.ndarray) -> np.ndarray:
    """Return coefficients ``(p, K)`` with one group in each row."""
    return x.reshape(-1, problem.group_size * problem.n_outputs)


# η has one column, but for multinomial K. Where L is a mean of log-losses, c∇L(η) encodes probabilities: those of the
# model, mixed with the share 1 − c of what was seen. −L* is their mean entropy.


def _squared(eta: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean((y - eta[:, 0]) ** 2) / 2)


def _squared_gradient(eta: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (eta - y[:, None]) / len(y)


def _squared_bound(eta: np.ndarray, y: np.ndarray, c: float) -> float:
    left = c * (y - eta[:, 0])
    return float(np.mean(left * y) - np.mean(left**2) / 2)


def _logistic(eta: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(np.logaddexp(0.0, np.where(y > 0, -1.0, 1.0) * eta[:, 0])))


def _logistic_gradient(eta: np.ndarray, y: np.ndarray) -> np.ndarray:
    sign = np.where(y > 0, -1.0, 1.0)
    return (sign * expit(sign * eta[:, 0]))[:, None] / len(y)


def _logistic_bound(eta: np.ndarray, y: np.ndarray, c: float) -> float:
    wrong = c * expit(np.where(y > 0, -1.0, 1.0) * eta[:, 0])  # the probability of the class that was not seen
    return float(np.mean(entr(wrong) + entr(1.0 - wrong)))


def _multinomial(eta: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(logsumexp(eta, axis=1) - (_seen(eta, y) * eta).sum(axis=1)))


def _multinomial_gradient(eta: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (softmax(eta, axis=1) - _seen(eta, y)) / len(y)


def _multinomial_bound(eta: np.ndarray, y: np.ndarray, c: float) -> float:
    return float(entr(c * softmax(eta, axis=1) + (1.0 - c) * _seen(eta, y)).sum(axis=1).mean())


def _seen(eta: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (y[:, None] == np.arange(eta.shape[1])).astype(float)


# Cox: each event is a multinomial observation of who dies among those at risk (ties as Breslow). L* of a sum is at most
# the sum of the terms' own conjugates at any parts of θ; at these parts the bound is exact for c = 1.


def _cox(eta: np.ndarray, y: np.ndarray) -> float:
    who, at_risk = _events(y)
    return float((logsumexp(np.where(at_risk, eta[:, 0], -np.inf), axis=1) - eta[who, 0]).sum() / len(y))


def _cox_gradient(eta: np.ndarray, y: np.ndarray) -> np.ndarray:
    who, at_risk = _events(y)
    hazard = softmax(np.where(at_risk, eta[:, 0], -np.inf), axis=1).sum(axis=0)
    return (hazard - np.bincount(who, minlength=len(y)))[:, None] / len(y)


def _cox_bound(eta: np.ndarray, y: np.ndarray, c: float) -> float:
    who, at_risk = _events(y)
    chance = c * softmax(np.where(at_risk, eta[:, 0], -np.inf), axis=1)
    chance[np.arange(len(who)), who] += 1.0 - c
    return float(entr(chance).sum() / len(y))


def _events(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples with an event and, in a row for each, who was at risk then."""
    time, event = y.T
    who = np.flatnonzero(event)
    return who, time[None, :] >= time[who, None]


LOSSES = {
    "squared": Loss(_squared, _squared_gradient, _squared_bound),
    "logistic": Loss(_logistic, _logistic_gradient, _logistic_bound),
    "multinomial": Loss(_multinomial, _multinomial_gradient, _multinomial_bound),
    "cox": Loss(_cox, _cox_gradient, _cox_bound),
}
"""The data terms by name, each a mean over samples."""
