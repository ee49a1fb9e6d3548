"""Huber's loss: squared up to a transition δ, absolute beyond it, ``δ|y − η| − δ²/2``.

Source: P. J. Huber, Annals of Mathematical Statistics 35, 1964.
"""

from __future__ import annotations

from dataclasses import dataclass

from array_api_compat import array_namespace

from spred.core.losses.functions import identity
from spred.core.losses.loss import Loss
from spred.core.partition import Array
from spred.errors import InputError

EFFICIENT = 1.345
"""The transition, in standard deviations of the noise, that is 95 % efficient for Gaussian noise."""

STAND_IN = 1e-3
"""What the loss gives out at most for the curvature that it does not have beyond the transition.

Larger, and steps are short where many residuals lie beyond; smaller, and Newton's model is too flat to have a useful
minimum. ``tests/linear/test_losses.py`` has residuals a thousand transitions away.
"""

FADING = 0.01
"""The stand-in at the transition, as if it were not capped; it falls with the size of the residual from there."""

ROUNDING = 1e-12
"""How far, relatively, rounding may push a dual point over the end of the conjugate's domain."""

FLAT = 1e-14
"""Slope of the gradient's sum below which it is level but for rounding (sample weights sum to 1)."""


def huber(delta: float) -> Loss:
    """Return Huber's loss with the transition ``delta``, in units of y: squared within, absolute beyond.

    ``1.345`` standard deviations of the noise lose 5 % of efficiency when the noise is Gaussian.

    >>> import numpy as np
    >>> float(huber(1.0).value(np.array([0.0]), np.array([3.0]), np.array([1.0])))
    2.5
    """
    if not 0 < delta < float("inf"):
        raise InputError(f"delta is {delta}; give a positive number, in units of y")
    at = _Huber(delta)
    return Loss(
        name="huber",
        value=at.value,
        gradient=at.gradient,
        curvature=at.curvature,
        conjugate=at.conjugate,
        mean=identity,
        null=at.null,
        of_residual=True,
        stand_in=STAND_IN,
        transition=huber,
    )


@dataclass(frozen=True)
class _Huber:
    """The functions at one transition."""

    delta: float

    def value(self, eta: Array, y: Array, s: Array) -> Array:
        xp, delta = array_namespace(eta), self.delta
        size = xp.abs(y - eta)
        return xp.sum(s * xp.where(size <= delta, 0.5 * size**2, delta * size - 0.5 * delta**2))

    def gradient(self, eta: Array, y: Array, s: Array) -> Array:
        return s * array_namespace(eta).clip(eta - y, -self.delta, self.delta)

    def curvature(self, eta: Array, y: Array, s: Array) -> Array:
        xp, delta = array_namespace(eta), self.delta
        size = xp.abs(y - eta)
        beyond = xp.clip(FADING * delta / xp.where(size > delta, size, xp.ones_like(size)), None, STAND_IN)
        return s * xp.where(size <= delta, xp.ones_like(size), beyond)

    def conjugate(self, theta: Array, y: Array, s: Array) -> Array:
        xp = array_namespace(theta)
        value = xp.sum(theta * y + theta * theta / (2.0 * s))
        outside = xp.any(xp.abs(theta) > (1.0 + ROUNDING) * self.delta * s)
        return xp.where(outside, xp.full_like(value, float("inf")), value)

    def null(self, y: Array, s: Array) -> Array:
        """The root of ``Σ s clip(b − y, −δ, δ)``, which is linear between the knots ``y ± δ``."""
        xp, delta = array_namespace(y), self.delta
        knots, turns = xp.concat([y - delta, y + delta]), xp.concat([s, -s])
        order = xp.argsort(knots)
        knots, slopes = knots[order], xp.cumulative_sum(turns[order])
        rise = xp.cumulative_sum(slopes[:-1] * (knots[1:] - knots[:-1])) - delta * xp.sum(s)
        after = int(xp.argmax(xp.astype(rise >= -FLAT * delta, xp.int64)))  # the first knot at or past the root
        steep = slopes[after]
        back = xp.where(steep > FLAT, rise[after] / xp.where(steep > FLAT, steep, xp.ones_like(steep)), 0.0 * steep)
        return knots[after + 1] - back
