"""A model's graph by ``torch.export``, taken in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from spred.errors import InputError
from spred.runtime.users_code import users_code

WRAPPERS = (nn.parallel.DistributedDataParallel, nn.DataParallel, AveragedModel)
"""Modules that hold a model as ``module`` and compute what it computes."""


@contextmanager
def evaluating(model: nn.Module, *, training: bool = False) -> Iterator[None]:
    """Put a model in evaluation mode (or in training mode) for a while."""
    modes = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside of DistributedDataParallel, DataParallel, AveragedModel and ``torch.compile``."""
    while True:
        inside = model.module if isinstance(model, WRAPPERS) else getattr(model, "_orig_mod", None)
        if not isinstance(inside, nn.Module):
            return model
        model = inside


def exported(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None, *, hint: str = ""
) -> torch.export.ExportedProgram:
    """Return the graph of a model in evaluation mode.

    Args:
        model: any model.
        args: what it is called with.
        kwargs: the same, by name.
        hint: what to do if it fails, for the end of the message.

    Raises:
        InputError: ``torch.export`` cannot follow the model. What the model raises by itself comes as it is.
    """
    try:
        with evaluating(model):
            return torch.export.export(model, args, kwargs)
    except Exception as err:  # torch.export raises many kinds, and none of them is public
        with users_code("the model, called with the example"), evaluating(model), torch.no_grad():
            model(*args, **(kwargs or {}))
        reason = str(err).strip().split("\n")[0]
        raise InputError(
            f"torch.export cannot follow the model, so its channels are not known: {reason}{hint}"
        ) from err
