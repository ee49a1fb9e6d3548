"""What the exact engine hands back: frozen records with their certificates."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np


class Status(Enum):
    """Why the engine stopped."""

    CONVERGED = "converged"
    ITERATIONS = "stopped by iterations"
    TIME = "stopped by time"


@dataclass(frozen=True, eq=False)
class Solution:
    """Minimiser of ``L(v, b) + Ω(v)`` at one alpha, in the units of the columns as given.

    Attributes:
        alpha: penalty strength.
        coef: ``(p,)``, or ``(K, p)`` for several classes.
        intercept: a number, or ``(K,)``.
        gap: duality gap over the null objective.
        kkt: largest KKT residual over alpha.
        objective: ``L + Ω``.
        status: why the engine stopped.
        n_iter: Newton steps.
        seconds: wall time.
    """

    alpha: float
    coef: np.ndarray
    intercept: float | np.ndarray
    gap: float
    kkt: float
    objective: float
    status: Status
    n_iter: int
    seconds: float

    @property
    def support(self) -> np.ndarray:
        """Indices of the features with a nonzero coefficient (for any class)."""
        return np.flatnonzero(np.atleast_2d(self.coef).any(axis=0))


@dataclass(frozen=True, eq=False)
class Path:
    """Solutions along a falling grid of alphas, stacked.

    Attributes:
        alphas: ``(A,)``, falling.
        coefs: ``(A, p)`` or ``(A, K, p)``, in the units of the columns as given.
        intercepts: ``(A,)`` or ``(A, K)``.
        gaps: ``(A,)``, relative duality gaps.
        kkts: ``(A,)``, relative KKT residuals.
        objectives: ``(A,)``.
        deviance: ``(A,)``, share of the null objective that the data term explains, 0 … 1.
        statuses: one :class:`Status` for each alpha.
        n_nonzero: ``(A,)``, features with a nonzero coefficient.
        seconds: wall time of the whole path.
    """

    alphas: np.ndarray
    coefs: np.ndarray
    intercepts: np.ndarray
    gaps: np.ndarray
    kkts: np.ndarray
    objectives: np.ndarray
    deviance: np.ndarray
    statuses: tuple[Status, ...]
    n_nonzero: np.ndarray
    seconds: float

    @property
    def converged(self) -> bool:
        """Whether every alpha reached its tolerance."""
        return all(status is Status.CONVERGED for status in self.statuses)
