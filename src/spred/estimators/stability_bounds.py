"""How many features that are rarely selected may pass a threshold: the bounds behind stability selection.

Complementary pairs stability selection uses the fraction Π of half-samples that select a feature, and the fraction Π̃
of pairs of which both halves do. If a feature is selected with probability at most θ, the mean of Π is at most θ and
that of Π̃ at most θ². How often Π can then reach a threshold depends on what is assumed of its distribution: nothing
(Markov's inequality), or r-concavity, a shape that the authors find in practice.

Source: R. D. Shah and R. J. Samworth, "Variable selection with error control: another look at stability selection",
Journal of the Royal Statistical Society B 75 (2013), 55–80; bounds (5) and (8), and appendix A.4.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.optimize import brentq, minimize_scalar

NEVER = 1e-12
"""A mean below which a tail is 0: the root of the slope would be lost in rounding."""

STEEPEST, FLATTEST = 1e-9, 1e7
"""Range of a in (a + i)^(1/r), from all mass at zero to uniform: wider costs evaluations, narrower loses means near 0
or 1/2. ``tests/estimators/test_stability_bounds.py`` holds random and extreme distributions against the bound."""

SLOPE_TOL, PEAK_TOL = 1e-10, 1e-6
"""Accuracy of log a at a given mean, and at the largest tail, which is flat there; the same tests need no more."""

ROUNDING = 1e-9
"""Within this a level times its steps counts as a whole number, and a range of log a as one point."""


def worst_case(theta: float, threshold: float, n_pairs: int) -> float:
    """Return the bound on P(Π ≥ τ) without any assumption: Markov's inequality for Π̃, which is at least 2Π − 1.

    >>> round(worst_case(0.01, 0.75, 50), 6)
    0.0002
    """
    return min(1.0, theta**2 / (2 * threshold - 1)) if threshold > 0.5 else 1.0


def r_concave(theta: float, threshold: float, n_pairs: int) -> float:
    """Return the bound on P(Π ≥ τ) if Π̃ is −1/2-concave and Π is −1/4-concave, as the authors recommend."""
    both = tail(theta**2, 2 * threshold - 1, n_pairs, -0.5)
    return min(both, tail(theta, threshold, 2 * n_pairs, -0.25))


BOUNDS: dict[str, Callable[[float, float, int], float]] = {"r-concave": r_concave, "worst-case": worst_case}


@cache
def tail(mean: float, level: float, steps: int, r: float) -> float:
    """Return the largest P(Z ≥ level) of an r-concave Z on {0, 1/B, …, 1} whose mean is at most ``mean``, r < 0.

    f is r-concave if f^r is convex. The extreme ones have f^r linear up to some k, less mass than that at k + 1, and
    none beyond; so the maximum is over k and over the slope, and the mass at k + 1 follows from the mean.
    """
    first = int(np.ceil(level * steps - ROUNDING))
    if first <= 2 * mean * steps or first <= 0:
        return 1.0  # the mean is too near for a concave tail to matter
    if mean < NEVER:
        return 0.0
    target = mean * steps
    slopes = [slope_for_mean(k, target, r) for k in range(first - 1, steps + 1)]
    best = 0.0
    for k, (low, high) in enumerate(zip(slopes[1:], slopes[:-1], strict=True), start=first - 1):
        best = max(best, best_between(k, np.log(low), np.log(high), first, target, r))
    return min(1.0, max(best, mass_above(steps, slopes[-1], first, r)))


def slope_for_mean(k: int, target: float, r: float) -> float:
    """Return a such that (a + i)^(1/r) on {0, …, k} has the mean ``target``."""

    def excess(log_a: float) -> float:
        i = np.arange(k + 1)
        f = (np.exp(log_a) + i) ** (1 / r)
        return float(i @ f / f.sum()) - target

    low, high = np.log(STEEPEST), np.log(FLATTEST)
    if excess(high) <= 0:
        return FLATTEST
    return float(np.exp(brentq(excess, low, high, xtol=SLOPE_TOL)))


def best_between(k: int, low: float, high: float, first: int, target: float, r: float) -> float:
    """Return the largest tail with f^r linear up to k and the rest of the mean made up at k + 1."""
    i = np.arange(k + 1)

    def loss(log_a: float) -> float:
        f = (np.exp(log_a) + i) ** (1 / r)
        last = max((target * f.sum() - i @ f) / (k + 1 - target), 0.0)
        return -float((f[first:].sum() + last) / (f.sum() + last))

    if high - low < ROUNDING:
        return -loss(low)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": PEAK_TOL})
    return -min(float(found.fun), loss(low), loss(high))


def mass_above(k: int, a: float, first: int, r: float) -> float:
    """Return P(Z ≥ first) for (a + i)^(1/r) on {0, …, k}."""
    f = (a + np.arange(k + 1)) ** (1 / r)
    return float(f[first:].sum() / f.sum())
