"""Exact zeros: weights that training has left near zero are set to it by a stated rule; the others can be refitted.

Factors approach zero and do not reach it. The rule asks two things at once: is the weight small, and does its gradient
agree. It serves weights under an optimiser and under :func:`spred.parametrize`; the factors and their moments become
zero with the weights, so training can go on.

An L1 solution is shrunken: alpha has moved every weight that is left towards zero. Its support is what one wants, and
on the support the plain loss decides: that is the refit.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from spred.core.partition import norms
from spred.errors import InputError, SpredWarning, StateError
from spred.nn.copies import Copy, copy_zeros_, counterparts
from spred.nn.inspect import SHORT, table, too_short
from spred.nn.model_weights import LossFn, View, batch_loss, batches, mean_gradients, views
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import factor_dtype, zero_groups_
from spred.nn.pruning.export import evaluating
from spred.nn.sharding import count, whole
from spred.nn.threshold import BINS, HIGH, LOW, at_zero, histogram, smallness
from spred.runtime.users_code import users_code

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
"""Makes an optimiser of parameters."""

Masks = Sequence[tuple[Tensor, Tensor]]
"""Tensors, and where they may change (bool, of the same shape)."""


def adam(params: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimiser of the refit by default: Adam at its usual learning rate of 1e-3."""
    return torch.optim.Adam(params, lr=1e-3)


@dataclass(frozen=True)
class FinalizedTensor:
    """One tensor of ``size`` weights.

    Attributes:
        name: its name in the model.
        size: number of weights.
        zeroed: how many were set to zero.
        nonzeros: how many are left.
        threshold: the group norm up to which they were.
        zeroed_norms: norms of the groups that are zero now, as counts of :func:`spred.nn.threshold.histogram`.
        kept_norms: the same of the groups that are left.
    """

    name: str
    size: int
    zeroed: int
    nonzeros: int
    threshold: float
    zeroed_norms: tuple[int, ...] = field(repr=False)
    kept_norms: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True)
class FinalizeReport:
    """What :func:`finalize` did; ``str(report)`` is a table.

    Attributes:
        rows: one for each penalised tensor.
        losses: the mean loss of each epoch of the refit; empty without ``refit``.
    """

    rows: tuple[FinalizedTensor, ...]
    losses: tuple[float, ...] = ()

    @property
    def zeroed(self) -> int:
        """Weights that became zero."""
        return sum(row.zeroed for row in self.rows)

    @property
    def density(self) -> float:
        """Weights that are not zero, over all penalised weights."""
        return sum(row.nonzeros for row in self.rows) / max(sum(row.size for row in self.rows), 1)

    @property
    def thresholds(self) -> tuple[float, float]:
        """The smallest and the largest threshold of a tensor."""
        used = [row.threshold for row in self.rows]
        return min(used), max(used)

    def histograms(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the histograms of group norms over all tensors: those set to zero, and those kept."""
        zeroed, kept = ([row.zeroed_norms for row in self.rows], [row.kept_norms for row in self.rows])
        return _summed(zeroed), _summed(kept)

    def plot(self) -> Figure:
        """Return a figure of the group norms on both sides of the threshold.

        A run that has finished shows two modes and a gap between them. Then the threshold does not matter; where the
        modes overlap, it does.
        """
        return magnitude_plot(*self.histograms(), self.thresholds)

    def __str__(self) -> str:
        cells = [(r.name, str(r.size), str(r.zeroed), str(r.nonzeros), f"{r.threshold:.3g}") for r in self.rows]
        header = ("tensor", "weights", "set to zero", "nonzero", "threshold")
        return table(header, cells) + f"\ndensity of the penalised weights: {self.density:.4f}"


@torch.no_grad()
def finalize(
    model: nn.Module,
    opt: SpredOptimizer | None = None,
    loader: Iterable[Any] | None = None,
    loss_fn: LossFn | None = None,
    *,
    threshold: float | None = None,
    also: Sequence[Copy] = (),
    refit: bool = False,
    epochs: int = 10,
    optimizer: MakeOptimizer = adam,
) -> FinalizeReport:
    """Set to exactly zero what training has driven near it: in the model, in its factors, in the moments.

    With a loader, a group of depth 2 is set to zero where the proximal map says zero:
    ``‖v_g − τ g_g‖ ≤ τ α ω_g`` with ``τα = threshold`` and g the mean gradient over the loader. So a small weight
    stays if the loss moves it outward by more than its penalty. Without a loader, or at depth 3 and more, where zero is
    always a local minimum, a group is set to zero where ``‖v_g‖ ≤ threshold · ω_g``.

    With ``refit`` the plain loss is then minimised over all parameters but these zeros.

    Args:
        model: the trained model, plain with ``opt``, or under :func:`spred.parametrize` without.
        opt: its SpredOptimizer.
        loader: batches, read once, and once in each epoch of the refit.
        loss_fn: as in :func:`spred.inspect`.
        threshold: the largest group norm that is set to zero, in units of the weights. By default 0.01 of
            the size of each tensor's groups in use (``Σn²/Σn``, with n the group norms over ω).
        also: copies of the model that get the same zeros: moving averages of its weights, models or state dicts.
        refit: train on for ``epochs`` without penalty, the zeros held: an L1 solution is shrunken.
        epochs: passes over the loader in the refit; the learning rate falls to zero along a cosine.
        optimizer: makes the optimiser of the refit from parameters; ``torch.optim.Adam`` with rate 1e-3 by default.

    Returns:
        A :class:`FinalizeReport`.

    Raises:
        InputError: a threshold that is not a finite number ≥ 0; a loader without a loss or the reverse; ``refit``
            without a loader that can be read again, or with no epochs; a copy that is not one of this model.
        StateError: nothing is penalised; weights or their gradients are not finite.

    Warns:
        SpredWarning: the decay budget of a tensor without a target density is below 1, so its weights are not yet those
            of the penalised loss.

    >>> from spred.nn import L1
    >>> model = nn.Linear(3, 1, bias=False)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.tensor([[2.0, 1e-4, -1.0]]))
    >>> opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(model.weight, alpha=0.0))
    >>> finalize(model, opt).zeroed, model.weight.data
    (1, tensor([[ 2.,  0., -1.]]))
    """
    if threshold is not None and not (isfinite(threshold) and threshold >= 0):
        raise InputError(f"threshold is {threshold}; give a finite number that is not negative")
    if opt is not None:
        opt.resplit()
    found = [view for view in views(model, opt) if view.penalty is not None]
    if not found:
        raise StateError("nothing is penalised; give the SpredOptimizer, or a model under spred.parametrize")
    pairs = counterparts(model, _parameters(found), also)
    controlled = [] if opt is None or opt.density_control is None else opt.density_control.entries()
    early = [view.name for view in found if view.entry not in controlled and too_short(view)]
    if early:
        warnings.warn(
            f"the decay budget of {', '.join(early)} is below {SHORT:g}, so the penalty has not had its time; train "
            "longer, or with a larger learning rate or alpha",
            SpredWarning,
            stacklevel=3,
        )
    if refit and (loader is None or loss_fn is None):
        raise InputError("refit needs data; give a loader and a loss_fn")
    grads = mean_gradients(model, found, loader, loss_fn)
    _check_finite(found, grads)
    rows = tuple(_finish(view, grad, threshold, opt) for view, grad in zip(found, grads, strict=True))
    copy_zeros_(pairs)
    if not refit or loader is None or loss_fn is None:
        return FinalizeReport(rows)
    losses = refit_model(model, group_masks(found), loader, loss_fn, epochs=epochs, optimizer=optimizer)
    if opt is not None:
        opt.resplit()
    return FinalizeReport(rows, losses)


def _parameters(found: Sequence[View]) -> list[Tensor]:
    """Return the parameters behind penalised weights: the weights, or their factors under parametrize."""
    return [t for view in found for t in (view.tensors() if view.entry is not None else view.factors or ())]


def _check_finite(found: Sequence[View], grads: Sequence[Tensor | None]) -> None:
    """Refuse weights, and gradients, of which no zero could be told.

    Raises:
        StateError: there is one that is not finite.
    """
    for view, grad in zip(found, grads, strict=True):
        value = view.value().detach()
        if count(~torch.isfinite(value)):
            raise StateError(f"{view.name} has weights that are not finite; go back to a checkpoint from before")
        if grad is not None and count(~torch.isfinite(grad)):
            raise StateError(
                f"the gradient of {view.name} over the loader is not finite; look for a batch whose loss is not, or "
                "leave the loader out"
            )


def _finish(view: View, grad: Tensor | None, threshold: float | None, opt: SpredOptimizer | None) -> FinalizedTensor:
    value = view.value()
    before = count(value)
    precise = value.to(factor_dtype(value.dtype))
    penalty, factors = view.penalty, view.factors
    if penalty is None or factors is None:
        raise StateError(f"{view.name} is not penalised")
    used = smallness(precise, penalty) if threshold is None else threshold
    zero = at_zero(precise, grad, penalty, used)
    zeroed, kept = _histograms(norms(precise, penalty.partition), used * penalty.weights, zero)
    if opt is not None and view.entry is not None:
        opt.zero_groups(view.entry, zero)
    else:
        zero_groups_(factors, zero, penalty.partition)
    after = count(view.value())
    return FinalizedTensor(view.name, value.numel(), before - after, after, used, zeroed, kept)


def _histograms(sizes: Tensor, threshold: Tensor | float, zero: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the histograms of the groups that become zero and of those that stay."""
    limits = torch.ones_like(sizes) * threshold
    sizes, limits, zero = (whole(tensor) for tensor in (sizes, limits, zero))
    return histogram(sizes[zero], limits[zero]), histogram(sizes[~zero], limits[~zero])


def _summed(histograms: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sum(counts) for counts in zip(*histograms, strict=True))


# --- the refit --------------------------------------------------------------------------------------------


@torch.enable_grad()
def refit_model(
    model: nn.Module,
    masks: Masks,
    loader: Iterable[Any],
    loss_fn: LossFn,
    *,
    epochs: int,
    optimizer: MakeOptimizer = adam,
) -> tuple[float, ...]:
    """Minimise the plain loss over the weights that ``masks`` leave free, in place; return the mean loss of each epoch.

    The learning rate falls to zero along a cosine, epoch by epoch. The model is in training mode meanwhile.

    Raises:
        InputError: no epochs, or a loader that cannot be read again.
    """
    if epochs < 1:
        raise InputError(f"epochs is {epochs}; give at least 1")
    opt = optimizer([p for p in model.parameters() if p.requires_grad])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    with evaluating(model, training=True):
        losses = []
        for _ in range(epochs):
            losses.append(_epoch(model, masks, loader, loss_fn, opt))
            schedule.step()
        opt.zero_grad()
    return tuple(losses)


def _epoch(model: nn.Module, masks: Masks, loader: Iterable[Any], loss_fn: LossFn, opt: torch.optim.Optimizer) -> float:
    total, n_samples = 0.0, 0
    for number, batch in batches(loader):
        evaluated: list[tuple[float, int]] = []  # one entry for each call; LBFGS calls more than once

        def closure(
            batch: object = batch, evaluated: list[tuple[float, int]] = evaluated, number: int = number
        ) -> float:
            opt.zero_grad()
            with users_code(f"batch {number} of the refit"):
                loss, size = batch_loss(model, batch, loss_fn)
            torch.autograd.backward(loss)
            mask_gradients_(masks)
            evaluated.append((loss.item(), size))
            return evaluated[-1][0]

        opt.step(closure)
        loss, size = evaluated[0]
        total += loss * size
        n_samples += size
    if not n_samples:
        raise InputError("the loader cannot be read a second time; give a DataLoader or a list, not a generator")
    return total / n_samples


@torch.no_grad()
def mask_gradients_(masks: Masks) -> None:
    """Set the gradients to zero where tensors may not change, so that zeros stay zero."""
    for tensor, mask in masks:
        if tensor.grad is not None:
            tensor.grad.mul_(mask)


def group_masks(found: Sequence[View]) -> list[tuple[Tensor, Tensor]]:
    """Return masks of the groups that are not zero, for weights under an optimiser.

    Factors of a parametrised weight need none: where both are zero, so are their gradients.
    """
    masks: list[tuple[Tensor, Tensor]] = []
    for view in found:
        if view.entry is not None and view.penalty is not None:
            value, partition = view.value().detach(), view.penalty.partition
            nonzero = partition.spread(norms(value, partition) > 0, value)
            masks += zip(view.tensors(), view.entry.place.parts(nonzero), strict=True)
    return masks


def nonzero_masks(tensors: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Return masks of the single weights that are not zero."""
    return [(tensor, tensor.detach() != 0) for tensor in tensors]


# --- the figure -------------------------------------------------------------------------------------------


def magnitude_plot(zeroed: Sequence[int], kept: Sequence[int], thresholds: tuple[float, float]) -> Figure:
    """Draw the norms of groups that were set to zero and of those that were kept, over the threshold of their tensor.

    Args:
        zeroed: counts of :func:`spred.nn.threshold.histogram`.
        kept: the same.
        thresholds: the smallest and the largest threshold of a tensor.
    """
    from spred.report.plots import ACCENT, INK, SOFT, blank  # here, so that training does not load matplotlib

    figure, axes = blank(5.6, 3.2)
    edges = 10.0 ** np.linspace(LOW, HIGH, BINS + 1)
    limits = " to ".join(dict.fromkeys(f"{threshold:.2g}" for threshold in thresholds))
    axes.stairs(zeroed, edges, fill=True, color=SOFT, label="set to zero")
    axes.stairs(np.add(zeroed, kept), edges, baseline=np.asarray(zeroed), fill=True, color=ACCENT, label="kept")
    axes.axvline(1.0, color=INK, linewidth=0.9, linestyle="--")
    axes.text(1.0, 1.0, f" threshold: {limits}", transform=axes.get_xaxis_transform(), va="bottom", fontsize=8)
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("size of a group over the threshold of its tensor")
    axes.set_ylabel("groups")
    axes.legend(frameon=False, fontsize=8, loc="upper right")
    return figure
