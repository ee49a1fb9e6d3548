"""One penalised tensor and the factors that stand for it: what :class:`SpredOptimizer` keeps for each tensor.

The factors follow the tensor when it is written from outside, and remember how much of their decay is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite, log, nan

import torch
from torch import Tensor, nn

from spred.core.factorization import Factors, merge
from spred.core.partition import SINGLES, Partition, norms
from spred.errors import InputError
from spred.nn.joined import Place
from spred.nn.optimizer import passes
from spred.nn.optimizer.gradients import Number, deep_gradients, pair_gradients, scratch
from spred.nn.optimizer.preconditioner import FADE, saturation
from spred.nn.penalties import Target, factor_dtype, split_exactly
from spred.nn.sharding import number, typical_norm, whole

PROBED, RUN = 512, 16
"""Values of a tensor that are compared at each step to notice writes that torch does not count; so many in a row."""


@dataclass(eq=False)
class Factored:
    """A penalised tensor and the factors that stand for it in the base optimiser.

    Attributes:
        name: what messages call the tensor.
        target: the tensor, its penalty, its partition.
        factors: ``(gate, …, gate, full)``.
        scale: the typical group norm when the tensor was first split: the unit in which a weight is small.
        imbalance: :func:`imbalance_of` of the factors when they were last split.
        spent: the decay budget used up before that split; NaN where it cannot be measured.
        steepest: the largest gradient norm of a group that was seen, its penalty's with it, fading.
        constant: of the metric, at the present learning rate.
        seen: address and version of the tensor when the factors last agreed with it.
        probe: some of its values at that time, where they can be read without waiting for a device or a process.
        dead: whether all weights were at zero when :mod:`spred.nn.optimizer.watch` last looked.
    """

    name: str
    target: Target
    factors: tuple[nn.Parameter, ...]
    scale: float
    imbalance: float
    spent: float
    seen: tuple[tuple[int, int], ...] | None = None
    probe: list[Tensor] | None = None
    dead: bool = False
    steepest: float = 0.0
    constant: float = field(init=False)
    _memory: list[Tensor] = field(default_factory=list, init=False, repr=False)
    _divisor: Tensor | None = field(default=None, init=False, repr=False)
    _samples: list[Tensor] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        self.adjust(0.0)

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
        return merge(self.factors, self.partition).to(self.place.dtype)

    def agree(self) -> None:
        """Remember the tensor as it is now, when it is the product of the factors."""
        mark = self.place.mark()
        if self.seen is None or [at for at, _ in self.seen] != [at for at, _ in mark]:
            self._samples, self.probe = self._probed(), None
        self.seen = mark
        if self.probe is None:
            self.probe = [sample.clone() for sample in self._samples]
        else:
            for old, new in zip(self.probe, self._samples, strict=True):
                old.copy_(new)

    def was_written(self) -> bool:
        """Return whether the tensor has changed since :meth:`agree`.

        Torch counts writes, but not those through ``.data``, which averaging tools like: these show in the probe.
        """
        if self.seen != self.place.mark():
            return True
        pairs = zip(self.probe or (), self._samples, strict=False)
        return not all(torch.equal(old, new) for old, new in pairs)

    def _probed(self) -> list[Tensor]:
        """Return views of some values of each tensor; none where that would wait for others."""
        if self.factors[0].device.type != "cpu" or self.place.sharded:
            return []
        return [sample for tensor in self.place.tensors for sample in sampled(tensor.detach())]

    def write(self) -> None:
        """Put the product of the factors into the tensor."""
        gate, full = self.factors[0], self.factors[-1]
        if len(self.factors) == 2 and self.lends:
            torch.mul(self.partition.spread(gate, full), full, out=self.place.tensors[0])
        else:
            self.place.write_(self.product())
        self.settle()

    def settle(self) -> None:
        """Remember the tensor, which is the product of the factors again; it does not hold a gradient any more."""
        if self.lends:
            self.factors[-1].grad = None
        self.agree()

    @property
    def lends(self) -> bool:
        """Whether the full factor's gradient lies in the tensor itself until the product is written.

        Nobody needs the tensor in that time. It must be one, whole, and of the factors' dtype.
        """
        place = self.place
        return place.dtype == self.factors[-1].dtype and not place.joined and not place.sharded

    def lend(self, present: bool) -> list[Tensor]:
        """Give the factors memory for their gradients, the same at every step, or none if there are no gradients."""
        if not present:
            for factor in self.factors:
                factor.grad = None
            return []
        lent = [self.place.tensors[0].detach()] if self.lends else []
        if not self._memory:
            self._memory = [torch.empty_like(factor) for factor in self.factors[: len(self.factors) - len(lent)]]
        memory = [*self._memory, *lent]
        for factor, part in zip(self.factors, memory, strict=True):
            factor.grad = part
        return memory

    def look(self) -> None:
        """See how steep the loss is, and the penalty."""
        grad, rate = self.grad(), self.target.penalty.alpha * self.target.weights
        steepest = 0.0 if grad is None else number((norms(grad, self.partition) + rate).max())
        self.steepest = max(FADE * self.steepest, steepest if isfinite(steepest) else 0.0)

    def adjust(self, stride: float) -> None:
        """Set the metric's constant for steps of the base that are so many times the gradient in the long run."""
        self.constant = saturation(self.scale, len(self.factors), stride * self.steepest)

    def take_gradient(self, *, metric: bool) -> None:
        """Give each factor its gradient: the loss's, pulled back, plus the penalty's, both divided by the metric."""
        grad = self.grad()
        memory = self.lend(grad is not None)
        constant = self.constant if metric else None
        if grad is None or len(memory) > 2:
            self.fill_gradients(self.target.penalty.alpha, constant)
            return
        of_gate, of_full = memory
        rate = self.target.penalty.alpha * self.target.weights
        alone = self.partition is SINGLES and not self.place.sharded
        if alone and isinstance(rate, float) and passes.fits((grad, *self.factors, of_gate, of_full)):
            passes.pair_gradients(grad, self.factors, rate, constant, (of_gate, of_full))
            return
        if self._divisor is None:
            self._divisor = scratch(self.factors[0], self.partition, whole=self.place.sharded)
        pair_gradients(grad, self.factors, self.partition, rate, constant, (of_gate, of_full, self._divisor))

    def fill_gradients(self, alpha: Number, constant: Number | None) -> None:
        """Write the same, at any depth, to memory that the factors have for it; without a metric, ``constant`` is None.

        The numbers are the penalty's and the metric's; a compiled step has them as tensors.
        """
        grad = self.grad()
        if grad is None:
            return
        grads = deep_gradients(grad, self.factors, self.partition, alpha, self.target.weights, constant)
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
            return self.spent
        floor = torch.finfo(self.factors[0].dtype).tiny
        now = max(imbalance_of(self.factors, self.partition), floor)
        return self.spent + len(self.factors) / 4 * log(self.imbalance / now)


def sampled(tensor: Tensor) -> list[Tensor]:
    """Return a view of some values of a tensor: evenly spaced runs, because neighbours come from memory together."""
    flat = tensor.permute(sorted(range(tensor.ndim), key=tensor.stride, reverse=True)).flatten()
    if flat.data_ptr() != tensor.data_ptr():  # there are gaps, and flatten had to copy
        return []
    n_runs = PROBED // RUN
    length = flat.numel() // n_runs
    return [flat if length <= RUN else flat[: n_runs * length].view(n_runs, length)[:, :RUN]]


def factorise(target: Target, balanced: bool, name: str = "a penalised tensor") -> Factored:
    """Return the first split of a target's tensor."""
    value = target.place.value().to(factor_dtype(target.place.dtype))
    factors = split_exactly(value, target.penalty.depth, target.partition, balanced=balanced)
    imbalance = 0.0 if balanced else imbalance_of(factors, target.partition)
    scale = min(typical_norm(value, target.partition), 2.0**100)
    spent = nan if balanced else 0.0
    return Factored(name, target, tuple(map(nn.Parameter, factors)), scale, imbalance, spent)


def follow(entry: Factored, balanced: bool) -> tuple[Factors, Tensor]:
    """Return factors whose product is the tensor as it is now, and the groups whose moments are void.

    What did not change keeps its factors, and what changed its gates, unless the penalty of its factors would
    then be more than twice that of a fresh split: so it is where a closed gate must open again.
    """
    partition = entry.partition
    *gates, full = entry.factors
    value = entry.place.value()
    changed, value = value != entry.product(), value.to(full.dtype)
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
    return number(gaps.sum()) / (len(gates) * max(int(whole(n_open)), 1))
