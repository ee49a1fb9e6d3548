"""Functions that several losses share, safe at the ends of their domains."""

from __future__ import annotations

from array_api_compat import array_namespace

from spred.core.partition import Array

HIGHEST = 700.0
"""Where an exponential is cut, as a logarithm: e^709 is the end of float64, and sums over samples are larger still.

A mean of e^700 is no fit of anything, so nothing is lost. The compiled loops cut at the same number; their tests
compare both.
"""


BELOW_ZERO = 1e-15
"""How far below 0 rounding may push a probability at a dual point: no more than the digits of one near 1.

A probability of e^{-40} less a projection of the dual point ends there, and would cost the solution its certificate.
"""


def identity(eta: Array) -> Array:
    """Return ``eta``: the mean of a loss without a link."""
    return eta


def exp(eta: Array) -> Array:
    """Return ``e^η``, cut at e^700."""
    xp = array_namespace(eta)
    return xp.exp(xp.clip(eta, None, HIGHEST))


def xlogx(p: Array) -> Array:
    """Return ``p log p``: 0 at 0, infinite below 0 by more than rounding, where the domain of a conjugate ends."""
    xp = array_namespace(p)
    inside = p * xp.log(xp.where(p > 0, p, xp.ones_like(p)))
    return xp.where(p >= -BELOW_ZERO, inside, xp.full_like(p, float("inf")))


def row_sums(x: Array) -> Array:
    """Return ``Σ_k x_ik``, ``(n,)``; a product is several times quicker than NumPy's sum over a short axis."""
    return x @ array_namespace(x).ones_like(x[0, :])
