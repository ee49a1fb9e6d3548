"""Steering: the user names the density, and how strong the penalty may be; L1 does most of it, a curve the rest.

A hundred times in a run the density is counted, and two things follow from it.

*Alpha* starts at a tenth of what the user has set and rises to it, unless that leaves too little. In the first half its
goal is a density well above the target, a power of it: noise keeps several times as many weights open then as will
stay, and they are where the support is found. An alpha that leaves less spoils what is left for good, so it must not go
too far and come back: it rises while the density that is to be expected some counts ahead is above the goal, and falls
where the density is below it. After that it is held, and falls only if less than the target would be left.

*The curve* is a ceiling that falls from 1 to the target over three quarters of the steps, gently at its end. What is
above it is put away: the smallest groups, over all tensors that share the target. In a long run L1 is far below it for
the first half, and all it takes is the last third, small weights that cost nothing; in a short run, in which L1 has no
time to close what it would, it does the most.

What was put away has tiny factors. It comes back by :mod:`spred.nn.optimizer.regrowth` while the density is below
the ceiling, the groups with the largest mean gradients first: the order in which they would enter if alpha fell. In
the last tenth alpha
rests and the support is held: what is left over is settled before that, and what is outside is zero for good. So the
end of a run is one of the loss plus the penalty at the alpha that is reported, over the weights of the support. There
alone: outside, gradients may exceed alpha, and it is the target that keeps these weights at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, inf, log

import torch
from torch import Tensor

from spred.core.partition import norms
from spred.errors import InputError
from spred.nn.optimizer.factored import Factored
from spred.nn.optimizer.regrowth import EVERY, Opening, Reopening, slope
from spred.nn.penalties import L1, factor_dtype
from spred.nn.pruning.macs import Cost, Weights, largest
from spred.nn.sharding import number
from spred.nn.threshold import at_zero, smallness

COUNTS = 100
"""How often in a run the density is counted."""

SEARCH, ARRIVAL, REST = 0.5, 0.75, 0.9
"""Parts of the run: when alpha is found, when the curve has reached the target, when alpha and the support rest."""

POWER = 3.0
"""How gently the curve ends (Zhu and Gupta, 2017)."""

LOOSE = 0.75
"""The power of the target that is alpha's goal at first: 3 % for a target of 1 %, 18 % for one of 10 %."""

SLACK = 0.9
"""Part of the curve above which alpha need not leave weights: what the curve takes is not alpha's doing."""

FIRST, GAIN, FALL, LEAD = 0.1, 0.2, 0.5, 5.0
"""Share of alpha to begin with, gains in the search and after it, and how many counts the controller looks ahead."""

REOPENINGS = 75
"""How often at least a run looks at its closed weights."""

Closing = tuple[Factored, Tensor]
"""A tensor, and groups of it to close (bool, gate shape)."""

Watched = tuple[Factored, Tensor]
"""A tensor and its running mean gradient."""


@dataclass(eq=False)
class Loop:
    """Penalties that share a target density, the largest alpha of each, and the tensors under them.

    Attributes:
        cost: what the density is a share of.
        share: alpha over the largest.
        error: how far the density is above its goal, on a scale on which 1 is where it began.
        vital: for each tensor, whether the network is cut in two without it.
    """

    target: float
    penalties: list[L1]
    entries: list[Factored]
    cost: Cost = field(default_factory=Weights)
    share: float = FIRST
    error: float = 1.0
    limits: list[float] = field(init=False)
    vital: list[bool] = field(init=False)

    def __post_init__(self) -> None:
        self.limits = [penalty.alpha for penalty in self.penalties]
        nothing = [torch.zeros_like(entry.factors[-1], dtype=torch.bool) for entry in self.entries]
        self.vital = [
            self.cost.severed([(entry.place, mask)]) for entry, mask in zip(self.entries, nothing, strict=True)
        ]

    def turn(self, progress: float) -> None:
        """Set alpha, ``progress`` (0 … 1) of the run being over; never above where it began."""
        searching = progress < SEARCH
        goal = min(self.target**LOOSE, SLACK * self.ceiling(progress)) if searching else self.target
        error = 1.0 - log(max(self.density(), 1e-9)) / log(goal)
        ahead = error + LEAD * (error - self.error)  # where it is going, because closing takes its time
        self.error = error
        if searching and ahead > 0.0:
            self.share = min(self.share * exp(GAIN * min(ahead, 1.0)), 1.0)
        elif error < 0.0:
            self.share *= exp((GAIN if searching else FALL) * max(error, -1.0))
        self.apply()

    def apply(self) -> None:
        """Let the penalties have their share."""
        for penalty, limit in zip(self.penalties, self.limits, strict=True):
            penalty.alpha = limit * self.share

    def ceiling(self, progress: float) -> float:
        """Return the largest density to have when ``progress`` of the run is over."""
        return self.target + (1.0 - self.target) * (1.0 - min(progress / ARRIVAL, 1.0)) ** POWER

    def density(self) -> float:
        """Return the share of the cost that ``finalize`` without a loader would leave."""
        return self.left([~dead_groups(entry) for entry in self.entries])

    def left(self, kept: Sequence[Tensor]) -> float:
        """Return the share of the cost that is left with these groups (bool, gate shape, for each tensor)."""
        pairs = zip(self.entries, kept, strict=True)
        return self.cost.share(
            [(entry.place, entry.partition.spread(mask, entry.factors[-1])) for entry, mask in pairs]
        )

    def mine(self, means: list[Watched]) -> list[Watched]:
        """Return the tensors of this loop with their mean gradients."""
        return [(entry, mean) for entry, mean in means if entry in self.entries]

    def admit(self, openings: list[Opening], allowed: float) -> list[Opening]:
        """Return as many of ``openings`` as leave the density where it is allowed, the largest gradients first."""
        if not openings:
            return []
        there = {id(entry): ~dead_groups(entry) for entry in self.entries}
        scores = {id(entry): pull(entry, mean).masked_fill(~groups, 0.0) for entry, groups, mean in openings}

        def share(chosen: list[Tensor]) -> float:
            more = dict(zip(scores, chosen, strict=True))
            return self.left([mask | more[key] if key in more else mask for key, mask in there.items()])

        cut = largest(list(scores.values()), share, allowed)
        return [(entry, groups & (scores[id(entry)] >= cut), mean) for entry, groups, mean in openings]

    def missing(self, means: list[Watched]) -> list[Opening]:
        """Return what to open so that the target is met."""
        closed = [(entry, dead_groups(entry) & ~masked_groups(entry), mean) for entry, mean in self.mine(means)]
        return self.admit(closed, self.target)

    def surplus(self, allowed: float) -> list[Closing]:
        """Return the smallest groups, which have to go so that no more than is allowed is left.

        Of a vital tensor the largest group stays, however small it is.
        """
        dead = [dead_groups(entry) for entry in self.entries]
        if self.left([~gone for gone in dead]) <= allowed:
            return []
        scores = [weighed_norms(entry).masked_fill(gone, 0.0) for entry, gone in zip(self.entries, dead, strict=True)]
        scores = [
            score.masked_fill((score == score.max()) & ~gone, inf) if vital else score
            for score, gone, vital in zip(scores, dead, self.vital, strict=True)
        ]
        cut = min(largest(scores, self.left, allowed), max(number(score.max()) for score in scores))  # not all of them
        return [(e, (score < cut) & ~gone) for e, score, gone in zip(self.entries, scores, dead, strict=True)]


class Steering:
    """All loops of an optimiser, and the length of the run."""

    def __init__(self, loops: list[Loop], total_steps: int) -> None:
        self.loops = loops
        self.total_steps = total_steps
        for loop in loops:
            loop.apply()

    def entries(self) -> list[Factored]:
        """Return all steered tensors."""
        return [entry for loop in self.loops for entry in loop.entries]

    def reopening(self, factored: Sequence[Factored]) -> Reopening:
        """Return reopening at the pace of this run; steered tensors are looked after until the rest begins."""
        every = max(min(EVERY, self.total_steps // REOPENINGS), 1)
        return Reopening(factored, every, patient=self.entries())

    def observe(self, n_steps: int) -> list[Closing]:
        """Count and steer, if it is time, after ``n_steps`` steps; return what to put away."""
        progress = n_steps / self.total_steps
        if progress > REST or n_steps % max(self.total_steps // COUNTS, 1):
            return []
        for loop in self.loops:
            loop.turn(progress)
        return [closing for loop in self.loops for closing in loop.surplus(loop.ceiling(progress))]

    def admit(self, openings: list[Opening], n_steps: int) -> list[Opening]:
        """Return which of ``openings`` to carry out: of the steered tensors as many as there is room for."""
        steered = self.entries()
        free = [opening for opening in openings if opening[0] not in steered]
        for loop in self.loops:
            mine = [opening for opening in openings if opening[0] in loop.entries]
            free += loop.admit(mine, loop.ceiling(n_steps / self.total_steps))
        return free

    def settle(self, n_steps: int, reopening: Reopening | None) -> tuple[list[Closing], list[Opening]]:
        """Return what to close for good and then to open: both as the rest begins, and closings again at the end."""
        begins = n_steps == int(REST * self.total_steps)
        if not begins and n_steps != self.total_steps:
            return [], []
        closings = [closing for loop in self.loops for closing in loop.surplus(loop.target)]
        closings += [(entry, dead_groups(entry)) for entry in self.entries()]
        openings: list[Opening] = []
        if begins and reopening is not None:
            for loop in self.loops:
                openings += loop.missing(reopening.watched())
                reopening.stop(loop.entries)
        return closings, openings


def steering(
    factored: Sequence[Factored],
    penalties: Sequence[L1],
    target: float | None,
    total_steps: int | None,
    cost: Cost | None = None,
) -> Steering | None:
    """Return what the targets of an optimiser and of its penalties ask for; None if they ask for nothing.

    Raises:
        InputError: both kinds of targets, a target outside 0 … 1, an alpha of 0 to start from, no ``total_steps``.
    """
    own = {penalty: penalty.target_density for penalty in penalties if penalty.target_density is not None}
    if target is None and not own:
        if total_steps is not None or cost is not None:
            raise InputError("total_steps and cost belong to target_density; give them with it, or not at all")
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
        loop = Loop(target, list(penalties), list(factored), cost or Weights())
        loop.density()  # it must know all tensors
        return Steering([loop], total_steps)
    if cost is not None:
        raise InputError("a cost is for one target_density of the optimiser, not for those of penalties")
    loops = [
        Loop(share, [penalty], [entry for entry in factored if entry.target.penalty is penalty])
        for penalty, share in own.items()
    ]
    return Steering(loops, total_steps)


def dead_groups(entry: Factored) -> Tensor:
    """Return the groups that ``finalize`` without a loader would set to zero (bool, gate shape)."""
    value = entry.place.value().to(factor_dtype(entry.place.dtype))
    penalty = entry.target.core()
    return at_zero(value, None, penalty, smallness(value, penalty))


def masked_groups(entry: Factored) -> Tensor:
    """Return the groups that were set to zero for good (bool, gate shape)."""
    *_, full = entry.factors
    return entry.partition.gather(full * full) == 0


def weighed_norms(entry: Factored) -> Tensor:
    """Return group norms over the groups' weights, in the gate shape: sizes in the penalty's own measure."""
    return norms(entry.place.value().to(factor_dtype(entry.place.dtype)), entry.partition) / entry.target.weights


def pull(entry: Factored, mean: Tensor) -> Tensor:
    """Return the alpha below which each group would open, ``‖g‖/ω`` at depth 2, in the gate shape."""
    return norms(mean, entry.partition) / (slope(entry) * entry.target.weights)
