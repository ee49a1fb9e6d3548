"""Control of the density: the user names it, and how strong the penalty may be; L1 does most, a schedule the rest.

A hundred times in a run the density is counted, and two things follow from it.

*Alpha* starts at a tenth of what the user has set and rises to it, unless that leaves too little. In the first half its
goal is a density well above the target, a power of it: noise keeps several times as many weights from zero then as will
stay, and they are where the support is found. An alpha that leaves less spoils what is left for good, so it must not
overshoot and come back: it rises while the density that is to be expected some counts ahead is above the goal, and
falls where the density is below it. After that it is held, and falls only if less than the target would be left.

*The schedule* is an upper limit of the density. It falls from 1 to the target over three quarters of the steps, gently
at its end. What is above it is pruned: the smallest groups, over all tensors that share the target. In a long run L1 is
far below it for the first half, and all it takes is the last third, small weights that cost nothing; in a short run, in
which L1 has no time to bring to zero what it would, it does the most.

What was pruned has tiny factors. It regrows (:mod:`spred.nn.optimizer.regrowth`) while the density is below the
schedule, the groups with the largest scores first: the order in which they would enter the support if alpha fell. In
the last tenth alpha and the support are held: the target is met before that, and what is outside is zero for good. So
the end of a run is one of the loss plus the penalty at the alpha that is reported, over the weights of the support.
There alone: outside, gradients may exceed alpha, and it is the target that keeps these weights at zero.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, inf, log

import torch
from torch import Tensor

from spred.core.partition import norms
from spred.errors import InputError, SpredWarning
from spred.nn.optimizer.factored import Factored
from spred.nn.optimizer.regrowth import EVERY, Regrown, Regrowth, regrowth_score
from spred.nn.penalties import L1, factor_dtype
from spred.nn.pruning.macs import Cost, Weights, largest
from spred.nn.sharding import number
from spred.nn.threshold import at_zero, smallness

UPDATES = 100
"""How often in a run the density is counted and alpha updated.

More follow the schedule in smaller steps, and each waits for the device; ``scripts/bench torch`` measures it
(``--methods "spred, density given"``), as it does all constants of this file.
"""

SEARCH_END = 0.5
"""Part of the run in which alpha rises. Longer finds a stronger alpha, shorter leaves more time at the one found."""

SCHEDULE_END = 0.75
"""Part of the run after which the schedule has reached the target. Later prunes more gently, earlier leaves more time
to recover."""

HOLD_START = 0.9
"""Part of the run after which alpha and the support are held. Later decides on more steps, earlier leaves more time to
converge on the support."""

SCHEDULE_POWER = 3.0
"""How gently the schedule ends: 1 is linear (Zhu and Gupta, 2017, take 3). Larger prunes more of it early."""

GOAL_POWER = 0.75
"""The power of the target that is alpha's goal during the search: 3 % for a target of 1 %, 18 % for one of 10 %.

Nearer to 1 lets the penalty do more, and spoils the support where noise is strong; nearer to 0 the schedule does more.
"""

GOAL_LIMIT = 0.9
"""The largest goal, over the schedule: what pruning takes is no reason to lower alpha.

Above 1 alpha is lowered for it (tests/nn/optimizer/test_density.py fails at 1.1); smaller makes alpha too strong.
"""

FIRST_FRACTION = 0.1
"""Alpha at the start, over the largest. Smaller takes longer to rise, larger is too strong for small targets."""

SEARCH_GAIN, HOLD_GAIN = 0.2, 0.5
"""How much the logarithm of alpha follows the error at each update, in the search and after it.

Larger follows sooner and overshoots more.
"""

LOOKAHEAD = 5.0
"""Updates by which the error is extrapolated: weights take that long to reach zero. More rises less and overshoots
less."""

SWITCHED_OFF = 1e-3
"""The penalty has no say below this part of the largest alpha. Larger also warns where the user's alpha was generous,
smaller passes over runs that size alone decided (tests of density)."""

REGROWTHS = 75
"""How often at least weights may regrow in a run. More often means more chances and noisier means."""

SMALLEST_DENSITY = 1e-9
"""A guard: a density of zero has no logarithm."""

Pruned = tuple[Factored, Tensor]
"""A tensor, and groups of it to bring to zero (bool, gate shape)."""


@dataclass(eq=False)
class Controller:
    """Penalties that share a target density, the largest alpha of each, and the tensors under them.

    Attributes:
        target: the density to end with.
        penalties: whose alpha it sets.
        entries: the tensors of these penalties.
        cost: what the density is a fraction of.
        fraction: alpha over the largest.
        told: whether it has been said that alpha is as good as zero.
        error: how far the density is above its goal, on a scale on which 1 is where it began.
        largest_alphas: alpha of each penalty when the run began.
        essential: for each tensor, whether the network is cut in two without it.
    """

    target: float
    penalties: list[L1]
    entries: list[Factored]
    cost: Cost = field(default_factory=Weights)
    fraction: float = FIRST_FRACTION
    error: float = 1.0
    told: bool = False
    largest_alphas: list[float] = field(init=False)
    essential: list[bool] = field(init=False)

    def __post_init__(self) -> None:
        self.largest_alphas = [penalty.alpha for penalty in self.penalties]
        nothing = [torch.zeros_like(entry.factors[-1], dtype=torch.bool) for entry in self.entries]
        self.essential = [
            self.cost.severed([(entry.place, mask)]) for entry, mask in zip(self.entries, nothing, strict=True)
        ]

    def update_alpha(self, progress: float) -> None:
        """Set alpha, ``progress`` (0 … 1) of the run being over; never above where it began."""
        searching = progress < SEARCH_END
        goal = min(self.target**GOAL_POWER, GOAL_LIMIT * self.scheduled_density(progress)) if searching else self.target
        error = 1.0 - log(max(self.density(), SMALLEST_DENSITY)) / log(goal)
        expected = error + LOOKAHEAD * (error - self.error)
        self.error = error
        if searching and expected > 0.0:
            self.fraction = min(self.fraction * exp(SEARCH_GAIN * min(expected, 1.0)), 1.0)
        elif error < 0.0:
            self.fraction *= exp((SEARCH_GAIN if searching else HOLD_GAIN) * max(error, -1.0))
        self.apply()

    def apply(self) -> None:
        """Give the penalties their fraction of the largest alpha."""
        for penalty, alpha in zip(self.penalties, self.largest_alphas, strict=True):
            penalty.alpha = alpha * self.fraction

    def tell_of_alpha(self) -> None:
        """Say that the penalty has ended up with no say, if so; once.

        Warns:
            SpredWarning: alpha is below :data:`SWITCHED_OFF` of the largest.
        """
        if self.fraction < SWITCHED_OFF and not self.told:
            self.told = True
            pairs = zip(self.penalties, self.largest_alphas, strict=True)
            fell = ", ".join(f"from {largest:.3g} to {penalty.alpha:.3g}" for penalty, largest in pairs)
            warnings.warn(
                f"target_density={self.target:g} was reached with the penalty all but switched off: alpha fell {fell}, "
                "because any more would have left less than the target, so size alone decided at the end; give a "
                "smaller alpha, or penalise what has a scale of its own (layers before a batch norm have none)",
                SpredWarning,
                stacklevel=4,
            )

    def scheduled_density(self, progress: float) -> float:
        """Return the largest density to have when ``progress`` of the run is over."""
        left: float = (1.0 - min(progress / SCHEDULE_END, 1.0)) ** SCHEDULE_POWER
        return self.target + (1.0 - self.target) * left

    def density(self) -> float:
        """Return the fraction of the cost that ``finalize`` without a loader would leave."""
        return self.density_of([~groups_at_zero(entry) for entry in self.entries])

    def density_of(self, kept: Sequence[Tensor]) -> float:
        """Return the fraction of the cost that is left with these groups (bool, gate shape, for each tensor)."""
        pairs = zip(self.entries, kept, strict=True)
        return self.cost.share(
            [(entry.place, entry.partition.spread(mask, entry.factors[-1])) for entry, mask in pairs]
        )

    def select(self, candidates: list[Regrown], allowed: float) -> list[Regrown]:
        """Return as many of ``candidates`` as leave the density where it is allowed, the largest scores first."""
        if not candidates:
            return []
        nonzero = {id(entry): ~groups_at_zero(entry) for entry in self.entries}
        scores = {
            id(entry): regrowth_score(entry, mean).masked_fill(~groups, 0.0) for entry, groups, mean in candidates
        }

        def density_with(chosen: list[Tensor]) -> float:
            more = dict(zip(scores, chosen, strict=True))
            return self.density_of([mask | more[key] if key in more else mask for key, mask in nonzero.items()])

        cut = largest(list(scores.values()), density_with, allowed)
        return [(entry, groups & (scores[id(entry)] >= cut), mean) for entry, groups, mean in candidates]

    def to_regrow(self, means: list[tuple[Factored, Tensor]]) -> list[Regrown]:
        """Return what to regrow so that the target is met, by the running mean gradients of some tensors."""
        mine = [(entry, mean) for entry, mean in means if entry in self.entries]
        candidates = [(entry, groups_at_zero(entry) & ~masked_groups(entry), mean) for entry, mean in mine]
        return self.select(candidates, self.target)

    def to_prune(self, allowed: float) -> list[Pruned]:
        """Return the smallest groups, which have to go so that no more than is allowed is left.

        Of an essential tensor the largest group stays, however small it is.
        """
        gone = [groups_at_zero(entry) for entry in self.entries]
        if self.density_of([~mask for mask in gone]) <= allowed:
            return []
        scores = [weighted_norms(entry).masked_fill(mask, 0.0) for entry, mask in zip(self.entries, gone, strict=True)]
        scores = [
            score.masked_fill((score == score.max()) & ~mask, inf) if essential else score
            for score, mask, essential in zip(scores, gone, self.essential, strict=True)
        ]
        # Not all of them: the largest group of all stays.
        cut = min(largest(scores, self.density_of, allowed), max(number(score.max()) for score in scores))
        return [(entry, (score < cut) & ~mask) for entry, score, mask in zip(self.entries, scores, gone, strict=True)]


class DensityControl:
    """All controllers of an optimiser, and the length of the run."""

    def __init__(self, controllers: list[Controller], total_steps: int) -> None:
        self.controllers = controllers
        self.total_steps = total_steps
        for controller in controllers:
            controller.apply()

    def entries(self) -> list[Factored]:
        """Return all tensors whose density is controlled."""
        return [entry for controller in self.controllers for entry in controller.entries]

    def regrowth(self, factored: Sequence[Factored]) -> Regrowth:
        """Return regrowth as often as this run needs; controlled tensors regrow until the support is held."""
        every = max(min(EVERY, self.total_steps // REGROWTHS), 1)
        return Regrowth(factored, every, persistent=self.entries())

    def update(self, n_steps: int) -> list[Pruned]:
        """Count and update alpha, if it is time, after ``n_steps`` steps; return what to prune."""
        progress = n_steps / self.total_steps
        if progress > HOLD_START or n_steps % max(self.total_steps // UPDATES, 1):
            return []
        for controller in self.controllers:
            controller.update_alpha(progress)
        return [pruned for c in self.controllers for pruned in c.to_prune(c.scheduled_density(progress))]

    def select(self, candidates: list[Regrown], n_steps: int) -> list[Regrown]:
        """Return which of ``candidates`` to regrow: of the controlled tensors as many as the schedule allows."""
        controlled = self.entries()
        chosen = [candidate for candidate in candidates if candidate[0] not in controlled]
        for controller in self.controllers:
            mine = [candidate for candidate in candidates if candidate[0] in controller.entries]
            chosen += controller.select(mine, controller.scheduled_density(n_steps / self.total_steps))
        return chosen

    def hold_support(self, n_steps: int, regrowth: Regrowth | None) -> tuple[list[Pruned], list[Regrown]]:
        """Return what to set to zero for good and then to regrow: both as the support is held, and zeros at the end."""
        begins = n_steps == int(HOLD_START * self.total_steps)
        if not begins and n_steps != self.total_steps:
            return [], []
        for controller in self.controllers:
            controller.tell_of_alpha()
        zeros = [pruned for controller in self.controllers for pruned in controller.to_prune(controller.target)]
        zeros += [(entry, groups_at_zero(entry)) for entry in self.entries()]
        regrown: list[Regrown] = []
        if begins and regrowth is not None:
            for controller in self.controllers:
                regrown += controller.to_regrow(regrowth.active())
                regrowth.stop(controller.entries)
        return zeros, regrown


def density_control(
    factored: Sequence[Factored],
    penalties: Sequence[L1],
    target: float | None,
    total_steps: int | None,
    cost: Cost | None = None,
) -> DensityControl | None:
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
    controlled = penalties if target is not None else list(own)
    if any(penalty.alpha == 0.0 for penalty in controlled):
        raise InputError("target_density needs an alpha above 0 to start from; 1e-4 is a common one")
    if target is not None:
        controller = Controller(target, list(penalties), list(factored), cost or Weights())
        controller.density()  # it must know all tensors
        return DensityControl([controller], total_steps)
    if cost is not None:
        raise InputError("a cost is for one target_density of the optimiser, not for those of penalties")
    controllers = [
        Controller(density, [penalty], [entry for entry in factored if entry.target.penalty is penalty])
        for penalty, density in own.items()
    ]
    return DensityControl(controllers, total_steps)


def groups_at_zero(entry: Factored) -> Tensor:
    """Return the groups that ``finalize`` without a loader would set to zero (bool, gate shape)."""
    value = entry.place.value().to(factor_dtype(entry.place.dtype))
    penalty = entry.target.core()
    return at_zero(value, None, penalty, smallness(value, penalty))


def masked_groups(entry: Factored) -> Tensor:
    """Return the groups that were set to zero for good (bool, gate shape)."""
    *_, full = entry.factors
    masked: Tensor = entry.partition.gather(full * full) == 0
    return masked


def weighted_norms(entry: Factored) -> Tensor:
    """Return group norms over the groups' weights, in the gate shape: sizes in the penalty's own measure."""
    lengths: Tensor = norms(entry.place.value().to(factor_dtype(entry.place.dtype)), entry.partition)
    return lengths / entry.target.weights
