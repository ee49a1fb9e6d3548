"""Debias: the weights that are left are trained on without penalty, and the zeros stay.

An L1 solution is shrunken: every weight that is left has been pulled towards zero by alpha. Its support is what one
wants; on the support the plain loss decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from spred.core.partition import norms
from spred.errors import InputError
from spred.nn.model_weights import LossFn, View, batch_loss
from spred.nn.pruning.graph import evaluating

MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def adam(params: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimiser that is taken by default."""
    return torch.optim.Adam(params, lr=1e-3)


@torch.enable_grad()
def refit(
    model: nn.Module,
    found: Sequence[View],
    loader: Iterable,
    loss_fn: LossFn,
    *,
    epochs: int,
    optimizer: MakeOptimizer = adam,
) -> tuple[float, ...]:
    """Minimise the plain loss over all weights but those at zero, in place; return the mean loss of each epoch.

    The learning rate falls to zero along a cosine, epoch by epoch. The model is in training mode meanwhile.

    Raises:
        InputError: no epochs, or a loader that cannot be read again.
    """
    if epochs < 1:
        raise InputError(f"epochs is {epochs}; give at least 1")
    opt = optimizer([p for p in model.parameters() if p.requires_grad])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    with evaluating(model, training=True), _zeros_held(found):
        losses = []
        for _ in range(epochs):
            losses.append(_epoch(model, loader, loss_fn, opt))
            schedule.step()
        opt.zero_grad()
    return tuple(losses)


def _epoch(model: nn.Module, loader: Iterable, loss_fn: LossFn, opt: torch.optim.Optimizer) -> float:
    total, n_samples = 0.0, 0
    for batch in loader:
        seen: list[tuple[float, int]] = []  # one entry for each call; LBFGS calls more than once

        def closure(batch: object = batch, seen: list[tuple[float, int]] = seen) -> float:
            opt.zero_grad()
            loss, size = batch_loss(model, batch, loss_fn)
            loss.backward()
            seen.append((loss.item(), size))
            return seen[-1][0]

        opt.step(closure)
        loss, size = seen[0]
        total += loss * size
        n_samples += size
    if not n_samples:
        raise InputError("the loader cannot be read a second time; give a DataLoader or a list, not a generator")
    return total / n_samples


@contextmanager
def _zeros_held(found: Sequence[View]) -> Iterator[None]:
    """Keep the gradient from groups at zero. Factors need no help: where both are zero, so are their gradients."""
    handles = []
    for view in found:
        if view.entry is None or view.penalty is None:
            continue
        value, partition = view.value().detach(), view.penalty.partition
        live = partition.spread(norms(value, partition) > 0, value)
        for tensor, mask in zip(view.tensors(), view.entry.place.parts(live), strict=True):
            if tensor.requires_grad:
                handles.append(tensor.register_hook(lambda grad, mask=mask: grad * mask))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
