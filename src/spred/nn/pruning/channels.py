"""Channels that can be removed: labels that go together, constants, and which labels no layer needs.

A layer *reads* the channels of its input and *writes* those of its output. A *label* is shared by the channels that
can only be removed together: the two sides of a residual sum, the pixels of a flattened filter. A *constant* is the
value that a channel has whatever the input: that of a filter of zeros behind a batch norm and a ReLU, say.
:mod:`spred.nn.pruning.graph` finds both in a model's graph.

A layer needs no channel on which its weights are zero, and none whose constant can be added to its bias. Padding with
zeros keeps constants out of the bias; there one constant channel stays, and stands for the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Weighted = Any
"""A linear layer, convolution or batch norm; nn.Module's own attributes are typed too widely to be of use."""

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class Constant(nn.Module):
    """The output of a branch that does not depend on its input: ``bias``, with axes of length 1 after its channels."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.bias = nn.Parameter(values)

    @property
    def num_features(self) -> int:
        """Return the number of channels."""
        return len(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the values, whatever ``x`` is."""
        return self.bias


@dataclass(frozen=True, eq=False)
class Flow:
    """What is known of the channels of one activation.

    Attributes:
        axis: where the channels are.
        labels: one for each channel.
        constants: the value of each channel whatever the input, NaN where there is none; float64.
    """

    axis: int
    labels: Tensor
    constants: Tensor


@dataclass(frozen=True, eq=False)
class Layer:
    """A module whose weights belong to channels.

    Attributes:
        module: linear, convolution, batch norm or :class:`Constant`.
        labels: those of its outputs.
        inputs: what it reads; None where its inputs cannot be removed, and in a layer ``by_channel``.
        by_channel: each output reads the input of the same label and no other (batch norm, depthwise convolution).
        normalises: of a batch norm, the layer whose outputs it alone reads: their scale is free.
    """

    module: Weighted
    labels: Tensor
    inputs: Flow | None = None
    by_channel: bool = False
    normalises: Weighted | None = None


class Ties:
    """Labels, and which of them can only go together."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._kept: set[int] = set()

    def new(self, n: int) -> Tensor:
        """Return ``n`` new labels."""
        first = len(self._parents)
        self._parents.extend(range(first, first + n))
        return torch.arange(first, first + n)

    def join(self, left: Tensor, right: Tensor) -> None:
        """Tie labels, pair by pair."""
        for a, b in zip(left.tolist(), right.tolist(), strict=True):
            self._parents[self._root(a)] = self._root(b)

    def keep(self, labels: Tensor) -> None:
        """Never remove these."""
        self._kept.update(labels.tolist())

    def roots(self) -> Tensor:
        """Return for each label the one that stands for all that are tied to it."""
        return torch.tensor([self._root(label) for label in range(len(self._parents))], dtype=torch.int64)

    def kept(self) -> Tensor:
        """Return the labels that are never removed."""
        return torch.tensor(sorted(self._kept), dtype=torch.int64)

    def _root(self, label: int) -> int:
        while self._parents[label] != label:
            self._parents[label] = self._parents[self._parents[label]]
            label = self._parents[label]
        return label


def removable(layers: Sequence[Layer], ties: Ties, multiple: int = 1) -> Tensor:
    """Return which labels can be removed (bool): no layer needs them, and no layer is left without outputs.

    With ``multiple``, some of them stay, so that each layer has a multiple of so many outputs, or all it had.

    Args:
        layers: those of the model.
        ties: which of their labels go together.
        multiple: what numbers of outputs are multiples of.
    """
    roots = ties.roots()
    kept = torch.zeros(len(roots), dtype=torch.bool)
    kept[roots[ties.kept()]] = True
    while True:
        removed = _unneeded(layers, roots, kept)
        empty = [layer for layer in layers if bool(removed[layer.labels].all())]
        if not empty:
            return _rounded(removed, layers, roots, multiple)
        kept[roots[empty[0].labels[0]]] = True


def _rounded(removed: Tensor, layers: Sequence[Layer], roots: Tensor, multiple: int) -> Tensor:
    """Return ``removed`` less the labels that stay to make widths multiples.

    What stays only because of that is read with zero weights, or is a constant, so it need not be computed right, and
    what it reads can still be removed.
    """
    changed = True
    while changed:
        changed = False
        for layer in layers:
            spare = torch.unique(roots[layer.labels[removed[layer.labels]]])
            missing = -int((~removed[layer.labels]).sum()) % multiple
            if missing and len(spare):
                back = torch.isin(roots, spare[:missing])
                removed, changed = removed & ~back, True
    return removed


def _unneeded(layers: Sequence[Layer], roots: Tensor, kept: Tensor) -> Tensor:
    """Return the labels that no layer needs; where a round removes outputs, the next finds fewer inputs read."""
    removed = torch.zeros_like(kept)
    while True:
        needed = kept.clone()
        for layer in layers:
            if layer.inputs is not None:
                read = weighted(layer.module)[~removed[layer.labels]].any(dim=0)
                needed[roots[layer.inputs.labels[needed_inputs(layer.module, layer.inputs.constants, read)]]] = True
        now = ~needed[roots]
        if torch.equal(now, removed):
            return removed
        removed = now


def needed_inputs(module: Weighted, constants: Tensor, read: Tensor) -> Tensor:
    """Return which inputs a layer must keep, if it has weights on those where ``read`` holds (bool)."""
    needed = read & constants.isnan()
    largest = largest_constant(module, constants)
    if largest is not None and bool((read & (constants != 0) & ~constants.isnan()).any()):
        needed[largest] = True
    return needed


def largest_constant(module: Weighted, constants: Tensor) -> int | None:
    """Return the constant input that stands for all others; None where the bias can, or where all are zero."""
    sizes = constants.nan_to_num(0.0).abs()
    return int(sizes.argmax()) if padded(module) and bool((sizes > 0).any()) else None


def weighted(module: Weighted) -> Tensor:
    """Return which inputs each output has a weight on, bool ``(outputs, inputs)``."""
    return (kernels(module) != 0).any(dim=2)


def kernels(module: Weighted) -> Tensor:
    """Return the weights of a linear layer or a convolution, ``(outputs, inputs, places)``."""
    weight: Tensor = module.weight
    return weight.detach().reshape(*weight.shape[:2], -1).cpu()


def padded(module: Weighted) -> bool:
    """Return whether a layer reads zeros from outside its input."""
    if not isinstance(module, CONVOLUTIONS):
        return False
    if isinstance(module.padding, str):
        return module.padding == "same" and any(size > 1 for size in module.kernel_size)
    return any(size > 0 for size in module.padding)
