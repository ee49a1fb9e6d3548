"""Regrowth: weights that noise has brought to zero, and that the loss wants back, get another chance.

At zero, a pair of factors is a saddle if the gradient exceeds its penalty, ``‖g‖ > α·ω``, and a minimum if not
(docs/math.md, §3). Deeper products have a minimum there whatever the gradient: they are regrown if they will grow from
the small norm that a regrown group gets, where the slope of the penalty is ``(2α/D)·ω·‖v‖^{2/D−1}``.

Minibatch noise can bring a weight to zero whose *mean* gradient exceeds that, and near zero factors hardly move, so it
would not come back in time. While the learning rate is at least half of the largest so far, a running mean of the
gradients is kept, and every 200 steps the groups at zero whose score exceeds alpha are set to a small norm along the
negative mean gradient. After that, the weights that are left converge, and the mean is dropped.

Zeros that were written from outside, or by ``finalize``, have all factors exactly zero. They are never regrown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from spred.core.partition import norms
from spred.nn.optimizer.factored import Factored

EVERY = 200
"""Steps between two regrowths, and the length of the running mean.

Fewer give each weight more chances and a noisier mean; ``scripts/bench torch`` measures it.
"""

LEARNING_RATE_FRACTION = 0.5
"""Part of the largest learning rate below which nothing regrows.

Smaller leaves more time to find the support and less to converge on it; ``scripts/bench torch-exactness`` and
``scripts/bench torch`` measure both.
"""

ZERO_NORM = 0.01
"""A group is at zero if its factors would make, at balance, less than this part of the tensor's typical norm.

Larger also resets weights that are still moving, smaller leaves out some that are stuck; ``scripts/bench torch``
measures it.
"""

REGROWN_NORM = 0.1
"""Norm that a regrown group gets, as a part of the typical norm.

Larger disturbs the loss more, smaller takes longer to grow; ``scripts/bench torch`` measures it.
"""

PRUNED_FACTORS = 1e-3
"""What the factors of a pruned group are multiplied by: small enough to count as zero, and not exactly zero."""

Regrown = tuple[Factored, Tensor, Tensor]
"""A tensor, groups of it to regrow (bool, gate shape), and its mean gradient."""


class Regrowth:
    """The running mean gradients of the penalised tensors, and the groups that they regrow.

    Args:
        factored: the penalised tensors.
        every: steps between two regrowths.
        until: part of the largest learning rate below which nothing regrows.
        persistent: tensors that regrow at any learning rate, until :meth:`stop`.

    Attributes:
        n_steps: steps counted.
        peak: largest learning rate so far.
        means: a running mean for each of ``entries``; None where nothing regrows any more.
    """

    def __init__(
        self,
        factored: Sequence[Factored],
        every: int = EVERY,
        until: float = LEARNING_RATE_FRACTION,
        persistent: Sequence[Factored] = (),
    ) -> None:
        self.entries = list(factored)
        self.every = every
        self.until = until
        self.persistent = list(persistent)
        self.n_steps = 0
        self.peak = 0.0
        self.means: list[Tensor | None] = []

    def start_step(self, lr: float) -> None:
        """Count a step that is about to be taken at this learning rate."""
        if not self.means:
            self.means = [torch.zeros_like(entry.factors[-1], requires_grad=False) for entry in self.entries]
        self.n_steps += 1
        self.peak = max(self.peak, lr)
        if lr < self.until * self.peak:
            self.stop([entry for entry in self.entries if entry not in self.persistent])

    def update_means(self) -> None:
        """Take the gradients of this step into the means."""
        for entry, mean in self.active():
            grad = entry.place.grad()
            if grad is not None:
                mean.lerp_(grad.to(mean.dtype), 1.0 / self.every)

    def candidates(self) -> list[Regrown]:
        """Return what may regrow after this step."""
        if self.n_steps % self.every:
            return []
        return [(entry, regrowable(entry, mean), mean) for entry, mean in self.active()]

    def active(self) -> list[tuple[Factored, Tensor]]:
        """Return the tensors that may still regrow, with their running means."""
        pairs = zip(self.entries, self.means, strict=False)  # no means before the first step
        return [(entry, mean) for entry, mean in pairs if mean is not None]

    def stop(self, entries: Sequence[Factored]) -> None:
        """Let nothing regrow in these tensors any more."""
        self.means = [None if entry in entries else mean for entry, mean in zip(self.entries, self.means, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain Python values."""
        return {"n_steps": self.n_steps, "peak": self.peak, "means": list(self.means)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        self.n_steps, self.peak = state["n_steps"], state["peak"]
        pairs = zip(state["means"], self.entries, strict=False)  # no means before the first step
        self.means = [None if mean is None else mean.to(entry.factors[-1], copy=True) for mean, entry in pairs]


def regrowth_score(entry: Factored, mean: Tensor) -> Tensor:
    """Return the alpha below which each group would regrow, ``‖g‖/ω`` at depth 2, in the gate shape."""
    lengths: Tensor = norms(mean, entry.partition)
    return lengths / (penalty_slope(entry) * entry.target.weights)


def penalty_slope(entry: Factored) -> float:
    """Return the slope of the penalty over ``α·ω`` at the norm that a regrown group gets; 1 at depth 2."""
    power = 2.0 / len(entry.factors)
    slope: float = power * (REGROWN_NORM * entry.scale) ** (power - 1.0)
    return slope


def regrowable(entry: Factored, mean: Tensor) -> Tensor:
    """Return the groups that training has brought to zero and their mean gradient regrows (bool, gate shape)."""
    *gates, full = entry.factors
    squares = entry.partition.gather(full * full) + sum(gate * gate for gate in gates)
    size = (squares / len(entry.factors)) ** (len(entry.factors) / 2.0)
    at_zero: Tensor = (size > 0) & (size <= ZERO_NORM * entry.scale)
    threshold = entry.target.penalty.alpha * penalty_slope(entry)
    lengths: Tensor = norms(mean, entry.partition)
    return at_zero & (lengths > threshold * entry.target.weights)


@torch.no_grad()
def prune_groups_(entry: Factored, groups: Tensor) -> None:
    """Make the factors of ``groups`` tiny, in place: the product is at zero, and may regrow."""
    *gates, full = entry.factors
    for gate in gates:
        gate.copy_(torch.where(groups, PRUNED_FACTORS * gate, gate))
    full.copy_(torch.where(entry.partition.spread(groups, full), PRUNED_FACTORS * full, full))


@torch.no_grad()
def regrow_groups_(entry: Factored, groups: Tensor, mean: Tensor) -> None:
    """Give ``groups`` balanced factors along the negative mean gradient, ``v_g = −ε·g/‖g‖``, in place."""
    *gates, full = entry.factors
    root = (REGROWN_NORM * entry.scale) ** (1.0 / len(entry.factors))
    length = norms(mean, entry.partition)
    descent = -mean / entry.partition.spread(torch.where(groups, length, 1.0), mean)
    for gate in gates:
        gate.masked_fill_(groups, root)
    full.copy_(torch.where(entry.partition.spread(groups, full), root * descent, full))
