"""Zeros that are there at the start stay: a mask or a finalized model that is wrapped again keeps what it has reached.

A zero of which all factors are zero is absorbing (docs/math.md, §3). The split for training does not make such
factors by itself, because it must let a tensor of zeros leave zero, such as the second factor of a low-rank adapter.
So exact zeros stay zero, unless the whole tensor is zero or so few are that chance made them. Where a group is zero as
a whole, all its factors are; zeros among other weights of a group are held by a mask.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from spred.core.factorization import Factors
from spred.core.partition import Partition, norms
from spred.errors import SpredWarning
from spred.nn.joined import Place
from spred.nn.penalties import split_exactly, zero_groups_
from spred.nn.sharding import count, typical_norm

BY_CHANCE = 1e-6
"""Fraction of a tensor that may be zero by chance: a uniform start in single precision has one zero in 2²⁴. Larger, and
a mask of so few weights would be lost; smaller, and new models of millions of weights are told of zeros nobody made."""


def zeros_to_keep(place: Place, partition: Partition, *, keep: bool = True) -> Tensor:
    """Return which weights of a value are zero and stay so (bool): those of tensors and groups that are partly zero.

    None where the user trains them (``keep=False``).
    """
    if not keep:
        return _nowhere(place.value())
    parts = [(tensor.detach() == 0) if _was_pruned(tensor.detach()) else _nowhere(tensor) for tensor in place.tensors]
    zeros = place.join(parts)
    if place.joined and any(count(tensor.detach()) for tensor in place.tensors):
        value = place.value()
        zeros |= partition.spread(norms(value, partition) == 0, value)
    return zeros


def groups_within(mask: Tensor, partition: Partition) -> Tensor:
    """Return the groups that are in ``mask`` (bool) as a whole, bool in the gate shape."""
    outside: Tensor = partition.gather((~mask).to(torch.float32))
    return outside == 0


def zeros_among_others(zeros: Tensor, partition: Partition) -> Tensor:
    """Return those of ``zeros`` (bool) whose group is not zero as a whole: zero factors would not keep them."""
    whole: Tensor = partition.spread(groups_within(zeros, partition), zeros)
    return zeros & ~whole


def scale_in_use(value: Tensor, partition: Partition, absent: Tensor) -> float:
    """Return the typical norm of the groups that are not ``absent`` (bool, gate shape)."""
    n_absent = count(absent)
    typical = typical_norm(value, partition)
    return typical * (absent.numel() / (absent.numel() - n_absent)) ** 0.5 if n_absent else typical


def first_split(
    value: Tensor, depth: int, partition: Partition, absent: Tensor, scale: float, *, balanced: bool
) -> Factors:
    """Return factors of ``value``: all zero in the groups that are ``absent``, and able to leave zero elsewhere.

    Args:
        value: what to split.
        depth: number of factors.
        partition: which coordinates share a gate.
        absent: groups that stay zero (bool, gate shape).
        scale: typical norm of the others.
        balanced: as in :func:`spred.core.factorization.split`.
    """
    factors = split_exactly(value, depth, partition, balanced=balanced, scale=scale)
    *gates, _ = factors
    if balanced:
        stuck = (norms(value, partition) == 0) & ~absent
        for gate in gates:
            gate.masked_fill_(stuck, scale ** (1.0 / depth))
    zero_groups_(factors, absent, partition)
    return factors


def tell_of_zeros(n_zeros: int, n_weights: int) -> None:
    """Say how many zeros stay, if any.

    Warns:
        SpredWarning: there are some.
    """
    if n_zeros:
        warnings.warn(
            f"{n_zeros} of {n_weights} penalised weights are exactly zero and stay zero; give keep_zeros=False to "
            "train them",
            SpredWarning,
            stacklevel=4,
        )


def _was_pruned(tensor: Tensor) -> bool:
    """Return whether there are more zeros than chance makes, but not zeros alone."""
    n_nonzero = count(tensor)
    return n_nonzero > 0 and tensor.numel() - n_nonzero > BY_CHANCE * tensor.numel()


def _nowhere(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor, dtype=torch.bool, requires_grad=False)
