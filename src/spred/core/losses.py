"""Data terms of linear predictors: value, gradient, curvature, dual. One row of :data:`LOSSES` each.

``eta`` is the linear predictor, ``(n,)`` or ``(n, K)``; ``y`` the target in the same shape (one-hot for
classes); ``s`` the sample weights ``(n,)``, positive with sum 1, so that every loss is a mean:

===========  ==================================================  ==========================
name         ``ℓ(η, y)``                                         target
===========  ==================================================  ==========================
squared      ``½ (y − η)²``                                      a number
huber        the same up to ``δ``, then ``δ|y − η| − δ²/2``       a number
logistic     ``log(1 + e^η) − y η``                              0 or 1
poisson      ``e^η − y η + (y log y − y)``                       a count, or a rate
multinomial  ``log Σ_k e^{η_k} − Σ_k y_k η_k``                   one-hot row
cox          negative log partial likelihood, ties as Breslow    :class:`~spred.core.cox.RiskSets`
cox-efron    the same, ties as Efron                             the same, made for Efron
===========  ==================================================  ==========================

The samples of Cox's loss interact; its functions are in :mod:`spred.core.cox`. Gradients are those of the weighted
mean, so ``Xᵀ gradient`` is the gradient in the coefficients. ``conjugate`` is the Fenchel conjugate
``sup_η θ·η − Σ s_i ℓ(η_i, y_i)``, infinite outside its domain: the duality gap is made of it (docs/math.md, §4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from array_api_compat import array_namespace

from spred.core.cox import cox_conjugate, cox_curvature, cox_gradient, cox_null, cox_value, xlogx
from spred.core.partition import Array
from spred.errors import InputError, did_you_mean

EFFICIENT = 1.345
"""Huber's transition, in standard deviations of the noise, that is 95 % efficient for Gaussian noise."""

STAND_IN = 1e-3
"""What Huber's loss gives out at most for the curvature that it does not have beyond the transition."""

HIGHEST = 700.0
"""Logarithm of the largest mean that an exponential link gives; e^709 is the end of float64."""


@dataclass(frozen=True)
class Loss:
    """A data term as pure functions of ``(eta, y, s)``.

    Attributes:
        name: the row of :data:`LOSSES`.
        value: ``Σ s_i ℓ(η_i, y_i)``, a scalar.
        gradient: in ``eta``, the shape of ``eta``.
        curvature: second derivative of each sample, ``(n,)``, or ``(n, K, K)`` for K outputs, or a
            :class:`~spred.core.cox.Coupled` where samples interact.
        conjugate: of the weighted mean, at ``theta`` in the shape of ``eta``.
        mean: the inverse link, from ``eta`` to the expected target (for Cox, to the relative risk).
        null: the linear predictor of the model with an intercept alone, a number or ``(K,)``.
        quadratic: whether the curvature is the same everywhere (one Newton step is then exact).
        multi: whether there is one linear predictor for each class.
        intercept: whether an intercept changes anything.
        stand_in: share of ``s`` up to which a curvature stands in for zero, so that Newton's model has a minimum
            where the loss is straight.
        offset: known part of the linear predictor that :func:`with_offset` built in.
        origin: the loss that it was built into.
    """

    name: str
    value: Callable[[Array, Any, Array], Array]
    gradient: Callable[[Array, Any, Array], Array]
    curvature: Callable[[Array, Any, Array], Any]
    conjugate: Callable[[Array, Any, Array], Array]
    mean: Callable[[Array], Array]
    null: Callable[[Any, Array], Array]
    quadratic: bool = False
    multi: bool = False
    intercept: bool = True
    stand_in: float = 0.0
    offset: Array | None = None
    origin: Loss | None = None


def get_loss(loss: str | Loss) -> Loss:
    """Return the row of :data:`LOSSES` called ``loss``, or raise with the nearest name; a :class:`Loss` is itself."""
    if isinstance(loss, Loss):
        return loss
    try:
        return LOSSES[loss]
    except KeyError:
        raise InputError(
            f"no loss is called {loss!r}{did_you_mean(loss, LOSSES)}; use one of {sorted(LOSSES)}"
        ) from None


def huber(delta: float) -> Loss:
    """Return Huber's loss with the transition ``delta``, in units of y: squared within, absolute beyond.

    ``1.345`` standard deviations of the noise lose 5 % of efficiency when the noise is Gaussian.
    Source: P. J. Huber, Annals of Mathematical Statistics 35, 1964.

    >>> import numpy as np
    >>> float(huber(1.0).value(np.array([0.0]), np.array([3.0]), np.array([1.0])))
    2.5
    """
    if not 0 < delta < float("inf"):
        raise InputError(f"delta is {delta}; give a positive number, in units of y")
    parts = (_huber_value, _huber_gradient, _huber_curvature, _huber_conjugate)
    value, gradient, curvature, conjugate = (partial(part, delta) for part in parts)
    return Loss(
        "huber", value, gradient, curvature, conjugate, _identity, partial(_huber_null, delta), stand_in=STAND_IN
    )


def with_offset(loss: Loss, offset: Array) -> Loss:
    """Return ``loss`` as a function of what is to be added to ``offset`` ``(n,)``: ``f(η + offset)``.

    For one linear predictor only.
    """
    if loss.multi:
        raise InputError("an offset is for one linear predictor; the multinomial loss has one for each class")

    def null(y: Any, s: Array) -> Array:
        return _best_constant(moved, offset, y, s) if loss.intercept else loss.null(y, s)

    moved = replace(
        loss,
        value=lambda eta, y, s: loss.value(eta + offset, y, s),
        gradient=lambda eta, y, s: loss.gradient(eta + offset, y, s),
        curvature=lambda eta, y, s: loss.curvature(eta + offset, y, s),
        conjugate=lambda theta, y, s: loss.conjugate(theta, y, s) - array_namespace(theta).sum(theta * offset),
        null=null,
        offset=offset,
        origin=loss,
    )
    return moved


def _best_constant(loss: Loss, like: Array, y: Any, s: Array) -> Array:
    """Return the constant at which the gradient sums to zero: bisection between bounds that Newton's steps widen."""
    xp = array_namespace(like)

    def slope(b: float) -> float:
        return float(xp.sum(loss.gradient(0.0 * like + b, y, s)))

    low, high = -1.0, 1.0
    while slope(low) > 0 and low > -1e9:
        low *= 2.0
    while slope(high) < 0 and high < 1e9:
        high *= 2.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return xp.sum(0.0 * like) + 0.5 * (low + high)


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


# --- huber --------------------------------------------------------------------------------------------------


def _huber_value(delta: float, eta: Array, y: Array, s: Array) -> Array:
    xp = array_namespace(eta)
    size = xp.abs(y - eta)
    return xp.sum(s * xp.where(size <= delta, 0.5 * size**2, delta * size - 0.5 * delta**2))


def _huber_gradient(delta: float, eta: Array, y: Array, s: Array) -> Array:
    return s * array_namespace(eta).clip(eta - y, -delta, delta)


def _huber_curvature(delta: float, eta: Array, y: Array, s: Array) -> Array:
    xp = array_namespace(eta)
    size = xp.abs(y - eta)
    beyond = xp.clip(0.01 * delta / xp.where(size > delta, size, xp.ones_like(size)), None, STAND_IN)
    return s * xp.where(size <= delta, xp.ones_like(size), beyond)


def _huber_conjugate(delta: float, theta: Array, y: Array, s: Array) -> Array:
    xp = array_namespace(theta)
    value = xp.sum(theta * y + theta * theta / (2.0 * s))
    return xp.where(xp.any(xp.abs(theta) > (1.0 + 1e-12) * delta * s), xp.full_like(value, float("inf")), value)


def _huber_null(delta: float, y: Array, s: Array) -> Array:
    """The root of ``Σ s clip(b − y, −δ, δ)``, which is linear between the knots ``y ± δ``."""
    xp = array_namespace(y)
    knots, turns = xp.concat([y - delta, y + delta]), xp.concat([s, -s])
    order = xp.argsort(knots)
    knots, slopes = knots[order], xp.cumulative_sum(turns[order])
    rise = xp.cumulative_sum(slopes[:-1] * (knots[1:] - knots[:-1])) - delta * xp.sum(s)
    after = int(xp.argmax(xp.astype(rise >= -1e-14 * delta, xp.int64)))  # the first knot at or past the root
    steep = slopes[after]
    back = xp.where(steep > 1e-14, rise[after] / xp.where(steep > 1e-14, steep, xp.ones_like(steep)), 0.0 * steep)
    return knots[after + 1] - back


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
    return array_namespace(theta).sum(s * (xlogx(p) + xlogx(1.0 - p)))


def _logistic_null(y: Array, s: Array) -> Array:
    xp = array_namespace(y)
    p = xp.sum(s * y)
    return xp.log(p) - xp.log1p(-p)


# --- poisson ------------------------------------------------------------------------------------------------


def _exp(eta: Array) -> Array:
    xp = array_namespace(eta)
    return xp.exp(xp.clip(eta, None, HIGHEST))


def _poisson_value(eta: Array, y: Array, s: Array) -> Array:
    """Half the deviance as ``y (e^d − 1 − d)``, ``d = η − log y``: near a good fit a sum of small terms."""
    xp = array_namespace(eta)
    eta = xp.clip(eta, None, HIGHEST)
    d = eta - xp.log(xp.where(y > 0, y, xp.ones_like(y)))
    return xp.sum(s * xp.where(y > 0, y * (xp.expm1(d) - d), xp.exp(eta)))


def _poisson_gradient(eta: Array, y: Array, s: Array) -> Array:
    return s * (_exp(eta) - y)


def _poisson_curvature(eta: Array, y: Array, s: Array) -> Array:
    return s * _exp(eta)


def _poisson_conjugate(theta: Array, y: Array, s: Array) -> Array:
    mean = theta / s + y
    return array_namespace(theta).sum(s * ((xlogx(mean) - mean) - (xlogx(y) - y)))


def _poisson_null(y: Array, s: Array) -> Array:
    xp = array_namespace(y)
    return xp.log(xp.sum(s * y))


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
    value = xp.sum(s[:, None] * xlogx(p))
    return xp.where(on_simplex, value, xp.full_like(value, float("inf")))


def _multinomial_null(y: Array, s: Array) -> Array:
    xp = array_namespace(y)
    share = xp.sum(s[:, None] * y, axis=0)
    logs = xp.log(share)
    return logs - xp.mean(logs)


def _identity(eta: Array) -> Array:
    return eta


def _cox(name: str) -> Loss:
    """The rows differ in the targets that are made for them."""
    return Loss(name, cox_value, cox_gradient, cox_curvature, cox_conjugate, mean=_exp, null=cox_null, intercept=False)


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
        huber(EFFICIENT),
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
            "poisson",
            _poisson_value,
            _poisson_gradient,
            _poisson_curvature,
            _poisson_conjugate,
            mean=_exp,
            null=_poisson_null,
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
        _cox("cox"),
        _cox("cox-efron"),
    )
}
"""The table of losses. A new one is a :class:`Loss` here and a row in ``tests/problems.py``."""
