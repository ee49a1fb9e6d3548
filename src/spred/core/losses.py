"""Data terms of linear predictors: value, gradient, curvature, dual. One row of :data:`LOSSES` each.

``eta`` is the linear predictor, ``(n,)`` or ``(n, K)``; ``y`` the target in the same shape (one-hot for
classes); ``s`` the sample weights ``(n,)``, positive with sum 1, so that every loss is a mean:

===========  ==================================================  ==========================
name         ``ℓ(η, y)``                                         target
===========  ==================================================  ==========================
squared      ``½ (y − η)²``                                      a number
logistic     ``log(1 + e^η) − y η``                              0 or 1
multinomial  ``log Σ_k e^{η_k} − Σ_k y_k η_k``                   one-hot row
===========  ==================================================  ==========================

Gradients are those of the weighted mean, so ``Xᵀ gradient`` is the gradient in the coefficients.
``conjugate`` is the Fenchel conjugate ``sup_η θ·η − Σ s_i ℓ(η_i, y_i)``, infinite outside its domain; it is
what the duality gap is made of (docs/math.md, §4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from array_api_compat import array_namespace

from spred.core.partition import Array
from spred.errors import InputError, did_you_mean


@dataclass(frozen=True)
class Loss:
    """A data term as pure functions of ``(eta, y, s)``.

    Attributes:
        name: the row of :data:`LOSSES`.
        value: ``Σ s_i ℓ(η_i, y_i)``, a scalar.
        gradient: in ``eta``, the shape of ``eta``.
        curvature: second derivative of each sample, ``(n,)``, or ``(n, K, K)`` for K outputs.
        conjugate: of the weighted mean, at ``theta`` in the shape of ``eta``.
        mean: the inverse link, from ``eta`` to the expected target.
        null: the linear predictor of the model with an intercept alone, a number or ``(K,)``.
        quadratic: whether the curvature is the same everywhere (one Newton step is then exact).
        multi: whether there is one linear predictor for each class.
    """

    name: str
    value: Callable[[Array, Array, Array], Array]
    gradient: Callable[[Array, Array, Array], Array]
    curvature: Callable[[Array, Array, Array], Array]
    conjugate: Callable[[Array, Array, Array], Array]
    mean: Callable[[Array], Array]
    null: Callable[[Array, Array], Array]
    quadratic: bool = False
    multi: bool = False


def get_loss(name: str) -> Loss:
    """Return the row of :data:`LOSSES` called ``name``, or raise with the nearest name."""
    try:
        return LOSSES[name]
    except KeyError:
        raise InputError(
            f"no loss is called {name!r}{did_you_mean(name, LOSSES)}; use one of {sorted(LOSSES)}"
        ) from None


# --- squared ------------------------------------------------------------------------------------------------


def _squared_value(eta: Array, y: Array, s: Array) -> Array:
    return 0.5 * array_namespace(eta).sum(s * (y - eta) ** 2)


def _squared_gradient(eta: Array, y: Array, s: Array) -> Array:
    return s * (eta - y)


def _squared_curvature(eta: Array, y: Array, s: Array) -> Array:
    return s * array_namespace(eta).ones_like(eta)


def _squared_conjugate(theta: Array, y: Array, s: Array) -> Array:
    return array_namespace(theta).sum(theta * y + theta * theta / (2.0 * s))


def _squared_null(y: Array, s: Array) -> Array:
    return array_namespace(y).sum(s * y)


# --- logistic -----------------------------------------------------------------------------------------------


def _logistic_value(eta: Array, y: Array, s: Array) -> Array:
    xp = array_namespace(eta)
    return xp.sum(s * (xp.logaddexp(xp.zeros_like(eta), eta) - y * eta))


def _sigmoid(eta: Array) -> Array:
    xp = array_namespace(eta)
    small = xp.exp(-xp.abs(eta))
    return xp.where(eta >= 0, xp.ones_like(eta), small) / (1.0 + small)


def _logistic_gradient(eta: Array, y: Array, s: Array) -> Array:
    return s * (_sigmoid(eta) - y)


def _logistic_curvature(eta: Array, y: Array, s: Array) -> Array:
    p = _sigmoid(eta)
    return s * p * (1.0 - p)


def _logistic_conjugate(theta: Array, y: Array, s: Array) -> Array:
    p = theta / s + y
    return array_namespace(theta).sum(s * (_xlogx(p) + _xlogx(1.0 - p)))


def _logistic_null(y: Array, s: Array) -> Array:
    xp = array_namespace(y)
    p = xp.sum(s * y)
    return xp.log(p) - xp.log1p(-p)


# --- multinomial --------------------------------------------------------------------------------------------


def _multinomial_value(eta: Array, y: Array, s: Array) -> Array:
    xp = array_namespace(eta)
    top = xp.max(eta, axis=1, keepdims=True)
    log_sum = xp.log(xp.sum(xp.exp(eta - top), axis=1)) + top[:, 0]
    return xp.sum(s * (log_sum - xp.sum(y * eta, axis=1)))


def _softmax(eta: Array) -> Array:
    xp = array_namespace(eta)
    raised = xp.exp(eta - xp.max(eta, axis=1, keepdims=True))
    return raised / xp.sum(raised, axis=1, keepdims=True)


def _multinomial_gradient(eta: Array, y: Array, s: Array) -> Array:
    return s[:, None] * (_softmax(eta) - y)


def _multinomial_curvature(eta: Array, y: Array, s: Array) -> Array:
    xp = array_namespace(eta)
    p = _softmax(eta)
    eye = xp.eye(p.shape[1], dtype=p.dtype)
    return s[:, None, None] * (p[:, :, None] * eye - p[:, :, None] * p[:, None, :])


def _multinomial_conjugate(theta: Array, y: Array, s: Array) -> Array:
    xp = array_namespace(theta)
    p = theta / s[:, None] + y
    on_simplex = xp.max(xp.abs(xp.sum(p, axis=1) - 1.0)) <= 1e-9
    value = xp.sum(s[:, None] * _xlogx(p))
    return xp.where(on_simplex, value, xp.full_like(value, float("inf")))


def _multinomial_null(y: Array, s: Array) -> Array:
    xp = array_namespace(y)
    share = xp.sum(s[:, None] * y, axis=0)
    logs = xp.log(share)
    return logs - xp.mean(logs)


def _xlogx(p: Array) -> Array:
    """``p log p``, 0 at 0, infinite below 0 (the conjugate's domain ends there)."""
    xp = array_namespace(p)
    inside = p * xp.log(xp.where(p > 0, p, xp.ones_like(p)))
    return xp.where(p >= 0, inside, xp.full_like(p, float("inf")))


def _identity(eta: Array) -> Array:
    return eta


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss(
            "squared",
            _squared_value,
            _squared_gradient,
            _squared_curvature,
            _squared_conjugate,
            mean=_identity,
            null=_squared_null,
            quadratic=True,
        ),
        Loss(
            "logistic",
            _logistic_value,
            _logistic_gradient,
            _logistic_curvature,
            _logistic_conjugate,
            mean=_sigmoid,
            null=_logistic_null,
        ),
        Loss(
            "multinomial",
            _multinomial_value,
            _multinomial_gradient,
            _multinomial_curvature,
            _multinomial_conjugate,
            mean=_softmax,
            null=_multinomial_null,
            multi=True,
        ),
    )
}
"""The table of losses. A new one is a :class:`Loss` here and a row in ``tests/problems.py``."""
