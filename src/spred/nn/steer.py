"""Steering: the user names the density, and alpha follows.

The density is counted 200 times in a run, as ``finalize`` would count it, and compared with a reference that falls from
1 to the target over the first seven tenths of the steps, gently at its end, because closing is easier than reopening.
Alpha is multiplied by ``exp(P·(e − e′) + I·e)``, where e is the logarithm of density over reference and e′ the one
before: a proportional-integral controller on a logarithmic scale, so one setting serves all densities and losses. In
the last tenth alpha rests: the result is a solution at the alpha that is reported. Weights that closed too early must
be able to come back, so :mod:`spred.nn.reopen` looks more often in short runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import torch

from spred.core.factors import natural_scale
from spred.errors import InputError
from spred.nn.factored import Factored
from spred.nn.groups import L1, factor_dtype
from spred.nn.reopen import EVERY, Reopening
from spred.nn.zeros import SMALL, at_zero

COUNTS = 200
"""How often in a run the density is counted."""

ARRIVAL, POWER, REST = 0.7, 3.0, 0.9
"""Parts of the run: when the reference has reached the target, and when alpha is left alone."""

AIM = 1.02
"""The reference ends this much above the target: a few weights go on closing while alpha rests."""

REOPENINGS = 75
"""How often at least a run of constant rate looks at its closed weights."""

PROPORTIONAL, INTEGRAL, LARGEST = 2.0, 0.1, 3.0
"""Gains of the controller, and the largest error that it takes seriously."""


@dataclass(eq=False)
class Loop:
    """Penalties that share a target density, the tensors under them, and the last error."""

    target: float
    penalties: list[L1]
    entries: list[Factored]
    error: float = 0.0

    def turn(self, progress: float) -> None:
        """Set alpha, ``progress`` (0 … 1) of the run being over."""
        last = min(AIM * self.target, 1.0)
        reference = last + (1.0 - last) * (1.0 - min(progress / ARRIVAL, 1.0)) ** POWER
        error = log(max(density(self.entries), 1e-9) / reference)
        error = max(-LARGEST, min(error, LARGEST))
        factor = exp(PROPORTIONAL * (error - self.error) + INTEGRAL * error)
        self.error = error
        for penalty in self.penalties:
            penalty.alpha *= factor


class Steering:
    """All loops of an optimiser, and the length of the run."""

    def __init__(self, loops: list[Loop], total_steps: int) -> None:
        self.loops = loops
        self.total_steps = total_steps

    def reopening(self, factored: Sequence[Factored]) -> Reopening:
        """Return reopening at the pace of this run."""
        return Reopening(factored, max(min(EVERY, self.total_steps // REOPENINGS), 1))

    def observe(self, n_steps: int) -> None:
        """Count and steer, if it is time, after ``n_steps`` steps."""
        progress = n_steps / self.total_steps
        if progress <= REST and n_steps % max(self.total_steps // COUNTS, 1) == 0:
            for loop in self.loops:
                loop.turn(progress)


def steering(
    factored: Sequence[Factored], penalties: Sequence[L1], target: float | None, total_steps: int | None
) -> Steering | None:
    """Return what the targets of an optimiser and of its penalties ask for; None if they ask for nothing.

    Raises:
        InputError: both kinds of targets, a target outside 0 … 1, an alpha of 0 to start from, no ``total_steps``.
    """
    own = {penalty: penalty.target_density for penalty in penalties if penalty.target_density is not None}
    if target is None and not own:
        if total_steps is not None:
            raise InputError("total_steps belongs to target_density; give both or neither")
        return None
    if target is not None and own:
        raise InputError("target_density is given for all and for a penalty; give one or the other")
    if target is not None and not 0.0 < target < 1.0:
        raise InputError(f"target_density is {target}; give a number between 0 and 1")
    if not total_steps or total_steps < 1:
        raise InputError("target_density needs total_steps=, the number of steps that the run will take")
    steered = penalties if target is not None else list(own)
    if any(penalty.alpha == 0.0 for penalty in steered):
        raise InputError("target_density needs an alpha above 0 to start from; 1e-4 is a common one")
    if target is not None:
        return Steering([Loop(target, list(penalties), list(factored))], total_steps)
    loops = [
        Loop(share, [penalty], [entry for entry in factored if entry.target.penalty is penalty])
        for penalty, share in own.items()
    ]
    return Steering(loops, total_steps)


@torch.no_grad()
def density(entries: Sequence[Factored]) -> float:
    """Return the share of weights that ``finalize`` without a loader would leave."""
    kept = total = 0
    for entry in entries:
        value = entry.tensor.to(factor_dtype(entry.tensor))
        threshold = SMALL * natural_scale(value, entry.partition)
        dead = at_zero(value, None, entry.target.core(), threshold)
        kept += int((~entry.partition.spread(dead, value)).sum())
        total += value.numel()
    return kept / max(total, 1)
