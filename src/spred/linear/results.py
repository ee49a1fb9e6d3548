"""What the exact engine hands back: frozen records with their certificates."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np

from spred.core.certificate import Certificate


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
        certificate: duality gap, KKT residual, primal and dual objective.
        status: why the engine stopped.
        n_iter: Newton steps.
        seconds: wall time.
    """

    alpha: float
    coef: np.ndarray
    intercept: float | np.ndarray
    certificate: Certificate
    status: Status
    n_iter: int
    seconds: float

    @property
    def gap(self) -> float:
        """Duality gap over the null objective."""
        return self.certificate.gap

    @property
    def kkt(self) -> float:
        """Largest KKT residual over alpha."""
        return self.certificate.kkt

    @property
    def support(self) -> np.ndarray:
        """Indices of the features with a nonzero coefficient (for any class)."""
        return np.flatnonzero(np.atleast_2d(self.coef).any(axis=0))


@dataclass(frozen=True, eq=False)
class RegularizationPath:
    """Solutions along a falling grid of alphas, stacked.

    Attributes:
        alphas: ``(A,)``, falling.
        features: ``(m,)``, sorted, all that have a nonzero coefficient somewhere along the path.
        values: ``(A, m)`` or ``(A, K, m)``, their coefficients, in the units of the columns as given.
        n_features: p, the number of columns.
        intercepts: ``(A,)`` or ``(A, K)``.
        certificates: one for each alpha.
        deviance_explained: ``(A,)``, share of the null objective that the data term explains, 0 … 1.
        statuses: one :class:`Status` for each alpha.
        n_nonzero: ``(A,)``, features with a nonzero coefficient.
        seconds: wall time of the whole path.
    """

    alphas: np.ndarray
    features: np.ndarray
    values: np.ndarray
    n_features: int
    intercepts: np.ndarray
    certificates: tuple[Certificate, ...]
    deviance_explained: np.ndarray
    statuses: tuple[Status, ...]
    n_nonzero: np.ndarray
    seconds: float

    @cached_property
    def coefs(self) -> np.ndarray:
        """All coefficients, ``(A, p)`` or ``(A, K, p)``; written out when first asked for."""
        full = np.zeros((*self.values.shape[:-1], self.n_features))
        full[..., self.features] = self.values
        return full

    @property
    def gaps(self) -> np.ndarray:
        """Relative duality gaps, ``(A,)``."""
        return np.array([certificate.gap for certificate in self.certificates])

    @property
    def kkts(self) -> np.ndarray:
        """Relative KKT residuals, ``(A,)``."""
        return np.array([certificate.kkt for certificate in self.certificates])

    @property
    def objectives(self) -> np.ndarray:
        """Penalised objectives, ``(A,)``."""
        return np.array([certificate.primal for certificate in self.certificates])

    @property
    def converged(self) -> bool:
        """Whether every alpha reached its tolerance."""
        return all(status is Status.CONVERGED for status in self.statuses)
