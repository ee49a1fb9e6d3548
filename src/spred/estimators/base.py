"""What all linear estimators share: checked input, a problem for the engine, a solution that becomes attributes.

``SparseLinear`` knows scikit-learn's contract and the engine; ``Regression`` and ``Classification`` know the target:
how ``y`` is read, which loss it gets, how the linear predictor becomes a prediction and how a held-out one is judged.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from spred.core.certificate import Certificate
from spred.core.losses import EFFICIENT, Loss, get_loss, huber
from spred.errors import InputError, did_you_mean
from spred.estimators.selection import Split
from spred.exact.problem import Problem, make_problem
from spred.exact.solution import Path, Status

REGRESSION = ("squared", "huber", "poisson")
"""Losses whose target is a number."""


class SparseLinear(SelectorMixin, BaseEstimator):
    """A linear model whose penalty selects features. Subclasses choose the target and how alpha is found."""

    coef_: np.ndarray
    intercept_: Any
    certificate_: Certificate

    _min_samples = 1

    def _validated(self, X: ArrayLike, y: ArrayLike, *, y_numeric: bool = False) -> tuple[Any, np.ndarray]:
        """Check shapes and names as scikit-learn does; values that are not finite are named by the engine."""
        return validate_data(
            self,
            X,
            y,
            accept_sparse="csc",
            dtype=[np.float64, np.float32],
            y_numeric=y_numeric,
            ensure_all_finite=False,
            ensure_min_samples=self._min_samples,
        )

    def _problem(self, X: np.ndarray, target: np.ndarray, weight: np.ndarray | None, loss: str) -> Problem:
        """Return the engine's problem with this estimator's penalty."""
        return make_problem(
            X,
            target,
            loss=self._loss(loss),
            l1_ratio=self.l1_ratio,
            penalty_weights=self.penalty_weights,
            feature_groups=self.feature_groups,
            standardize=self.standardize,
            fit_intercept=self.fit_intercept,
            sample_weight=weight,
            names=getattr(self, "feature_names_in_", None),
        )

    def _keep(self, coef: np.ndarray, intercept: Any, certificate: Certificate, status: Status) -> None:
        """Store a solution; warn with scikit-learn's ConvergenceWarning if it did not reach ``tol``."""
        self.coef_, self.intercept_ = self._shaped(coef, intercept)
        self.certificate_ = certificate
        if status is not Status.CONVERGED:
            warnings.warn(
                f"{status.value} at a relative duality gap of {certificate.gap:.1e}, above tol={self.tol:g}; "
                "allow more iterations, or a larger alpha or tol",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _predictor(self, X: ArrayLike) -> np.ndarray:
        """Return the linear predictor of new samples, ``(n,)`` or ``(n, K)``."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=[np.float64, np.float32], reset=False)
        return predictor(X, self.coef_, self.intercept_)

    def _loss(self, name: str) -> Loss:
        """Return the loss called ``name`` with this estimator's options."""
        return get_loss(name)

    def _fold_labels(self, target: np.ndarray) -> tuple[np.ndarray, bool]:
        """Return what integer folds are made from, and whether they are stratified by it."""
        return target, self._classification

    def _deviances(self, X: np.ndarray, target: np.ndarray, weight: np.ndarray, split: Split, path: Path) -> np.ndarray:
        """Return the mean deviance ``(A,)`` of the test part for each model of ``path``."""
        loss = self._loss(self._loss_name())
        kept = split[1][weight[split[1]] > 0]
        share = weight[kept] / weight[kept].sum()
        truth = np.eye(path.coefs.shape[1])[target[kept].astype(int)] if loss.multi else target[kept]
        models = zip(path.coefs, path.intercepts, strict=True)
        return np.array([2.0 * float(loss.value(predictor(X[kept], *model), truth, share)) for model in models])

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return np.asarray(np.atleast_2d(self.coef_).any(axis=0))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def predictor(X: Any, coef: np.ndarray, intercept: Any) -> np.ndarray:
    """Return ``X @ coef + intercept``, ``(n,)`` or ``(n, K)``; only the columns in use are read."""
    coef = np.atleast_2d(coef)
    used = np.flatnonzero(coef.any(axis=0))
    eta = np.asarray(X[:, used] @ coef[:, used].T) + intercept
    return eta if eta.shape[1] > 1 else eta[:, 0]


class Regression(RegressorMixin):
    """The target is a number; the loss is ``1/(2n)‖y − Xv − b‖²``, Huber's or Poisson's."""

    delta_: float

    _classification = False

    def _read(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[Any, np.ndarray, np.ndarray | None]:
        if self.loss not in REGRESSION:
            known = ", ".join(map(repr, REGRESSION))
            raise InputError(f"loss is {self.loss!r}{did_you_mean(self.loss, REGRESSION)}; use one of {known}")
        X, y = self._validated(X, y, y_numeric=True)
        weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        y = np.asarray(y, dtype=np.float64)
        if self.loss == "huber":
            self.delta_ = _transition(y) if self.delta is None else float(self.delta)
        return X, y, weight

    def _loss_name(self) -> str:
        return str(self.loss)

    def _loss(self, name: str) -> Loss:
        return huber(self.delta_) if name == "huber" else get_loss(name)

    def _shaped(self, coef: np.ndarray, intercept: Any) -> tuple[np.ndarray, Any]:
        return coef, float(intercept)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the predicted numbers, ``(n,)``; for Poisson's loss the expected counts."""
        return np.asarray(get_loss(self.loss).mean(self._predictor(X)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags


def _transition(y: np.ndarray) -> float:
    """Return Huber's transition for targets of this spread: robust, unless more than half of them are equal."""
    spread = 1.4826 * float(np.median(np.abs(y - np.median(y)))) or float(np.std(y))
    return EFFICIENT * spread if np.isfinite(spread) and spread > 0 else 1.0


class Classification(ClassifierMixin):
    """The target is a class; the loss is the mean log-loss, and a feature is in or out for all classes together."""

    _classification = True
    classes_: np.ndarray

    def _read(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[Any, np.ndarray, np.ndarray | None]:
        X, y = self._validated(X, y)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(f"y has one class only ({str(self.classes_[0])!r}); give samples of at least two classes")
        weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        if self.class_weight is not None:
            each = compute_class_weight(self.class_weight, classes=self.classes_, y=y, sample_weight=weight)
            weight = each[codes] * (1.0 if weight is None else weight)
        return X, codes.astype(np.float64), weight

    def _loss_name(self) -> str:
        return "logistic" if len(self.classes_) == 2 else "multinomial"

    def _shaped(self, coef: np.ndarray, intercept: Any) -> tuple[np.ndarray, Any]:
        return np.atleast_2d(coef), np.atleast_1d(intercept)

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Return the linear predictor: ``(n,)`` for two classes (positive means ``classes_[1]``), else ``(n, K)``."""
        return self._predictor(X)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return class probabilities ``(n, K)``, columns in the order of ``classes_``."""
        eta = self._predictor(X)
        mean = get_loss(self._loss_name()).mean(eta)
        return mean if mean.ndim == 2 else np.column_stack([1.0 - mean, mean])

    def predict_log_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the logarithm of :meth:`predict_proba`."""
        return np.log(self.predict_proba(X))

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable class of each sample."""
        eta = self._predictor(X)
        best = (eta > 0).astype(int) if eta.ndim == 1 else eta.argmax(axis=1)
        return self.classes_[best]
