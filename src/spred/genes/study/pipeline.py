"""The steps between the values of a file and the model, as a scikit-learn pipeline that is fitted inside every fold.

Each step works on the genes and leaves the covariates in the columns behind them alone. Columns keep their places, so
that a coefficient belongs to the gene of the same position everywhere.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

from spred.genes.data.expression import Expression
from spred.genes.data.preprocess import log2_intensity, quantile_normalized, reference_quantiles
from spred.genes.study.settings import Settings


class QuantileNormalizer(TransformerMixin, BaseEstimator):
    """Give every sample the mean distribution of the training samples.

    Args:
        n_genes: columns that are genes.

    Attributes:
        reference_: that distribution, ``(n_genes,)``, rising.
    """

    reference_: np.ndarray

    def __init__(self, n_genes: int) -> None:
        self.n_genes = n_genes

    def fit(self, X: np.ndarray, y: Any = None) -> Self:
        """Learn the reference."""
        self.reference_ = reference_quantiles(X[:, : self.n_genes])
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Bring each row to it."""
        check_is_fitted(self)
        return np.column_stack([quantile_normalized(X[:, : self.n_genes], self.reference_), X[:, self.n_genes :]])


class LowVariance(TransformerMixin, BaseEstimator):
    """Set the genes that vary least over the training samples to 0: then no model selects them.

    Args:
        fraction: fraction of the genes to set to 0.
        n_genes: columns that are genes.

    Attributes:
        flat_: which columns are set to 0, ``(n_columns,)``.
    """

    flat_: np.ndarray

    def __init__(self, fraction: float, n_genes: int) -> None:
        self.fraction = fraction
        self.n_genes = n_genes

    def fit(self, X: np.ndarray, y: Any = None) -> Self:
        """Find the genes whose variance lies below the quantile ``fraction``."""
        variance = X[:, : self.n_genes].var(axis=0)
        self.flat_ = np.zeros(X.shape[1], dtype=bool)
        self.flat_[: self.n_genes] = variance < np.quantile(variance, self.fraction)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Set these genes to 0."""
        check_is_fitted(self)
        return np.where(self.flat_, 0.0, X)


def log2_genes(values: np.ndarray, n_genes: int) -> np.ndarray:
    """Take the first ``n_genes`` columns to the log2 scale, and leave the covariates behind them alone."""
    values = np.asarray(values)  # a data frame too
    return np.column_stack([log2_intensity(values[:, :n_genes]), values[:, n_genes:]])


def preprocessing(expression: Expression, settings: Settings) -> Pipeline:
    """Return the steps before the model, not fitted: log2 and quantiles where asked for, medians, low variance.

    Centring and scaling belong to spred's estimators, which also give genes without variance the coefficient 0.
    """
    n_genes = len(expression.genes)
    steps: list[tuple[str, Any]] = []
    if expression.log2:
        steps.append(("log2", FunctionTransformer(log2_genes, kw_args={"n_genes": n_genes})))
    if settings.normalize == "quantile":
        steps.append(("quantiles", QuantileNormalizer(n_genes)))
    steps.append(("median", SimpleImputer(strategy="median", keep_empty_features=True)))
    if settings.min_variance:
        steps.append(("variance", LowVariance(settings.min_variance, n_genes)))
    return Pipeline(steps)
