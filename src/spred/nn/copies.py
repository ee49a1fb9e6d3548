"""The same zeros in copies of a model: moving averages of its weights, or a state dict kept beside it.

A copy has the names of the model, perhaps behind those of wrappers: ``torch.optim.swa_utils.AveragedModel`` and
``DistributedDataParallel`` put ``module.`` before every name, ``torch.compile`` puts ``_orig_mod.``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from spred.errors import InputError

WRAPPERS = ("module", "_orig_mod")
"""What wrappers call the model inside."""

Copy = nn.Module | Mapping[str, Tensor]
"""A model of the same names, or its state dict."""


def bare(name: str) -> str:
    """Return the name of a tensor without those of wrappers.

    >>> bare("module._orig_mod.fc.weight")
    'fc.weight'
    """
    parts = name.split(".")
    while len(parts) > 1 and parts[0] in WRAPPERS:
        del parts[0]
    return ".".join(parts)


def counterparts(model: nn.Module, wanted: Iterable[Tensor], copies: Iterable[Copy]) -> list[tuple[Tensor, Tensor]]:
    """Return pairs of a tensor of the model and its counterpart in a copy.

    Args:
        model: the model.
        wanted: some of its parameters.
        copies: models or state dicts.

    Raises:
        InputError: a copy is something else, or lacks a tensor of this name and shape.
    """
    names = {id(tensor): bare(name) for name, tensor in model.named_parameters()}
    tensors = [(names[id(tensor)], tensor) for tensor in wanted]
    pairs = []
    for position, copy in enumerate(copies):
        if not isinstance(copy, nn.Module | Mapping):
            raise InputError(f"also[{position}] is a {type(copy).__name__}; give a model or its state dict")
        inside = dict(copy.named_parameters()) if isinstance(copy, nn.Module) else copy
        named = {bare(name): tensor for name, tensor in inside.items()}
        for name, tensor in tensors:
            found = named.get(name)
            if found is None or found.shape != tensor.shape:
                shape = "nothing" if found is None else f"shape {tuple(found.shape)}"
                raise InputError(
                    f"also[{position}] has {shape} where the model has {name} of shape {tuple(tensor.shape)}; give a "
                    "copy of this model"
                )
            pairs.append((tensor, found))
    return pairs


@torch.no_grad()
def copy_zeros_(pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Set the second tensor of each pair to zero where the first is, in place."""
    for tensor, other in pairs:
        other.masked_fill_((tensor.detach() == 0).to(other.device), 0.0)
