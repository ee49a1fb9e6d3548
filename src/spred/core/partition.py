"""Which coordinates of a tensor share one gate, one norm and one penalty.

A partition has two methods, and everything about groups in spred is written with them: ``gather`` sums a tensor over
each group, ``spread`` copies one number per group back to the group's coordinates. The result of ``gather`` has the
*gate shape*; group weights and scalar gates have it too.

==========  =======================================  =========================
partition   groups                                   gate shape for ``(a, b)``
==========  =======================================  =========================
Singles     every coordinate alone (plain L1)        ``(a, b)``
Axes        one group per index along kept axes      ``(a, 1)`` for ``(0,)``
Labels      any partition, given by integer labels   ``(n_groups,)``
==========  =======================================  =========================
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

from array_api_compat import array_namespace, is_torch_array

from spred.errors import InputError

Array = Any
"""A NumPy array or a torch tensor."""


class Partition(Protocol):
    """The two methods of every partition."""

    def gather(self, x: Array) -> Array:
        """Sum ``x`` over each group; the result has the gate shape."""

    def spread(self, gate: Array, like: Array) -> Array:
        """Give each coordinate of ``like`` the number of its group."""


@dataclass(frozen=True)
class Singles:
    """Every coordinate is its own group: the plain L1 penalty."""

    def gather(self, x: Array) -> Array:
        """Return ``x``: a group of one is its own sum."""
        return x

    def spread(self, gate: Array, like: Array) -> Array:
        """Return ``gate``: it already has the tensor's shape."""
        return gate


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


SINGLES = Singles()


def norms(v: Array, partition: Partition = SINGLES) -> Array:
    """Return ``‖v_g‖₂`` for each group, in the gate shape (``|v|`` where every coordinate is alone)."""
    xp = array_namespace(v)
    if isinstance(partition, Singles):
        return xp.abs(v)
    return xp.sqrt(partition.gather(v * v))


def sizes(v: Array, partition: Partition = SINGLES) -> Array:
    """Return the number of coordinates in each group, in the gate shape and in ``v``'s dtype."""
    return partition.gather(array_namespace(v).ones_like(v))
