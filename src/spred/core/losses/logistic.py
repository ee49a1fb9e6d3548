"""Logistic loss, ``log(1 + e^η) − y η``, for targets 0 and 1."""

from __future__ import annotations

from array_api_compat import array_namespace

from spred.core.losses.functions import xlogx
from spred.core.losses.loss import Loss
from spred.core.partition import Array
from spred.core.targets import BINARY


def _value(eta: Array, y: Array, s: Array) -> Array:
    xp = array_namespace(eta)
    return xp.sum(s * (xp.logaddexp(xp.zeros_like(eta), eta) - y * eta))


def _sigmoid(eta: Array) -> Array:
    xp = array_namespace(eta)
    small = xp.exp(-xp.abs(eta))
    return xp.where(eta >= 0, xp.ones_like(eta), small) / (1.0 + small)


def _gradient(eta: Array, y: Array, s: Array) -> Array:
    return s * (_sigmoid(eta) - y)


def _curvature(eta: Array, y: Array, s: Array) -> Array:
    p = _sigmoid(eta)
    return s * p * (1.0 - p)


def _conjugate(theta: Array, y: Array, s: Array) -> Array:
    p = theta / s + y
    return array_namespace(theta).sum(s * (xlogx(p) + xlogx(1.0 - p)))


def _null(y: Array, s: Array) -> Array:
    xp = array_namespace(y)
    p = xp.sum(s * y)
    return xp.log(p) - xp.log1p(-p)


LOGISTIC = Loss(
    name="logistic",
    value=_value,
    gradient=_gradient,
    curvature=_curvature,
    conjugate=_conjugate,
    mean=_sigmoid,
    null=_null,
    target=BINARY,
    compiled="logistic",
)
