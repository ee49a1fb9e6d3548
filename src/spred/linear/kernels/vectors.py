"""Sums and products of vectors, and how every kernel is compiled."""
# mypy: allow-untyped-defs, allow-untyped-decorators

from __future__ import annotations

import numpy as np

from spred.runtime.compiled import compiled as kept

# ``fastmath`` is given, for a function that leaves it open takes over what the first to call it has.
compiled = kept(nogil=True, error_model="numpy", fastmath=False)


# Compiled as a part of its one caller, and not once more by itself.
inlined = kept(nogil=True, error_model="numpy", fastmath=False, inline="always")


# Sums may be reordered, which lets them run in vector registers; NaN and infinity keep their meaning.
reordered = kept(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})


TINY = 1e-300
"""Least divisor: keeps a quotient finite, and is below every number that matters."""


@reordered
def dot(a, b):
    """Return ``a · b``."""
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@reordered
def total(a):
    """Return the sum of ``a``."""
    out = 0.0
    for i in range(a.size):
        out += a[i]
    return out


@reordered
def norm1(a):
    """Return the sum of the absolute values of ``a``."""
    out = 0.0
    for i in range(a.size):
        out += abs(a[i])
    return out


@reordered
def add(a, t, b):
    """``a += t b``."""
    for i in range(a.size):
        a[i] += t * b[i]


@reordered
def distance(a, t, b):
    """Return ``‖a − t b‖``."""
    square = 0.0
    for i in range(a.size):
        square += (a[i] - t * b[i]) ** 2
    return np.sqrt(square)


@compiled
def copy(a, b):
    """``b = a``."""
    for i in range(a.size):
        b[i] = a[i]


@compiled
def largest(a):
    """Return the largest number of ``a``, and 0 if none is above."""
    out = 0.0
    for i in range(a.size):
        out = max(out, a[i])
    return out
