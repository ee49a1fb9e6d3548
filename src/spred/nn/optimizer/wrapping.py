"""What :class:`SpredOptimizer` does to the optimiser that it wraps: factors take the places of their tensors.

The base's groups, options and moments are the public ones of every torch optimiser; no method of it is replaced.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spred.errors import InputError, SpredWarning, StateError
from spred.nn.optimizer.factored import Factored
from spred.nn.optimizer.preconditioner import learning_rate_scale
from spred.nn.penalties import Target

NOT_OPTIONS = ("params", "param_names")
"""Entries of a group that are no options of its optimiser."""


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


def check_members(base: torch.optim.Optimizer, listed: list[Target]) -> None:
    """Refuse penalised tensors that the base does not train.

    Raises:
        InputError: there is one.
    """
    members = {id(tensor) for group in base.param_groups for tensor in group["params"]}
    for tensor in (tensor for target in listed for tensor in target.place.tensors):
        if id(tensor) not in members:
            raise InputError(
                f"a penalised tensor of shape {tuple(tensor.shape)} is not in the optimiser; "
                "build the base optimiser on the same model's parameters"
            )


def check_direction(base: torch.optim.Optimizer) -> None:
    """Refuse a base that maximises: it would maximise the penalty, too.

    Raises:
        InputError: it does.
    """
    if any(group.get("maximize") for group in base.param_groups):
        raise InputError("the base maximises, and a penalty is for a loss that falls; negate the loss, maximize=False")


def check_shapes(base: torch.optim.Optimizer, factored: list[Factored]) -> None:
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
    """How a group of the base follows a public group.

    Attributes:
        source: which public group.
        decays: whether its weight decay too.
        lr_scale: what the public learning rate is multiplied by (:func:`learning_rate_scale`).
    """

    source: int
    decays: bool = True
    lr_scale: float = 1.0

    def send(self, public: list[dict[str, Any]], group: dict[str, Any]) -> None:
        """Bring lr, momentum and the rest to the base's group."""
        copy_options(public[self.source], group, decays=self.decays)
        if self.lr_scale != 1.0:
            group["lr"] = public[self.source]["lr"] * self.lr_scale

    def fetch(self, group: dict[str, Any], public: list[dict[str, Any]]) -> None:
        """Bring back what a base optimiser changes in its own groups (a few adapt their lr)."""
        if self.lr_scale == 1.0:
            copy_options(group, public[self.source], decays=self.decays)


def install_factors(
    base: torch.optim.Optimizer, factored: list[Factored], *, scale_rates: bool = False
) -> list[GroupLink]:
    """Put factors in the place of their tensors in the base's groups, in place.

    Where a group has other tensors too, and knows weight decay or gets scaled learning rates, the factors move to a
    group of their own; with scaled rates, those of each tensor do. Factors of joined tensors are where the first of
    them was.

    Args:
        base: the optimiser.
        factored: the penalised tensors.
        scale_rates: multiply the learning rate of each tensor's factors by its :func:`learning_rate_scale`.

    Returns:
        For each group of the base the public group that it follows, and how.

    Warns:
        SpredWarning: the base's weight decay was on for a penalised tensor, and is switched off.
    """
    by_tensor = {tensor: entry for entry in factored for tensor in entry.place.tensors}
    links: list[GroupLink] = []
    moved: list[tuple[GroupLink, dict[str, Any]]] = []
    switched_off = any(
        tensor in by_tensor for group in base.param_groups if group.get("weight_decay") for tensor in group["params"]
    )
    for index, group in enumerate(base.param_groups):
        for k, (link, pairs) in enumerate(_parts(index, group, by_tensor, scale_rates)):
            part = group if k == 0 else {**group, "params": []}
            if not link.decays and "weight_decay" in part:
                part["weight_decay"] = 0.0
            _fill(part, pairs, by_tensor)
            if k == 0:
                links.append(link)
            else:
                moved.append((link, part))
    for link, part in moved:
        base.add_param_group(part)
        links.append(link)
    if switched_off:
        warnings.warn(
            "weight_decay is switched off for the penalised tensors, because their L2 must be inside the "
            "objective and spred adds it there; build the base optimiser with weight_decay=0 for them",
            SpredWarning,
            stacklevel=3,
        )
    return links


def _parts(
    index: int, group: dict[str, Any], by_tensor: dict[Tensor, Factored], scale_rates: bool
) -> list[tuple[GroupLink, list[Named]]]:
    """Return the groups that one public group becomes, each with its tensors; the first takes its place."""
    named: list[Named] = list(zip(group["params"], group.get("param_names", group["params"]), strict=True))
    inside = [pair for pair in named if pair[0] in by_tensor]
    outside = [pair for pair in named if pair[0] not in by_tensor]
    if not inside or not (scale_rates or "weight_decay" in group):
        return [(GroupLink(index), named)]
    parts = [(GroupLink(index), outside)] if outside else []
    if not scale_rates:
        return [*parts, (GroupLink(index, decays=False), inside)]
    by_entry: dict[Factored, list[Named]] = {}
    for pair in inside:
        by_entry.setdefault(by_tensor[pair[0]], []).append(pair)
    scaled = [(GroupLink(index, decays=False, lr_scale=_lr_scale(entry)), pairs) for entry, pairs in by_entry.items()]
    return parts + scaled


def _lr_scale(entry: Factored) -> float:
    gate, full = entry.factors[0], entry.factors[-1]
    return learning_rate_scale(entry.scale, len(entry.factors), full.numel() / max(gate.numel(), 1))


def _fill(group: dict[str, Any], named: list[Named], by_tensor: dict[Tensor, Factored]) -> None:
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


def copy_options(source: dict[str, Any], to: dict[str, Any], *, decays: bool) -> None:
    """Copy the options of a group, weight decay only where ``decays`` says so."""
    for key, value in source.items():
        if key not in NOT_OPTIONS and (decays or key != "weight_decay"):
            to[key] = value


def transfer_state(base: torch.optim.Optimizer, entry: Factored) -> None:
    """Give the factors the state that ``base`` made for the tensor when it was built (Adagrad does).

    Such a state is constant; anything else comes from steps already taken, and has no meaning for factors.

    Raises:
        StateError: ``base`` has taken steps.
    """
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


def clear_moments(state: dict[str, Any], factor: Tensor, where: Tensor) -> None:
    """Zero the moments of some coordinates (bool); a state that is not per coordinate is dropped whole."""
    tensors = [value for value in state.values() if isinstance(value, Tensor) and value.ndim > 0]
    if any(value.shape != factor.shape for value in tensors):
        state.clear()
        return
    for value in tensors:
        value.masked_fill_(where, 0.0)
