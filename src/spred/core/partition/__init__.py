"""Which coordinates of a tensor share one gate, one norm and one penalty.

A partition has two methods, and everything about groups in spred is written with them: ``gather`` sums a tensor over
each group, ``spread`` copies one number per group back to the group's coordinates. The result of ``gather`` has the
*gate shape*; group weights and scalar gates have it too.

protocol  the two methods
singles   every coordinate alone, plain L1: the gate shape of ``(a, b)`` is ``(a, b)``
axes      one group for each index along kept axes: ``(a, 1)`` for ``(0,)``
labels    any groups, given by integer labels: ``(n_groups,)``
norms     norms and sizes of groups

A new kind of group is a file beside these and a row in ``tests/strategies.py``, which tries every property of the core
on it.
"""

from spred.core.partition.axes import Axes
from spred.core.partition.labels import Labels
from spred.core.partition.norms import norms, sizes
from spred.core.partition.protocol import Array, Partition
from spred.core.partition.singles import SINGLES, Singles

__all__ = ["SINGLES", "Array", "Axes", "Labels", "Partition", "Singles", "norms", "sizes"]
