"""Methods that make a model sparse while it is trained: spred, and the peers of ``compare``.

A method is what happens around the steps of one and the same training loop: an optimiser, something before each step
when the gradients are there, something after it, and what makes the zeros exact at the end. All of it works on single
weights and on groups alike: :func:`spred.nn.penalties.targets` says what is one group. What has to survive a stop lies
in the weights and in the optimiser's state.

A new method is a class here and a row in :data:`METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any, get_args

import torch
from torch import Tensor, nn

from spred.compress.recipe import Peer, Recipe
from spred.compress.results import Magnitudes
from spred.core.partition import norms, sizes
from spred.errors import InputError
from spred.nn import L1, FinalizeReport, SpredOptimizer, finalize
from spred.nn.finalize import mask_gradients_, nonzero_masks
from spred.nn.penalties import Target, targets
from spred.nn.pruning.macs import Cost, Weights, largest

MakeOptimizer = Callable[[nn.Module, Mapping[int, dict[str, Any]]], torch.optim.Optimizer]
"""Makes the recipe's optimiser; tensors whose ``id`` is in the mapping get a group of their own with its options."""


@dataclass(frozen=True)
class Strength:
    """How sparse a model shall be: the strength of its penalty, its density, or both.

    With both, spred reaches the density by at most this alpha; for a peer they are what spred has found. The density is
    a fraction of ``cost``: of all penalties together, or of each by itself where it is ``uniform``.
    """

    alpha: float | None = None
    density: float | None = None
    uniform: bool = False
    cost: Cost = field(default_factory=Weights, compare=False)


class Method:
    """Plain training; the others change it.

    Args:
        model: the model that is trained.
        listed: the penalties, which say what is one group.
        strength: how sparse.
        make: makes the optimiser.
        n_steps: steps of the sparse stage.
    """

    opt: Any
    """The optimiser; torchao's is not one to torch."""

    def __init__(
        self, model: nn.Module, listed: Sequence[L1], strength: Strength, make: MakeOptimizer, n_steps: int
    ) -> None:
        self.model, self.strength, self.n_steps = model, strength, n_steps
        self.opt = make(model, {})

    def before_step(self) -> None:
        """Change the gradients."""

    def after_step(self, n_done: int) -> None:
        """Change the weights; ``n_done`` steps of the stage are done."""

    def finish(self) -> Magnitudes | None:
        """Make the zeros exact, and say how large weights were if a threshold did it."""
        return None


class Spred(Method):
    """:class:`spred.SpredOptimizer` as it comes, and :func:`spred.finalize`."""

    def __init__(
        self, model: nn.Module, listed: Sequence[L1], strength: Strength, make: MakeOptimizer, n_steps: int
    ) -> None:
        self.model, self.strength, self.n_steps = model, strength, n_steps
        base = make(model, {id(tensor): {"weight_decay": 0.0} for one in listed for tensor in one.params})
        if strength.alpha is not None:
            for one in listed:
                one.alpha = strength.alpha
        if strength.density is None:
            self.opt = SpredOptimizer(base, listed)
        elif strength.uniform:
            for one in listed:
                one.target_density = strength.density
            self.opt = SpredOptimizer(base, listed, total_steps=n_steps)
        else:
            self.opt = SpredOptimizer(
                base, listed, target_density=strength.density, total_steps=n_steps, cost=strength.cost
            )

    def finish(self) -> Magnitudes:
        """Set to zero what is at zero."""
        return magnitudes(finalize(self.model, self.opt))


class Pruned(Method):
    """Magnitude pruning: the smallest weights or groups of all layers are set to zero, by their root mean square."""

    def __init__(
        self, model: nn.Module, listed: Sequence[L1], strength: Strength, make: MakeOptimizer, n_steps: int
    ) -> None:
        super().__init__(model, listed, strength, make, n_steps)
        self.targets = targets(listed)
        self.masks: list[Tensor] | None = None  # of each target; after a stop, the zeros that are there

    def kept(self, n_done: int) -> float | None:
        """Return the density after so many steps; None to leave it."""
        raise NotImplementedError

    @torch.no_grad()
    def before_step(self) -> None:
        """Take over the zeros that are there already."""
        if self.masks is None:
            self.masks = [target.place.value() != 0 for target in self.targets]

    @torch.no_grad()
    def after_step(self, n_done: int) -> None:
        """Prune, and keep what is pruned at zero."""
        density = self.kept(n_done)
        if density is not None:
            together = [[target] for target in self.targets] if self.strength.uniform else [self.targets]
            self.masks = [mask for listed in together for mask in smallest(listed, density, self.strength.cost)]
        for target, mask in zip(self.targets, self.masks or [], strict=True):
            for tensor, part in zip(target.place.tensors, target.place.parts(mask), strict=True):
                tensor.mul_(part.to(tensor.dtype))


class OneShot(Pruned):
    """One-shot magnitude pruning: the trained model is pruned at once, then trained on (Han et al., NeurIPS 2015)."""

    def __init__(
        self, model: nn.Module, listed: Sequence[L1], strength: Strength, make: MakeOptimizer, n_steps: int
    ) -> None:
        super().__init__(model, listed, strength, make, n_steps)
        self.after_step(0)
        self.masks = None  # a stopped run loads its zeros now

    def kept(self, n_done: int) -> float | None:
        """Prune before the first step."""
        return self.strength.density if n_done == 0 else None


class Gradual(Pruned):
    """Gradual magnitude pruning along a cubic schedule (Zhu and Gupta, 2017), from 10 to 80 % of the steps."""

    EVERY, LEAST_ROUNDS = 100, 20
    """Steps between two rounds of pruning, as in the paper; in short runs so many that there are 20 rounds."""

    START, END = 0.1, 0.8
    """Fractions of the steps where pruning begins and ends; the rest trains what is left."""

    def kept(self, n_done: int) -> float | None:
        """Prune every ``EVERY`` steps (in short runs more often), and for the last time as the schedule ends."""
        last = round(self.END * self.n_steps)
        every = min(self.EVERY, max(self.n_steps // self.LEAST_ROUNDS, 1))
        if not (n_done == last or (n_done % every == 0 and self.START * self.n_steps <= n_done < last)):
            return None
        done = (n_done / self.n_steps - self.START) / (self.END - self.START)
        density = density_of(self.strength)
        return density + (1 - density) * (1 - min(max(done, 0.0), 1.0)) ** 3


class Subgradient(Method):
    """Plain L1: its subgradient added to the gradient, and a threshold at the end, as most training loops do it."""

    THRESHOLD = 1e-3
    """Smaller weights become zero; groups by their root mean square. Nothing in the method says how large it is: larger
    is sparser and less accurate (``scripts/bench compress --methods subgradient``)."""

    def __init__(
        self, model: nn.Module, listed: Sequence[L1], strength: Strength, make: MakeOptimizer, n_steps: int
    ) -> None:
        super().__init__(model, listed, strength, make, n_steps)
        self.targets = targets(listed)
        self.alpha = alpha_of(strength)

    @torch.no_grad()
    def before_step(self) -> None:
        """Add ``alpha·ω·v/‖v‖`` to the gradients."""
        for target in self.targets:
            value = target.place.value()
            lengths = norms(value, target.partition).clamp(min=torch.finfo(value.dtype).tiny)
            slope = value * target.partition.spread(self.alpha * target.weights / lengths, value)
            for tensor, part in zip(target.place.tensors, target.place.parts(slope), strict=True):
                if tensor.grad is not None:
                    tensor.grad.add_(part)

    @torch.no_grad()
    def finish(self) -> None:
        """Set to zero what is at most the threshold."""
        for target in self.targets:
            value = target.place.value()
            small = typical_sizes(target) <= self.THRESHOLD
            target.place.write_(value.masked_fill(target.partition.spread(small, value), 0.0))


class Pat(Method):
    """torchao's prototype.pat: the proximal map of L1 on latent weights. Single weights only."""

    def __init__(
        self, model: nn.Module, listed: Sequence[L1], strength: Strength, make: MakeOptimizer, n_steps: int
    ) -> None:
        from torchao.prototype.pat.optim import PruneOptimizer

        if any(type(one) is not L1 for one in listed):
            raise InputError("compare: pat prunes single weights here; leave it out, or use penalty.kind = 'weights'")
        lasso = {"prox_type": "ProxLasso", "group_type": "ElemGrouper", "weight_decay": 0.0}
        base = make(model, {id(tensor): lasso for one in listed for tensor in one.params})
        momentum = max(group.get("momentum", 0.0) for group in base.param_groups)
        for group in base.param_groups:
            if "prox_type" in group:  # its strength does not count the momentum
                group["reg_lambda"] = alpha_of(strength) / (1 - momentum)
        self.opt = PruneOptimizer(base)


class Refit(Method):
    """Training without a penalty in which zeros stay zero."""

    def __init__(self, model: nn.Module, names: Sequence[str], make: MakeOptimizer) -> None:
        self.opt = make(model, {})
        tensors = dict(model.named_parameters())
        self.masks = nonzero_masks([tensors[name] for name in names])

    def before_step(self) -> None:
        """Hold the zeros."""
        mask_gradients_(self.masks)


METHODS: dict[str, type[Method]] = {
    "spred": Spred,
    "one-shot": OneShot,
    "gradual": Gradual,
    "subgradient": Subgradient,
    "pat": Pat,
}
"""Methods by the names that recipes use."""


def available(name: str) -> bool:
    """Return whether the package of a method is there; only PAT needs one."""
    return name != "pat" or find_spec("torchao") is not None


def with_peers(recipe: Recipe) -> Recipe:
    """Return the recipe with every peer that is installed and can prune what it penalises."""
    singles = recipe.penalty.kind == ("weights",)
    return replace(recipe, compare=tuple(n for n in get_args(Peer) if available(n) and (n != "pat" or singles)))


def magnitudes(report: FinalizeReport) -> Magnitudes:
    """Return the norms that a report has counted, over all tensors."""
    return Magnitudes(*report.histograms(), report.thresholds)


def smallest(listed: Sequence[Target], density: float, cost: Cost) -> list[Tensor]:
    """Return masks (bool, of each target's value) that keep this fraction of the cost, the largest groups first."""
    scores = [typical_sizes(target) for target in listed]
    values = [target.place.value() for target in listed]

    def spread(kept: Sequence[Tensor]) -> list[Tensor]:
        return [t.partition.spread(mask, value) for t, mask, value in zip(listed, kept, values, strict=True)]

    def share(kept: Sequence[Tensor]) -> float:
        return cost.share([(t.place, mask) for t, mask in zip(listed, spread(kept), strict=True)])

    cut = min(largest(scores, share, density), max(float(score.max()) for score in scores))
    return [mask.contiguous() for mask in spread([score >= cut for score in scores])]


def typical_sizes(target: Target) -> Tensor:
    """Return the root mean square of each group, in the gate shape."""
    value = target.place.value()
    roots: Tensor = norms(value, target.partition) / sizes(torch.ones_like(value), target.partition).sqrt()
    return roots


def alpha_of(strength: Strength) -> float:
    """Return the strength of the penalty."""
    if strength.alpha is None:
        raise InputError("this method needs an alpha")
    return strength.alpha


def density_of(strength: Strength) -> float:
    """Return the density to reach."""
    if strength.density is None:
        raise InputError("this method needs a density")
    return strength.density
