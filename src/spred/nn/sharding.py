"""Tensors that several processes hold in parts (``fully_shard`` makes DTensors of a model's parameters).

Steps on factors work on the parts alone. What is *counted* must be counted over all of them, by all processes at the
same time: these functions do, and cost nothing where a tensor is whole.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spred.core.factorization import natural_scale
from spred.core.partition import Partition

LARGEST_NORM = 2.0**100
"""The typical norm of a tensor that has diverged: a finite number, so that it can be split."""


def is_sharded(tensor: Tensor) -> bool:
    """Return whether other processes may hold parts of a tensor."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor with the parts that other processes hold; all of them must call it together."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]


def number(scalar: Tensor) -> float:
    """Return the one number of a reduced tensor."""
    return float(whole(scalar))


def count(mask: Tensor) -> int:
    """Return how many of ``mask`` are true, or not zero."""
    return int(whole((mask != 0).sum()))


def typical_norm(value: Tensor, partition: Partition) -> float:
    """Return :func:`spred.core.factorization.natural_scale` of a tensor that may be in parts, or have diverged."""
    return min(natural_scale(whole(value), partition), LARGEST_NORM)


def size_in_use(lengths: Tensor) -> float:
    """Return the mean of group norms, each counted by its own length: ``Σ‖v_g‖²/Σ‖v_g‖``; 0 if all are zero.

    Groups at zero add nothing to it, however many they are.
    """
    total = number(lengths.sum())
    return number(lengths.square().sum()) / total if total else 0.0


def equal(left: Tensor, right: Tensor) -> bool:
    """Return whether two tensors are equal, everywhere."""
    return count(left != right) == 0 if is_sharded(left) else torch.equal(left, right)
