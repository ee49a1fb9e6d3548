"""Records of the compiled loops for tests, and what is in them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from scipy import sparse

from spred.core.losses import LOSSES
from spred.linear.kernels import state
from spred.linear.kernels.columns import Columns
from spred.linear.kernels.losses import CODES, SQUARED

NAMES = {code: name for name, code in CODES.items()}


def screening_of(X: np.ndarray, weights: np.ndarray, positive: np.ndarray, theta: np.ndarray) -> Any:
    """A record of screening bounds of dense columns ``X (n, p)``, with the gradients at ``theta``."""
    p, slots = X.shape[1], 4
    thetas, count = np.zeros((slots, len(theta))), np.zeros(slots, dtype=np.int64)
    thetas[0], count[0] = theta, p
    norms = np.linalg.norm(X, axis=0)
    data = np.asfortranarray(X).T, np.zeros(p), np.ones(p)
    return state.new_screening(X.T @ theta, np.zeros(p, np.int64), count, thetas, norms, weights, positive, *data)


def iterate_of(
    columns: Columns,
    curvature: np.ndarray,
    *,
    x: np.ndarray,
    y: np.ndarray | None = None,
    eta: np.ndarray | None = None,
    code: int = SQUARED,
    intercept: bool = False,
    weights: np.ndarray | None = None,
    positive: np.ndarray | None = None,
) -> Any:
    """An iterate whose feature j has position j, at ``x``; ``curvature`` are the sample weights too."""
    n, p = len(curvature), len(x)
    y = np.zeros(n) if y is None else y
    eta = np.zeros(n) if eta is None else eta
    weights = np.ones(p) if weights is None else weights
    positive = np.zeros(p, dtype=bool) if positive is None else positive
    theta = LOSSES[NAMES[code]].gradient(eta, y, curvature)
    X = columns.T if isinstance(columns, np.ndarray) else np.zeros((n, p))
    screening = screening_of(X, weights, positive, theta)
    problem = code, intercept, y, curvature, np.zeros(n), eta, theta, np.arange(p)
    iterate = state.new_iterate(*problem, screening, columns)
    state.extend(iterate, columns, np.arange(p), x, np.zeros(p))
    state.reserve(iterate, p)
    return iterate


def sparse_columns(columns: np.ndarray, centred: bool, seed: int = 0) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Columns of a sparse matrix that has more of them, in the kernels' form, and the same ones dense."""
    rng, (m, n) = np.random.default_rng(seed), columns.shape
    many = np.zeros((n, 2 * m + 6))
    feature = np.arange(m)[::-1] * 2 + 3
    many[:, feature] = np.where(np.abs(columns.T) > 0.8, columns.T, 0.0)
    X = sparse.csc_array(many)
    scale, mean = rng.random(m) + 0.5, many[:, feature].mean(axis=0) if centred else np.zeros(m)
    return ((many[:, feature] - mean) / scale).T.copy(), (X.data, X.indices, X.indptr, feature, scale, mean)


def hessian(columns: np.ndarray, curvature: np.ndarray, diagonal: np.ndarray, intercept: bool = False) -> np.ndarray:
    """The Hessian of dense columns, one in each row, with the intercept eliminated."""
    if intercept:
        columns = columns - (columns @ curvature / curvature.sum())[:, None]
    return (columns * curvature) @ columns.T + np.diag(diagonal)


@njit
def factor_of(iterate):
    """The rows of the factor, and the positions that they are of."""
    k = iterate.size
    return iterate.L[:k, :k].copy(), iterate.order[:k].copy()


@njit
def penalty_of(iterate):
    """``lam``, ``ridge`` and ``diagonal``."""
    return iterate.lam, iterate.ridge, iterate.diagonal


@njit
def gradient_of(iterate):
    """``theta`` and ``g``."""
    return iterate.theta, iterate.g
