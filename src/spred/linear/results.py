"""What the exact engine hands back: frozen records with their certificates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from spred.core.certificate import Certificate
from spred.core.losses import LOSSES
from spred.errors import InputError
from spred.linear.problem import check_finite, names_of, read_matrix
from spred.linear.target import read_offset

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Status(Enum):
    """Why the engine stopped; by rounding, where float64 has not the digits that ``tol`` asks for."""

    CONVERGED = "converged"
    ITERATIONS = "stopped by iterations"
    TIME = "stopped by time"
    PRECISION = "stopped by rounding"


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
        loss: the name of the loss.
        feature_names: ``(p,)``, where the columns of the fit had names.
    """

    alpha: float
    coef: np.ndarray
    intercept: float | np.ndarray
    certificate: Certificate
    status: Status
    n_iter: int
    seconds: float
    loss: str
    feature_names: np.ndarray | None = None

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

    def linear_predictor(self, X: ArrayLike, *, offset: ArrayLike | None = None) -> np.ndarray:
        """Return ``X v + b`` of new samples, ``(n,)`` or ``(n, K)``, as :class:`RegularizationPath` does."""
        coef, intercept = self.coef[None], np.asarray(self.intercept)[None]
        matrix = _same_columns(X, coef.shape[-1], self.feature_names)
        return np.asarray(_linear_predictors(matrix, np.arange(coef.shape[-1]), coef, intercept, offset)[0])

    def predict(self, X: ArrayLike, *, offset: ArrayLike | None = None) -> np.ndarray:
        """Return the mean response of new samples, ``(n,)`` or ``(n, K)``, as :class:`RegularizationPath` does.

        >>> import numpy as np, spred
        >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
        >>> spred.solve(X, X @ [3.0, 0.2], alpha=0.5).predict([[2.0, 5.0]]).round(6).tolist()
        [4.0]
        """
        return _mean_response(self.loss, self.linear_predictor(X, offset=offset))


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
        deviance_explained: ``(A,)``, fraction of the null objective that the data term explains, 0 … 1.
        statuses: one :class:`Status` for each alpha.
        n_nonzero: ``(A,)``, features with a nonzero coefficient.
        seconds: wall time of the whole path.
        loss: the name of the loss.
        feature_names: ``(p,)``, where the columns of the fit had names.
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
    loss: str
    feature_names: np.ndarray | None = None

    @cached_property
    def coefs(self) -> np.ndarray:
        """All coefficients, ``(A, p)`` or ``(A, K, p)``; made dense when first asked for."""
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

    def linear_predictor(self, X: ArrayLike, *, offset: ArrayLike | None = None) -> np.ndarray:
        """Return ``X v + b`` of new samples for every alpha, ``(A, n)`` or ``(A, n, K)``.

        Args:
            X: ``(n, p)``, dense or scipy sparse, or a data frame, columns as in the fit.
            offset: ``(n,)``, the known part of each sample's linear predictor, added where the fit had one.

        Raises:
            InputError: columns or an offset that disagree, or numbers that are not finite.
        """
        matrix = _same_columns(X, self.n_features, self.feature_names)
        return _linear_predictors(matrix, self.features, self.values, self.intercepts, offset)

    def predict(self, X: ArrayLike, *, offset: ArrayLike | None = None) -> np.ndarray:
        """Return the mean response of new samples for every alpha, ``(A, n)`` or ``(A, n, K)``.

        The inverse link of the linear predictor: itself for the squared loss and Huber's, the probability of class 1
        (logistic) or of each class (multinomial), the expected count (Poisson). Cox's model has no mean response; it
        gives the relative risk ``exp(X v)``.

        Args:
            X: see :meth:`linear_predictor`.
            offset: see there.

        Raises:
            InputError: as there, or a loss that is not in the table: use :meth:`linear_predictor`.

        >>> import numpy as np, spred
        >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
        >>> spred.path(X, X @ [3.0, 0.2], alphas=[2.0, 0.5]).predict([[2.0, 5.0]]).round(6).tolist()
        [[0.0], [4.0]]
        """
        return _mean_response(self.loss, self.linear_predictor(X, offset=offset))

    def plot(self, *, names: Sequence[str] | None = None, chosen: float | None = None) -> Figure:
        """Return a Matplotlib figure of the coefficients (their norms over several classes) against alpha.

        Args:
            names: of all ``n_features`` columns; by default those of the fit's data frame, or else their numbers. The
                largest are written beside their lines.
            chosen: an alpha to mark by a line; names are then those that are largest there, else at the last alpha.

        Raises:
            InputError: names that are more or fewer than the columns.
        """
        from spred.report.plots import path_plot

        known = self.feature_names if names is None else np.asarray(names)
        if known is not None and len(known) != self.n_features:
            raise InputError(f"names has {len(known)} entries, and the path {self.n_features} features; give one each")
        labels = [str(feature if known is None else known[feature]) for feature in self.features]
        sizes = self.values if self.values.ndim == 2 else np.linalg.norm(self.values, axis=1)
        what = "coefficient" if self.values.ndim == 2 else "norm of coefficients"
        return path_plot(self.alphas, sizes, labels, chosen=chosen, what=what)


def _same_columns(X: Any, n_features: int, names: np.ndarray | None) -> Any:
    """Return new samples as numbers, once their columns are known to be those of the fit."""
    matrix = read_matrix(X)
    if matrix.shape[1] != n_features:
        raise InputError(f"X has shape {matrix.shape}, and the model {n_features} features; give the same columns")
    given = names_of(X)
    if names is not None and given is not None and not np.array_equal(names, given):
        at = int(np.argmax(names != given))
        raise InputError(f"column {at} of X is {given[at]!r}, and was {names[at]!r} in the fit; give the same columns")
    check_finite(matrix, names)
    return matrix


def _linear_predictors(
    matrix: Any,
    features: np.ndarray,
    values: np.ndarray,
    intercepts: np.ndarray,
    offset: ArrayLike | None,
) -> np.ndarray:
    """Return the linear predictors of models ``values`` ``(A, m)`` or ``(A, K, m)`` of ``features``."""
    used = np.flatnonzero(values.reshape(-1, len(features)).any(axis=0))
    columns = matrix[:, features[used]]
    single = values.reshape(-1, len(features))[:, used]
    eta = np.asarray(columns @ single.T).T.reshape(*values.shape[:-1], matrix.shape[0])
    if values.ndim == 3:
        if offset is not None:
            raise InputError("an offset is for one linear predictor, and there is one for each class; leave it out")
        return np.asarray(eta.transpose(0, 2, 1) + intercepts[:, None, :])
    return np.asarray(eta + intercepts[:, None] + read_offset(offset, matrix.shape[0]))


def _mean_response(loss: str, eta: np.ndarray) -> np.ndarray:
    if loss not in LOSSES:
        raise InputError(f"the loss {loss!r} is not in the table, so its mean is not known; use linear_predictor")
    mean = LOSSES[loss].mean
    if eta.ndim == 3:  # the mean of several classes takes samples in rows
        return np.asarray(mean(eta.reshape(-1, eta.shape[-1]))).reshape(eta.shape)
    return np.asarray(mean(eta))
