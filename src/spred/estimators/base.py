"""What all estimators share: checked input, folds, the samples of a fit, and the two commonest kinds of target.

``SparseEstimator`` keeps scikit-learn's contract. ``Regression`` and ``Classification`` know the target, for linear
models and networks alike: how ``y`` is read, which loss it gets, and how the predictor becomes a prediction.
"""

# mypy: allow-subclassing-any
# scikit-learn has no types.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from spred.core.losses import EFFICIENT, LOSSES, Loss, get_loss
from spred.errors import InputError, did_you_mean
from spred.estimators.cross_validation import Split, make_folds
from spred.linear.results import RegularizationPath
from spred.linear.target import read_offset

REGRESSION = ("squared", "huber", "poisson")
"""Losses whose target is a number."""

GAUSSIAN = 1.4826
"""Standard deviation of Gaussian numbers over their median absolute deviation."""

FLOATS = [np.float64, np.float32]

NOT_OF_THE_FOLDS = ("rule", "cv", "n_jobs")
"""Arguments that change no number of a fold that is given."""


class SparseEstimator(SelectorMixin, BaseEstimator):
    """An estimator whose penalty selects features. Subclasses choose the target, the model, and how alpha is found."""

    _classification = False
    _multi_output = False
    _min_samples = 2

    def _validated(self, X: ArrayLike, y: ArrayLike, *, y_numeric: bool = False) -> tuple[Any, np.ndarray]:
        """Check shapes and names as scikit-learn does; values of X that are not finite are named by the engine."""
        try:
            data, target = validate_data(
                self,
                X,
                y,
                accept_sparse="csc",
                dtype=FLOATS,
                ensure_all_finite=False,
                y_numeric=y_numeric,
                ensure_min_samples=self._min_samples,
                multi_output=self._multi_output,
            )
        except ValueError as err:
            raise InputError(" ".join(str(err).split())) from err
        return data, target

    def _fold_labels(self, target: np.ndarray) -> tuple[np.ndarray, bool]:
        """Return what integer folds are made from, and whether they are stratified by it."""
        return target, self._classification

    def _folds(self, target: np.ndarray, groups: ArrayLike | None) -> list[Split]:
        """Return the folds that choose alpha."""
        labels, classes = self._fold_labels(target)
        return make_folds(
            labels,
            classes=classes,
            groups=None if groups is None else np.asarray(groups),
            cv=self.cv,
            random_state=self.random_state,
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


def _shifted(eta: np.ndarray, offset: ArrayLike | None) -> np.ndarray:
    if offset is None:
        return eta
    if eta.ndim > 1:
        raise InputError(f"an offset is for one linear predictor, and there are {eta.shape[1]}; leave it out")
    return np.asarray(eta + read_offset(offset, len(eta)))


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
        return np.asarray(get_loss(self.loss).mean(_shifted(self._predictor(X), offset)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.positive_only = self.loss in LOSSES and LOSSES[self.loss].target.positive
        return tags


def _transition(y: np.ndarray) -> float:
    """Return Huber's transition for targets of this spread: robust, unless more than half of them are equal."""
    spread = GAUSSIAN * float(np.median(np.abs(y - np.median(y)))) or float(np.std(y))
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
        return _shifted(self._predictor(X), offset)

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
