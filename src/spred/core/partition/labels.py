"""Any groups, given by integer labels."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from array_api_compat import array_namespace, is_torch_array

from spred.core.partition.protocol import Array
from spred.errors import InputError


@dataclass(frozen=True, eq=False)
class Labels:
    """Any partition: ``labels`` holds each coordinate's group, 0 … n_groups − 1.

    It has the tensor's shape, or that of its leading axes: then all that stands under one label's row is in its group.
    Labels live where the tensor lives (an integer NumPy array, or an integer torch tensor on its device).
    """

    labels: Array
    n_groups: int

    def __post_init__(self) -> None:
        if prod(self.labels.shape) == 0:
            if self.n_groups == 0:
                return
            raise InputError("group labels are empty; give one label for each coordinate")
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= self.n_groups:
            raise InputError(
                f"group labels run from {low} to {high}, outside 0 … {self.n_groups - 1}; number the groups from 0"
            )

    def gather(self, x: Array) -> Array:
        """Sum over each label; a vector of length ``n_groups``."""
        xp = array_namespace(x)
        if x.ndim > self.labels.ndim:
            x = xp.sum(x, axis=tuple(range(self.labels.ndim, x.ndim)))
        flat, labels = xp.reshape(x, (-1,)), xp.reshape(self.labels, (-1,))
        if is_torch_array(x):
            return xp.zeros(self.n_groups, dtype=x.dtype, device=x.device).index_add(0, labels, flat)
        # The array standard has no scatter; bincount is NumPy's (float64 inside).
        return xp.bincount(labels, weights=flat, minlength=self.n_groups).astype(x.dtype, copy=False)

    def spread(self, gate: Array, like: Array) -> Array:
        """Take for each coordinate the number of its group."""
        xp = array_namespace(gate)
        taken = xp.take(gate, xp.reshape(self.labels, (-1,)), axis=0)
        if like.ndim == self.labels.ndim:
            return xp.reshape(taken, like.shape)
        ones = (1,) * (like.ndim - self.labels.ndim)
        return xp.broadcast_to(xp.reshape(taken, (*self.labels.shape, *ones)), like.shape)
