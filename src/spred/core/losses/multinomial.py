"""Multinomial loss, ``log Σ_k e^{η_k} − Σ_k y_k η_k``, for one-hot targets ``(n, K)``."""

from __future__ import annotations

from array_api_compat import array_namespace

from spred.core.curvature import OutputCurvature
from spred.core.losses.functions import row_sums, xlogx
from spred.core.losses.loss import Loss
from spred.core.partition import Array
from spred.core.targets import CLASSES

NARROW = 50.0
"""Range of the predictors up to which one maximum serves all rows: nothing vanishes, and the logarithm of a sum loses
two digits at most. The maximum of a short row takes longer than raising it (``scripts/bench linear``)."""

ON_SIMPLEX = 1e-9
"""How far from 1 rounding may push the sum of a sample's probabilities at a dual point that counts as admissible."""


def _value(eta: Array, y: Array, s: Array) -> Array:
    xp = array_namespace(eta)
    top = _top(eta)
    log_sum = xp.log(row_sums(xp.exp(eta - top[..., None]))) + top
    return xp.sum(s * (log_sum - row_sums(y * eta)))


def _softmax(eta: Array) -> Array:
    raised = array_namespace(eta).exp(eta - _top(eta)[..., None])
    return raised / row_sums(raised)[:, None]


def _top(eta: Array) -> Array:
    """Return what is taken off each row before it is raised: its maximum, ``(n,)``, or that of all where it does."""
    xp = array_namespace(eta)
    top = xp.max(eta)
    return top if top - xp.min(eta) <= NARROW else xp.max(eta, axis=1)


def _gradient(eta: Array, y: Array, s: Array) -> Array:
    return s[:, None] * (_softmax(eta) - y)


def _curvature(eta: Array, y: Array, s: Array) -> OutputCurvature:
    p = _softmax(eta)
    return OutputCurvature(s[:, None] * p, array_namespace(eta).sqrt(s)[:, None] * p)


def _conjugate(theta: Array, y: Array, s: Array) -> Array:
    xp = array_namespace(theta)
    p = theta / s[:, None] + y
    on_simplex = xp.max(xp.abs(row_sums(p) - 1.0)) <= ON_SIMPLEX
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
