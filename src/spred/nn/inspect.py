"""What a model has reached: how sparse it is, how far the penalty has acted, what is still undecided.

A training loss does not tell whether an L1 solution has been reached. The figures here do; docs/torch.md
explains how to read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from spred.core.factorization import Factors, quadratic_penalty
from spred.core.partition import norms
from spred.core.penalties import Penalty
from spred.nn.model_weights import LossFn, View, mean_gradients, views
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.parametrize import Product
from spred.nn.penalties import WEIGHTED, factor_dtype
from spred.nn.pruning.channels import BATCH_NORMS
from spred.nn.sharding import count, number
from spred.nn.threshold import at_zero, smallness

STATIONARY = 0.1
"""A group whose residual is below this part of alpha is stationary. Smaller, and the noise of minibatches makes every
group undecided; larger, and groups that still move count as decided (tests of inspect, at the end of training)."""

SHORT = 1.0
"""A decay budget below this is too small for an L1 solution: more than exp(−2) of the imbalance is left."""

COLUMNS = (
    *("tensor", "shape", "nonzero", "density", "alpha"),
    *("B", "balance", "residual", "undecided", "notes"),
)


@dataclass(frozen=True)
class TensorReport:
    """The figures of one tensor.

    Attributes:
        name: its name in the model.
        shape: its shape.
        nonzeros: weights that are not exactly zero.
        density: ``nonzeros`` over all its weights.
        alpha: strength of its penalty; None without one, and then so are the following.
        budget: decay budget B (:meth:`SpredOptimizer.decay_budget`); None without an optimiser.
        balance: penalty of the weights over quadratic penalty of the factors, 1 at balance, and below it
            before.
        residual: largest ``‖v − prox_{τα}(v − τg)‖/(τα)`` of its groups; None without a loader.
        undecided: groups with a residual above 0.1 that :func:`spred.finalize` would not set to zero: neither
            at zero nor stationary. None without a loader.
        notes: what limits these figures.
    """

    name: str
    shape: tuple[int, ...]
    nonzeros: int
    density: float
    alpha: float | None = None
    budget: float | None = None
    balance: float | None = None
    residual: float | None = None
    undecided: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelReport:
    """The figures of a model: ``rows``, one per tensor; ``str(report)`` is a table."""

    rows: tuple[TensorReport, ...]

    @property
    def density(self) -> float:
        """Weights that are not zero, over all weights in the rows."""
        return sum(row.nonzeros for row in self.rows) / max(sum(prod(row.shape) for row in self.rows), 1)

    @property
    def undecided(self) -> int | None:
        """Undecided groups of all rows; None without a loader."""
        counts = [row.undecided for row in self.rows if row.undecided is not None]
        return sum(counts) if counts else None

    def __str__(self) -> str:
        return table(COLUMNS, [_cells(row) for row in self.rows]) + f"\ndensity of all: {self.density:.4f}"


def inspect(
    model: nn.Module,
    opt: SpredOptimizer | None = None,
    loader: Iterable[Any] | None = None,
    loss_fn: LossFn | None = None,
) -> ModelReport:
    """Report how far ``model`` is from a solution of the penalised loss, tensor by tensor. Nothing is changed.

    For each tensor: its density, the decay budget B, the balance of its factors, the residual
    ``max_g ‖v_g − prox_{τα}(v_g − τ g_g)‖/(τα)``, which is 0 at a solution, and how many groups are undecided: neither
    at zero nor stationary.

    Args:
        model: a plain model, or one under :func:`spred.parametrize`.
        opt: its SpredOptimizer; without it a plain model's report has nonzeros and density only.
        loader: batches; one pass gives the mean gradient g, the model in evaluation mode.
        loss_fn: a mean over the batch: ``loss_fn(model(inputs), targets)`` where batches are pairs of tensors,
            ``loss_fn(model, batch)`` where they are anything else, such as dicts.

    Returns:
        A :class:`ModelReport`. The residual uses the step τ with ``τα = 0.01`` of the tensor's typical group
        norm, so a weight far below that is at zero if its gradient lets it be.

    Raises:
        InputError: a loader without a loss or the reverse, or without batches.
        StateError: ``opt`` holds tensors that the model does not.

    >>> model = nn.Linear(3, 2)
    >>> inspect(model).density
    1.0
    """
    found = views(model, opt)
    grads = mean_gradients(model, found, loader, loss_fn)
    normalised = _before_batch_norm(model)
    budgets = {} if opt is None else opt.decay_budget()
    return ModelReport(tuple(_row(view, grad, budgets, normalised) for view, grad in zip(found, grads, strict=True)))


@torch.no_grad()
def residuals(value: Tensor, grad: Tensor, penalty: Penalty, threshold: float) -> Tensor:
    """Return each group's distance from stationarity over ``α``, in the gate shape; continuous in ``value``.

    ``‖v − prox_{τα}(v − τg)‖/(τα)`` with ``τα = threshold``. Depth D ≥ 3 has no prox here: the smaller of
    ``‖v‖/(τα)`` (zero is always a local minimum) and the KKT residual over α.
    """
    step = threshold / penalty.alpha
    if penalty.depth == 2:
        moved: Tensor = norms(value - penalty.prox(value - step * grad, step), penalty.partition)
        return moved / threshold
    stationary: Tensor = penalty.kkt_residual(value, grad) / penalty.alpha
    return torch.minimum(norms(value, penalty.partition) / threshold, stationary)


def too_short(view: View) -> bool:
    """Return whether the decay budget of a weight is too small for an L1 solution."""
    return (
        view.entry is not None
        and view.entry.place.requires_grad
        and view.entry.target.penalty.alpha > 0
        and view.entry.budget() < SHORT
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return text columns, the first left and the others right, as wide as they need to be."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if k in (0, len(header) - 1) else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


@torch.no_grad()
def _row(view: View, grad: Tensor | None, budgets: dict[Tensor, float], normalised: set[int]) -> TensorReport:
    value = view.value().detach()
    nonzeros = count(value)
    plain = TensorReport(view.name, tuple(value.shape), nonzeros, nonzeros / max(value.numel(), 1))
    penalty, factors = view.penalty, view.factors
    if penalty is None or factors is None:
        return plain
    residual = undecided = None
    precise = value.to(factor_dtype(value.dtype))
    if grad is not None and penalty.alpha > 0:
        threshold = smallness(precise, penalty)
        distance = residuals(precise, grad.to(precise.dtype), penalty, threshold)
        moving = (distance > STATIONARY) & ~at_zero(precise, grad, penalty, threshold)
        residual, undecided = number(distance.max()), count(moving)
    notes = []
    if any(id(module) in normalised for module, _ in view.parts) and len(view.parts) == 1:
        notes.append("followed by batch norm: scale-invariant")
    if not nonzeros:
        notes.append("every weight is zero")
    if view.entry is not None and not view.entry.place.requires_grad:
        notes.append("frozen")
    elif too_short(view):
        notes.append("B is small: train longer")
    return replace(
        plain,
        alpha=penalty.alpha,
        budget=None if view.entry is None else budgets[view.entry.place.tensors[0]],
        balance=_balance(precise, factors, penalty),
        residual=residual,
        undecided=undecided,
        notes=tuple(notes),
    )


def _balance(value: Tensor, factors: Factors, penalty: Penalty) -> float:
    unit = Penalty(1.0, weights=penalty.weights, partition=penalty.partition, depth=penalty.depth)
    quadratic = number(quadratic_penalty(factors, 1.0, penalty.weights, penalty.partition))
    return number(unit.value(value)) / quadratic if quadratic > 0 else 1.0


def _before_batch_norm(model: nn.Module) -> set[int]:
    """Ids of the modules with weights whose next leaf, in the order of registration, is a batch norm."""
    leaves = [
        module
        for module in model.modules()
        if isinstance(module, WEIGHTED) or not (isinstance(module, Product) or list(module.children()))
    ]
    return {
        id(module)
        for module, after in pairwise(leaves)
        if isinstance(module, WEIGHTED) and isinstance(after, BATCH_NORMS)
    }


def _cells(row: TensorReport) -> tuple[str, ...]:
    return (
        row.name,
        "×".join(map(str, row.shape)),
        str(row.nonzeros),
        f"{row.density:.4f}",
        _number(row.alpha, "g"),
        _number(row.budget, ".2f"),
        _number(row.balance, ".3f"),
        _number(row.residual, ".3g"),
        _number(row.undecided, "d"),
        "; ".join(row.notes),
    )


def _number(value: float | None, form: str) -> str:
    return "–" if value is None or value != value else format(value, form)
