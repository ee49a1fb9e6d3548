"""The penalties of spred: value, prox, dual norm, KKT residual, largest useful alpha.

One record covers L1, weighted and group L1, the elastic net, the ridge, the sparse-group Lasso, and coefficients that
must not be negative; the partition says which coordinates make a group:

    Ω(v) = α Σ_g ( ρ(1 − κ) ω_g ‖v_g‖₂ + ρκ ‖v_g‖₁ + (1 − ρ)/2 · ω_g ‖v_g‖₂² ),    ρ = l1_ratio, κ = within_ratio

and infinite where a coordinate of ``positive`` is below zero (docs/math.md, §2 and §4). A group with ``ω_g = 0`` is
free. Depth D ≥ 3 replaces ``‖v_g‖`` by ``‖v_g‖^{2/D}``; it exists for networks only, and only with ρ = 1, κ = 0.

Coordinates come before groups: a *soft threshold* takes from each entry what its own part of the penalty takes, and
what is left is treated as a group Lasso treats its group.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from array_api_compat import array_namespace

from spred import _checks
from spred.core.partition import SINGLES, Array, Partition, norms
from spred.errors import InputError

OUTSIDE = 1e-12
"""How far, relatively, rounding may push a scaled dual point over the dual ball before Ω* is infinite there.

Scaling into the ball costs a few units of 1e-16 for each of a group's entries; the lower bound is off by this much of
α at most.
"""

MOST_STEPS, CONVERGED = 100, 1e-15
"""Newton steps at most for the root of a sparse group's dual norm, and the relative step at which it ends: the last
digit.

It rises to the root from below and takes under ten; ``tests/core/test_penalties.py`` compares with bisection.
"""


@dataclass(frozen=True, eq=False)
class Penalty:
    """Parameters of Ω.

    Attributes:
        alpha: strength α ≥ 0.
        l1_ratio: ρ in [0, 1]; 1 is L1, 0 a ridge, and between is an elastic net.
        weights: ω, a number or an array in the gate shape.
        partition: the groups.
        depth: D, 2 unless for networks.
        within_ratio: κ in [0, 1], the fraction of single entries; 0 is the group Lasso, 1 the Lasso.
        positive: whether coordinates must not be negative, for all or in the shape of v (and not for free ones).
    """

    alpha: float
    l1_ratio: float = 1.0
    weights: Array | float = 1.0
    partition: Partition = field(default=SINGLES)
    depth: int = 2
    within_ratio: float = 0.0
    positive: Array | bool = False

    def __post_init__(self) -> None:
        if not (self.alpha >= 0 and isfinite(self.alpha)):
            raise InputError(f"alpha is {self.alpha}; give a finite number that is not negative")
        _checks.l1_ratio(self.l1_ratio, ridge=True)
        if not 0 <= self.within_ratio <= 1:
            raise InputError(f"within_ratio is {self.within_ratio}; give a number from 0 to 1")
        if self.depth > 2 and self.l1_ratio < 1:
            raise InputError(f"depth {self.depth} has no elastic net; set l1_ratio=1 or depth=2")
        if self.depth > 2 and self._thresholds:
            raise InputError(f"depth {self.depth} has groups alone; leave within_ratio and positive, or set depth=2")

    def value(self, v: Array) -> Array:
        """Return Ω(v)."""
        xp = array_namespace(v)
        size = norms(v, self.partition)
        sparse = size if self.depth == 2 else size ** (2.0 / self.depth)
        total = xp.sum(self.weights * (self._group * sparse + 0.5 * self._ridge * size * size))
        if self.within_ratio > 0:
            total = total + xp.sum(self._entries(v) * xp.abs(v))
        if self.positive is False:
            return total
        return xp.where(xp.any(self.positive & (v < 0)), xp.full_like(total, float("inf")), total)

    def prox(self, v: Array, step: float = 1.0) -> Array:
        """Return ``argmin_z ½‖z − v‖² + step·Ω(z)``: soft thresholding of entries, then of groups' norms (depth 2)."""
        self._need_depth_two("prox")
        xp = array_namespace(v)
        left = self._left(v, step)
        size = norms(left, self.partition)
        threshold = step * self._group * self.weights
        safe = xp.where(size > 0, size, xp.ones_like(size))
        kept = xp.where(size > threshold, 1.0 - threshold / safe, xp.zeros_like(size))
        shrunk = kept / (1.0 + step * self._ridge * self.weights)
        return self.partition.spread(shrunk, v) * left

    def dual_norm(self, z: Array) -> Array:
        """Return the smallest α at which ``z = −Xᵀθ`` is dual feasible, the largest over penalised groups.

        It is ``‖z_g‖ / (ρ ω_g)``, of the positive part where v must not be negative; with κ > 0 the root t of
        ``‖soft(z_g, κρt)‖ = (1 − κ) ω_g ρt``. A ridge alone (ρ = 0) makes nothing zero: then it is infinite, unless
        all of z is zero.
        """
        xp = array_namespace(z)
        left = z if self.positive is False else soft(z, 0.0, self.positive)
        size = norms(left, self.partition)
        weights = self._weights_like(size)
        penalised = weights > 0
        if self.within_ratio > 0:
            level = self._roots(left, weights)
        else:
            level = size / xp.where(penalised, weights, xp.ones_like(size))
        largest = xp.max(xp.where(penalised, level, xp.zeros_like(size)))
        if self.l1_ratio == 0:
            return xp.where(largest > 0, xp.full_like(largest, float("inf")), largest)
        return largest / self.l1_ratio

    def conjugate(self, z: Array) -> Array:
        """Return Ω*(z); infinite outside the dual ball where there is no ridge."""
        xp = array_namespace(z)
        size = norms(self._left(z), self.partition)
        weights = self._weights_like(size)
        excess = xp.maximum(size - self._group * weights, xp.zeros_like(size))
        if self._ridge > 0:
            # A free group is projected before this is asked; its dual is zero up to rounding.
            safe = xp.where(weights > 0, weights, xp.ones_like(size))
            return xp.sum(xp.where(weights > 0, excess * excess / (2.0 * self._ridge * safe), 0.0 * excess))
        outside = xp.any((weights > 0) & (excess > OUTSIDE * (self._group * weights + self._entry)))
        return xp.where(outside, xp.asarray(float("inf"), dtype=z.dtype), xp.zeros((), dtype=z.dtype))

    def kkt_residual(self, v: Array, grad: Array) -> Array:
        """Return each group's distance from stationarity, in the gate shape (docs/math.md, §4); v is admissible.

        With ``λ = αρ(1−κ)ω_g`` and ``μ = αρκ``: on the support the norm of
        ``g + λ·(2/D)‖v_g‖^{2/D−2} v + μ·sign(v) + α(1−ρ)ω_g v`` where ``v_j ≠ 0`` and of ``soft(−g, μ)`` where
        ``v_j = 0``; off it ``max(‖soft(−g_g, μ)‖ − λ, 0)``. For D ≥ 3 zero is always a strict local minimum, so there
        the residual off the support is 0.
        """
        xp = array_namespace(v)
        size = norms(v, self.partition)
        weights = self._weights_like(size)
        safe = xp.where(size > 0, size, xp.ones_like(size))
        unit = v / self.partition.spread(safe, v)
        slope = weights * self._group * (2.0 / self.depth) * safe ** (2.0 / self.depth - 1.0)
        ridge = self.partition.spread(weights * self._ridge, v) * v
        gradient = grad + self.partition.spread(slope, v) * unit + ridge
        left = self._left(-grad)
        if self._thresholds:
            gradient = xp.where(v != 0, gradient + self._entries(v) * xp.sign(v), left)
        on = norms(gradient, self.partition)
        off = xp.maximum(norms(left, self.partition) - self._group * weights, xp.zeros_like(size))
        if self.depth > 2:
            off = xp.where(weights > 0, xp.zeros_like(size), off)
        return xp.where(size > 0, on, off)

    def prox_residual(self, v: Array, grad: Array, step: float = 1.0) -> Array:
        """Return ``|v − prox_{τα}(v − τ g)|/τ`` by coordinate: zero where KKT holds, continuous in v."""
        return array_namespace(v).abs(v - self.prox(v - step * grad, step)) / step

    @property
    def _group(self) -> float:
        return self.alpha * self.l1_ratio * (1.0 - self.within_ratio)

    @property
    def _entry(self) -> float:
        return self.alpha * self.l1_ratio * self.within_ratio

    @property
    def _ridge(self) -> float:
        return self.alpha * (1.0 - self.l1_ratio)

    @property
    def _thresholds(self) -> bool:
        """Whether entries are treated one by one before their groups are."""
        return self.within_ratio > 0 or self.positive is not False

    def _entries(self, v: Array) -> Array:
        """Return the threshold of each entry in the shape of ``v``: ``αρκ``, and 0 in free groups."""
        xp = array_namespace(v)
        size = norms(v, self.partition)
        penalised = self._weights_like(size) > 0
        return self.partition.spread(xp.where(penalised, self._entry + 0.0 * size, 0.0 * size), v)

    def _left(self, z: Array, step: float = 1.0) -> Array:
        """Return what the soft thresholds of single entries leave of ``z``."""
        return soft(z, step * self._entries(z), self.positive) if self._thresholds else z

    def _roots(self, z: Array, weights: Array) -> Array:
        """Return the root t of ``‖soft(z_g, κt)‖ = (1 − κ) ω_g t`` for each group.

        The difference of both sides is convex and falling, so Newton's method from below never passes its root.
        Source: E. Ndiaye et al., NeurIPS 2016, on the ε-norm (who sort instead).
        """
        xp = array_namespace(z)
        kappa, own = self.within_ratio, (1.0 - self.within_ratio) * weights
        count = self.partition.gather(xp.ones_like(z))
        t = norms(z, self.partition) / (kappa * xp.sqrt(xp.maximum(count, xp.ones_like(count))) + own)
        for _ in range(MOST_STEPS):
            left = soft(z, kappa * self.partition.spread(t, z))
            size = norms(left, self.partition)
            safe = xp.where(size > 0, size, xp.ones_like(size))
            slope = kappa * self.partition.gather(xp.abs(left)) / safe + own
            step = xp.maximum(size - own * t, xp.zeros_like(t)) / xp.where(slope > 0, slope, xp.ones_like(slope))
            t = t + step
            if not bool(xp.any(step > CONVERGED * t)):
                break
        return t

    def _weights_like(self, size: Array) -> Array:
        return self.weights * array_namespace(size).ones_like(size)

    def _need_depth_two(self, what: str) -> None:
        if self.depth != 2:
            raise InputError(f"{what} is defined for depth 2, and the depth is {self.depth}; use kkt_residual")


def soft(z: Array, threshold: Array | float, positive: Array | bool = False) -> Array:
    """Return ``sign(z)·max(|z| − threshold, 0)``, and no negative number where ``positive``.

    >>> import numpy as np
    >>> soft(np.array([3.0, -3.0]), 1.0).tolist(), soft(np.array([3.0, -3.0]), 1.0, True).tolist()
    ([2.0, -2.0], [2.0, 0.0])
    """
    xp = array_namespace(z)
    none = xp.zeros_like(z)
    above = xp.maximum(z - threshold, none)
    if positive is True:
        return above
    below = xp.maximum(-z - threshold, none)
    return above - (below if positive is False else xp.where(positive, none, below))


def alpha_max(grad_at_null: Array, penalty: Penalty) -> float:
    """Return the smallest alpha at which every penalised coefficient is zero; infinite for a ridge, which has none.

    ``grad_at_null`` is the gradient of the data term at ``v = 0``, with the free coefficients fitted.
    """
    return float(penalty.dual_norm(-grad_at_null))
