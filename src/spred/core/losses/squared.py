"""Squared loss, ``½ (y − η)²``, and its sum over several outputs."""

from __future__ import annotations

from array_api_compat import array_namespace

from spred.core.curvature import OutputCurvature
from spred.core.losses.functions import identity
from spred.core.losses.loss import Loss
from spred.core.partition import Array


def _value(eta: Array, y: Array, s: Array) -> Array:
    return 0.5 * array_namespace(eta).sum(s * (y - eta) ** 2)


def _gradient(eta: Array, y: Array, s: Array) -> Array:
    return s * (eta - y)


def _curvature(eta: Array, y: Array, s: Array) -> Array:
    return s * array_namespace(eta).ones_like(eta)


def _conjugate(theta: Array, y: Array, s: Array) -> Array:
    return array_namespace(theta).sum(theta * y + theta * theta / (2.0 * s))


def _null(y: Array, s: Array) -> Array:
    return array_namespace(y).sum(s * y)


def _several_value(eta: Array, y: Array, s: Array) -> Array:
    return 0.5 * array_namespace(eta).sum(s[:, None] * (y - eta) ** 2)


def _several_gradient(eta: Array, y: Array, s: Array) -> Array:
    return s[:, None] * (eta - y)


def _several_curvature(eta: Array, y: Array, s: Array) -> OutputCurvature:
    xp = array_namespace(eta)
    return OutputCurvature(s[:, None] * xp.ones_like(eta), xp.zeros_like(eta))


def _several_conjugate(theta: Array, y: Array, s: Array) -> Array:
    return array_namespace(theta).sum(theta * y + theta * theta / (2.0 * s[:, None]))


def _several_null(y: Array, s: Array) -> Array:
    return s @ y


SEVERAL_SQUARED = Loss(
    name="squared, several outputs",
    value=_several_value,
    gradient=_several_gradient,
    curvature=_several_curvature,
    conjugate=_several_conjugate,
    mean=identity,
    null=_several_null,
    quadratic=True,
    multi=True,
    of_residual=True,
)
"""``½ Σ_k (y_k − η_k)²`` for a target ``(n, K)``."""

SQUARED = Loss(
    name="squared",
    value=_value,
    gradient=_gradient,
    curvature=_curvature,
    conjugate=_conjugate,
    mean=identity,
    null=_null,
    quadratic=True,
    of_residual=True,
    several=SEVERAL_SQUARED,
    compiled="squared",
)
