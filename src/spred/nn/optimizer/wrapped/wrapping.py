"""What :class:`SpredOptimizer` makes of the optimiser that it wraps: factors take the places of their tensors.

The base's groups, options and moments are the public ones of every torch optimiser; no method of it is replaced.
:mod:`spred.nn.optimizer.wrapped.groups` exchanges the groups.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spred.errors import InputError, SpredWarning, StateError
from spred.nn.optimizer.factored import Factored
from spred.nn.penalties import Target
from spred.nn.sharding import is_sharded

NOT_OPTIONS = ("params", "param_names")
"""Entries of a group that are no options of its optimiser."""

DECAYS = ("weight_decay", "lambd")
"""Options that shrink weights; ASGD calls its own ``lambd``."""

Group = dict[str, Any]
"""A group of an optimiser: tensors and options."""

Rates = Callable[[Factored], float]
"""Gives what the learning rate of a tensor's factors is multiplied by."""

Named = tuple[Tensor, Any]
"""A tensor of a group, and its name where the group has names."""


def tensor_names(base: torch.optim.Optimizer, listed: list[Target]) -> list[str]:
    """Return what messages call the tensors: their names where the base was given named parameters."""
    known = {
        id(tensor): name
        for group in base.param_groups
        for tensor, name in zip(group["params"], group.get("param_names", ()), strict=False)
    }
    return [
        " + ".join(known[id(tensor)] for tensor in target.place.tensors)
        if all(id(tensor) in known for tensor in target.place.tensors)
        else f"penalised tensor {k} of shape {target.place.describe()}"
        for k, target in enumerate(listed)
    ]


def check_base(base: torch.optim.Optimizer, listed: list[Target]) -> None:
    """Refuse penalised tensors that the base does not train, and a base that maximises: the penalty, too.

    Raises:
        InputError: there is such a tensor, or it does.
    """
    members = {id(tensor) for group in base.param_groups for tensor in group["params"]}
    for tensor in (tensor for target in listed for tensor in target.place.tensors):
        if id(tensor) not in members:
            raise InputError(
                f"a penalised tensor of shape {tuple(tensor.shape)} is not in the optimiser; "
                "build the base optimiser on the same model's parameters"
            )
    if any(group.get("maximize") for group in base.param_groups):
        raise InputError("the base maximises, and a penalty is for a loss that falls; negate the loss, maximize=False")


def _check_shapes(base: torch.optim.Optimizer, factored: list[Factored]) -> None:
    """Refuse factors that the base cannot step on: Muon takes matrices only.

    Raises:
        InputError: there is another factor for it.
    """
    if type(base).__name__ != "Muon":  # torch has it since 2.9
        return
    for entry in factored:
        shapes = [tuple(factor.shape) for factor in entry.factors]
        if any(len(shape) != 2 for shape in shapes):
            raise InputError(
                f"{entry.name} has factors of shapes {shapes}, and Muon takes matrices only; give its penalty to "
                "another optimiser"
            )


@dataclass(frozen=True)
class GroupLink:
    """How a group with factors follows a public group.

    Attributes:
        source: which public group.
        decays: whether its weight decay too.
        lr_scale: what the public learning rate is multiplied by (:func:`learning_rate_scale`).
    """

    source: int
    decays: bool = True
    lr_scale: float = 1.0

    def follows(self, key: str) -> bool:
        """Return whether an option is the public group's."""
        return self.decays or key not in DECAYS

    def send(self, options: Group, group: Group) -> None:
        """Bring lr, momentum and the rest to the group with factors."""
        for key, value in options.items():
            if self.follows(key):
                group[key] = value * self.lr_scale if key == "lr" and self.lr_scale != 1.0 else value


def factor_groups(
    base: torch.optim.Optimizer, kept: list[list[Tensor]], factored: list[Factored], *, rates: Rates | None = None
) -> tuple[list[Group], list[GroupLink]]:
    """Return groups with factors in the place of their tensors; those of the base stay as they are.

    Where a group has other tensors too, and knows weight decay or gets scaled learning rates, the factors move to a
    group of their own; with scaled rates, those of each tensor do. Factors of joined tensors are where the first of
    them was.

    Args:
        base: the optimiser.
        kept: the base's own list of tensors for each of its groups: LBFGS holds on to that very list.
        factored: the penalised tensors.
        rates: what the learning rate of each tensor's factors is multiplied by; None to leave the rates.

    Returns:
        The groups, and for each of them the public group that it follows, and how.

    Warns:
        SpredWarning: the base's weight decay was on for a penalised tensor, and is switched off.
    """
    by_tensor = {tensor: entry for entry in factored for tensor in entry.place.tensors}
    inner: list[Group] = []
    links: list[GroupLink] = []
    moved: list[tuple[GroupLink, Group]] = []
    for index, (group, held) in enumerate(zip(base.param_groups, kept, strict=True)):
        for k, (link, pairs) in enumerate(_parts(index, group, by_tensor, rates)):
            part = {**group, "params": held if k == 0 else []}
            if not link.decays:
                part |= {key: 0.0 for key in DECAYS if key in part}
            if link.lr_scale != 1.0:
                part["lr"] = part["lr"] * link.lr_scale
            _fill(part, pairs, by_tensor)
            if k == 0:
                inner.append(part)
                links.append(link)
            else:
                moved.append((link, part))
    _tell_of_decay(base, by_tensor)
    return inner + [part for _, part in moved], links + [link for link, _ in moved]


def _tell_of_decay(base: torch.optim.Optimizer, by_tensor: dict[Tensor, Factored]) -> None:
    if any(
        tensor in by_tensor for group in base.param_groups if group.get("weight_decay") for tensor in group["params"]
    ):
        warnings.warn(
            "weight_decay is switched off for the penalised tensors, because their L2 must be inside the "
            "objective and spred adds it there; build the base optimiser with weight_decay=0 for them",
            SpredWarning,
            stacklevel=4,
        )


def _parts(
    index: int, group: Group, by_tensor: dict[Tensor, Factored], rates: Rates | None
) -> list[tuple[GroupLink, list[Named]]]:
    """Return the groups that one public group becomes, each with its tensors; the first takes its place."""
    tensors: list[Any] = group["params"]
    named: list[Named] = list(zip(tensors, group.get("param_names", tensors), strict=True))
    inside = [pair for pair in named if pair[0] in by_tensor]
    outside = [pair for pair in named if pair[0] not in by_tensor]
    if not inside or (rates is None and not any(key in group for key in DECAYS)):
        return [(GroupLink(index), named)]
    parts = [(GroupLink(index), outside)] if outside else []
    if rates is None:
        return [*parts, (GroupLink(index, decays=False), inside)]
    by_entry: dict[Factored, list[Named]] = {}
    for pair in inside:
        by_entry.setdefault(by_tensor[pair[0]], []).append(pair)
    scaled = [(GroupLink(index, decays=False, lr_scale=rates(entry)), pairs) for entry, pairs in by_entry.items()]
    return parts + scaled


def _fill(group: Group, named: list[Named], by_tensor: dict[Tensor, Factored]) -> None:
    """Make ``named`` the content of a base group, each penalised tensor as its factors."""
    params: list[Tensor] = []
    names: list[str] = []
    for tensor, name in named:
        entry = by_tensor.get(tensor)
        if entry is None:
            params.append(tensor)
            names.append(name)
        elif tensor is entry.place.tensors[0]:
            params.extend(entry.factors)
            names.extend(f"{name}.factor{k}" for k in range(len(entry.factors)))
    if "param_names" in group:
        group["param_names"] = names
    group["params"][:] = params  # in place: LBFGS holds on to this very list


def transfer_state(base: torch.optim.Optimizer, factored: list[Factored]) -> None:
    """Give the factors the state that ``base`` made for their tensors when it was built (Adagrad does).

    Such a state is constant; anything else comes from steps already taken, and has no meaning for factors.

    Raises:
        InputError: the base cannot step on these factors.
        StateError: ``base`` has taken steps.
    """
    _check_shapes(base, factored)
    for entry in factored:
        _transfer(base, entry)


def _transfer(base: torch.optim.Optimizer, entry: Factored) -> None:
    states = [base.state.pop(tensor, {}) for tensor in entry.place.tensors]
    for key, value in states[0].items():
        per_weight = isinstance(value, Tensor) and value.ndim > 0
        if not isinstance(value, Tensor) or (per_weight and not bool((value == value.flatten()[0]).all())):
            raise StateError(
                f"the base optimiser has already taken steps on a tensor of shape {entry.place.describe()}; "
                "wrap it before its first step"
            )
        for factor in entry.factors:
            fill = value.flatten()[0].item()
            base.state[factor][key] = torch.full_like(factor, fill) if per_weight else value.clone()


def clear_moments(state: dict[str, Any], factor: Tensor, where: Tensor) -> list[str]:
    """Zero the moments of some coordinates (bool); a state that has none for each coordinate is dropped whole.

    Averages over rows and columns, and numbers in 8 bits, have none that could be set to zero.

    Returns:
        What could not be set to zero, where the state was dropped.
    """
    parts = {key: value for key, value in state.items() if not isinstance(value, int | float | str | None)}
    stuck = [key for key, value in parts.items() if not _maskable(value, factor)]
    if stuck:
        state.clear()
        return stuck
    for value in parts.values():
        if value.ndim:
            value.masked_fill_(where, 0.0)
    return []


def _maskable(value: Any, factor: Tensor) -> bool:
    """Return whether a part of the state is a number, or has plain numbers in the shape of its factor."""
    if not isinstance(value, Tensor):
        return False
    plain = type(value) in (Tensor, torch.nn.Parameter) or is_sharded(value)
    return value.ndim == 0 or (plain and value.is_floating_point() and value.shape == factor.shape)
