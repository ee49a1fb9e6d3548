"""What happens to the values between the file and the model, as steps of a scikit-learn pipeline.

The steps run inside every fold, so nothing is learned from held-out samples. Only the question whether the
numbers are raw intensities is answered once, on the whole table: it is about their unit and never looks at
the target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.pipeline import Pipeline

HIGHEST_LOG = 100.0  # 2¹⁰⁰: no logarithm of an intensity comes near; intensities pass it easily
WIDEST_LOG = 50.0


def needs_log2(values: np.ndarray) -> bool:
    """Tell raw intensities from logarithms by their quantiles, with the rule that GEO2R's scripts use.

    Raw if the 99 % quantile is above 100, or if the range exceeds 50 with a positive lower quartile.
    A sample of at most a million cells, evenly spaced, stands for a large table.

    >>> needs_log2(np.array([[120.0, 14000.0], [80.0, 9500.0]]))
    True
    >>> needs_log2(np.array([[6.9, 13.8], [6.3, 13.2]]))
    False
    """
    cells = values.ravel()
    cells = cells[:: max(1, cells.size // 1_000_000)]
    low, quarter, high, top = np.nanquantile(cells, [0.0, 0.25, 0.99, 1.0])
    return bool(high > HIGHEST_LOG or (top - low > WIDEST_LOG and quarter > 0))


def log2_intensity(values: np.ndarray) -> np.ndarray:
    """Return ``log2(1 + max(value, 0))``: log2 of an intensity, finite where background took it below zero.

    >>> log2_intensity(np.array([-5.0, 0.0, 1.0, 1023.0]))
    array([ 0.,  0.,  1., 10.])
    """
    return np.log2(1.0 + np.maximum(values, 0.0))


def log2_genes(values: np.ndarray, n_genes: int) -> np.ndarray:
    """Take the first ``n_genes`` columns to the log2 scale, and leave the covariates behind them alone."""
    values = np.asarray(values)  # a data frame too
    return np.column_stack([log2_intensity(values[:, :n_genes]), values[:, n_genes:]])


def pipeline(estimator: BaseEstimator, *, log2: bool, n_genes: int) -> Pipeline:
    """Put the estimator behind the preprocessing: log2 of genes if asked for, then the training median for gaps.

    Centring and scaling belong to spred's estimators, which also give genes without variance the coefficient
    0.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    steps: list[tuple[str, object]] = []
    if log2:
        steps.append(
            ("log2", FunctionTransformer(log2_genes, kw_args={"n_genes": n_genes}, feature_names_out="one-to-one"))
        )
    steps.append(("median", SimpleImputer(strategy="median", keep_empty_features=True)))
    return Pipeline([*steps, ("model", estimator)])
