"""The record of a loss: its functions, and what it declares about itself, so that no caller asks for its name.

``eta`` is the linear predictor, ``(n,)`` or ``(n, K)``; ``y`` the target as the loss takes it; ``s`` the sample weights
``(n,)``, positive with sum 1, so that every loss is a mean. Gradients are those of the weighted mean, so ``Xᵀ
gradient`` is the gradient in the coefficients. ``conjugate`` is the Fenchel conjugate ``sup_η θ·η − Σ s_i ℓ(η_i,
y_i)``, infinite outside its domain: the duality gap is made of it (docs/math.md, §4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from array_api_compat import array_namespace

from spred.core.partition import Array
from spred.core.targets import NUMBERS, Target
from spred.errors import InputError


def no_curvature(eta: Array, y: Any, s: Array) -> Any:
    """Stand for the curvature of a loss that declares none."""
    raise InputError("the loss declares no curvature, and Newton's method needs one; add it to the row of the loss")


def no_conjugate(theta: Array, y: Any, s: Array) -> Array:
    """Stand for the conjugate of a loss that declares none: infinite everywhere, so that nothing is certified."""
    xp = array_namespace(theta)
    return xp.full_like(xp.sum(theta), float("inf"))


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A data term as pure functions of ``(eta, y, s)``, and what it declares.

    Attributes:
        name: the row of :data:`spred.core.losses.LOSSES`.
        value: ``Σ s_i ℓ(η_i, y_i)``, a scalar.
        gradient: in ``eta``, the shape of ``eta``.
        mean: the inverse link, from ``eta`` to the expected target (for Cox, to the relative risk).
        null: the linear predictor of the model with an intercept alone, a number or ``(K,)``.
        curvature: second derivative of each sample, ``(n,)``, or an :class:`~spred.core.curvature.OutputCurvature` for
            several outputs, or a :class:`~spred.core.risk_sets.Coupled` where samples interact.
        conjugate: of the weighted mean, at ``theta`` in the shape of ``eta``.
        target: how targets are checked and encoded.
        quadratic: whether the curvature is the same everywhere (one Newton step is then exact).
        multi: whether there is one linear predictor for each class.
        intercept: whether an intercept changes anything.
        of_residual: whether the loss sees ``y − η`` alone: an offset is then subtracted from the target, and else
            added to the predictor.
        stand_in: fraction of ``s`` up to which a curvature stands in for zero, so that Newton's model has a minimum
            where the loss is straight.
        transition: makes the same loss with another transition, in units of y, where it has one (Huber's).
        several: the same loss for several numbers of each sample, where there is one.
        compiled: the name by which compiled loops know these functions, where they do.
        offset: known part of the linear predictor that :func:`with_offset` built in.
        origin: the loss that it was built into.
    """

    name: str
    value: Callable[[Array, Any, Array], Array]
    gradient: Callable[[Array, Any, Array], Array]
    mean: Callable[[Array], Array]
    null: Callable[[Any, Array], Array]
    curvature: Callable[[Array, Any, Array], Any] = no_curvature
    conjugate: Callable[[Array, Any, Array], Array] = no_conjugate
    target: Target = NUMBERS
    quadratic: bool = False
    multi: bool = False
    intercept: bool = True
    of_residual: bool = False
    stand_in: float = 0.0
    transition: Callable[[float], Loss] | None = None
    several: Loss | None = None
    compiled: str | None = None
    offset: Array | None = field(default=None, compare=False)
    origin: Loss | None = field(default=None, compare=False)

    @property
    def has_curvature(self) -> bool:
        """Whether it declares a curvature."""
        return self.curvature is not no_curvature

    @property
    def has_conjugate(self) -> bool:
        """Whether it declares a conjugate, without which there is no duality gap."""
        return self.conjugate is not no_conjugate

    @property
    def takes_offset(self) -> bool:
        """Whether an offset has a meaning: for one linear predictor."""
        return not self.multi


def with_offset(loss: Loss, offset: Array) -> Loss:
    """Return ``loss`` as a function of what is to be added to ``offset`` ``(n,)``: ``f(η + offset)``.

    Raises:
        InputError: a loss with one linear predictor for each class.
    """
    if not loss.takes_offset:
        raise InputError("an offset is for one linear predictor; the multinomial loss has one for each class")
    if loss.origin is not None:
        loss, offset = loss.origin, loss.offset + offset
    shifted = _Shifted(loss, offset)
    return replace(
        loss,
        value=shifted.value,
        gradient=shifted.gradient,
        curvature=shifted.curvature if loss.has_curvature else no_curvature,
        conjugate=shifted.conjugate if loss.has_conjugate else no_conjugate,
        null=shifted.null if loss.intercept else loss.null,
        offset=offset,
        origin=loss,
    )


@dataclass(frozen=True, eq=False)
class _Shifted:
    """The functions of ``loss`` at ``η + offset``: a record, so that they pickle."""

    loss: Loss
    offset: Array

    def value(self, eta: Array, y: Any, s: Array) -> Array:
        return self.loss.value(eta + self.offset, y, s)

    def gradient(self, eta: Array, y: Any, s: Array) -> Array:
        return self.loss.gradient(eta + self.offset, y, s)

    def curvature(self, eta: Array, y: Any, s: Array) -> Any:
        return self.loss.curvature(eta + self.offset, y, s)

    def conjugate(self, theta: Array, y: Any, s: Array) -> Array:
        return self.loss.conjugate(theta, y, s) - array_namespace(theta).sum(theta * self.offset)

    def null(self, y: Any, s: Array) -> Array:
        return _best_constant(self, y, s)


WIDEST = 1e9
"""Predictors beyond which the best constant is not looked for: far past where any link is cut or flat."""

HALVINGS = 200
"""Bisections at most: float64 runs out of numbers between two bounds of that size well before."""


def _best_constant(shifted: _Shifted, y: Any, s: Array) -> Array:
    """Return the constant at which the gradient sums to zero, by bisection between bounds that are doubled first."""
    like = shifted.offset
    xp = array_namespace(like)

    def slope(b: float) -> float:
        return float(xp.sum(shifted.gradient(0.0 * like + b, y, s)))

    low, high = -1.0, 1.0
    while slope(low) > 0 and low > -WIDEST:
        low *= 2.0
    while slope(high) < 0 and high < WIDEST:
        high *= 2.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return xp.sum(0.0 * like) + 0.5 * (low + high)
