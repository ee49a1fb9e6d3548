"""Changes of factors by hand: written weights are split again, groups become zero, are pruned, or regrow.

Around each of them the decay budget goes on, and what the base remembers about the rewritten groups is void.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from spred.errors import SpredWarning
from spred.nn.optimizer.divergence import check_finite
from spred.nn.optimizer.factored import Factored, measurable_imbalance, resplit_factors
from spred.nn.optimizer.regrowth import prune_groups_, regrow_groups_
from spred.nn.optimizer.wrapped.wrapping import clear_moments
from spred.nn.penalties import zero_groups_
from spred.nn.sharding import count, equal


class Rewriting:
    """What changes factors outside the base's steps.

    Args:
        base: the wrapped optimiser, whose moments follow.
        balanced: as in :func:`spred.core.factorization.split`.
    """

    def __init__(self, base: torch.optim.Optimizer, *, balanced: bool) -> None:
        self.base = base
        self.balanced = balanced
        self._has_told = False

    def resplit(self, entry: Factored, n_steps: int) -> None:
        """Take over what was written into the tensor from outside.

        Raises:
            StateError: it is not finite.
        """
        if not equal(entry.place.value(), entry.product()):
            check_finite([entry], n_steps)
            entry.take_over_zeros()
            factors, void = resplit_factors(entry, self.balanced)
            with self._around(entry, void):
                for factor, value in zip(entry.factors, factors, strict=True):
                    factor.copy_(value)
        entry.remember()

    def zero(self, entry: Factored, groups: Tensor) -> None:
        """Set groups (bool, gate shape) to zero for good: tensor, factors and the base's moments."""
        with self._around(entry, groups):
            zero_groups_(entry.factors, groups, entry.partition)
            entry.hold_groups(groups)
        entry.write()

    def prune(self, entry: Factored, groups: Tensor) -> None:
        """Bring groups to zero, from where they can regrow; the base forgets its moments there."""
        if count(groups):
            with self._around(entry, groups):
                prune_groups_(entry, groups)
            entry.write()

    def regrow(self, entry: Factored, groups: Tensor, mean: Tensor) -> None:
        """Let groups grow along the negative mean gradient; the base forgets its moments there."""
        if count(groups):
            with self._around(entry, groups):
                regrow_groups_(entry, groups, mean)
            entry.write()

    @contextmanager
    def _around(self, entry: Factored, groups: Tensor) -> Iterator[None]:
        """The decay budget goes on, and the moments of ``groups`` are void."""
        budget = entry.budget()
        yield
        self._clear(entry, groups)
        entry.imbalance, entry.budget_before = measurable_imbalance(entry.factors, entry.partition), budget

    def _clear(self, entry: Factored, groups: Tensor) -> None:
        """Drop what the base remembers about groups (bool, gate shape) whose factors were rewritten.

        Warns:
            SpredWarning: that is more than these groups; said once.
        """
        if isinstance(self.base, torch.optim.LBFGS):
            self.base.state.clear()  # its history joins all coordinates, so it ends when one is rewritten
        elif count(groups):
            *gates, full = entry.factors
            dropped = [key for gate in gates for key in clear_moments(self.base.state[gate], gate, groups)]
            dropped += clear_moments(self.base.state[full], full, entry.partition.spread(groups, full))
            if dropped and not self._has_told:
                self._has_told = True
                warnings.warn(
                    f"{type(self.base).__name__} keeps {', '.join(sorted(set(dropped)))}, which cannot be set to zero "
                    f"for some weights alone; so where weights of {entry.name} or another tensor are set to zero or "
                    "regrow, all that it remembers of that tensor is dropped",
                    SpredWarning,
                    stacklevel=5,
                )
