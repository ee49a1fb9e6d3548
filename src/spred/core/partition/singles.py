"""Every coordinate alone."""

from __future__ import annotations

from dataclasses import dataclass

from spred.core.partition.protocol import Array


@dataclass(frozen=True)
class Singles:
    """Every coordinate is its own group: the plain L1 penalty."""

    def gather(self, x: Array) -> Array:
        """Return ``x``: a group of one is its own sum."""
        return x

    def spread(self, gate: Array, like: Array) -> Array:
        """Return ``gate``: it already has the tensor's shape."""
        return gate

    def __reduce__(self) -> str:
        """Return the name of the one there is: copies are it, so that ``is`` goes on to hold."""
        return "SINGLES"


SINGLES = Singles()
