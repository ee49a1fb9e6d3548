"""The penalties that the factors stand for: value, prox, dual norm, KKT residual, largest useful alpha.

One record covers L1, weighted and group L1 and the elastic net; the partition says which:

    Ω(v) = α Σ_g ω_g ( ρ ‖v_g‖₂ + (1 − ρ)/2 · ‖v_g‖₂² ),    ρ = l1_ratio

(docs/math.md, §2 and §4). A group with ``ω_g = 0`` is free. Depth D ≥ 3 replaces ``‖v_g‖`` by
``‖v_g‖^{2/D}``; it exists for networks only, and only with ρ = 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from array_api_compat import array_namespace

from spred.core.partition import SINGLES, Array, Partition, norms
from spred.errors import InputError


@dataclass(frozen=True, eq=False)
class Penalty:
    """Parameters of Ω: ``alpha`` ≥ 0, ``l1_ratio`` ρ in (0, 1], ``weights`` ω in the gate shape, groups."""

    alpha: float
    l1_ratio: float = 1.0
    weights: Array | float = 1.0
    partition: Partition = field(default=SINGLES)
    depth: int = 2

    def __post_init__(self) -> None:
        if not (self.alpha >= 0 and isfinite(self.alpha)):
            raise InputError(f"alpha is {self.alpha}; give a finite number that is not negative")
        if not 0 < self.l1_ratio <= 1:
            raise InputError(f"l1_ratio is {self.l1_ratio}; give a number above 0 and at most 1")
        if self.depth > 2 and self.l1_ratio < 1:
            raise InputError(f"depth {self.depth} has no elastic net; set l1_ratio=1 or depth=2")

    def value(self, v: Array) -> Array:
        """Return Ω(v)."""
        size = norms(v, self.partition)
        sparse = size if self.depth == 2 else size ** (2.0 / self.depth)
        return array_namespace(v).sum(self.weights * (self._l1 * sparse + 0.5 * self._ridge * size * size))

    def prox(self, v: Array, step: float = 1.0) -> Array:
        """Return ``argmin_z ½‖z − v‖² + step·Ω(z)``: soft thresholding of each group's norm (depth 2)."""
        self._need_depth_two("prox")
        xp = array_namespace(v)
        size = norms(v, self.partition)
        threshold = step * self._l1 * self.weights
        safe = xp.where(size > 0, size, xp.ones_like(size))
        kept = xp.where(size > threshold, 1.0 - threshold / safe, xp.zeros_like(size))
        shrunk = kept / (1.0 + step * self._ridge * self.weights)
        return self.partition.spread(shrunk, v) * v

    def dual_norm(self, z: Array) -> Array:
        """Return ``max_g ‖z_g‖ / (ρ ω_g)`` over penalised groups; at most α where z is dual feasible."""
        xp = array_namespace(z)
        size = norms(z, self.partition)
        weights = self._weights_like(size)
        penalised = weights > 0
        ratio = xp.where(penalised, size / xp.where(penalised, weights, xp.ones_like(size)), xp.zeros_like(size))
        return xp.max(ratio) / self.l1_ratio

    def conjugate(self, z: Array) -> Array:
        """Return Ω*(z); infinite outside the dual ball when there is no ridge to pay with."""
        xp = array_namespace(z)
        size = norms(z, self.partition)
        weights = self._weights_like(size)
        excess = xp.maximum(size - self._l1 * weights, xp.zeros_like(size))
        if self._ridge > 0:
            # A free group is projected before this is asked; its dual is zero up to rounding.
            safe = xp.where(weights > 0, weights, xp.ones_like(size))
            return xp.sum(xp.where(weights > 0, excess * excess / (2.0 * self._ridge * safe), 0.0 * excess))
        outside = xp.any((weights > 0) & (excess > 1e-12 * self._l1 * weights))
        return xp.where(outside, xp.asarray(float("inf"), dtype=z.dtype), xp.zeros((), dtype=z.dtype))

    def kkt_residual(self, v: Array, grad: Array) -> Array:
        """Return each group's distance from stationarity, in the gate shape (docs/math.md, §4).

        ``‖g_g + α ω_g ((2/D)·‖v_g‖^{2/D−2} ρ v_g + (1−ρ) v_g)‖`` on the support, ``max(‖g_g‖ − α ρ ω_g, 0)``
        off it. For D ≥ 3 zero is always a strict local minimum, so there the residual off the support is 0.
        """
        xp = array_namespace(v)
        size = norms(v, self.partition)
        weights = self._weights_like(size)
        safe = xp.where(size > 0, size, xp.ones_like(size))
        unit = v / self.partition.spread(safe, v)
        pull = weights * self._l1 * (2.0 / self.depth) * safe ** (2.0 / self.depth - 1.0)
        ridge = self.partition.spread(weights * self._ridge, v) * v
        on = norms(grad + self.partition.spread(pull, v) * unit + ridge, self.partition)
        off = xp.maximum(norms(grad, self.partition) - self._l1 * weights, xp.zeros_like(size))
        if self.depth > 2:
            off = xp.where(weights > 0, xp.zeros_like(size), off)
        return xp.where(size > 0, on, off)

    def prox_residual(self, v: Array, grad: Array, step: float = 1.0) -> Array:
        """Return ``|v − prox_{τα}(v − τ g)|/τ`` by coordinate: zero where KKT holds, continuous in v."""
        return array_namespace(v).abs(v - self.prox(v - step * grad, step)) / step

    @property
    def _l1(self) -> float:
        return self.alpha * self.l1_ratio

    @property
    def _ridge(self) -> float:
        return self.alpha * (1.0 - self.l1_ratio)

    def _weights_like(self, size: Array) -> Array:
        return self.weights * array_namespace(size).ones_like(size)

    def _need_depth_two(self, what: str) -> None:
        if self.depth != 2:
            raise InputError(f"{what} is defined for depth 2, and the depth is {self.depth}; use kkt_residual")


def alpha_max(grad_at_null: Array, penalty: Penalty) -> float:
    """Return the smallest alpha at which every penalised coefficient is zero.

    ``grad_at_null`` is the gradient of the data term at ``v = 0``, with the free coefficients fitted.
    """
    return float(penalty.dual_norm(grad_at_null))
