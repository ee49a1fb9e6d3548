"""Norms and sizes of groups."""

from __future__ import annotations

from array_api_compat import array_namespace

from spred.core.partition.protocol import Array, Partition
from spred.core.partition.singles import SINGLES, Singles


def norms(v: Array, partition: Partition = SINGLES) -> Array:
    """Return ``‖v_g‖₂`` for each group, in the gate shape (``|v|`` where every coordinate is alone)."""
    xp = array_namespace(v)
    if isinstance(partition, Singles):
        return xp.abs(v)
    return xp.sqrt(partition.gather(v * v))


def sizes(v: Array, partition: Partition = SINGLES) -> Array:
    """Return the number of coordinates in each group, in the gate shape and in ``v``'s dtype."""
    return partition.gather(array_namespace(v).ones_like(v))
