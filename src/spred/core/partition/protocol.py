"""What every partition can do: two methods, with which everything about groups is written."""

from __future__ import annotations

from typing import Any, Protocol

Array = Any
"""A NumPy array or a torch tensor."""


class Partition(Protocol):
    """The two methods of every partition."""

    def gather(self, x: Array) -> Array:
        """Sum ``x`` over each group; the result has the gate shape."""

    def spread(self, gate: Array, like: Array) -> Array:
        """Give each coordinate of ``like`` the number of its group."""
