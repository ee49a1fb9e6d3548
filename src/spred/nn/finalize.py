"""Exact zeros: the weights that a finite training run has left near zero are set to it, by a rule that is
stated.

Factors approach zero and do not arrive. The rule asks two things at once: is the weight small, and does its
gradient agree. Both roads are served; the factors and their moments are zeroed with the weights, so training
can go on.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor, nn

from spred.core.factors import natural_scale
from spred.errors import InputError, SpredWarning, StateError
from spred.nn.groups import factor_dtype, zero_groups_
from spred.nn.inspect import SHORT, View, mean_gradients, table, too_short, views
from spred.nn.optimizer import SpredOptimizer
from spred.nn.zeros import SMALL, at_zero


@dataclass(frozen=True)
class FinalizedTensor:
    """One tensor of ``size`` weights: how many were set to zero, how many are left, the threshold used."""

    name: str
    size: int
    zeroed: int
    nonzeros: int
    threshold: float


@dataclass(frozen=True)
class FinalizeReport:
    """What :func:`finalize` did: ``rows``, one per penalised tensor; ``str(report)`` is a table."""

    rows: tuple[FinalizedTensor, ...]

    @property
    def zeroed(self) -> int:
        """Weights that became zero."""
        return sum(row.zeroed for row in self.rows)

    @property
    def density(self) -> float:
        """Weights that are not zero, over all penalised weights."""
        return sum(row.nonzeros for row in self.rows) / max(sum(row.size for row in self.rows), 1)

    def __str__(self) -> str:
        cells = [(r.name, str(r.size), str(r.zeroed), str(r.nonzeros), f"{r.threshold:.3g}") for r in self.rows]
        header = ("tensor", "weights", "set to zero", "nonzero", "threshold")
        return table(header, cells) + f"\ndensity of the penalised weights: {self.density:.4f}"


@torch.no_grad()
def finalize(
    model: nn.Module,
    opt: SpredOptimizer | None = None,
    loader: Iterable | None = None,
    loss_fn: Callable[[Tensor, Tensor], Tensor] | None = None,
    *,
    threshold: float | None = None,
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
        loader: batches ``(inputs, targets)``, read once.
        loss_fn: ``loss_fn(model(inputs), targets)``, a mean over the batch.
        threshold: the largest group norm that is set to zero, in units of the weights. By default 0.01 of
            each tensor's typical group norm (root mean square, :func:`spred.core.factors.natural_scale`).

    Returns:
        A :class:`FinalizeReport`.

    Raises:
        InputError: a threshold that is not a finite number ≥ 0; a loader without a loss or the reverse.
        StateError: nothing is penalised.

    Warns:
        SpredWarning: the decay budget of a tensor is below 1, so its weights are not yet those of the penalised loss.
    """
    if threshold is not None and not (isfinite(threshold) and threshold >= 0):
        raise InputError(f"threshold is {threshold}; give a finite number that is not negative")
    if opt is not None:
        opt.resplit()
    found = [view for view in views(model, opt) if view.penalty is not None]
    if not found:
        raise StateError("nothing is penalised; give the SpredOptimizer, or a model under spred.parametrize")
    early = [view.name for view in found if too_short(view)]
    if early:
        warnings.warn(
            f"the decay budget of {', '.join(early)} is below {SHORT:g}, so the penalty has not had its time; train "
            "longer, or with a larger learning rate or alpha",
            SpredWarning,
            stacklevel=3,
        )
    grads = mean_gradients(model, found, loader, loss_fn)
    return FinalizeReport(tuple(_finish(view, grad, threshold, opt) for view, grad in zip(found, grads, strict=True)))


def _finish(view: View, grad: Tensor | None, threshold: float | None, opt: SpredOptimizer | None) -> FinalizedTensor:
    value = view.value()
    before = int(torch.count_nonzero(value))
    precise = value.to(factor_dtype(value))
    penalty, factors = view.penalty, view.factors
    if penalty is None or factors is None:
        raise StateError(f"{view.name} is not penalised")
    used = SMALL * natural_scale(precise, penalty.partition) if threshold is None else threshold
    dead = at_zero(precise, grad, penalty, used)
    if opt is not None and view.entry is not None:
        opt.close(view.entry, dead)
    else:
        zero_groups_(factors, dead, penalty.partition)
    after = int(torch.count_nonzero(view.value()))
    return FinalizedTensor(view.name, value.numel(), before - after, after, used)
