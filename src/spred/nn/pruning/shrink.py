"""Shrink: channels, neurons, heads and branches of zeros are removed from the modules.

Zeros alone make a file smaller and a network no faster. Here whole channels are cut out of the weights, so that what is
left is a smaller model of the same modules, with the same outputs. :mod:`spred.nn.pruning.channels` says which
channels can be removed, :mod:`spred.nn.pruning.heads` which heads, :mod:`spred.nn.pruning.branches` which branches of a
residual sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from spred.errors import InputError, StateError
from spred.nn.parametrize import products
from spred.nn.pruning.branches import drop_branches
from spred.nn.pruning.channels import CONVOLUTIONS, Constant, Layer, Weighted, largest_constant, removable
from spred.nn.pruning.export import exported, unwrapped
from spred.nn.pruning.graph import trace
from spred.nn.pruning.heads import shrink_heads
from spred.runtime.users_code import users_code

TOLERANCE = 1e-5
"""Largest difference of outputs that is taken for rounding, as a part of the largest output (and of 1). Tighter, and
rounding of float32 in deep networks is refused; looser, and a channel removed wrongly may pass (tests of shrink)."""

EPSILONS = 8
"""The same in units of the output's own precision, for dtypes that are coarser than :data:`TOLERANCE`."""


@torch.no_grad()
def shrink(model: nn.Module, example_input: Any, *, multiple: int = 1) -> nn.Module:
    """Return a smaller model with the same outputs: filters, neurons, input channels and heads of zeros are removed.

    A channel is removed if every layer that reads it has zero weights on it, or if its own weights are zero, so that it
    is a constant, which then moves into the biases that follow. Channels that meet in a residual sum are removed where
    they can be on every side. An attention head is removed if its values, or its columns of the output projection, are
    zero. A branch that adds a constant is removed as a whole. The outputs are those in evaluation mode, and they are
    compared on ``example_input`` before the model is returned.

    Args:
        model: a model with exact zeros (:func:`spred.finalize`), or a wrapper of one such as DistributedDataParallel;
            it is not changed. Shared weights and operations
            that are not known (:mod:`spred.nn.pruning.graph`) keep their channels.
        example_input: what ``model`` is called with: a tensor, a tuple of arguments or a dict of named ones.
        multiple: layers are left with a multiple of so many channels, or with all they had: 8 suits the vector units
            of most processors. Heads are not counted in channels and are not rounded.

    Returns:
        A copy, with fewer channels in linear layers, convolutions and batch norms, with
        :class:`~spred.nn.pruning.heads.Attention` in the place of attention that lost heads, and with
        :class:`~spred.nn.pruning.channels.Constant` and ``nn.Identity`` in the place of branches. It is plain PyTorch,
        and needs a new optimiser.

    Raises:
        StateError: the model is still under :func:`spred.parametrize`.
        InputError: ``multiple`` is not a positive integer; ``torch.export`` cannot follow the model; or its code has
            sizes written in numbers, so that a smaller one cannot run.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> with torch.no_grad():
    ...     _ = model[0].weight[3:].zero_()
    >>> shrink(model, torch.ones(1, 4))[0]
    Linear(in_features=4, out_features=3, bias=True)
    """
    if multiple < 1:
        raise InputError(f"multiple is {multiple}; give a positive integer, such as 8")
    if next(products(model), None) is not None:
        raise StateError(
            "the weights are still products; call spred.remove_parametrizations(model) before spred.shrink"
        )
    model = unwrapped(model)
    args, kwargs = _call(example_input)
    small = deepcopy(model).eval()
    modes = {name: module.training for name, module in model.named_modules()}
    with users_code("the model, called with the example"):
        expected = deepcopy(small)(*args, **kwargs)
    small = shrink_heads(small, args, kwargs)
    program = _program(small, args, kwargs)
    if drop_branches(trace(program, small), program.graph):
        program = _program(small, args, kwargs)
    traced = trace(program, small)
    removed = removable(traced.layers, traced.ties, multiple)
    for layer in traced.layers:
        _cut(layer, removed)
    _compare(small, args, kwargs, expected)
    for name, module in small.named_modules():
        module.training = modes.get(name, model.training)
    return small


def _call(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of the call that an example stands for, by position and by name."""
    if isinstance(example, Mapping):
        return (), dict(example)
    return (tuple(example) if isinstance(example, tuple | list) else (example,)), {}


def _program(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.export.ExportedProgram:
    hint = "; see whether torch.export.export(model, args) works, or shrink the part of the model where it does"
    return exported(model, args, kwargs, hint=hint)


def _cut(layer: Layer, removed: Tensor) -> None:
    """Cut the removed channels of one layer out of its weights, in place."""
    module, kept = layer.module, ~removed[layer.labels]
    if layer.inputs is not None:
        _cut_inputs(module, layer.inputs.constants, ~removed[layer.inputs.labels])
    for name in ("weight", "bias", "running_mean", "running_var"):
        tensor = getattr(module, name, None)
        if tensor is not None:
            left = tensor[kept.to(tensor.device)]
            setattr(module, name, _like(tensor, left) if isinstance(tensor, nn.Parameter) else left)
    n_kept = int(kept.sum())
    if isinstance(module, nn.Linear):
        module.out_features = n_kept
    elif isinstance(module, CONVOLUTIONS):
        module.out_channels = n_kept
        if layer.by_channel:
            module.in_channels = module.groups = n_kept
    elif not isinstance(module, Constant):
        module.num_features = n_kept


def _cut_inputs(module: Weighted, constants: Tensor, kept: Tensor) -> None:
    """Cut inputs out, their constants going into the bias, or onto the largest one, which stays."""
    weight = module.weight.double()
    constants, kept = constants.to(weight.device), kept.to(weight.device)
    moved = torch.tensordot(weight.movedim(1, -1), constants.nan_to_num(0.0).masked_fill(kept, 0.0), dims=1)
    largest = largest_constant(module, constants)
    if largest is not None:
        weight[:, largest] += moved / constants[largest]
    elif bool((moved != 0).any()):
        bias = moved.flatten(start_dim=1).sum(dim=1) if moved.ndim > 1 else moved
        bias = bias if module.bias is None else bias + module.bias
        module.bias = _like(module.weight, bias)
    module.weight = _like(module.weight, weight[:, kept])
    if isinstance(module, nn.Linear):
        module.in_features = int(kept.sum())
    else:
        module.in_channels = int(kept.sum())


def _like(parameter: nn.Parameter, value: Tensor) -> nn.Parameter:
    """Return a parameter of another value, with dtype and flag of ``parameter``."""
    return nn.Parameter(value.to(parameter.dtype), parameter.requires_grad)


def _compare(small: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], expected: Any) -> None:
    """Raise unless the smaller model runs and gives what the model gave."""
    try:
        outputs = small(*args, **kwargs)
        pairs = zip(_tensors(outputs), _tensors(expected), strict=True)
        equal = all(_close(one, other) for one, other in pairs)
    except (RuntimeError, ValueError) as err:
        reason = str(err).strip().split("\n")[0]
        raise InputError(
            f"the smaller model does not run ({reason}); its code has sizes written in numbers: take them from the "
            "tensors, as in torch.flatten(x, 1)"
        ) from err
    if not equal:
        raise InputError("the smaller model has other outputs; its code depends on the sizes of its layers")


def _tensors(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    parts = outputs.values() if isinstance(outputs, Mapping) else outputs if isinstance(outputs, tuple | list) else ()
    return [tensor for part in parts for tensor in _tensors(part)]


def _close(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    scale = max(1.0, float(other.abs().max())) if other.numel() else 1.0
    limit = max(TOLERANCE, EPSILONS * torch.finfo(other.dtype).eps) * scale
    return bool(((one - other).abs() <= limit).all())
