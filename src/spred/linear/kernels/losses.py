"""Value, gradient, curvature and conjugate of the losses with a compiled form; exp and log1p in vector registers."""
# mypy: allow-untyped-defs, allow-untyped-decorators

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import intrinsic

from spred.core.losses.functions import BELOW_ZERO
from spred.linear.kernels.vectors import compiled, norm1, reordered, total

SQUARED, LOGISTIC, POISSON = 0, 1, 2
"""Losses with a compiled value, gradient and curvature."""


CODES = {"squared": SQUARED, "logistic": LOGISTIC, "poisson": POISSON}


HIGHEST = 700.0
"""As in ``core.losses``: where an exponential link is cut."""


BLOCK = 64
"""Terms of a sum that are added up by themselves first: less rounding, which the line search would take for a rise.

Larger blocks are faster by little. Measured by ``scripts/bench linear`` and its gaps.
"""


LOG_2, LOG_2_HIGH, LOG_2_LOW = 0.6931471805599453, float.fromhex("0x1.62e42feep-1"), 1.9082149292705877e-10
"""The logarithm of 2, and in two parts, the first with so few digits that its small multiples are exact."""


LOG2_E, SQRT_2 = 1.4426950408889634, 1.4142135623730951


LOWEST_EXPONENT, HIGHEST_EXPONENT = -708.0, 709.0
"""Where ``exp`` is cut: beyond them the result is no normal number in double precision."""


MOST_CENTRINGS, LONGEST_CENTRING = 100, 4.0
"""Newton steps of the intercept at most (each at least halves its bracket once there is one), and their length at most.

A step of 4 changes an odds or a rate 50-fold: longer ones leave the region where the slope means anything.
"""


CENTRED, BRACKETED = 2e-16, 4e-16
"""Where the intercept is as good as double precision allows: its slope against the sum of its parts, its bracket
against itself."""


@intrinsic
def _as_float(typing, bits):
    """The number whose 64 bits these are."""

    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.float64))

    return types.float64(types.int64), codegen


@compiled
def exp(x):
    """Return ``eˣ``; below ``LOWEST_EXPONENT``, where it is next to nothing, as there.

    ``x = n log 2 + r`` with ``|r| ≤ ½ log 2``, and Taylor's series for ``eʳ``.
    """
    x = min(max(x, LOWEST_EXPONENT), HIGHEST_EXPONENT)
    n = np.floor(x * LOG2_E + 0.5)
    r = (x - n * LOG_2_HIGH) - n * LOG_2_LOW
    series = 1.0 / 6227020800.0
    series = series * r + 1.0 / 479001600.0
    series = series * r + 1.0 / 39916800.0
    series = series * r + 1.0 / 3628800.0
    series = series * r + 1.0 / 362880.0
    series = series * r + 1.0 / 40320.0
    series = series * r + 1.0 / 5040.0
    series = series * r + 1.0 / 720.0
    series = series * r + 1.0 / 120.0
    series = series * r + 1.0 / 24.0
    series = series * r + 1.0 / 6.0
    series = series * r + 0.5
    return (1.0 + (r + r * r * series)) * _as_float((np.int64(n) + 1023) << 52)  # type: ignore[call-arg, unused-ignore]


@compiled
def log1p(u):
    """Return ``log(1 + u)`` for ``0 ≤ u ≤ 1``: twice the series of ``artanh(w / (2 + w))``, ``w`` near 0."""
    upper = u > SQRT_2 - 1.0
    w = 0.5 * (u - 1.0) if upper else u
    t = w / (2.0 + w)
    q = t * t
    series = 1.0 / 23.0
    series = series * q + 1.0 / 21.0
    series = series * q + 1.0 / 19.0
    series = series * q + 1.0 / 17.0
    series = series * q + 1.0 / 15.0
    series = series * q + 1.0 / 13.0
    series = series * q + 1.0 / 11.0
    series = series * q + 1.0 / 9.0
    series = series * q + 1.0 / 7.0
    series = series * q + 1.0 / 5.0
    series = series * q + 1.0 / 3.0
    value = 2.0 * (t + t * q * series)
    return value + LOG_2 if upper else value


@compiled
def _poisson_value(eta, y):
    if y <= 0.0:
        return np.exp(eta)
    d = eta - np.log(y)
    return y * (np.expm1(d) - d)


@reordered
def _part_of_value(code, eta, y, s):
    part = 0.0
    if code == SQUARED:
        for i in range(eta.size):
            part += 0.5 * s[i] * (y[i] - eta[i]) ** 2
    elif code == LOGISTIC:
        for i in range(eta.size):
            part += s[i] * (log1p(exp(-abs(eta[i]))) + max(eta[i], 0.0) - y[i] * eta[i])
    else:
        for i in range(eta.size):
            part += s[i] * _poisson_value(min(eta[i], HIGHEST), y[i])
    return part


@compiled
def loss_value(code, eta, y, s):
    """Return ``Σ s ℓ(η, y)``."""
    whole = 0.0
    for start in range(0, eta.size, BLOCK):
        part = slice(start, min(start + BLOCK, eta.size))
        whole += _part_of_value(code, eta[part], y[part], s[part])
    return whole


@compiled
def _xlogx(p):
    return p * np.log(p) if p > 0.0 else (0.0 if p >= -BELOW_ZERO else np.inf)


@compiled
def conjugate(code, theta, y, s, offset):
    """Return the Fenchel conjugate of the loss at ``theta``, with ``offset`` taken out of η again."""
    total = 0.0
    for i in range(theta.size):
        mean = theta[i] / s[i] + y[i]
        if code == SQUARED:
            total += theta[i] * (y[i] + 0.5 * theta[i] / s[i])
        elif code == LOGISTIC:
            total += s[i] * (_xlogx(mean) + _xlogx(1.0 - mean))
        else:
            total += s[i] * (_xlogx(mean) - mean - _xlogx(y[i]) + y[i])
        total -= theta[i] * offset[i]
    return total


@reordered
def slopes(code, eta, y, s, theta, curvature):
    """Write the gradient and the curvature of the loss in ``eta`` into ``theta`` and ``curvature``."""
    if code == SQUARED:
        for i in range(eta.size):
            theta[i], curvature[i] = s[i] * (eta[i] - y[i]), s[i]
    elif code == LOGISTIC:
        for i in range(eta.size):
            small = exp(-abs(eta[i]))
            larger = 1.0 / (1.0 + small)
            p = larger if eta[i] >= 0 else small * larger
            theta[i], curvature[i] = s[i] * (p - y[i]), s[i] * small * larger * larger
    else:
        for i in range(eta.size):
            mean = exp(min(eta[i], HIGHEST))
            theta[i], curvature[i] = s[i] * (mean - y[i]), s[i] * mean


@compiled
def centre(code, eta, y, s, theta, curvature):
    """Add to ``eta`` the constant at which the loss is lowest, and return it; fill ``theta`` and ``curvature`` there.

    Newton's method between bounds: the slope in the constant rises from below zero to above.
    """
    moved, low, high = 0.0, -np.inf, np.inf
    for _ in range(MOST_CENTRINGS):
        slopes(code, eta, y, s, theta, curvature)
        slope, size, second = total(theta), norm1(theta), total(curvature)
        if abs(slope) <= CENTRED * size or not high - low > BRACKETED * abs(moved):
            break
        if slope > 0:
            high = moved
        else:
            low = moved
        step = -slope / second if second > 0 else -np.sign(slope)
        step = min(max(step, -LONGEST_CENTRING), LONGEST_CENTRING)
        if not low < moved + step < high:
            if not (high < np.inf and low > -np.inf):
                break
            step = 0.5 * (low + high) - moved
        if moved + step == moved:
            break
        moved += step
        for i in range(eta.size):
            eta[i] += step
    return moved
