"""What all linear estimators share: checked input, a problem for the engine, a solution that becomes attributes.

``SparseLinear`` knows scikit-learn's contract and the engine; ``Regression`` and ``Classification`` know the target:
how ``y`` is read, which loss it gets, how the linear predictor becomes a prediction and how a held-out one is judged.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from spred import errors
from spred.core.certificate import Certificate
from spred.core.losses import EFFICIENT, LOSSES, Loss, get_loss
from spred.errors import InputError, did_you_mean
from spred.estimators.cross_validation import Split
from spred.linear.path import path_of
from spred.linear.problem import Problem, check_finite, make_problem
from spred.linear.results import RegularizationPath, Status
from spred.linear.solvers.outer import Limits, full_gradient
from spred.linear.target import read_offset

REGRESSION = ("squared", "huber", "poisson")
"""Losses whose target is a number."""

ROUGH = Limits(tol=1e-3)
"""The order in which features enter needs no more."""


def validated(estimator: BaseEstimator, X: ArrayLike, y: ArrayLike, **checks: Any) -> tuple[Any, np.ndarray]:
    """Check shapes and names as scikit-learn does; values of X that are not finite are named by the engine."""
    dtypes = [np.float64, np.float32]
    try:
        return validate_data(estimator, X, y, accept_sparse="csc", dtype=dtypes, ensure_all_finite=False, **checks)
    except ValueError as err:
        raise InputError(" ".join(str(err).split())) from err


class SparseLinear(SelectorMixin, BaseEstimator):
    """A linear model whose penalty selects features. Subclasses choose the target and how alpha is found."""

    coef_: np.ndarray
    intercept_: Any
    certificate_: Certificate

    _min_samples = 1

    def _validated(self, X: ArrayLike, y: ArrayLike, *, y_numeric: bool = False) -> tuple[Any, np.ndarray]:
        return validated(self, X, y, y_numeric=y_numeric, ensure_min_samples=self._min_samples)

    def _problem(
        self,
        X: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray | None,
        loss: str,
        offset: np.ndarray | None = None,
        l1_ratio: float | None = None,
    ) -> Problem:
        """Return the engine's problem with this estimator's penalty, at one of its ratios where it has several."""
        return make_problem(
            X,
            target,
            loss=self._loss(loss),
            l1_ratio=self.l1_ratio if l1_ratio is None else l1_ratio,
            within_ratio=self.within_ratio,
            positive=self.positive,
            penalty_weights=self.penalty_weights,
            feature_groups=self.feature_groups,
            standardize=self.standardize,
            fit_intercept=self.fit_intercept,
            sample_weight=weight,
            offset=offset,
            names=getattr(self, "feature_names_in_", None),
        )

    def _keep(self, coef: np.ndarray, intercept: Any, certificate: Certificate) -> None:
        """Store a solution."""
        self.coef_, self.intercept_ = self._shaped(coef, intercept)
        self.certificate_ = certificate

    def _warn(self, certificates: Sequence[Certificate], statuses: Sequence[Status], tolerance: str = "tol") -> None:
        """Warn of alphas that did not reach the ``tolerance`` of that name."""
        short = [i for i, status in enumerate(statuses) if status is not Status.CONVERGED]
        if not short:
            return
        worst = max(short, key=lambda i: certificates[i].gap)
        where = f" at {len(short)} of {len(statuses)} alphas" if len(statuses) > 1 else ""
        warnings.warn(
            f"{statuses[worst].value}{where} at a relative duality gap of {certificates[worst].gap:.1e}, "
            f"above {tolerance}={getattr(self, tolerance):g}; allow more steps or seconds, or a larger {tolerance}",
            errors.ConvergenceWarning,
            stacklevel=3,
        )

    def _predictor(self, X: ArrayLike) -> np.ndarray:
        """Return the linear predictor of new samples, ``(n,)`` or ``(n, K)``."""
        check_is_fitted(self)
        X = validate_data(
            self,
            X,
            accept_sparse=["csr", "csc"],
            dtype=[np.float64, np.float32],
            reset=False,
            ensure_all_finite=False,
        )
        check_finite(X, getattr(self, "feature_names_in_", None))
        return predictor(X, self.coef_, self.intercept_)

    def _loss(self, name: str) -> Loss:
        """Return the loss called ``name`` with this estimator's options."""
        return get_loss(name)

    def _calibrate(self, target: np.ndarray, offset: np.ndarray) -> None:
        """Settle what the loss takes from the spread of the target beyond its offset: nothing here."""

    def _wanted(self, X: Any, target: np.ndarray, weight: np.ndarray | None, n_alphas: int, eps: float) -> np.ndarray:
        """Return how much each feature is wanted at the end of a rough path, ``(p,)``, for stability selection.

        It is the size of the standardised coefficient, and how hard the loss pulls at it as a share of its penalty: for
        a feature inside alpha, for one outside less. For squared loss that is the debiased Lasso of uncorrelated
        columns, ``|v_j + x_jᵀr/n|``.
        """
        problem = self._problem(X, target, weight, self._loss_name())
        path = path_of(problem, n_alphas=n_alphas, eps=eps, limits=ROUGH)
        eta = predictor(problem.design.X[:, path.features], path.values[-1], path.intercepts[-1])
        pull = -full_gradient(problem, eta if problem.basis is None else eta @ problem.basis)
        pull[problem.positive & (pull[:, 0] < 0)] = 0.0
        weights = problem.groups.weights[problem.groups.labels].reshape(pull.shape)[:, 0]
        wanted = np.divide(np.linalg.norm(pull, axis=1), weights, out=np.zeros(len(pull)), where=weights > 0)
        sizes = np.linalg.norm(np.atleast_2d(path.values[-1]), axis=0)
        wanted[path.features] += sizes * problem.design.scale[path.features]
        return wanted

    def _fold_labels(self, target: np.ndarray) -> tuple[np.ndarray, bool]:
        """Return what integer folds are made from, and whether they are stratified by it."""
        return target, self._classification

    def _deviances(self, data: Samples, split: Split, path: RegularizationPath) -> np.ndarray:
        """Return the mean deviance ``(A,)`` of the test part for each model of ``path``."""
        loss = self._loss(self._loss_name())
        test = data.take(split[1][data.weight[split[1]] > 0])
        truth = np.eye(path.values.shape[1])[test.target.astype(int)] if loss.multi else test.target
        share = test.weight / test.weight.sum()
        return np.array([2.0 * float(loss.value(eta, truth, share)) for eta in test.predictors(path)])

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return np.asarray(np.atleast_2d(self.coef_).any(axis=0))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


@dataclass(frozen=True, eq=False)
class Samples:
    """What a fit is made from: X ``(n, p)``, the target, weights and offsets by sample ``(n,)``."""

    X: Any
    target: np.ndarray
    weight: np.ndarray
    offset: np.ndarray

    def take(self, rows: np.ndarray) -> Samples:
        """Return the samples ``rows``."""
        return Samples(self.X[rows], self.target[rows], self.weight[rows], self.offset[rows])

    def predictors(self, path: RegularizationPath) -> np.ndarray:
        """Return the linear predictor of every model of ``path``, ``(A, n)`` or ``(A, n, K)``."""
        *models, m = path.values.shape
        columns = self.X[:, path.features]
        eta = np.asarray(columns @ path.values.reshape(int(np.prod(models)), m).T).T.reshape(*models, columns.shape[0])
        if len(models) == 1:
            return eta + path.intercepts[:, None] + self.offset
        return eta.transpose(0, 2, 1) + path.intercepts[:, None, :]


def predictor(X: Any, coef: np.ndarray, intercept: Any) -> np.ndarray:
    """Return ``X @ coef + intercept``, ``(n,)`` or ``(n, K)``; only the columns in use are read."""
    coef = np.atleast_2d(coef)
    used = np.flatnonzero(coef.any(axis=0))
    eta = np.asarray(X[:, used] @ coef[:, used].T) + intercept
    return eta if eta.shape[1] > 1 else eta[:, 0]


def _moved(eta: np.ndarray, offset: ArrayLike | None) -> np.ndarray:
    if offset is None:
        return eta
    if eta.ndim > 1:
        raise InputError(f"an offset is for one linear predictor, and there are {eta.shape[1]}; leave it out")
    return eta + read_offset(offset, len(eta))


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
        self._calibrate(y, 0.0 * y)
        return X, y, weight

    def _calibrate(self, target: np.ndarray, offset: np.ndarray) -> None:
        """Find the transition of a loss that has one (Huber's), unless it is given."""
        if get_loss(self.loss).transition is not None:
            self.delta_ = _transition(target - offset) if self.delta is None else float(self.delta)

    def _loss_name(self) -> str:
        return str(self.loss)

    def _loss(self, name: str) -> Loss:
        loss = get_loss(name)
        return loss if loss.transition is None else loss.transition(self.delta_)

    def _shaped(self, coef: np.ndarray, intercept: Any) -> tuple[np.ndarray, Any]:
        return coef, float(intercept)

    def predict(self, X: ArrayLike, offset: ArrayLike | None = None) -> np.ndarray:
        """Return the predicted numbers, ``(n,)``; for Poisson's loss the expected counts.

        ``offset`` is what is known of each new sample's linear predictor: for counts the logarithm of its exposure.
        """
        return np.asarray(get_loss(self.loss).mean(_moved(self._predictor(X), offset)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.positive_only = self.loss in LOSSES and LOSSES[self.loss].target.positive
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
            try:
                each = compute_class_weight(self.class_weight, classes=self.classes_, y=y, sample_weight=weight)
            except ValueError as err:
                raise InputError(f"class_weight does not fit: {err}") from err
            weight = each[codes] * (1.0 if weight is None else weight)
        return X, codes.astype(np.float64), weight

    def _loss_name(self) -> str:
        return "logistic" if len(self.classes_) == 2 else "multinomial"

    def _shaped(self, coef: np.ndarray, intercept: Any) -> tuple[np.ndarray, Any]:
        return np.atleast_2d(coef), np.atleast_1d(intercept)

    def decision_function(self, X: ArrayLike, offset: ArrayLike | None = None) -> np.ndarray:
        """Return the linear predictor: ``(n,)`` for two classes (positive means ``classes_[1]``), else ``(n, K)``.

        ``offset`` is what is known of it for each new sample (two classes).
        """
        return _moved(self._predictor(X), offset)

    def predict_proba(self, X: ArrayLike, offset: ArrayLike | None = None) -> np.ndarray:
        """Return class probabilities ``(n, K)``, columns in the order of ``classes_``."""
        eta = self.decision_function(X, offset)
        mean = get_loss(self._loss_name()).mean(eta)
        return mean if mean.ndim == 2 else np.column_stack([1.0 - mean, mean])

    def predict_log_proba(self, X: ArrayLike, offset: ArrayLike | None = None) -> np.ndarray:
        """Return the logarithm of :meth:`predict_proba`."""
        return np.log(self.predict_proba(X, offset))

    def predict(self, X: ArrayLike, offset: ArrayLike | None = None) -> np.ndarray:
        """Return the most probable class of each sample."""
        eta = self.decision_function(X, offset)
        best = (eta > 0).astype(int) if eta.ndim == 1 else eta.argmax(axis=1)
        return self.classes_[best]
