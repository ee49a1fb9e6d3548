"""The same by autograd: a weight becomes the product of its factors, and the loss gets their quadratic
penalty.

This is the road to read: ``parametrize`` puts torch's own parametrisation on each penalised tensor,
``penalty`` is what one adds to the loss, ``fold`` leaves a plain model. It needs no special optimiser, and it
is the oracle that :class:`spred.nn.optimizer.optimizer.SpredOptimizer` is tested against.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize as torch_parametrize

from spred.core.factorization import merge, quadratic_penalty
from spred.core.penalties import Penalty
from spred.errors import InputError, StateError
from spred.nn.penalties import L1, Target, factor_dtype, split_exactly, targets


class Product(nn.Module):
    """A weight as the product of its factors: ``forward`` merges, ``right_inverse`` splits."""

    def __init__(self, target: Target, *, balanced: bool) -> None:
        super().__init__()
        self.penalty = target.core()
        self.balanced = balanced
        self.dtype = target.place.dtype

    def forward(self, *factors: Tensor) -> Tensor:
        """Return the weight."""
        return merge(factors, self.penalty.partition).to(self.dtype)

    def right_inverse(self, value: Tensor) -> tuple[Tensor, ...]:
        """Return factors of ``value``."""
        precise = value.to(factor_dtype(value.dtype))
        return split_exactly(precise, self.penalty.depth, self.penalty.partition, balanced=self.balanced)


def parametrize(model: nn.Module, penalties: L1 | Iterable[L1], *, balanced: bool = False) -> nn.Module:
    """Write the penalised tensors of ``model`` as products of factors, in place.

    Train ``loss + spred.penalty(model)`` afterwards with an optimiser made *after* this call, and without
    weight decay: it minimises ``L(v) + Σ Ω(v)``. End with :func:`fold`. Move the model to its device first.

    Args:
        model: the model that holds the tensors.
        penalties: :class:`~spred.nn.penalties.L1`, :class:`~spred.nn.penalties.GroupL1`, or several.
        balanced: split as in :func:`spred.core.factorization.split`.

    Returns:
        ``model``.

    Raises:
        InputError: a tensor that is not in the model, or that several modules share.

    >>> layer = nn.Linear(3, 1)
    >>> _ = parametrize(layer, L1(layer.weight, alpha=0.1))
    >>> loss = layer(torch.ones(2, 3)).square().mean() + penalty(layer)
    >>> sorted(name for name, _ in remove_parametrizations(layer).named_parameters())
    ['bias', 'weight']
    """
    listed = targets(penalties)
    homes = [_home(model, target) for target in listed]
    for target, (module, name) in zip(listed, homes, strict=True):
        torch_parametrize.register_parametrization(module, name, Product(target, balanced=balanced))
    return model


def penalty(model: nn.Module) -> Tensor:
    """Return ``Σ (α/D) Σ_k ‖f_k‖²`` over the parametrised tensors: what to add to the loss.

    Raises:
        StateError: the model has no factors.
    """
    terms = [_quadratic(module, name, product) for module, name, product in products(model)]
    if not terms:
        raise StateError("the model has no factors; call spred.parametrize(model, penalties) first")
    return torch.stack(terms).sum()


def remove_parametrizations(model: nn.Module) -> nn.Module:
    """Replace the factors by their product, in place: a plain model again, with the same outputs.

    Returns:
        ``model``. Its folded weights are new parameters: an optimiser made before does not know them.

    Raises:
        StateError: the model has no factors.
    """
    found = list(products(model))
    if not found:
        raise StateError("the model has no factors to fold; call spred.parametrize(model, penalties) first")
    for module, name, _ in found:
        torch_parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    return model


def products(model: nn.Module) -> Iterator[tuple[nn.Module, str, Product]]:
    """Yield module, attribute and :class:`Product` of every tensor that :func:`parametrize` wrote as one."""
    for module in list(model.modules()):
        for name, product in own_products(module):
            yield module, name, product


def own_products(module: nn.Module) -> list[tuple[str, Product]]:
    """Return attribute and :class:`Product` of the tensors of one module, its children left out."""
    if not torch_parametrize.is_parametrized(module):
        return []
    chains = module.parametrizations.items()  # type: ignore[union-attr, operator]
    return [(name, chain[0]) for name, chain in chains if isinstance(chain[0], Product)]


def factors_of(module: nn.Module, name: str, product: Product) -> tuple[Tensor, ...]:
    """Return the factors behind attribute ``name`` of ``module``."""
    chain = module.parametrizations[name]  # type: ignore[index]
    return tuple(getattr(chain, f"original{k}") for k in range(product.penalty.depth))


def _quadratic(module: nn.Module, name: str, product: Product) -> Tensor:
    omega: Penalty = product.penalty
    return quadratic_penalty(factors_of(module, name, product), omega.alpha, omega.weights, omega.partition)


def _home(model: nn.Module, target: Target) -> tuple[nn.Module, str]:
    """Return the module and the attribute that hold a target's tensor."""
    if target.place.joined:
        raise InputError(f"groups that span {target.place.called()} need spred.SpredOptimizer; leave out join=")
    (tensor,) = target.place.tensors
    homes = [
        (module, name)
        for module in model.modules()
        for name, own in module.named_parameters(recurse=False, remove_duplicate=False)
        if own is tensor
    ]
    shape = tuple(tensor.shape)
    if not homes:
        raise InputError(f"a penalised tensor of shape {shape} is not in the model; name the model's own parameters")
    if len(homes) > 1:
        raise InputError(
            f"a tensor of shape {shape} is shared by {len(homes)} modules, and parametrize would untie it; "
            "use spred.SpredOptimizer, which keeps ties"
        )
    return homes[0]
