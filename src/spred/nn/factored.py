"""One penalised tensor and the factors that stand for it: what :class:`SpredOptimizer` keeps for each tensor.

The factors follow the tensor when it is written from outside, and remember how much of their decay is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import log, nan

import torch
from torch import Tensor, nn

from spred.core.factors import Factors, merge
from spred.core.partition import Partition, norms
from spred.nn.groups import Target, factor_dtype, split_exactly


@dataclass(eq=False)
class Factored:
    """A penalised tensor and the factors that stand for it in the base optimiser.

    Attributes:
        target: the tensor, its penalty, its partition.
        factors: ``(gate, …, gate, full)``.
        imbalance: :func:`imbalance_of` of the factors when they were last split.
        spent: the decay budget used up before that split; NaN where it cannot be measured.
    """

    target: Target
    factors: tuple[nn.Parameter, ...]
    imbalance: float
    spent: float

    @property
    def tensor(self) -> Tensor:
        """The model's own tensor."""
        return self.target.tensor

    @property
    def partition(self) -> Partition:
        """Which coordinates share a gate."""
        return self.target.partition

    def product(self) -> Tensor:
        """Return the product of the factors in the tensor's dtype."""
        return merge(self.factors, self.partition).to(self.tensor.dtype)

    def budget(self) -> float:
        """Return the decay budget B spent so far; see :meth:`SpredOptimizer.decay_budget`."""
        if self.imbalance == 0.0:
            return self.spent
        floor = torch.finfo(self.factors[0].dtype).tiny
        now = max(imbalance_of(self.factors, self.partition), floor)
        return self.spent + len(self.factors) / 4 * log(self.imbalance / now)


def factorise(target: Target, balanced: bool) -> Factored:
    """Return the first split of a target's tensor."""
    value = target.tensor.detach().to(factor_dtype(target.tensor))
    factors = split_exactly(value, target.penalty.depth, target.partition, balanced=balanced)
    imbalance = 0.0 if balanced else imbalance_of(factors, target.partition)
    return Factored(target, tuple(map(nn.Parameter, factors)), imbalance, spent=nan if balanced else 0.0)


def follow(entry: Factored, balanced: bool) -> tuple[Factors, Tensor]:
    """Return factors whose product is the tensor as it is now, and the groups whose moments are void.

    What did not change keeps its factors, and what changed its gates, unless the penalty of its factors would
    then be more than twice that of a fresh split: so it is where a closed gate must open again.
    """
    partition = entry.partition
    *gates, full = entry.factors
    value = entry.tensor.detach().to(full.dtype)
    changed = entry.tensor != entry.product()
    written = partition.gather(changed.to(full.dtype)) > 0
    dead = written & (norms(value, partition) == 0)
    gain = merge((*gates, torch.ones_like(full)), partition)
    kept = (*gates, torch.where(changed, value / gain, full))
    fresh = split_exactly(value, len(kept), partition, balanced=balanced)
    # Written so that the NaN and the infinity of a division by a closed gate count as too dear.
    renewed = written & ~(_cost(kept, partition) <= 2.0 * _cost(fresh, partition))
    masks = [(dead, renewed)] * len(gates) + [(partition.spread(dead, full), partition.spread(renewed, full))]
    chosen = [
        torch.where(zero, 0.0, torch.where(anew, new, old))
        for (zero, anew), new, old in zip(masks, fresh, kept, strict=True)
    ]
    return tuple(chosen), dead | renewed


def _cost(factors: Factors, partition: Partition) -> Tensor:
    """Return ``Σ_k ‖f_k‖²`` of each group."""
    *gates, full = factors
    return partition.gather(full * full) + sum(gate * gate for gate in gates)


def imbalance_of(factors: Iterable[Tensor], partition: Partition) -> float:
    """Return the mean of ``|gate² − ‖full‖²|`` over gates of open groups: what decay makes vanish."""
    *gates, full = (factor.detach() for factor in factors)
    last = partition.gather(full * full)
    gaps = torch.stack([(gate * gate - last).abs() for gate in gates])
    n_open = (torch.stack([*(gate * gate for gate in gates), last]).amax(dim=0) > 0).sum()
    return float(gaps.sum() / (len(gates) * n_open.clamp(min=1)))
