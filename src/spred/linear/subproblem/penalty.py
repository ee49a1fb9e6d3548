"""Coordinates in consecutive groups, with the levels of their penalties: what Newton's model sees of Ω.

    Σ_g ( λ_g ‖v_g‖₂ + μ_g ‖v_g‖₁ ),    v_j ≥ 0 where ``positive``

A group whose levels are all zero is free. The smooth part of Ω (an elastic net's ridge) belongs to the Hessian.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spred.core.penalties import soft


@dataclass(frozen=True, eq=False)
class Blocks:
    """Levels of G consecutive groups of k coordinates.

    Attributes:
        starts: ``(G,)``, index of each group's first coordinate, rising.
        lam: ``(G,)``, λ of the groups' norms.
        mu: ``(G,)``, μ of the coordinates in each group.
        positive: ``(k,)``, coordinates that must not be negative (none of a free group).
    """

    starts: np.ndarray
    lam: np.ndarray
    mu: np.ndarray
    positive: np.ndarray

    @cached_property
    def sizes(self) -> np.ndarray:
        """Coordinates in each group, ``(G,)``."""
        return np.diff(np.append(self.starts, len(self.positive)))

    @cached_property
    def group(self) -> np.ndarray:
        """The group of each coordinate, ``(k,)``."""
        return np.repeat(np.arange(len(self.starts)), self.sizes)

    @cached_property
    def slices(self) -> list[slice]:
        """The coordinates of each group."""
        return [slice(a, a + size) for a, size in zip(self.starts.tolist(), self.sizes.tolist(), strict=True)]

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the entries of a ``(k, k)`` matrix that lie in the groups' own blocks."""
        rows, columns = np.nonzero(self.group[:, None] == self.group)
        return rows, columns

    @cached_property
    def singles(self) -> bool:
        """Whether every group is one coordinate."""
        return len(self.starts) == len(self.positive)

    @cached_property
    def thresholds(self) -> np.ndarray:
        """μ of each coordinate, ``(k,)``."""
        return np.asarray(self.mu[self.group])

    @cached_property
    def norms_alone(self) -> bool:
        """Whether coordinates are free but for the norm of their group."""
        return not (self.mu.any() or self.positive.any())

    @cached_property
    def separable(self) -> bool:
        """Whether no group binds coordinates together."""
        return self.singles or not self.lam.any()

    @cached_property
    def levels(self) -> np.ndarray:
        """``λ + μ`` of each coordinate, ``(k,)``: its whole penalty where they are ``separable``."""
        return np.asarray(self.lam[self.group] + self.thresholds)

    @cached_property
    def free(self) -> np.ndarray:
        """Groups without a penalty, ``(G,)``."""
        return np.asarray((self.lam == 0) & (self.mu == 0) & ~self.positive[self.starts])

    def of(self, chosen: np.ndarray) -> Blocks:
        """Return the levels of the ``chosen`` groups (bool) alone."""
        sizes = self.sizes[chosen]
        return Blocks(np.cumsum(sizes) - sizes, self.lam[chosen], self.mu[chosen], self.positive[chosen[self.group]])

    def norms(self, x: np.ndarray) -> np.ndarray:
        """Return ‖x_g‖ for each group."""
        return np.abs(x) if self.singles else np.sqrt(np.add.reduceat(x * x, self.starts))

    def value(self, x: np.ndarray) -> float:
        """Return the penalty of ``x``, which is admissible."""
        return float(self.lam @ self.norms(x) + self.thresholds @ np.abs(x))

    def change(self, x: np.ndarray, move: np.ndarray) -> float:
        """Return the penalty at ``x + move`` less that at ``x``, without the cancellation of a difference of sums."""
        there = x + move
        both = self.norms(there) + self.norms(x)
        inner = move * (there + x)
        grown = (inner if self.singles else np.add.reduceat(inner, self.starts)) / np.where(both > 0, both, 1.0)
        return float(self.lam @ grown + self.thresholds @ (np.abs(there) - np.abs(x)))

    def admissible(self, x: np.ndarray) -> np.ndarray:
        """Return ``x`` with zeros in the place of negative numbers where there must be none."""
        return np.where(self.positive & (x < 0), 0.0, x)

    def soft(self, z: np.ndarray, step: np.ndarray | float = 1.0) -> np.ndarray:
        """Return ``z`` soft-thresholded by ``step·μ`` coordinate by coordinate."""
        return z if self.norms_alone else soft(z, step * self.thresholds, self.positive)

    def residuals(self, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Return each group's KKT residual; ``g`` is the gradient of the smooth part. Negative: optimal at zero."""
        size = self.norms(x)
        unit = x / np.where(size > 0, size, 1.0)[self.group]
        left = self.soft(-g)
        stationary = np.where(x != 0, g + self.lam[self.group] * unit + self.thresholds * np.sign(x), left)
        return np.where((size > 0) | self.free, self.norms(stationary), self.norms(left) - self.lam)
