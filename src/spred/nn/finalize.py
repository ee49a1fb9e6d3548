"""Exact zeros: the weights that a finite training run has left near zero are set to it, by a rule that is
stated.

Factors approach zero and do not arrive. The rule asks two things at once: is the weight small, and does its
gradient agree. Both roads are served; the factors and their moments are zeroed with the weights, so training
can go on.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from spred.core.partition import norms
from spred.errors import InputError, SpredWarning, StateError
from spred.nn.debias import MakeOptimizer, adam, refit
from spred.nn.inspect import SHORT, table, too_short
from spred.nn.model_weights import LossFn, View, mean_gradients, views
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import factor_dtype, zero_groups_
from spred.nn.sharding import count, whole
from spred.nn.threshold import at_zero, histogram, smallness

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class FinalizedTensor:
    """One tensor of ``size`` weights.

    Attributes:
        name: its name in the model.
        size: number of weights.
        zeroed: how many were set to zero.
        nonzeros: how many are left.
        threshold: the group norm up to which they were.
        closed: how large the groups were that are at zero now, as counts of :func:`spred.nn.threshold.histogram`.
        open: the same of the groups that are left.
    """

    name: str
    size: int
    zeroed: int
    nonzeros: int
    threshold: float
    closed: tuple[int, ...] = field(repr=False)
    open: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True)
class FinalizeReport:
    """What :func:`finalize` did; ``str(report)`` is a table.

    Attributes:
        rows: one for each penalised tensor.
        losses: the mean loss of each epoch of refitting; empty without ``debias``.
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

    def plot(self) -> Figure:
        """Return a figure of the magnitudes on both sides of the threshold.

        A run that has finished shows two heaps and a gap between them. Then the threshold does not matter; where the
        heaps run into one another, it does.
        """
        from spred.nn.plots import magnitude_plot  # here, so that training does not load matplotlib

        closed, left = ([sum(counts) for counts in zip(*column, strict=True)] for column in self._columns())
        used = sorted({row.threshold for row in self.rows})
        return magnitude_plot(closed, left, " to ".join(f"{t:.2g}" for t in dict.fromkeys((used[0], used[-1]))))

    def _columns(self) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        return [row.closed for row in self.rows], [row.open for row in self.rows]

    def __str__(self) -> str:
        cells = [(r.name, str(r.size), str(r.zeroed), str(r.nonzeros), f"{r.threshold:.3g}") for r in self.rows]
        header = ("tensor", "weights", "set to zero", "nonzero", "threshold")
        return table(header, cells) + f"\ndensity of the penalised weights: {self.density:.4f}"


@torch.no_grad()
def finalize(
    model: nn.Module,
    opt: SpredOptimizer | None = None,
    loader: Iterable | None = None,
    loss_fn: LossFn | None = None,
    *,
    threshold: float | None = None,
    debias: bool = False,
    epochs: int = 10,
    optimizer: MakeOptimizer = adam,
) -> FinalizeReport:
    """Set the weights that training has driven to zero exactly to zero: in the model, in its factors, in the
    moments.

    With a loader, a group of depth 2 is set to zero where the proximal map says zero:
    ``‖v_g − τ g_g‖ ≤ τ α ω_g`` with ``τα = threshold`` and g the mean gradient over the loader. So a small
    weight stays if the loss pulls it outward with more than its penalty. Without a loader, or at depth 3 and
    more, where zero is always a local minimum, a group is set to zero where ``‖v_g‖ ≤ threshold · ω_g``.

    Args:
        model: the trained model, plain with ``opt``, or under :func:`spred.parametrize` without.
        opt: its SpredOptimizer.
        loader: batches, read once, and once in each epoch of refitting.
        loss_fn: as in :func:`spred.inspect`.
        threshold: the largest group norm that is set to zero, in units of the weights. By default 0.01 of
            the size of each tensor's groups in use (``Σn²/Σn``, with n the group norms over ω).
        debias: train on for ``epochs`` without penalty, all parameters but the zeros: an L1 solution is shrunken.
        epochs: passes over the loader to refit; the learning rate falls to zero along a cosine.
        optimizer: makes the optimiser of the refit from parameters; ``torch.optim.Adam`` with rate 1e-3 by default.

    Returns:
        A :class:`FinalizeReport`.

    Raises:
        InputError: a threshold that is not a finite number ≥ 0; a loader without a loss or the reverse; ``debias``
            without a loader that can be read again.
        StateError: nothing is penalised.

    Warns:
        SpredWarning: the decay budget of a tensor without a target density is below 1, so its weights are not yet those
            of the penalised loss.
    """
    if threshold is not None and not (isfinite(threshold) and threshold >= 0):
        raise InputError(f"threshold is {threshold}; give a finite number that is not negative")
    if opt is not None:
        opt.resplit()
    found = [view for view in views(model, opt) if view.penalty is not None]
    if not found:
        raise StateError("nothing is penalised; give the SpredOptimizer, or a model under spred.parametrize")
    controlled = [] if opt is None or opt.density_control is None else opt.density_control.entries()
    early = [view.name for view in found if view.entry not in controlled and too_short(view)]
    if early:
        warnings.warn(
            f"the decay budget of {', '.join(early)} is below {SHORT:g}, so the penalty has not had its time; train "
            "longer, or with a larger learning rate or alpha",
            SpredWarning,
            stacklevel=3,
        )
    if debias and (loader is None or loss_fn is None):
        raise InputError("debias needs data to refit on; give a loader and a loss_fn")
    grads = mean_gradients(model, found, loader, loss_fn)
    rows = tuple(_finish(view, grad, threshold, opt) for view, grad in zip(found, grads, strict=True))
    if not debias or loader is None or loss_fn is None:
        return FinalizeReport(rows)
    losses = refit(model, found, loader, loss_fn, epochs=epochs, optimizer=optimizer)
    if opt is not None:
        opt.resplit()
    return FinalizeReport(rows, losses)


def _finish(view: View, grad: Tensor | None, threshold: float | None, opt: SpredOptimizer | None) -> FinalizedTensor:
    value = view.value()
    before = count(value)
    precise = value.to(factor_dtype(value.dtype))
    penalty, factors = view.penalty, view.factors
    if penalty is None or factors is None:
        raise StateError(f"{view.name} is not penalised")
    used = smallness(precise, penalty) if threshold is None else threshold
    dead = at_zero(precise, grad, penalty, used)
    closed, left = _histograms(norms(precise, penalty.partition), used * penalty.weights, dead)
    if opt is not None and view.entry is not None:
        opt.zero_groups(view.entry, dead)
    else:
        zero_groups_(factors, dead, penalty.partition)
    after = count(view.value())
    return FinalizedTensor(view.name, value.numel(), before - after, after, used, closed, left)


def _histograms(sizes: Tensor, threshold: Tensor | float, dead: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the histograms of the groups that go and of those that stay."""
    limits = torch.ones_like(sizes) * threshold
    sizes, limits, dead = (whole(tensor) for tensor in (sizes, limits, dead))
    return histogram(sizes[dead], limits[dead]), histogram(sizes[~dead], limits[~dead])
