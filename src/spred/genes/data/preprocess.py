"""What happens to the values between the file and the model, as plain functions; ``study/pipeline.py`` orders them.

The question whether the numbers are raw intensities is answered once, on the whole table: it is about their unit
and does not depend on the target. Everything else is learned on the training samples of each fold.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

HIGHEST_LOG = 100.0
"""The 99 % quantile of logarithms lies below: 2¹⁰⁰ is no intensity. That of intensities lies above. From GEO2R."""

WIDEST_LOG = 50.0
"""The range of logarithms is smaller, where the lower quartile is positive. From GEO2R."""

MOST_CELLS = 1_000_000
"""Cells whose quantiles stand for those of a larger table."""


def needs_log2(values: np.ndarray) -> bool:
    """Return whether the values are raw intensities and not logarithms, with the rule that GEO2R's scripts use.

    They are raw if the 99 % quantile is above 100, or if the range exceeds 50 with a positive lower quartile.
    A sample of at most a million cells, evenly spaced, stands for a large table.

    >>> needs_log2(np.array([[120.0, 14000.0], [80.0, 9500.0]]))
    True
    >>> needs_log2(np.array([[6.9, 13.8], [6.3, 13.2]]))
    False
    """
    cells = values.ravel()
    cells = cells[:: max(1, cells.size // MOST_CELLS)]
    low, quarter, high, top = np.nanquantile(cells, [0.0, 0.25, 0.99, 1.0])
    return bool(high > HIGHEST_LOG or (top - low > WIDEST_LOG and quarter > 0))


def log2_intensity(values: np.ndarray) -> np.ndarray:
    """Return ``log2(1 + max(value, 0))``: log2 of an intensity, finite where background took it below zero.

    >>> log2_intensity(np.array([-5.0, 0.0, 1.0, 1023.0]))
    array([ 0.,  0.,  1., 10.])
    """
    return np.asarray(np.log2(1.0 + np.maximum(values, 0.0)))


def reference_quantiles(values: np.ndarray) -> np.ndarray:
    """Return the mean distribution of the samples: the mean of each rank over the rows, ``(n_genes,)``, rising.

    A row with gaps is stretched to all ranks first; a row without any value is left out.

    >>> reference_quantiles(np.array([[1.0, 3.0, 2.0], [30.0, 10.0, 20.0]]))
    array([ 5.5, 11. , 16.5])
    """
    ranks = (np.arange(values.shape[1]) + 0.5) / values.shape[1]
    total, used = np.zeros(values.shape[1]), 0
    for row in values:
        filled = np.sort(row[~np.isnan(row)])
        if len(filled):
            total += np.interp(ranks, (np.arange(len(filled)) + 0.5) / len(filled), filled)
            used += 1
    return total / max(used, 1)


def quantile_normalized(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Give each row the distribution ``reference``: every value becomes the reference value of its rank.

    Equal values stay equal, gaps stay gaps. Source: B. M. Bolstad et al., Bioinformatics 19, 2003.

    >>> quantile_normalized(np.array([[7.0, 9.0, 8.0]]), np.array([5.5, 11.0, 16.5]))
    array([[ 5.5, 16.5, 11. ]])
    """
    ranks = (np.arange(len(reference)) + 0.5) / len(reference)
    result = np.full(values.shape, np.nan)
    for row, new in zip(values, result, strict=True):
        there = ~np.isnan(row)
        if there.any():
            new[there] = np.interp((rankdata(row[there]) - 0.5) / there.sum(), ranks, reference)
    return result
