"""Multinomial loss, ``log Σ_k e^{η_k} − Σ_k y_k η_k``, for one-hot targets ``(n, K)``."""

from __future__ import annotations

from array_api_compat import array_namespace

from spred.core.losses.functions import xlogx
from spred.core.losses.loss import Loss
from spred.core.partition import Array
from spred.core.targets import CLASSES

ON_SIMPLEX = 1e-9
"""How far from 1 rounding may push the sum of a sample's probabilities at a dual point that counts as admissible."""


def _value(eta: Array, y: Array, s: Array) -> Array:
    xp = array_namespace(eta)
    top = xp.max(eta, axis=1, keepdims=True)
    log_sum = xp.log(xp.sum(xp.exp(eta - top), axis=1)) + top[:, 0]
    return xp.sum(s * (log_sum - xp.sum(y * eta, axis=1)))


def _softmax(eta: Array) -> Array:
    xp = array_namespace(eta)
    raised = xp.exp(eta - xp.max(eta, axis=1, keepdims=True))
    return raised / xp.sum(raised, axis=1, keepdims=True)


def _gradient(eta: Array, y: Array, s: Array) -> Array:
    return s[:, None] * (_softmax(eta) - y)


def _curvature(eta: Array, y: Array, s: Array) -> Array:
    xp = array_namespace(eta)
    p = _softmax(eta)
    eye = xp.eye(p.shape[1], dtype=p.dtype)
    return s[:, None, None] * (p[:, :, None] * eye - p[:, :, None] * p[:, None, :])


def _conjugate(theta: Array, y: Array, s: Array) -> Array:
    xp = array_namespace(theta)
    p = theta / s[:, None] + y
    on_simplex = xp.max(xp.abs(xp.sum(p, axis=1) - 1.0)) <= ON_SIMPLEX
    value = xp.sum(s[:, None] * xlogx(p))
    return xp.where(on_simplex, value, xp.full_like(value, float("inf")))


def _null(y: Array, s: Array) -> Array:
    xp = array_namespace(y)
    fraction = xp.sum(s[:, None] * y, axis=0)
    logs = xp.log(fraction)
    return logs - xp.mean(logs)


MULTINOMIAL = Loss(
    name="multinomial",
    value=_value,
    gradient=_gradient,
    curvature=_curvature,
    conjugate=_conjugate,
    mean=_softmax,
    null=_null,
    target=CLASSES,
    multi=True,
)
