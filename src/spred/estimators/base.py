"""What all estimators share: checked input, folds, the samples of a fit, and the two commonest kinds of target.

``SparseEstimator`` keeps scikit-learn's contract. ``Regression`` and ``Classification`` know the target, for linear
models and networks alike: how ``y`` is read, which loss it gets, and how the predictor becomes a prediction.
"""

# mypy: allow-subclassing-any
# scikit-learn has no types.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.feature_selection import SelectorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from spred import _checks
from spred.core.losses import EFFICIENT, LOSSES, Loss, get_loss
from spred.errors import InputError, did_you_mean
from spred.estimators.cross_validation import Split, make_folds
from spred.estimators.inputs import check_table, numbers_of, refuse_missing
from spred.linear.results import RegularizationPath
from spred.linear.target import read_offset

REGRESSION = ("squared", "huber", "poisson")
"""Losses whose target is a number."""

GAUSSIAN = 1.4826
"""Standard deviation of Gaussian numbers over their median absolute deviation."""

NOT_OF_THE_FOLDS = ("rule", "cv", "n_jobs")
"""Arguments that change no number of a fold that is given."""


class SparseEstimator(SelectorMixin, BaseEstimator):
    """An estimator whose penalty selects features. Subclasses choose the target, the model, and how alpha is found."""

    _classification = False
    _multi_output = False
    _min_samples = 2

    def _validated(self, X: ArrayLike, y: ArrayLike, *, y_numeric: bool = False) -> tuple[Any, np.ndarray]:
        """Check shapes and names as scikit-learn does; values of X that are not finite are named by the engine."""
        data, target = check_table(
            self,
            X,
            y=y,
            reset=True,
            accept_sparse="csc",
            y_numeric=y_numeric,
            ensure_min_samples=self._min_samples,
            multi_output=self._multi_output,
        )
        return data, target

    def _fold_labels(self, target: np.ndarray) -> tuple[np.ndarray, bool]:
        """Return what integer folds are made from, and whether they are stratified by it."""
        return target, self._classification

    def _folds(self, target: np.ndarray, groups: ArrayLike | None, weight: np.ndarray) -> list[Split]:
        """Return the folds that choose alpha."""
        labels, classes = self._fold_labels(target)
        return make_folds(
            labels,
            classes=classes,
            groups=None if groups is None else np.asarray(groups),
            cv=self.cv,
            random_state=self.random_state,
            weight=weight,
        )

    def _fold_inputs(self, samples: Samples) -> tuple[object, ...]:
        """Return what the numbers of a fold depend on, beside its split and its alphas."""
        options = {name: value for name, value in self.get_params().items() if name not in NOT_OF_THE_FOLDS}
        data = (samples.X, samples.target, samples.weight, samples.offset)
        return (type(self).__name__, sorted(options.items()), *data)

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
            return np.asarray(eta + path.intercepts[:, None] + self.offset)
        return np.asarray(eta.transpose(0, 2, 1) + path.intercepts[:, None, :])


def predictor(X: Any, coef: np.ndarray, intercept: Any) -> np.ndarray:
    """Return ``X @ coef + intercept``, ``(n,)`` or ``(n, K)``; only the columns in use are read."""
    coef = np.atleast_2d(coef)
    used = np.flatnonzero(coef.any(axis=0))
    eta = np.asarray(np.asarray(X[:, used] @ coef[:, used].T) + intercept)
    return eta if eta.shape[1] > 1 else eta[:, 0]


def shifted(eta: np.ndarray, offset: ArrayLike | None) -> np.ndarray:
    """Return the linear predictor ``(n,)`` of new samples with what is known of it added."""
    if offset is None:
        return eta
    if eta.ndim > 1:
        raise InputError(f"an offset is for one linear predictor, and there are {eta.shape[1]}; leave it out")
    return np.asarray(eta + read_offset(offset, len(eta)))


class Regression(RegressorMixin):
    """The target is a number; the loss is ``1/(2n)‖y − Xv − b‖²``, Huber's or Poisson's."""

    delta_: float

    _classification = False

    def _read(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None) -> tuple[Any, np.ndarray, np.ndarray]:
        if self.loss not in REGRESSION:
            known = ", ".join(map(repr, REGRESSION))
            raise InputError(f"loss is {self.loss!r}{did_you_mean(self.loss, REGRESSION)}; use one of {known}")
        data, target = self._validated(X, numbers_of(y), y_numeric=True)
        weight = _checks.sample_weights(sample_weight, len(target))
        self._calibrate(target, 0.0 * target, weight)
        return data, target, weight

    def _calibrate(self, target: np.ndarray, offset: np.ndarray, weight: np.ndarray) -> None:
        """Find the transition of a loss that has one (Huber's), unless it is given."""
        if get_loss(self.loss).transition is not None and target.size == len(target):  # several columns are refused
            self.delta_ = _transition((target - offset).ravel(), weight) if self.delta is None else float(self.delta)

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
        return np.asarray(get_loss(self.loss).mean(shifted(self._predictor(X), offset)))

    def score(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, offset: ArrayLike | None = None
    ) -> float:
        """Return R² of the predictions at ``offset``, with the weights of the samples."""
        return _scored(r2_score, y, self.predict(X, offset), sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.positive_only = self.loss in LOSSES and LOSSES[self.loss].target.positive
        return tags


def _transition(y: np.ndarray, weight: np.ndarray) -> float:
    """Return Huber's transition for targets of this spread: robust, unless more than half of them are equal."""
    y, weight = y[weight > 0], weight[weight > 0]
    away = np.abs(y - weighted_median(y, weight))
    spread = GAUSSIAN * weighted_median(away, weight)
    if not spread and away.any():
        spread = float(np.sqrt(np.average((y - np.average(y, weights=weight)) ** 2, weights=weight)))
    return EFFICIENT * spread if np.isfinite(spread) and spread > 0 else 1.0


def weighted_median(values: np.ndarray, weight: np.ndarray) -> float:
    """Return the median of values ``(n,)`` of which each counts ``weight`` times.

    >>> weighted_median(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]))
    2.0
    >>> weighted_median(np.array([1.0, 2.0]), np.array([2.0, 2.0]))
    1.5
    """
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weight[order])
    half = below[-1] / 2
    last = len(values) - 1
    low, high = (min(int(np.searchsorted(below, half, side=side)), last) for side in ("left", "right"))
    return 0.5 * float(values[order[low]] + values[order[high]])


def _classes(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes, sorted, and the number of each sample's class."""
    try:
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
    except (TypeError, ValueError) as err:
        raise InputError(f"y cannot be read as classes: {' '.join(str(err).split())}") from err
    if len(classes) < 2:
        raise InputError(f"y has one class only ({str(classes[0])!r}); give samples of at least two classes")
    return classes, codes


class Classification(ClassifierMixin):
    """The target is a class; the loss is the mean log-loss, and a feature is in or out for all classes together."""

    _classification = True
    classes_: np.ndarray

    def _read(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None) -> tuple[Any, np.ndarray, np.ndarray]:
        refuse_missing(y)
        data, labels = self._validated(X, y)
        self.classes_, codes = _classes(labels)
        weight = _checks.sample_weights(sample_weight, len(labels))
        if self.class_weight is not None:
            try:
                each = compute_class_weight(self.class_weight, classes=self.classes_, y=labels, sample_weight=weight)
            except ValueError as err:
                raise InputError(f"class_weight does not fit: {err}") from err
            weight = each[codes] * weight
        weighs = np.bincount(codes, weights=weight > 0)
        if not weighs.all():
            name = str(self.classes_[np.argmin(weighs)])
            raise InputError(f"class {name!r} of y has no sample whose weight is positive; leave its samples out")
        return data, codes.astype(np.float64), weight

    def _loss_name(self) -> str:
        return "logistic" if len(self.classes_) == 2 else "multinomial"

    def _shaped(self, coef: np.ndarray, intercept: Any) -> tuple[np.ndarray, Any]:
        return np.atleast_2d(coef), np.atleast_1d(intercept)

    def decision_function(self, X: ArrayLike, offset: ArrayLike | None = None) -> np.ndarray:
        """Return the linear predictor: ``(n,)`` for two classes (positive means ``classes_[1]``), else ``(n, K)``.

        ``offset`` is what is known of it for each new sample (two classes).
        """
        return shifted(self._predictor(X), offset)

    def predict_proba(self, X: ArrayLike, offset: ArrayLike | None = None) -> np.ndarray:
        """Return class probabilities ``(n, K)``, columns in the order of ``classes_``."""
        eta = self.decision_function(X, offset)
        mean = np.asarray(get_loss(self._loss_name()).mean(eta))
        return mean if mean.ndim == 2 else np.column_stack([1.0 - mean, mean])

    def predict_log_proba(self, X: ArrayLike, offset: ArrayLike | None = None) -> np.ndarray:
        """Return the logarithm of :meth:`predict_proba`."""
        return np.asarray(np.log(self.predict_proba(X, offset)))

    def predict(self, X: ArrayLike, offset: ArrayLike | None = None) -> np.ndarray:
        """Return the most probable class of each sample."""
        eta = self.decision_function(X, offset)
        best = (eta > 0).astype(int) if eta.ndim == 1 else eta.argmax(axis=1)
        return np.asarray(self.classes_[best])

    def score(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, offset: ArrayLike | None = None
    ) -> float:
        """Return the accuracy of the predictions at ``offset``, with the weights of the samples."""
        return _scored(accuracy_score, y, self.predict(X, offset), sample_weight)


def _scored(
    metric: Callable[..., float], y: ArrayLike, predicted: np.ndarray, sample_weight: ArrayLike | None
) -> float:
    """Return a metric of predictions with the weights of the samples, checked as those of a fit."""
    weight = None if sample_weight is None else _checks.sample_weights(sample_weight, len(predicted))
    return float(metric(y, predicted, sample_weight=weight))
