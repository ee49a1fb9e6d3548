"""Channels that carry nothing: labels that go together, constants, and which labels every reader can do without.

A *label* is shared by the channels that can only be cut together: the two sides of a residual sum, the pixels of a
flattened filter. A *constant* is the value that a channel has whatever the input: that of a filter of zeros behind a
batch norm and a ReLU, say. :mod:`spred.nn.pruning.graph` finds both in a model's graph. A reader can do without a
channel if its weights on it are zero, or if its constant can be added to the reader's bias. Padding with zeros keeps
constants out
of the bias; there one constant channel stays, and carries the others.
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


class Constant(nn.Module):
    """What a branch gives that does not depend on its input: ``bias``, with axes of length 1 after its channels."""

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
        inputs: what it reads; None where its inputs cannot be cut, and in a layer ``by_channel``.
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
        """Never cut these."""
        self._kept.update(labels.tolist())

    def roots(self) -> Tensor:
        """Return for each label the one that stands for all that are tied to it."""
        return torch.tensor([self._root(label) for label in range(len(self._parents))], dtype=torch.int64)

    def kept(self) -> Tensor:
        """Return the labels that are never cut."""
        return torch.tensor(sorted(self._kept), dtype=torch.int64)

    def _root(self, label: int) -> int:
        while self._parents[label] != label:
            self._parents[label] = self._parents[self._parents[label]]
            label = self._parents[label]
        return label


def dead(layers: Sequence[Layer], ties: Ties, multiple: int = 1) -> Tensor:
    """Return which labels can go (bool): no reader needs them, and no layer is left without outputs.

    With ``multiple``, some that could go stay, so that each layer has a multiple of so many outputs, or all of them.
    """
    roots = ties.roots()
    kept = torch.zeros(len(roots), dtype=torch.bool)
    kept[roots[ties.kept()]] = True
    while True:
        gone = _unneeded(layers, roots, kept)
        empty = [layer for layer in layers if bool(gone[layer.labels].all())]
        if not empty:
            return _rounded(gone, layers, roots, multiple)
        kept[roots[empty[0].labels[0]]] = True


def _rounded(gone: Tensor, layers: Sequence[Layer], roots: Tensor, multiple: int) -> Tensor:
    """Return ``gone`` less the labels that stay to make widths multiples.

    What stays only because of that is read with zero weights, or is a constant, so it need not be computed right, and
    what it reads can still go.
    """
    changed = True
    while changed:
        changed = False
        for layer in layers:
            spare = torch.unique(roots[layer.labels[gone[layer.labels]]])
            missing = -int((~gone[layer.labels]).sum()) % multiple
            if missing and len(spare):
                back = torch.isin(roots, spare[:missing])
                gone, changed = gone & ~back, True
    return gone


def _unneeded(layers: Sequence[Layer], roots: Tensor, kept: Tensor) -> Tensor:
    """Return what nobody needs; where a round cuts outputs, the next finds fewer inputs that are read."""
    gone = torch.zeros_like(kept)
    while True:
        needed = kept.clone()
        for layer in layers:
            if layer.inputs is not None:
                read = weighted(layer.module)[~gone[layer.labels]].any(dim=0)
                needed[roots[layer.inputs.labels[needed_inputs(layer.module, layer.inputs.constants, read)]]] = True
        now = ~needed[roots]
        if torch.equal(now, gone):
            return gone
        gone = now


def needed_inputs(module: Weighted, constants: Tensor, read: Tensor) -> Tensor:
    """Return which inputs a layer must keep, if it has weights on those where ``read`` holds (bool)."""
    needed = read & constants.isnan()
    carrier = carrier_of(module, constants)
    if carrier is not None and bool((read & (constants != 0) & ~constants.isnan()).any()):
        needed[carrier] = True
    return needed


def carrier_of(module: Weighted, constants: Tensor) -> int | None:
    """Return the input that carries all constants, the largest; None where the bias can, or where all are zero."""
    sizes = constants.nan_to_num(0.0).abs()
    return int(sizes.argmax()) if padded(module) and bool((sizes > 0).any()) else None


def weighted(module: Weighted) -> Tensor:
    """Return which inputs each output has a weight on, bool ``(outputs, inputs)``."""
    return (kernels(module) != 0).any(dim=2)


def kernels(module: Weighted) -> Tensor:
    """Return the weights of a linear layer or a convolution, ``(outputs, inputs, places)``."""
    return module.weight.detach().reshape(*module.weight.shape[:2], -1).cpu()


def padded(module: Weighted) -> bool:
    """Return whether a layer reads zeros from outside its input."""
    if not isinstance(module, CONVOLUTIONS):
        return False
    if isinstance(module.padding, str):
        return module.padding == "same" and any(size > 1 for size in module.kernel_size)
    return any(size > 0 for size in module.padding)
