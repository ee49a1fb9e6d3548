"""One penalised tensor and the factors that stand for it: what :class:`SpredOptimizer` keeps for each tensor.

The factors follow the tensor when it is written from outside, and remember how much of their decay is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite, log, nan
from typing import Any

import torch
from torch import Tensor, nn

from spred.core.factorization import Factors, merge
from spred.core.partition import SINGLES, Partition, norms
from spred.errors import InputError
from spred.nn.joined import Place
from spred.nn.kept_zeros import (
    first_split,
    groups_within,
    scale_in_use,
    tell_of_zeros,
    zeros_among_others,
    zeros_to_keep,
)
from spred.nn.optimizer.gradients import (
    Number,
    deep_gradients,
    divisor_buffer,
    fits_loop,
    loop_gradients,
    pair_gradients,
)
from spred.nn.optimizer.preconditioner import PEAK_DECAY, damping_constant
from spred.nn.penalties import Target, factor_dtype, split_exactly
from spred.nn.sharding import count, number, whole

SAMPLE_SIZE, RUN_LENGTH = 512, 16
"""Values of a tensor that each step compares to notice writes that torch does not count; so many in a row.

More notice smaller writes and cost more of each step; ``scripts/bench torch-steps`` measures the step.
"""

ROUNDING = 16.0
"""An imbalance below so many roundings of the factors' squares is none: more, and small ones are not measured any more;
fewer, and rounding counts as imbalance (tests of factored)."""

COSTLIEST = 2.0
"""Factors are kept after a write if their penalty is at most so many times that of a fresh split.

Larger keeps more of the optimiser's moments, smaller keeps factors nearer to balance;
tests/nn/optimizer/test_factored.py holds it.
"""


@dataclass(eq=False)
class Factored:
    """A penalised tensor and the factors that stand for it in the base optimiser.

    Attributes:
        name: what messages call the tensor.
        target: the tensor, its penalty, its partition.
        factors: ``(gate, …, gate, full)``.
        scale: the typical group norm when the tensor was first split: the unit in which a weight is small.
        imbalance: :func:`imbalance_of` of the factors when they were last split.
        budget_before: the decay budget used up before that split; NaN where it cannot be measured. Where the split had
            no imbalance to lose, the budget stays at this.
        versions: addresses and versions of the tensors when the factors last agreed with them.
        sample: some of their values at that time, where they can be read without waiting for a device or a process.
        collapsed: whether all weights were at zero at the last check (:mod:`spred.nn.optimizer.divergence`).
        peak_gradient: the largest gradient norm of a group, its penalty's with it; older ones decay.
        held: weights that stay zero although their group is not, or whatever the optimiser does (bool); None if none.
        n_kept_zeros: how many weights were zero at the first split, and stay zero.
        holds_zeros: whether every zero is in ``held``: the optimiser moves weights whose gradient is zero.
        damping: what is added to the speed before gradients are divided by it, at the present learning rate.
    """

    name: str
    target: Target
    factors: tuple[nn.Parameter, ...]
    scale: float
    imbalance: float
    budget_before: float
    versions: tuple[tuple[int, int], ...] | None = None
    sample: list[Tensor] | None = None
    collapsed: bool = False
    peak_gradient: float = 0.0
    held: Tensor | None = None
    holds_zeros: bool = False
    n_kept_zeros: int = 0
    damping: float = field(init=False)
    _buffers: list[Tensor] = field(default_factory=list, init=False, repr=False)
    _divisor: Tensor | None = field(default=None, init=False, repr=False)
    _sampled: list[Tensor] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        self.update_damping(0.0)

    @property
    def place(self) -> Place:
        """The model's own tensor, or the tensors that are joined."""
        return self.target.place

    @property
    def partition(self) -> Partition:
        """Which coordinates share a gate."""
        return self.target.partition

    def product(self) -> Tensor:
        """Return the product of the factors in the tensor's dtype."""
        merged: Tensor = merge(self.factors, self.partition)
        return merged.to(self.place.dtype)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy needs: no memory that is shared with the tensor, nor what it was at the last step."""
        return vars(self) | {"versions": None, "sample": None, "_sampled": [], "_buffers": [], "_divisor": None}

    # --- the tensor and its factors ---------------------------------------------------------------------------

    def remember(self) -> None:
        """Remember the tensor as it is now, when it is the product of the factors."""
        versions = self.place.versions()
        if self.versions is None or [at for at, _ in self.versions] != [at for at, _ in versions]:
            self._sampled, self.sample = self._views_to_sample(), None
        self.versions = versions
        if self.sample is None:
            self.sample = [view.clone() for view in self._sampled]
        else:
            for old, new in zip(self.sample, self._sampled, strict=True):
                old.copy_(new)

    def was_written(self) -> bool:
        """Return whether the tensor has changed since :meth:`remember`.

        Torch counts writes, but not those through ``.data``, which averaging tools like: these show in the sample.
        """
        if self.versions != self.place.versions():
            return True
        pairs = zip(self.sample or (), self._sampled, strict=False)
        return not all(torch.equal(old, new) for old, new in pairs)

    def _views_to_sample(self) -> list[Tensor]:
        """Return views of some values of each tensor; none where that would wait for others."""
        if self.factors[0].device.type != "cpu" or self.place.sharded:
            return []
        return [view for tensor in self.place.tensors for view in sampled(tensor.detach())]

    def write(self) -> None:
        """Put the product of the factors into the tensor."""
        gate, full = self.factors[0], self.factors[-1]
        self.hold()
        if len(self.factors) == 2 and self.shares_memory:
            torch.mul(self.partition.spread(gate, full), full, out=self.place.tensors[0])
        else:
            self.place.write_(self.product())
        self.after_write()

    def hold(self) -> None:
        """Set the full factor to zero where weights stay zero."""
        if self.held is not None:
            self.factors[-1].masked_fill_(self.held, 0.0)

    def take_over_zeros(self) -> None:
        """Hold the zeros that are in the tensor now, where zero factors would not do, and no others."""
        if self.partition is SINGLES and not self.holds_zeros:
            return
        value = self.place.value()
        zeros = zeros_to_keep(self.place, self.partition) & (value != self.product())
        held = zeros if self.held is None else (self.held | zeros) & (value == 0)
        self.held = self._to_hold(held)

    def hold_groups(self, groups: Tensor) -> None:
        """Hold groups that were set to zero for good, where zero factors would not do."""
        if self.holds_zeros:
            zeros = self.partition.spread(groups, self.factors[-1])
            self.held = zeros.clone() if self.held is None else self.held | zeros

    def _to_hold(self, zeros: Tensor) -> Tensor | None:
        """Return what of these zeros has to be held; None if nothing."""
        zeros = zeros if self.holds_zeros else zeros_among_others(zeros, self.partition)
        return zeros if count(zeros) else None

    def after_write(self) -> None:
        """Remember the tensor, which is the product of the factors again; it does not hold a gradient any more."""
        if self.shares_memory:
            self.factors[-1].grad = None
        self.remember()

    # --- gradients of the factors -----------------------------------------------------------------------------

    @property
    def shares_memory(self) -> bool:
        """Whether the full factor's gradient lies in the tensor itself until the product is written.

        Nobody needs the tensor in that time. It must be one, whole, and of the factors' dtype.
        """
        place = self.place
        return place.dtype == self.factors[-1].dtype and not place.joined and not place.sharded

    def attach_buffers(self, wanted: bool) -> list[Tensor]:
        """Give the factors buffers as their gradients, the same at every step; none if there are no gradients."""
        if not wanted:
            for factor in self.factors:
                factor.grad = None
            return []
        shared = [self.place.tensors[0].detach()] if self.shares_memory else []
        n_own = len(self.factors) - len(shared)
        if len(self._buffers) != n_own:  # at first, and after the model has changed its dtype
            self._buffers = [torch.empty_like(factor) for factor in self.factors[:n_own]]
        buffers = [*self._buffers, *shared]
        for factor, buffer in zip(self.factors, buffers, strict=True):
            factor.grad = buffer
        return buffers

    def measure_gradient(self) -> None:
        """Bring :attr:`peak_gradient` up to date: the loss's gradient and the penalty's, group by group."""
        grad, rate = self.grad(), self.target.penalty.alpha * self.target.weights
        largest = 0.0 if grad is None else number((norms(grad, self.partition) + rate).max())
        self.peak_gradient = max(PEAK_DECAY * self.peak_gradient, largest if isfinite(largest) else 0.0)

    def update_damping(self, step_size: float) -> None:
        """Set the damping for steps of the base that are so many times the gradient in the long run."""
        self.damping = damping_constant(self.scale, len(self.factors), step_size * self.peak_gradient)

    def set_gradients(self, *, precondition: bool) -> None:
        """Give each factor its gradient: the loss's, pulled back, plus the penalty's, both divided if so asked."""
        grad = self.grad()
        buffers = self.attach_buffers(grad is not None)
        damping = self.damping if precondition else None
        if grad is None or len(buffers) > 2:
            self.fill_gradients(self.target.penalty.alpha, damping)
            return
        of_gate, of_full = buffers
        rate = self.target.penalty.alpha * self.target.weights
        alone = self.partition is SINGLES and not self.place.sharded
        if alone and isinstance(rate, float) and fits_loop((grad, *self.factors, of_gate, of_full)):
            loop_gradients(grad, self.factors, rate, damping, (of_gate, of_full))
            return
        if self._divisor is None:
            self._divisor = divisor_buffer(self.factors[0], self.partition, whole=self.place.sharded)
        pair_gradients(grad, self.factors, self.partition, rate, damping, (of_gate, of_full, self._divisor))

    def fill_gradients(self, alpha: Number, damping: Number | None) -> None:
        """Write the same, at any depth, to the buffers of the factors; undivided where ``damping`` is None.

        A compiled step has both numbers as tensors.
        """
        grad = self.grad()
        if grad is None:
            return
        grads = deep_gradients(grad, self.factors, self.partition, alpha, self.target.weights, damping)
        for factor, value in zip(self.factors, grads, strict=True):
            if factor.grad is not None:
                factor.grad.copy_(value)

    def grad(self) -> Tensor | None:
        """Return the gradient of the loss in the value, in the factors' dtype; None if there is none.

        Raises:
            InputError: it is sparse.
        """
        if any(tensor.grad is not None and tensor.grad.layout != torch.strided for tensor in self.place.tensors):
            raise InputError(f"the gradient of {self.name} is sparse; make its module with sparse=False")
        grad = self.place.grad()
        return None if grad is None else grad.to(self.factors[0].dtype)

    def budget(self) -> float:
        """Return the decay budget B spent so far; see :meth:`SpredOptimizer.decay_budget`."""
        if self.imbalance == 0.0:
            return self.budget_before
        smallest = torch.finfo(self.factors[0].dtype).tiny
        now = max(imbalance_of(self.factors, self.partition), smallest)
        return self.budget_before + max(len(self.factors) / 4 * log(self.imbalance / now), 0.0)


def sampled(tensor: Tensor) -> list[Tensor]:
    """Return a view of some values of a tensor: evenly spaced runs, because neighbours come from memory together."""
    flat = tensor.permute(sorted(range(tensor.ndim), key=tensor.stride, reverse=True)).flatten()
    if flat.data_ptr() != tensor.data_ptr():  # there are gaps, and flatten had to copy
        return []
    n_runs = SAMPLE_SIZE // RUN_LENGTH
    length = flat.numel() // n_runs
    return [flat if length <= RUN_LENGTH else flat[: n_runs * length].view(n_runs, length)[:, :RUN_LENGTH]]


def factorise(
    target: Target, balanced: bool, name: str = "a penalised tensor", *, keep_zeros: bool = True, holds: bool = False
) -> Factored:
    """Return the first split of a target's tensor.

    Args:
        target: what is penalised.
        balanced: as in :func:`spred.core.factorization.split`.
        name: what messages call it.
        keep_zeros: whether exact zeros stay, unless the whole tensor is zero (:mod:`spred.nn.kept_zeros`).
        holds: as :attr:`Factored.holds_zeros`.
    """
    value, partition = target.place.value().to(factor_dtype(target.place.dtype)), target.partition
    zeros = zeros_to_keep(target.place, partition, keep=keep_zeros)
    absent = groups_within(zeros, partition)
    scale = scale_in_use(value, partition, absent)
    factors = first_split(value, target.penalty.depth, partition, absent, scale, balanced=balanced)
    imbalance = 0.0 if balanced else imbalance_of(factors, partition)
    budget = nan if balanced else 0.0
    entry = Factored(name, target, tuple(map(nn.Parameter, factors)), scale, imbalance, budget, holds_zeros=holds)
    entry.held = entry._to_hold(zeros)
    entry.n_kept_zeros = count(zeros)
    return entry


def factorise_all(
    listed: Sequence[Target], names: Sequence[str], *, balanced: bool, keep_zeros: bool, holds: bool
) -> list[Factored]:
    """Return the first split of all targets; arguments as in :func:`factorise`.

    Warns:
        SpredWarning: zeros stay zero; how many.
    """
    factored = [
        factorise(target, balanced, name, keep_zeros=keep_zeros, holds=holds)
        for target, name in zip(listed, names, strict=True)
    ]
    n_weights = sum(entry.factors[-1].numel() for entry in factored)
    tell_of_zeros(sum(entry.n_kept_zeros for entry in factored), n_weights)
    return factored


def resplit_factors(entry: Factored, balanced: bool) -> tuple[Factors, Tensor]:
    """Return factors whose product is the tensor as it is now, and the groups whose moments are void.

    What did not change keeps its factors, and what changed its gates, unless the penalty of its factors would
    then be more than :data:`COSTLIEST` times that of a fresh split: so it is where a gate at zero must leave it.
    """
    partition = entry.partition
    *gates, full = entry.factors
    value = entry.place.value()
    changed, value = value != entry.product(), value.to(full.dtype)
    written = partition.gather(changed.to(full.dtype)) > 0
    zeroed = written & (norms(value, partition) == 0)
    gain = merge((*gates, torch.ones_like(full)), partition)
    kept = (*gates, torch.where(changed, value / gain, full))
    fresh = split_exactly(value, len(kept), partition, balanced=balanced)
    # Written so that the NaN and the infinity of a division by a gate at zero count as too costly.
    renewed = written & ~(_cost(kept, partition) <= COSTLIEST * _cost(fresh, partition))
    masks = [(zeroed, renewed)] * len(gates) + [(partition.spread(zeroed, full), partition.spread(renewed, full))]
    chosen = [
        torch.where(zero, 0.0, torch.where(anew, new, old))
        for (zero, anew), new, old in zip(masks, fresh, kept, strict=True)
    ]
    return tuple(chosen), zeroed | renewed


def imbalance_of(factors: Iterable[Tensor], partition: Partition) -> float:
    """Return the mean of ``|gate² − ‖full‖²|`` over gates of groups that are not zero: what decay makes vanish."""
    *gates, full = (factor.detach() for factor in factors)
    last = partition.gather(full * full)
    gaps = torch.stack([(gate * gate - last).abs() for gate in gates])
    n_nonzero = (torch.stack([*(gate * gate for gate in gates), last]).amax(dim=0) > 0).sum()
    return number(gaps.sum()) / (len(gates) * max(int(whole(n_nonzero)), 1))


def measurable_imbalance(factors: Sequence[Tensor], partition: Partition) -> float:
    """Return :func:`imbalance_of`, or 0 where it is rounding: groups that regrew are balanced, and lose none."""
    cost = _cost(tuple(factors), partition)
    n_nonzero = max(int(whole((cost > 0).sum())), 1)
    found = imbalance_of(factors, partition)
    rounding = ROUNDING * torch.finfo(cost.dtype).eps * number(cost.sum()) / n_nonzero
    return found if found > rounding else 0.0


def _cost(factors: Factors, partition: Partition) -> Tensor:
    """Return ``Σ_k ‖f_k‖²`` of each group."""
    *gates, full = factors
    cost: Tensor = partition.gather(full * full) + sum(gate * gate for gate in gates)
    return cost
