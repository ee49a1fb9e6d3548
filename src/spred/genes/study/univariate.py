"""Each gene by itself: p-values, adjusted for their number, and the genes that are correlated with a chosen one.

They are context for a selection: they use all samples, test one gene at a time, and play no part in the choice or
the score.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

NEIGHBOUR = 0.7
"""Correlation from which a gene counts as a neighbour: another sample of patients may have chosen it instead."""

MOST_NEIGHBOURS = 5
CONSTANT = 1e-14
"""Standard deviation over the largest value, below which a column is constant but for rounding: it has no test and no
correlation. Fifty units of the last digit; with more, a real gene on top of a large constant is lost."""

TINY = 1e-300
"""Keeps a division by zero away; the p-value of a perfect correlation is 0 either way."""


def p_values(values: np.ndarray, target: np.ndarray, task: str) -> np.ndarray:
    """Return a two-sided p-value for each column: Welch's t, one-way ANOVA, a correlation's, or Cox's score test.

    Two classes are compared without assuming equal variances; a column without variance has p = 1. Units of a column
    or a target do not matter.

    >>> p_values(np.array([[0.0], [1.0], [5.0], [6.0]]), np.array(["a", "a", "b", "b"]), "classification").round(3)
    array([0.019])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if task == "regression":
            p = correlation_p(values, target.astype(np.float64))
        elif task == "survival":
            p = stats.chi2.sf(cox_score(values, target), 1)
        else:
            scaled = in_own_unit(values)
            parts = [scaled[target == c] for c in sorted(set(target.tolist()))]
            p = welch_p(*parts) if len(parts) == 2 else anova_p(parts)
    return np.where(np.isnan(p) | ~varies(values), 1.0, p)


def in_own_unit(values: np.ndarray) -> np.ndarray:
    """Return columns in units of a power of 2 near their largest value, so that no square leaves the range of numbers.

    No digit changes.

    >>> in_own_unit(np.array([[3e-300], [1e-300]])).ravel().round(3)
    array([0.502, 0.167])
    """
    return np.asarray(np.ldexp(values, -np.frexp(np.abs(values).max(axis=0))[1]))


def varies(values: np.ndarray) -> np.ndarray:
    """Return which columns vary by more than rounding explains."""
    scaled = in_own_unit(values)
    return np.asarray((scaled - scaled.mean(axis=0)).std(axis=0) > CONSTANT)


def welch_p(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return p of Welch's t-test for each column; NaN for a class of one sample."""
    error_a, error_b = (x.var(axis=0, ddof=1) / len(x) if len(x) > 1 else np.full(x.shape[1], np.nan) for x in (a, b))
    t = (a.mean(axis=0) - b.mean(axis=0)) / np.sqrt(error_a + error_b)
    freedom = (error_a + error_b) ** 2 / (error_a**2 / (len(a) - 1) + error_b**2 / (len(b) - 1))
    return np.asarray(2.0 * stats.t.sf(np.abs(t), freedom))


def anova_p(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return p of a one-way analysis of variance for each column."""
    n, k = sum(map(len, parts)), len(parts)
    grand = sum(part.sum(axis=0) for part in parts) / n
    between = sum(len(part) * (part.mean(axis=0) - grand) ** 2 for part in parts) / (k - 1)
    within = sum(((part - part.mean(axis=0)) ** 2).sum(axis=0) for part in parts) / (n - k)
    return np.asarray(stats.f.sf(between / within, k - 1, n - k))


def correlation_p(values: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return p of Pearson's correlation with the target for each column."""
    r = correlations(values, target[:, None])[:, 0]
    freedom = len(target) - 2
    return np.asarray(2.0 * stats.t.sf(np.abs(r) * np.sqrt(freedom / np.maximum(1.0 - r**2, TINY)), freedom))


def cox_score(values: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the χ² of Cox's score test for each column, with Breslow's ties; NaN where a column is constant.

    At each event, a column's value is compared with its mean over the samples still at risk. For a column of 0 and 1
    without ties this is the log-rank test. Source: D. R. Cox, Journal of the Royal Statistical Society B 34, 1972.
    """
    order = np.argsort(-target["time"], kind="stable")
    x = in_own_unit(values)
    x = x - x.mean(axis=0)  # the information is a difference of squares
    x, time, event = x[order], target["time"][order], target["event"][order]
    last = np.searchsorted(-time, -time[event], side="right") - 1  # the risk set ends with the last of equal times
    at_risk = (last + 1)[:, None]
    mean = np.cumsum(x, axis=0)[last] / at_risk
    square = np.cumsum(x**2, axis=0)[last] / at_risk
    score = (x[event] - mean).sum(axis=0)
    information = np.maximum(square - mean**2, 0.0).sum(axis=0)
    return np.where(varies(values), score**2 / information, np.nan)


def adjusted(p: np.ndarray) -> np.ndarray:
    """Return p-values adjusted for their number by Benjamini and Hochberg: bounds on the false discovery rate.

    >>> adjusted(np.array([0.01, 0.04, 0.03, 0.5])).round(4)
    array([0.04  , 0.0533, 0.0533, 0.5   ])
    """
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    result = np.empty(len(p))
    result[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return result


def correlations(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return Pearson correlations between columns, ``(p, q)``; 0 for a column without variance."""
    return np.asarray(z_scored(values).T @ z_scored(others) / len(values))


def z_scored(values: np.ndarray) -> np.ndarray:
    """Return columns of mean 0 and variance 1, or of zeros."""
    centred = in_own_unit(values)
    centred = centred - centred.mean(axis=0)
    sd = centred.std(axis=0)
    return np.asarray(np.divide(centred, sd, out=np.zeros_like(centred), where=sd > CONSTANT))


def neighbours(values: np.ndarray, chosen: np.ndarray, names: Sequence[str] | np.ndarray) -> list[str]:
    """Return for each chosen column the others correlated with it, strongest first: ``"MYC 0.91, EGFR -0.85"``."""
    found = correlations(values, values[:, chosen]).T
    lines = []
    for j, row in zip(chosen, found, strict=True):
        near = [i for i in np.argsort(-np.abs(row), kind="stable")[: MOST_NEIGHBOURS + 1] if i != j]
        lines.append(", ".join(f"{names[i]} {row[i]:.2f}" for i in near[:MOST_NEIGHBOURS] if abs(row[i]) >= NEIGHBOUR))
    return lines
