"""The same by autograd: a weight becomes the product of its factors, and the loss gets their quadratic penalty.

This is the form to read: ``parametrize`` puts torch's own parametrisation on each penalised tensor, ``penalty`` is what
one adds to the loss, ``remove_parametrizations`` leaves a plain model. It needs no special optimiser, and it is the
oracle that :class:`spred.nn.optimizer.optimizer.SpredOptimizer` is tested against.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize as torch_parametrize

from spred.core.factorization import merge, quadratic_penalty
from spred.core.penalties import Penalty
from spred.errors import InputError, StateError
from spred.nn.joined import Place
from spred.nn.kept_zeros import (
    first_split,
    groups_within,
    scale_in_use,
    tell_of_zeros,
    zeros_among_others,
    zeros_to_keep,
)
from spred.nn.penalties import L1, Target, factor_dtype, targets
from spred.nn.sharding import count


class Product(nn.Module):
    """A weight as the product of its factors: ``forward`` merges, ``right_inverse`` splits.

    Attributes:
        n_kept: how many weights were zero at the split, and stay zero.
        held: those of them whose group is not zero (bool, a buffer); None if there are none.
    """

    held: Tensor | None

    def __init__(self, target: Target, *, balanced: bool, keep_zeros: bool = True) -> None:
        super().__init__()
        self.penalty = target.core()
        self.balanced = balanced
        self.dtype = target.place.dtype
        zeros = zeros_to_keep(target.place, self.penalty.partition, keep=keep_zeros)
        self.keep_zeros = keep_zeros
        self.n_kept = count(zeros)
        live = zeros_among_others(zeros, self.penalty.partition)
        self.register_buffer("held", live if count(live) else None)

    def forward(self, *factors: Tensor) -> Tensor:
        """Return the weight."""
        value: Tensor = merge(factors, self.penalty.partition)
        return (value if self.held is None else value.masked_fill(self.held, 0.0)).to(self.dtype)

    def right_inverse(self, value: Tensor) -> tuple[Tensor, ...]:
        """Return factors of ``value``."""
        precise, partition = value.detach().to(factor_dtype(value.dtype)), self.penalty.partition
        absent = groups_within(zeros_to_keep(Place((precise,)), partition, keep=self.keep_zeros), partition)
        scale = scale_in_use(precise, partition, absent)
        return first_split(precise, self.penalty.depth, partition, absent, scale, balanced=self.balanced)


def parametrize(
    model: nn.Module, penalties: L1 | Iterable[L1], *, balanced: bool = False, keep_zeros: bool = True
) -> nn.Module:
    """Prepare to minimise ``L(v) + Σ Ω(v)`` by autograd: each penalised v becomes a product of factors, in place.

    Train ``loss + spred.penalty(model)`` afterwards with an optimiser made *after* this call, and without weight decay.
    End with :func:`remove_parametrizations`. Move the model to its device first. Regrowth, a target density and
    preconditioned gradients are :class:`~spred.nn.optimizer.optimizer.SpredOptimizer`'s alone.

    Args:
        model: the model that holds the tensors.
        penalties: :class:`~spred.nn.penalties.L1`, :class:`~spred.nn.penalties.GroupL1`, or several. Factors have the
            shape of their tensor, or of its gates (one number for each group), and are in single precision at least.
        balanced: split as in :func:`spred.core.factorization.split`.
        keep_zeros: let weights stay zero that are exactly zero now, unless their whole tensor is
            (:mod:`~spred.nn.kept_zeros`).

    Returns:
        ``model``, with the same outputs.

    Warns:
        SpredWarning: zeros stay zero; how many.

    Raises:
        InputError: a tensor that is not in the model, that several modules share, or that is joined with others.

    >>> layer = nn.Linear(3, 1)
    >>> _ = parametrize(layer, L1(layer.weight, alpha=0.1))
    >>> loss = layer(torch.ones(2, 3)).square().mean() + penalty(layer)
    >>> sorted(name for name, _ in remove_parametrizations(layer).named_parameters())
    ['bias', 'weight']

    Source: Ziyin and Wang, "spred: Solving L1 Penalty with SGD", ICML 2023, theorems 1 and 2.
    """
    listed = targets(penalties)
    homes = [_home(model, target) for target in listed]
    made = [Product(target, balanced=balanced, keep_zeros=keep_zeros) for target in listed]
    for product, (module, name) in zip(made, homes, strict=True):
        torch_parametrize.register_parametrization(module, name, product)
    tell_of_zeros(sum(product.n_kept for product in made), sum(t.place.value().numel() for t in listed))
    return model


def penalty(model: nn.Module) -> Tensor:
    """Return ``Σ (α/D) Σ_k ω‖f_k‖²`` over the parametrised tensors, a tensor without axes: what to add to the loss.

    At balance it is ``Σ Ω(v)``, and never below it. Its unit is that of a loss that is a mean over samples.

    Raises:
        StateError: the model has no factors.

    >>> layer = nn.Linear(3, 1)
    >>> _ = parametrize(layer, L1(layer.weight, alpha=0.1), balanced=True)
    >>> bool(torch.isclose(penalty(layer), 0.1 * layer.weight.abs().sum()))
    True

    Source: Ziyin and Wang, ICML 2023, theorems 1 and 2.
    """
    found = list(products(model))
    if not found:
        raise StateError("the model has no factors; call spred.parametrize(model, penalties) first")
    total = torch.stack([_quadratic(module, name, product) for module, name, product in found]).sum()
    trained = any(factor.requires_grad for each in found for factor in factors_of(*each))
    if torch.is_grad_enabled() and trained and not total.requires_grad:
        raise StateError(
            "the penalty has no gradient, as with array-api-compat before 1.12; upgrade it: "
            "pip install 'array-api-compat>=1.12'"
        )
    return total


def remove_parametrizations(model: nn.Module) -> nn.Module:
    """Undo :func:`parametrize`: factors are replaced by their product, in place, and the outputs stay the same.

    Returns:
        ``model``, plain again. The weights that had factors are new parameters: an optimiser made before does not know
        them.

    Raises:
        StateError: the model has no factors.

    >>> layer = nn.Linear(3, 1)
    >>> before = layer(torch.ones(1, 3))
    >>> _ = remove_parametrizations(parametrize(layer, L1(layer.weight, alpha=0.1)))
    >>> torch.equal(layer(torch.ones(1, 3)), before)
    True
    """
    found = list(products(model))
    if not found:
        raise StateError("the model has no factors to remove; call spred.parametrize(model, penalties) first")
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
    value: Tensor = quadratic_penalty(factors_of(module, name, product), omega.alpha, omega.weights, omega.partition)
    return value


def _home(model: nn.Module, target: Target) -> tuple[nn.Module, str]:
    """Return the module and the attribute that hold a target's tensor."""
    if target.place.joined:
        raise InputError(f"groups that span {target.place.describe()} need spred.SpredOptimizer; leave out join=")
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
