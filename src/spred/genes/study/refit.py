"""A short list refitted: L1 chooses the genes, and their coefficients come from a ridge.

L1 shrinks what it keeps, so a short list predicts less well than it could. Here the genes that stand on the path at the
chosen α are refitted with a ridge of the same strength, ``α‖v‖₁`` replaced by ``α/2 ‖v‖²``: nothing more is chosen.
That allows a list of at most half the genes of the best L1 model (rule ``"short"``).

Source: the refit is N. Meinshausen's relaxed lasso, Computational Statistics and Data Analysis 52, 2007, with a ridge
in the place of a smaller L1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from spred.core.certificate import Certificate
from spred.estimators import Curve
from spred.linear import RegularizationPath

HALF = 2
"""A short list has at most the genes of the best model over this; ``python benchmarks/genes.py`` shows its cost."""


class Refitted(BaseEstimator):
    """Choose genes with a sparse estimator, then refit them with a ridge of the same α.

    Args:
        sparse: a sparse estimator of spred: one that finds its alpha on a path, or has one.
        dense: the estimator of the same target at one alpha, with ``l1_ratio=0``, a ridge.
        short: choose the α by :func:`short_index`, and not by the rule of ``sparse``.
        refit: refit the chosen genes; without it the coefficients are those of the path.

    Attributes:
        model_: the sparse estimator with the coefficients that were found; it predicts.
        alpha_: the penalty chosen.
        coef_: coefficients of all features, ``(rows, p)``.
        certificate_: of the sparse or the dense solution, whichever has the larger gap.
        path_, curve_: of the sparse estimator, where it has them.
    """

    model_: Any
    alpha_: float
    certificate_: Certificate
    path_: RegularizationPath
    curve_: Curve

    def __init__(self, sparse: Any, dense: Any, *, short: bool = False, refit: bool = True) -> None:
        self.sparse = sparse
        self.dense = dense
        self.short = short
        self.refit = refit

    def fit(self, X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> Self:
        """Fit to ``X`` (n, p) and ``y`` (n,); samples of one label in ``groups`` stay in one fold."""
        self.model_ = clone(self.sparse)
        if hasattr(self.model_, "alphas"):
            self.model_.fit(X, y, groups=groups)
            self._choose()
        else:
            self.model_.fit(X, y)
            self.alpha_, self.certificate_ = float(self.model_.alpha), self.model_.certificate_
        if self.refit and self.coef_.any():
            self._refit(X, y)
        return self

    def _choose(self) -> None:
        """Take a solution from the path."""
        model, curve = self.model_, self.model_.curve_
        n_free = 0 if model.penalty_weights is None else int((np.asarray(model.penalty_weights) == 0).sum())
        index = short_index(curve, n_free) if self.short else curve.index
        self.path_, self.curve_ = model.path_, replace(curve, index=index)
        self.alpha_, self.certificate_ = float(model.path_.alphas[index]), model.path_.certificates[index]
        model.coef_ = model.path_.coefs[index].reshape(model.coef_.shape)
        if not isinstance(model.intercept_, float):
            model.intercept_ = np.atleast_1d(model.path_.intercepts[index])
        elif self.dense.fit_intercept:
            model.intercept_ = float(model.path_.intercepts[index])

    def _refit(self, X: np.ndarray, y: np.ndarray) -> None:
        """Replace the coefficients by those of the dense fit of the same features."""
        kept = np.flatnonzero(self.get_support())
        weights = self.dense.penalty_weights
        dense = clone(self.dense).set_params(
            alpha=self.alpha_, penalty_weights=None if weights is None else np.asarray(weights)[kept]
        )
        dense.fit(X[:, kept], y)
        self.model_.coef_ = np.zeros_like(self.model_.coef_)
        self.model_.coef_[..., kept] = dense.coef_
        self.model_.intercept_ = dense.intercept_
        self.certificate_ = max(self.certificate_, dense.certificate_, key=lambda certificate: certificate.gap)

    @property
    def coef_(self) -> np.ndarray:
        """Coefficients of all features, a row for each linear predictor."""
        check_is_fitted(self, "model_")
        return np.atleast_2d(self.model_.coef_)

    @property
    def intercept_(self) -> np.ndarray:
        """Intercepts, one for each linear predictor."""
        check_is_fitted(self, "model_")
        return np.atleast_1d(self.model_.intercept_)

    def get_support(self) -> np.ndarray:
        """Return which features have a coefficient, ``(p,)``."""
        return np.asarray(self.coef_.any(axis=0))

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return classes, numbers or risks, ``(n,)``."""
        check_is_fitted(self, "model_")
        return np.asarray(self.model_.predict(X))

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probabilities of the classes, ``(n, K)``, where there are classes."""
        check_is_fitted(self, "model_")
        return np.asarray(self.model_.predict_proba(X))


def short_index(curve: Curve, n_free: int = 0) -> int:
    """Return the sparser of two: the 1-SE model, and the best of those with at most half the features of the best.

    >>> import numpy as np
    >>> mean = np.array([1.0, 0.80, 0.79, 0.70, 0.69])
    >>> n = np.array([0, 3, 5, 8, 10])
    >>> short_index(Curve(np.arange(5.0), mean[:, None], mean, mean, n, index_min=4, index_1se=3, index=4))
    2
    """
    found = curve.n_nonzero - n_free
    allowed = np.flatnonzero(found <= max(1, found[curve.index_min] // HALF))
    best = int(allowed[np.argmin(curve.mean[allowed])])
    return min(best, curve.index_1se)
