"""Poisson loss, ``e^η − y η + (y log y − y)``, half the deviance, for counts or rates."""

from __future__ import annotations

from array_api_compat import array_namespace

from spred.core.losses.functions import HIGHEST, exp, xlogx
from spred.core.losses.loss import Loss
from spred.core.partition import Array
from spred.core.targets import COUNTS


def _value(eta: Array, y: Array, s: Array) -> Array:
    """Half the deviance as ``y (e^d − 1 − d)``, ``d = η − log y``: near a good fit a sum of small terms."""
    xp = array_namespace(eta)
    eta = xp.clip(eta, None, HIGHEST)
    d = eta - xp.log(xp.where(y > 0, y, xp.ones_like(y)))
    return xp.sum(s * xp.where(y > 0, y * (xp.expm1(d) - d), xp.exp(eta)))


def _gradient(eta: Array, y: Array, s: Array) -> Array:
    return s * (exp(eta) - y)


def _curvature(eta: Array, y: Array, s: Array) -> Array:
    return s * exp(eta)


def _conjugate(theta: Array, y: Array, s: Array) -> Array:
    mean = theta / s + y
    return array_namespace(theta).sum(s * ((xlogx(mean) - mean) - (xlogx(y) - y)))


def _null(y: Array, s: Array) -> Array:
    xp = array_namespace(y)
    return xp.log(xp.sum(s * y))


POISSON = Loss(
    name="poisson",
    value=_value,
    gradient=_gradient,
    curvature=_curvature,
    conjugate=_conjugate,
    mean=exp,
    null=_null,
    target=COUNTS,
    compiled="poisson",
)
