"""The weights of a model as it uses them, plain or parametrised, and the mean gradient of its loss in them.

What :mod:`spred.nn.inspect` reports and :mod:`spred.nn.finalize` decides by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize as torch_parametrize

from spred.core.factorization import Factors
from spred.core.penalties import Penalty
from spred.errors import InputError, StateError
from spred.nn.optimizer.factored import Factored
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.parametrize import factors_of, own_products
from spred.nn.penalties import prunable_weights
from spred.nn.pruning.export import evaluating
from spred.runtime.users_code import users_code

LossFn = Callable[..., Tensor]
"""A mean over the batch: ``loss_fn(model(inputs), targets)`` of pairs, ``loss_fn(model, batch)`` of any other batch."""


LAST = object()
"""What no batch is."""


@dataclass(frozen=True, eq=False)
class View:
    """A weight of a model, or weights whose groups are joined, with its penalty and its factors if it has them."""

    name: str
    parts: tuple[tuple[nn.Module, str], ...]
    penalty: Penalty | None = None
    factors: Factors | None = None
    entry: Factored | None = None

    def tensors(self) -> list[Tensor]:
        """Return the weights as the model uses them."""
        return [getattr(module, attribute) for module, attribute in self.parts]

    def value(self) -> Tensor:
        """Return the penalised value."""
        return self.join(self.tensors())

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Return what has the shapes of :meth:`tensors` as one value."""
        return parts[0] if self.entry is None else self.entry.place.join(parts)


def views(model: nn.Module, opt: SpredOptimizer | None = None) -> list[View]:
    """Return the weights to report on: :func:`spred.prunable_weights` of the model, and every penalised tensor.

    Raises:
        StateError: ``opt`` holds tensors that the model does not.
    """
    owners = {
        id(tensor): (module, prefix, attribute)
        for prefix, module in reversed(list(model.named_modules()))  # the first owner of a tied weight counts
        for attribute, tensor in module.named_parameters(recurse=False)
    }
    entries = {} if opt is None else {id(t): entry for entry in opt.factored for t in entry.place.tensors}
    missing = [tuple(t.shape) for entry in entries.values() for t in entry.place.tensors if id(t) not in owners]
    if missing:
        raise StateError(f"the optimiser holds tensors of shapes {missing} that the model lacks; give its own model")
    wanted = {id(weight) for weight in prunable_weights(model)} | set(entries)
    found: list[View] = []
    for prefix, module in model.named_modules():
        for attribute, product in own_products(module):
            factors = factors_of(module, attribute, product)
            found.append(View(_join(prefix, attribute), ((module, attribute),), product.penalty, factors))
        for attribute, tensor in module.named_parameters(recurse=False):
            if id(tensor) not in wanted:
                continue
            entry = entries.get(id(tensor))
            tensors = (tensor,) if entry is None else entry.place.tensors
            wanted -= set(map(id, tensors))
            behind = () if entry is None else (entry.target.core(), entry.factors, entry)
            at = [owners[id(one)] for one in tensors]
            name = " + ".join(_join(prefix, attribute) for _, prefix, attribute in at)
            found.append(View(name, tuple((module, attribute) for module, _, attribute in at), *behind))
    return found


def mean_gradients(
    model: nn.Module, found: Sequence[View], loader: Iterable[Any] | None, loss_fn: LossFn | None
) -> list[Tensor | None]:
    """Return the gradient of the mean loss in each view's value, in evaluation mode, or None without one.

    The model's own ``.grad`` and modes are left as they are. Batches count by their size.

    Args:
        model: the model.
        found: the weights, of :func:`views`.
        loader: batches, or None.
        loss_fn: a mean over the batch, or None.

    Raises:
        InputError: a loader without a loss or the reverse, or without batches.
    """
    if (loader is None) != (loss_fn is None):
        raise InputError("a loader needs a loss_fn and the reverse; give both or neither")
    totals: list[Tensor | None] = [None] * len(found)
    if loader is None or loss_fn is None:
        return totals
    n_samples = 0
    with evaluating(model):
        for number, batch in batches(loader):
            with users_code(f"batch {number} of the loader, with the model in evaluation mode"):
                size, grads = _gradients(model, found, batch, loss_fn)
            n_samples += size
            for k, grad in enumerate(grads):
                if grad is not None:
                    total = totals[k]
                    totals[k] = size * grad if total is None else total + size * grad
    if not n_samples:
        raise InputError("the loader has no batches; a generator, say, can be read only once")
    return [None if total is None else total / n_samples for total in totals]


def batches(loader: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """Yield number and batch; what the loader raises says at which."""
    number = 0
    with users_code("the loader, before its first batch"):
        iterator = iter(loader)
    while True:
        with users_code(f"the loader, at batch {number}"):
            batch = next(iterator, LAST)
        if batch is LAST:
            return
        yield number, batch
        number += 1


def batch_loss(model: nn.Module, batch: Any, loss_fn: LossFn) -> tuple[Tensor, int]:
    """Return the loss of a batch and its number of samples.

    A pair of tensors gives ``loss_fn(model(inputs), targets)``, anything else ``loss_fn(model, batch)``; tensors are
    moved to the device of the model first.

    Raises:
        InputError: a batch without a tensor.
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    batch = _moved(batch, device)
    if isinstance(batch, tuple) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch):
        inputs, labels = batch
        return loss_fn(model(inputs), labels), len(labels) if labels.ndim else 1
    sizes = [len(part) for part in _leaves(batch) if part.ndim]
    if not sizes:
        raise InputError(
            f"a batch is of type {type(batch).__name__} without tensors; give tensors in pairs or in dicts"
        )
    return loss_fn(model, batch), sizes[0]


def _gradients(model: nn.Module, found: Sequence[View], batch: Any, loss_fn: LossFn) -> tuple[int, list[Tensor | None]]:
    # Under cached() a parametrised weight is one tensor for all its readers: one can ask for its gradient.
    with torch.enable_grad(), torch_parametrize.cached():
        tensors = [view.tensors() for view in found]
        loss, size = batch_loss(model, batch, loss_fn)
        wanted = [tensor for each in tensors for tensor in each if tensor.requires_grad]
        grads = iter(torch.autograd.grad(loss, wanted, allow_unused=True) if wanted else ())
    parts = [[next(grads) if tensor.requires_grad else None for tensor in each] for each in tensors]
    return size, [_joined(view, each, part) for view, each, part in zip(found, tensors, parts, strict=True)]


def _joined(view: View, tensors: Sequence[Tensor], grads: Sequence[Tensor | None]) -> Tensor | None:
    if all(grad is None for grad in grads):
        return None
    return view.join([torch.zeros_like(t) if g is None else g for t, g in zip(tensors, grads, strict=True)])


def _moved(batch: Any, device: torch.device) -> Any:
    """Return a batch on another device: tensors, and what holds them."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {key: _moved(part, device) for key, part in batch.items()}
    if isinstance(batch, list | tuple):
        return tuple(_moved(part, device) for part in batch)
    return batch


def _leaves(batch: Any) -> list[Tensor]:
    if isinstance(batch, Tensor):
        return [batch]
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, tuple) else ()
    return [tensor for part in parts for tensor in _leaves(part)]


def _join(prefix: str, attribute: str) -> str:
    return f"{prefix}.{attribute}" if prefix else attribute
