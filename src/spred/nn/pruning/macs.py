"""Costs: what a target density is a fraction of. Weights, or the multiply-adds (MACs) of the pruned model.

A filter that becomes zero saves its own products, and those of the layers that read it. So the multiply-adds that are
left depend on which channels are zero together, and are counted for the network as a whole, by the labels of
:mod:`spred.nn.pruning.graph`: they say where the channels of one layer are read by another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from spred.errors import InputError
from spred.nn.joined import Place
from spred.nn.pruning.channels import CONVOLUTIONS, Layer
from spred.nn.pruning.export import evaluating, exported, unwrapped
from spred.nn.pruning.graph import trace
from spred.nn.sharding import count, whole

Kept = Sequence[tuple[Place, Tensor]]
"""Penalised values, and which of their weights are kept (bool, of the shape of the value); of all others, all are."""


class Cost(Protocol):
    """What a model costs: counts what is left of it."""

    def share(self, kept: Kept) -> float:
        """Return the fraction of the cost that is left, 0 … 1."""
        ...

    def severed(self, kept: Kept) -> bool:
        """Return whether it is known that nothing of the input reaches the output any more."""
        ...


class Weights:
    """The penalised weights themselves; each counts the same."""

    def share(self, kept: Kept) -> float:
        """Return the fraction of weights that are kept."""
        return sum(count(mask) for _, mask in kept) / max(sum(mask.numel() for _, mask in kept), 1)

    def severed(self, kept: Kept) -> bool:
        """Return False: weights alone do not tell how they are connected."""
        return False


@dataclass(frozen=True, eq=False)
class Matrix:
    """One layer: its weight, the cost of each of its products, and the channels that it writes and reads.

    Attributes:
        weight: ``(out, in, …)``.
        cost: multiply-adds of one output channel with one input channel.
        outputs: label of each output channel.
        inputs: label of each input channel; None if they cannot be removed, and in a layer ``by_channel``.
        by_channel: each output reads one input.
    """

    weight: Tensor
    cost: float
    outputs: Tensor
    inputs: Tensor | None
    by_channel: bool


class MACs:
    """Multiply-adds as the cost that a target density is a fraction of: those of linear layers and convolutions.

    Counts, for one sample, ``Σ_layers positions · kernel size · outputs · inputs`` over the channels that are left:
    those that some layer writes and some layer reads. It is what :func:`spred.shrink` leaves, but for constants that it
    cannot move. Give it to :class:`spred.SpredOptimizer` as ``cost=``, with ``target_density``.

    Args:
        model: the model that is trained.
        example_input: what ``model`` is called with: a tensor, or a tuple of arguments. Its first axis counts samples.

    Attributes:
        total: multiply-adds of the model for one sample, in the layers that can be followed.

    Raises:
        InputError: ``torch.export`` cannot follow the model, or none of its channels can be removed.

    Multiply-adds are counted as :class:`torch.utils.flop_counter.FlopCounterMode` counts them, two operations each.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> MACs(model, torch.ones(1, 4)).total
    48.0
    """

    def __init__(self, model: nn.Module, example_input: Any) -> None:
        args = tuple(example_input) if isinstance(example_input, tuple | list) else (example_input,)
        model = unwrapped(model)
        with evaluating(model):
            traced = trace(exported(model, args), model)
            positions = _positions(model, args)
        self._matrices = [_matrix(layer, positions) for layer in traced.layers if isinstance(layer.module, MATRICES)]
        if not self._matrices:
            raise InputError("no linear layer and no convolution of the model has channels that can be removed")
        norms = [(layer.module, layer.normalises.weight) for layer in traced.layers if layer.normalises is not None]
        self._norms = [(norm.weight, list(norm.parameters()), read) for norm, read in norms]
        self._know_norms()
        self._roots = traced.ties.roots()
        self._fixed = torch.zeros(len(self._roots), dtype=torch.bool)
        self._fixed[self._roots[traced.ties.kept()]] = True
        self.total = self._left({})
        self._outputs = self._reached({}) & self._fixed

    def _know_norms(self) -> None:
        """Know gains, and all parameters, of batch norms by their identity."""
        self._gained = {id(gain): read for gain, _, read in self._norms}  # a gain of zero is as good as a row of zeros
        self._scaled = {id(part): read for _, parts, read in self._norms for part in parts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the attributes of a copy, whose tensors are others."""
        vars(self).update(state)
        self._know_norms()

    def share(self, kept: Kept) -> float:
        """Return the fraction of the multiply-adds that is left.

        Raises:
            InputError: a penalised value is not of a layer whose multiply-adds are counted.
        """
        known = {id(matrix.weight) for matrix in self._matrices} | set(self._gained)
        if any(known.isdisjoint(map(id, place.tensors)) for place, _ in kept):
            raise InputError(
                "a cost in multiply-adds needs penalties on linear layers and convolutions whose channels can be "
                "cut, or on their batch norms; leave the others out of this optimiser's penalties, or the cost"
            )
        return self._left(self._masks(kept)) / self.total

    def severed(self, kept: Kept) -> bool:
        """Return whether an output depends on no input any more; a residual connection keeps it dependent.

        Values that are not of a layer whose multiply-adds are counted are taken as kept.
        """
        return bool((self._outputs & ~self._reached(self._masks(kept))).any())

    def relative_macs(self, weight: Tensor) -> float:
        """Return the work of one weight of a layer, over that of the average weight; 1 if the layer is not counted.

        Gain and bias of a batch norm are as dear as the weights of the layer that it alone reads.
        """
        n_weights = sum(matrix.weight.numel() for matrix in self._matrices)
        weight = self._scaled.get(id(weight), weight)
        mine = [matrix for matrix in self._matrices if matrix.weight is weight]
        return sum(map(_per_weight, mine)) / len(mine) * n_weights / self.total if mine else 1.0

    def _masks(self, kept: Kept) -> dict[int, Tensor]:
        """Return which weights of each layer are kept, by the identity of the tensor."""
        masks: dict[int, Tensor] = {}
        for place, mask in kept:
            masks |= dict(zip(map(id, place.tensors), place.parts(mask), strict=True))
        for gain in self._gained.keys() & masks.keys():
            weight = self._gained[gain]
            rows = masks[gain].reshape(-1, *[1] * (weight.ndim - 1)).expand_as(weight)
            masks[id(weight)] = masks[id(weight)] & rows if id(weight) in masks else rows
        return masks

    def _left(self, masks: dict[int, Tensor]) -> float:
        """Return the multiply-adds of what is written and read; a weight without a mask is kept."""
        written, wanted = torch.zeros_like(self._fixed), torch.zeros_like(self._fixed)
        for matrix in self._matrices:
            mask = masks.get(id(matrix.weight))
            if not matrix.by_channel:
                written[self._roots[_used(matrix.outputs, mask, 0)]] = True
            if matrix.inputs is not None:
                wanted[self._roots[_used(matrix.inputs, mask, 1)]] = True
        left = (self._fixed | (written & wanted))[self._roots]
        return float(sum(matrix.cost * _products(matrix, left) for matrix in self._matrices))

    def _reached(self, masks: dict[int, Tensor]) -> Tensor:
        """Return the labels that something of the input reaches (bool, by root); layers come in the graph's order."""
        reached = torch.zeros_like(self._fixed)
        for matrix in self._matrices:
            mask = masks.get(id(matrix.weight))
            reads = None if matrix.inputs is None else self._roots[_used(matrix.inputs, mask, 1)]
            if not matrix.by_channel and (reads is None or reached[reads].any()):
                reached[self._roots[_used(matrix.outputs, mask, 0)]] = True
        return reached


MATRICES = (nn.Linear, *CONVOLUTIONS)
"""Modules whose products are counted."""

ROUNDING = 1e-6
"""Relative excess over an allowed fraction that is taken for rounding of the fraction; far below what a group costs.
Without it a fraction that is reached exactly loses a group more (tests of macs)."""


def largest(scores: Sequence[Tensor], share: Callable[[list[Tensor]], float], allowed: float) -> float:
    """Return the score from which on groups are kept, as many as are allowed; infinity if not even one.

    Args:
        scores: one for each group, ≥ 0, tensor by tensor; groups of score 0 are not asked for.
        share: gives the fraction that is left for masks (bool, like ``scores``) of what is kept; more never give less.
        allowed: the largest fraction to have.
    """
    flat = torch.cat([whole(score).flatten() for score in scores])
    ordered = flat[flat > 0].sort(descending=True).values
    few, many = 0, len(ordered)
    while few < many:  # ``few`` fit, more than ``many`` do not
        middle = (few + many + 1) // 2
        cut = float(ordered[middle - 1])
        if share([score >= cut for score in scores]) <= allowed * (1.0 + ROUNDING):
            few = middle
        else:
            many = middle - 1
    return float(ordered[few - 1]) if few else inf


def _matrix(layer: Layer, positions: Mapping[nn.Module, int]) -> Matrix:
    module = layer.module
    cost = float(positions[module] * prod(module.weight.shape[2:]))
    inputs = None if layer.inputs is None else layer.inputs.labels
    return Matrix(module.weight, cost, layer.labels, inputs, layer.by_channel)


def _positions(model: nn.Module, args: tuple[Any, ...]) -> dict[nn.Module, int]:
    """Return how many times each layer is used for one sample: pixels of a convolution's output, tokens."""
    found: dict[nn.Module, int] = {}

    def record(module: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        found[module] = output[0].numel() // module.weight.shape[0]

    hooks = [module.register_forward_hook(record) for module in model.modules() if isinstance(module, MATRICES)]
    try:
        with torch.no_grad():
            model(*args)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _used(labels: Tensor, mask: Tensor | None, axis: int) -> Tensor:
    """Return the labels along an axis of a weight at which something is kept."""
    if mask is None:
        return labels
    rows = mask.movedim(axis, 0).flatten(start_dim=1).any(dim=1).cpu()
    return labels[rows]


def _products(matrix: Matrix, left: Tensor) -> int:
    """Return how many pairs of an output and an input channel are left in a layer."""
    n_out = int(left[matrix.outputs].sum())
    if matrix.by_channel:
        return n_out
    return n_out * (matrix.weight.shape[1] if matrix.inputs is None else int(left[matrix.inputs].sum()))


def _per_weight(matrix: Matrix) -> float:
    return matrix.cost / prod(matrix.weight.shape[2:])
