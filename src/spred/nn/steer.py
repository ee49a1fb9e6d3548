"""Steering: the user names the density, and alpha follows.

The density is counted 200 times in a run, as ``finalize`` would count it, and compared with a reference that falls from
1 to the target over the first seven tenths of the steps, gently at its end, because closing is easier than reopening.
Alpha is multiplied by ``exp(P·(e − e′) + I·e)``, where e is the logarithm of density over reference and e′ the one
before: a proportional-integral controller on a logarithmic scale, so one setting serves all densities and losses. It
never rises far above the largest mean gradient, where everything closes that can.

Weights that closed too early come back by :mod:`spred.nn.reopen`, as many as the reference has room for, those with
the largest mean gradients first: the order in which they would enter if alpha fell. In the last tenth alpha rests, so
that the result is one at the alpha that is reported. What the controller has left over is settled before that: the
smallest groups are closed for good, or those with the largest mean gradients opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log

import torch
from torch import Tensor

from spred.core.partition import norms, sizes
from spred.errors import InputError
from spred.nn.factored import Factored
from spred.nn.groups import L1, factor_dtype
from spred.nn.reopen import EVERY, Opening, Reopening
from spred.nn.sharding import count, number, typical_norm, whole
from spred.nn.zeros import SMALL, at_zero

COUNTS = 200
"""How often in a run the density is counted."""

ARRIVAL, POWER, REST = 0.7, 3.0, 0.9
"""Parts of the run: when the reference has reached the target, and when alpha is left alone."""

AIM = 1.02
"""The reference ends this much above the target: a few weights go on closing while alpha rests."""

REOPENINGS = 75
"""How often at least a run looks at its closed weights."""

EXCHANGE = 0.1
"""Part of the weights that may be opened at one look though there is no room for them: they displace others."""

PROPORTIONAL, INTEGRAL, LARGEST = 2.0, 0.1, 3.0
"""Gains of the controller, and the largest error that it takes seriously."""

CEILING = 2.0
"""Alpha stays below this many times the largest mean gradient."""

Closing = tuple[Factored, Tensor]
"""A tensor, and groups of it to close (bool, gate shape)."""


@dataclass(eq=False)
class Loop:
    """Penalties that share a target density, the tensors under them, and the last error."""

    target: float
    penalties: list[L1]
    entries: list[Factored]
    error: float = 0.0

    def turn(self, progress: float, ceiling: float) -> None:
        """Set alpha, ``progress`` (0 … 1) of the run being over; never above ``ceiling``."""
        error = log(max(density(self.entries), 1e-9) / self.reference(progress))
        error = max(-LARGEST, min(error, LARGEST))
        factor = exp(PROPORTIONAL * (error - self.error) + INTEGRAL * error)
        self.error = error
        for penalty in self.penalties:
            penalty.alpha = min(penalty.alpha * factor, ceiling)

    def reference(self, progress: float) -> float:
        """Return the density to have by then."""
        last = min(AIM * self.target, 1.0)
        return last + (1.0 - last) * (1.0 - min(progress / ARRIVAL, 1.0)) ** POWER

    def admit(self, openings: list[Opening], progress: float) -> list[Opening]:
        """Return as many of ``openings`` as there is room for, the largest gradients first."""
        if not openings:
            return []
        reference = self.reference(progress)
        room = max(reference - density(self.entries), EXCHANGE * reference)
        return strongest(openings, room * n_weights(self.entries))

    def missing(self, watched: list[tuple[Factored, Tensor]]) -> list[Opening]:
        """Return what to open so that the target is met."""
        room = (self.target - density(self.entries)) * n_weights(self.entries)
        closed = [(entry, dead_groups(entry) & ~masked_groups(entry), mean) for entry, mean in watched]
        return strongest(closed, room) if room > 0 else []

    def surplus(self) -> list[Closing]:
        """Return the smallest groups, which have to close so that the target is met."""
        if density(self.entries) <= self.target:
            return []
        scores = [relative_norms(entry) for entry in self.entries]
        cut = cut_of(scores, [group_sizes(entry) for entry in self.entries], self.target * n_weights(self.entries))
        return [(entry, score < cut) for entry, score in zip(self.entries, scores, strict=True)]


class Steering:
    """All loops of an optimiser, and the length of the run."""

    def __init__(self, loops: list[Loop], total_steps: int) -> None:
        self.loops = loops
        self.total_steps = total_steps

    def reopening(self, factored: Sequence[Factored]) -> Reopening:
        """Return reopening at the pace of this run; steered tensors are looked after until the rest begins."""
        every = max(min(EVERY, self.total_steps // REOPENINGS), 1)
        return Reopening(factored, every, patient=[entry for loop in self.loops for entry in loop.entries])

    def observe(self, n_steps: int, reopening: Reopening | None) -> None:
        """Count and steer, if it is time, after ``n_steps`` steps."""
        progress = n_steps / self.total_steps
        if progress <= REST and n_steps % max(self.total_steps // COUNTS, 1) == 0:
            for loop in self.loops:
                loop.turn(progress, inf if reopening is None else largest_alpha(loop, reopening))

    def admit(self, openings: list[Opening], n_steps: int) -> list[Opening]:
        """Return which of ``openings`` to carry out: of the steered tensors as many as there is room for."""
        steered = [entry for loop in self.loops for entry in loop.entries]
        free = [opening for opening in openings if opening[0] not in steered]
        for loop in self.loops:
            mine = [opening for opening in openings if opening[0] in loop.entries]
            free += loop.admit(mine, n_steps / self.total_steps)
        return free

    def settle(self, n_steps: int, reopening: Reopening | None) -> tuple[list[Closing], list[Opening]]:
        """Return what to close for good and what to open: both as the rest begins, and closings again at the end."""
        begins = n_steps == int(REST * self.total_steps)
        if not begins and n_steps != self.total_steps:
            return [], []
        closings = [closing for loop in self.loops for closing in loop.surplus()]
        openings: list[Opening] = []
        if begins and reopening is not None:
            for loop in self.loops:
                openings += loop.missing([pair for pair in reopening.watched() if pair[0] in loop.entries])
                reopening.stop(loop.entries)
        return closings, openings


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
    kept = sum(count(~entry.partition.spread(dead_groups(entry), entry.factors[-1])) for entry in entries)
    return kept / max(n_weights(entries), 1)


def n_weights(entries: Sequence[Factored]) -> int:
    """Return the number of weights in all tensors."""
    return sum(entry.factors[-1].numel() for entry in entries)


def dead_groups(entry: Factored) -> Tensor:
    """Return the groups that ``finalize`` without a loader would set to zero (bool, gate shape)."""
    value = entry.place.value().to(factor_dtype(entry.place.dtype))
    return at_zero(value, None, entry.target.core(), SMALL * typical_norm(value, entry.partition))


def masked_groups(entry: Factored) -> Tensor:
    """Return the groups that were set to zero for good (bool, gate shape)."""
    *_, full = entry.factors
    return entry.partition.gather(full * full) == 0


def relative_norms(entry: Factored) -> Tensor:
    """Return group norms over what is typical of the tensor and over the groups' weights, in the gate shape."""
    value = entry.place.value().to(factor_dtype(entry.place.dtype))
    return norms(value, entry.partition) / typical_norm(value, entry.partition) / entry.target.weights


def group_sizes(entry: Factored) -> Tensor:
    """Return the number of weights in each group, in the gate shape."""
    return sizes(entry.factors[-1].detach(), entry.partition)


def pull(entry: Factored, mean: Tensor) -> Tensor:
    """Return the alpha below which each group would open, ``‖g‖/ω``, in the gate shape."""
    return norms(mean, entry.partition) / entry.target.weights


def largest_alpha(loop: Loop, reopening: Reopening) -> float:
    """Return the alpha beyond which a stronger penalty would close nothing more."""
    pulls = [number(pull(entry, mean).max()) for entry, mean in reopening.watched() if entry in loop.entries]
    seen = 1.0 - (1.0 - 1.0 / reopening.every) ** reopening.n_steps  # the running means started at zero
    return CEILING * max(pulls) / seen if pulls and max(pulls) > 0 else inf


def strongest(openings: list[Opening], room: float) -> list[Opening]:
    """Return the groups of ``openings`` with the largest mean gradients, at most ``room`` weights together."""
    scores = [pull(entry, mean).masked_fill(~groups, 0.0) for entry, groups, mean in openings]
    cut = cut_of(scores, [group_sizes(entry) for entry, _, _ in openings], room)
    pairs = zip(openings, scores, strict=True)
    return [(entry, groups & (score >= cut), mean) for (entry, groups, mean), score in pairs]


def cut_of(scores: list[Tensor], counts: list[Tensor], room: float) -> float:
    """Return the score from which on groups have at most ``room`` weights together; infinity if none fits."""
    if not scores:
        return inf
    ordered, order = torch.cat([whole(score).flatten() for score in scores]).sort(descending=True)
    taken = torch.cat([whole(one).flatten() for one in counts])[order].double().cumsum(0)
    n = int((taken <= room * (1.0 + 1e-6)).sum())
    return float(ordered[n - 1]) if n else inf
