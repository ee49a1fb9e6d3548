"""Reopening: weights that noise has closed, and that the loss wants back, get another chance.

At zero, a pair of factors is a saddle if the gradient exceeds its penalty, ``‖g‖ > α·ω``, and a minimum if not
(docs/math.md, §3). Deeper products have a minimum there whatever the gradient: they are opened if they will grow from
the small norm that an opened group gets, where the slope of the penalty is ``(2α/D)·ω·‖v‖^{2/D−1}``.

Minibatch noise can close a weight whose *mean* gradient exceeds that, and near zero factors hardly move, so it would
not come back in time. While the learning rate is at least half of the largest so far, a running mean of the gradients
is kept, and every 200 steps the closed groups that it would open are opened along the way down. After that, the weights
that are left settle, and the mean is dropped.

Zeros that were written from outside, or by ``finalize``, have all factors exactly zero. They are never reopened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from spred.core.partition import norms
from spred.nn.optimizer.factored import Factored

EVERY = 200
"""Steps between two looks; the running mean forgets at the same pace."""

UNTIL = 0.5
"""Part of the largest learning rate below which nothing is reopened."""

CLOSED = 0.01
"""A group is closed if its factors would make, at balance, less than this part of the tensor's typical norm."""

OPENED = 0.1
"""Norm that a reopened group gets, as a part of the typical norm."""

PUT_AWAY = 1e-3
"""What the factors of a group that is put away are multiplied by."""

Opening = tuple[Factored, Tensor, Tensor]
"""A tensor, groups of it to open (bool, gate shape), and its mean gradient."""


class Reopening:
    """The running mean gradients of the penalised tensors, and what they open.

    Args:
        factored: the penalised tensors.
        every: steps between two looks.
        until: part of the largest learning rate below which nothing is reopened.
        patient: tensors that are looked after at any rate, until :meth:`stop`.

    Attributes:
        n_steps: steps seen.
        peak: largest learning rate seen.
        means: a running mean for each of ``entries``; None where it is too late to reopen.
    """

    def __init__(
        self,
        factored: Sequence[Factored],
        every: int = EVERY,
        until: float = UNTIL,
        patient: Sequence[Factored] = (),
    ) -> None:
        self.entries = list(factored)
        self.every = every
        self.until = until
        self.patient = list(patient)
        self.n_steps = 0
        self.peak = 0.0
        self.means: list[Tensor | None] = []

    def begin(self, lr: float) -> None:
        """Count a step that is about to be taken at this learning rate."""
        if not self.means:
            self.means = [torch.zeros_like(entry.factors[-1], requires_grad=False) for entry in self.entries]
        self.n_steps += 1
        self.peak = max(self.peak, lr)
        if lr < self.until * self.peak:
            self.stop([entry for entry in self.entries if entry not in self.patient])

    def take_in(self) -> None:
        """Take the gradients of this step into the means."""
        for entry, mean in self.watched():
            grad = entry.place.grad()
            if grad is not None:
                mean.lerp_(grad.to(mean.dtype), 1.0 / self.every)

    def openings(self) -> list[Opening]:
        """Return what to open after this step."""
        if self.n_steps % self.every:
            return []
        return [(entry, openable(entry, mean), mean) for entry, mean in self.watched()]

    def watched(self) -> list[tuple[Factored, Tensor]]:
        """Return the tensors that are looked after, with their running means."""
        pairs = zip(self.entries, self.means, strict=False)  # no means before the first step
        return [(entry, mean) for entry, mean in pairs if mean is not None]

    def stop(self, entries: Sequence[Factored]) -> None:
        """Reopen nothing more in these tensors."""
        self.means = [None if entry in entries else mean for entry, mean in zip(self.entries, self.means, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain Python values."""
        return {"n_steps": self.n_steps, "peak": self.peak, "means": list(self.means)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        self.n_steps, self.peak = state["n_steps"], state["peak"]
        pairs = zip(state["means"], self.entries, strict=False)  # no means before the first step
        self.means = [None if mean is None else mean.to(entry.factors[-1], copy=True) for mean, entry in pairs]


def slope(entry: Factored) -> float:
    """Return the slope of the penalty over ``α·ω`` at the norm that an opened group gets; 1 at depth 2."""
    share = 2.0 / len(entry.factors)
    return share * (OPENED * entry.scale) ** (share - 1.0)


def openable(entry: Factored, mean: Tensor) -> Tensor:
    """Return the groups that training has closed and their mean gradient opens (bool, gate shape)."""
    *gates, full = entry.factors
    squares = entry.partition.gather(full * full) + sum(gate * gate for gate in gates)
    size = (squares / len(entry.factors)) ** (len(entry.factors) / 2.0)
    closed = (size > 0) & (size <= CLOSED * entry.scale)
    price = entry.target.penalty.alpha * slope(entry)
    return closed & (norms(mean, entry.partition) > price * entry.target.weights)


@torch.no_grad()
def put_away_(entry: Factored, groups: Tensor) -> None:
    """Make the factors of ``groups`` tiny, in place: the product is at zero, and may come back."""
    *gates, full = entry.factors
    for gate in gates:
        gate.copy_(torch.where(groups, PUT_AWAY * gate, gate))
    full.copy_(torch.where(entry.partition.spread(groups, full), PUT_AWAY * full, full))


@torch.no_grad()
def open_groups_(entry: Factored, groups: Tensor, mean: Tensor) -> None:
    """Give ``groups`` balanced factors along the way down, ``v_g = −ε·g/‖g‖``, in place."""
    *gates, full = entry.factors
    root = (OPENED * entry.scale) ** (1.0 / len(entry.factors))
    length = norms(mean, entry.partition)
    down = -mean / entry.partition.spread(torch.where(groups, length, 1.0), mean)
    for gate in gates:
        gate.masked_fill_(groups, root)
    full.copy_(torch.where(entry.partition.spread(groups, full), root * down, full))
