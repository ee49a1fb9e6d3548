"""The memory format of models in training, and the precision of their products: both change the speed alone.

PyTorch's convolutions are faster where the channels of a pixel lie side by side ("channels last"), forwards and
backwards. That is another order of the same numbers: shapes, names and files know nothing of it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from copy import deepcopy

import torch
from torch import Tensor, nn

from spred.compress.recipe import Precision


def arranged(model: nn.Module, example: Tensor) -> nn.Module:
    """Return ``model`` with its convolutions in channels-last order; as it is if it has none, or cannot run so.

    A model that asks for a view of what a convolution gives, ``x.view(n, -1)``, runs in the usual order only.

    Args:
        model: changed in place.
        example: an input, ``(n, channels, height, width)``.

    >>> model = arranged(nn.Sequential(nn.Conv2d(3, 4, 3)), torch.zeros(2, 3, 8, 8))
    >>> model[0].weight.shape, model[0].weight.stride()
    (torch.Size([4, 3, 3, 3]), (27, 1, 9, 3))
    """
    if not any(weight.dim() == 4 for weight in model.parameters()):
        return model
    try:
        with torch.no_grad():
            ordered(deepcopy(model).eval(), torch.channels_last)(example)
    except RuntimeError:
        return model
    return ordered(model, torch.channels_last)


def plainly_arranged(model: nn.Module) -> nn.Module:
    """Return ``model``, changed in place, in the order that other programs expect."""
    return ordered(model, torch.contiguous_format)


def ordered(model: nn.Module, order: torch.memory_format) -> nn.Module:
    """Return ``model``, changed in place: its weights of convolutions lie in this order."""
    for weight in model.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=order)
    return model


def computing(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return what a model's forward pass runs in: for ``"bfloat16"`` torch's autocast, which rounds what is multiplied.

    Weights stay float32, sums inside a product too. A processor without instructions for bfloat16 is slower so, and
    not wrong.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
