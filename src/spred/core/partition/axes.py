"""Groups along the axes of a tensor: rows, columns, filters."""

from __future__ import annotations

from dataclasses import dataclass

from array_api_compat import array_namespace

from spred.core.partition.protocol import Array


@dataclass(frozen=True)
class Axes:
    """One group for each index along the axes in ``keep``: rows or filters ``(0,)``, columns ``(1,)``."""

    keep: tuple[int, ...]

    def gather(self, x: Array) -> Array:
        """Sum over the axes that are not kept; they stay with length 1."""
        kept = {k % x.ndim for k in self.keep}
        summed = tuple(axis for axis in range(x.ndim) if axis not in kept)
        if not summed:
            return x
        return array_namespace(x).sum(x, axis=summed, keepdims=True)

    def spread(self, gate: Array, like: Array) -> Array:
        """Broadcast the gate over the summed axes."""
        return array_namespace(gate).broadcast_to(gate, like.shape)
