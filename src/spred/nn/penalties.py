"""The public penalties: which tensors, which groups, how strong, how deep.

``L1`` and ``GroupL1`` are records. They hold what the user chose; :func:`targets` checks the choice and turns
it into one :class:`Target` per tensor, written in the terms of ``core``: a partition and group weights. Both forms of
training (:mod:`spred.nn.optimizer.optimizer`, :mod:`spred.nn.parametrize`) start from targets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, log2
from numbers import Real

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from spred.core.factorization import Factors, split
from spred.core.partition import SINGLES, Axes, Labels, Partition, sizes
from spred.core.penalties import Penalty
from spred.errors import InputError, did_you_mean
from spred.nn.joined import Place, join_tensors
from spred.nn.packing import attention_layout, check_unpacked
from spred.nn.sharding import typical_norm

WEIGHTED = (
    nn.Linear,
    nn.Bilinear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    nn.Embedding,
    nn.EmbeddingBag,
)
"""Modules whose ``weight`` multiplies what flows through them."""

GROUP_WEIGHTS = ("none", "sqrt")

INTEGERS = (torch.int64, torch.int32)
"""What labels of groups may be."""


class L1:
    """The penalty ``alpha · Σ_i |v_i|`` on every weight of ``params``.

    Args:
        params: a tensor of any shape, or tensors in any iterable; leaves with a floating dtype.
        alpha: strength, ≥ 0, in the unit of a loss that is a mean over samples. It may be changed between steps.
        depth: number of factors D. 2 is L1; 3 and 4 give ``alpha · Σ |v_i|^{2/D}``, sparser and not convex.
        target_density: fraction of the weights to keep, between 0 and 1. ``alpha`` is then the strongest
            that :class:`~spred.nn.optimizer.optimizer.SpredOptimizer` uses; it needs ``total_steps``.
        penalty_weight: above 0; multiplies alpha for all these weights, say where each costs more multiply-adds.

    Raises:
        InputError: no tensor, a tensor that cannot be trained as it is, a negative alpha, a depth below 2, a density
            outside 0 … 1, a penalty weight that is not above 0.

    >>> L1(nn.Linear(3, 2).weight, alpha=1e-3)
    L1(alpha=0.001, depth=2, 1 tensor)

    Source: Ziyin and Wang, "spred: Solving L1 Penalty with SGD", ICML 2023, theorem 1.
    """

    _alpha: float

    def __init__(
        self,
        params: Tensor | Iterable[Tensor],
        alpha: float,
        *,
        depth: int = 2,
        target_density: float | None = None,
        penalty_weight: float = 1.0,
    ) -> None:
        if isinstance(depth, bool) or not isinstance(depth, int) or depth < 2:
            raise InputError(f"depth is {depth!r}; give a whole number, 2 or more")
        self.params = (params,) if isinstance(params, Tensor) else tuple(params)
        self.alpha = alpha
        self.depth = depth
        self.target_density = target_density
        if target_density is not None and not 0.0 < target_density < 1.0:
            raise InputError(f"target_density is {target_density}; give a number between 0 and 1")
        self.penalty_weight = penalty_weight
        if not (penalty_weight > 0 and isfinite(penalty_weight)):
            raise InputError(f"penalty_weight is {penalty_weight}; give a number above 0")
        if not self.params:
            raise InputError(f"{type(self).__name__} got no tensor; give one, or spred.prunable_weights(model)")
        for position, tensor in enumerate(self.params):
            _check_tensor(tensor, f"{type(self).__name__}, tensor {position}")

    @property
    def alpha(self) -> float:
        """The strength; set it between steps to change the sparsity."""
        return self._alpha

    @alpha.setter
    def alpha(self, alpha: float) -> None:
        if not isinstance(alpha, Real) or not (isfinite(alpha) and alpha >= 0):
            raise InputError(f"alpha is {alpha!r}; give a finite number that is not negative")
        self._alpha = float(alpha)

    def places(self) -> list[Place]:
        """Return where the penalised values live: each in a tensor of its own."""
        return [Place((tensor,)) for tensor in self.params]

    def partition(self, place: Place) -> Partition:
        """Return the groups of one value: every coordinate alone."""
        return SINGLES

    def group_weights(self, place: Place, partition: Partition) -> Tensor | float:
        """Return ω of one value, a number or an array in the gate shape."""
        return self.penalty_weight

    def __repr__(self) -> str:
        count = f"{len(self.params)} tensor{'s' if len(self.params) > 1 else ''}"
        return f"{type(self).__name__}(alpha={self.alpha:g}, depth={self.depth}, {count})"


class GroupL1(L1):
    """The penalty ``alpha · Σ_g ω_g ‖v_g‖₂``: whole groups of weights become zero together.

    Args:
        params: a tensor of any shape, or tensors in any iterable; each is cut into groups by the same rule.
        alpha: strength, ≥ 0, as in :class:`L1`.
        dim: one group for each index along this axis. In a linear weight 0 is a neuron (row), 1 an input
            (column); in a convolution 0 is a filter, 1 an input channel. 0 by default.
        groups: instead of ``dim``, an integer tensor of the shape of each weight: the group of every
            coordinate, numbered from 0. With ``join`` it is a vector: the group of each index along ``dim``, in groups
            of one size.
        heads: the attention module that the tensors are of, whose heads are the groups: their number and how its
            weights hold them are read from it (:mod:`spred.nn.packing`). Or a number: the indices along ``dim`` are
            cut into that many equal runs.
        packed: for a number of heads, the parts that the axis is packed in: 3 for queries, keys and values one after
            the other, each of all heads; 1 for head after head. A tuple has one for each tensor.
        group_weight: ω. ``"none"`` is 1, ``"sqrt"`` the root of the group's size, which treats groups of unlike
            sizes alike.
        depth: number of factors D; above 2 the penalty is ``alpha · Σ_g ω_g ‖v_g‖^{2/D}``.
        target_density: as in :class:`L1`.
        join: groups span the tensors: group k is what has index k along ``dim`` (or is in run k of ``heads``, or has
            label k in ``groups``) in all of them together, for instance a filter with the gain and bias of its batch
            norm. ``dim`` may then be a tuple, one axis for each tensor. ``heads=1`` makes one group of everything,
            such as a whole block.
        penalty_weight: above 0; multiplies every ω_g, as in :class:`L1`.

    Raises:
        InputError: as :class:`L1`; an axis, labels or heads that do not fit a tensor, or tensors that cannot be joined.

    >>> GroupL1([nn.Linear(3, 2).weight], alpha=1e-3, dim=1, group_weight="sqrt")
    GroupL1(alpha=0.001, depth=2, 1 tensor)
    >>> conv, norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
    >>> GroupL1([conv.weight, norm.weight, norm.bias], alpha=1e-3, join=True)
    GroupL1(alpha=0.001, depth=2, 3 tensors)

    Source: Ziyin and Wang, ICML 2023, theorem 2; Yuan and Lin, JRSS B 68 (2006) for the group lasso.
    """

    def __init__(
        self,
        params: Tensor | Iterable[Tensor],
        alpha: float,
        *,
        dim: int | tuple[int, ...] | None = None,
        groups: Tensor | None = None,
        heads: int | nn.Module | None = None,
        packed: int | tuple[int, ...] | None = None,
        group_weight: str = "none",
        depth: int = 2,
        target_density: float | None = None,
        join: bool = False,
        penalty_weight: float = 1.0,
    ) -> None:
        super().__init__(params, alpha, depth=depth, target_density=target_density, penalty_weight=penalty_weight)
        if groups is not None and (heads is not None or (dim is not None and not join)):
            raise InputError("groups= already names every group; leave out heads=, and dim= unless join=True")
        if heads is not None and not isinstance(heads, nn.Module) and (not isinstance(heads, int) or heads < 1):
            raise InputError(f"heads is {heads!r}; give the number of attention heads, or the attention module")
        if group_weight not in GROUP_WEIGHTS:
            nearest = did_you_mean(str(group_weight), GROUP_WEIGHTS)
            raise InputError(f"group_weight is {group_weight!r}{nearest}; use one of {list(GROUP_WEIGHTS)}")
        dims = dim if isinstance(dim, tuple) else (0 if dim is None else dim,) * len(self.params)
        if len(dims) != len(self.params) or (isinstance(dim, tuple) and not join):
            raise InputError(
                f"dim is {dim} for {len(self.params)} tensors; a tuple is for join=True, with an axis for each"
            )
        self.dims = dims
        self.groups = groups
        self.heads, self.packed = self._layout(heads, packed)
        self.group_weight = group_weight
        self.join = join
        for position, (tensor, axis, n_parts) in enumerate(zip(self.params, dims, self.packed, strict=True)):
            self._check_fit(tensor, axis, n_parts, f"GroupL1, tensor {position} of shape {tuple(tensor.shape)}")
        if heads is not None and packed is None and not isinstance(heads, nn.Module):
            check_unpacked(self.params, dims, heads, joined=join)
        runs = _runs(groups, self.heads, self.params[0])
        self._joined = join_tensors(self.params, dims, *runs, self.packed) if join else None

    def places(self) -> list[Place]:
        """Return where the penalised values live."""
        return super().places() if self._joined is None else [self._joined]

    def partition(self, place: Place) -> Partition:
        """Return the groups of one value."""
        if place.joined:
            return Axes((0,))
        tensor, dim = place.tensors[0], self.dims[0]
        if place.sharded and (self.groups is not None or self.heads is not None):
            raise InputError("a tensor in parts (fully_shard) has no labels and no heads; use dim= or L1 there")
        if self.groups is not None:
            return Labels(self.groups.to(tensor.device), int(self.groups.max()) + 1)
        if self.heads is not None:
            n_parts = next(n for param, n in zip(self.params, self.packed, strict=True) if param is tensor)
            return Labels(_head_labels(tensor, dim, self.heads, n_parts), self.heads)
        return Axes((dim,))

    def group_weights(self, place: Place, partition: Partition) -> Tensor | float:
        """Return ω of one value: 1, or the root of each group's size; times the penalty weight."""
        if self.group_weight == "none":
            return self.penalty_weight
        size: Tensor = sizes(place.value().to(factor_dtype(place.dtype)), partition)
        return self.penalty_weight * size.sqrt()

    def _layout(
        self, heads: int | nn.Module | None, packed: int | tuple[int, ...] | None
    ) -> tuple[int | None, tuple[int, ...]]:
        """Return the number of heads, and the parts that the axis of each tensor is packed in."""
        if isinstance(heads, nn.Module):
            if packed is not None:
                raise InputError("heads is a module, which says how its weights are packed; leave out packed=")
            return attention_layout(heads, self.params)
        parts = packed if isinstance(packed, tuple) else (1 if packed is None else packed,) * len(self.params)
        if len(parts) != len(self.params) or any(not isinstance(n, int) or n < 1 for n in parts):
            raise InputError(f"packed is {packed!r}; give a number of parts, 1 or 3 say, or one for each tensor")
        if packed is not None and heads is None:
            raise InputError("packed says how heads lie along an axis; give heads= with it")
        return heads, parts

    def _check_fit(self, tensor: Tensor, dim: int, n_parts: int, place: str) -> None:
        if self.groups is not None and not self.join:
            if self.groups.dtype not in INTEGERS or self.groups.shape != tensor.shape:
                raise InputError(
                    f"{place}: groups has shape {tuple(self.groups.shape)} and dtype {self.groups.dtype}; "
                    "give integer labels in the tensor's shape"
                )
            return
        if not -tensor.ndim <= dim < tensor.ndim:
            raise InputError(f"{place} has no axis {dim}; give a dim below {tensor.ndim}")
        if self.groups is not None and (self.groups.shape != (tensor.shape[dim],) or not _even(self.groups)):
            raise InputError(
                f"{place}: groups of joined tensors has shape {tuple(self.groups.shape)}; give one integer label for "
                f"each of the {tensor.shape[dim]} indices along axis {dim}, from 0, each as often as the others"
            )
        if self.heads is not None and tensor.shape[dim] % (n_parts * self.heads):
            packing = f" in {n_parts} parts" if n_parts > 1 else ""
            raise InputError(f"{place}: axis {dim} cannot be cut into {self.heads} equal heads{packing}")


@dataclass(frozen=True, eq=False)
class Target:
    """One penalised value: where it lives, its penalty, and in the terms of ``core`` its groups and their weights."""

    place: Place
    penalty: L1
    partition: Partition
    weights: Tensor | float

    def core(self) -> Penalty:
        """Return Ω of this tensor at the present alpha."""
        return Penalty(self.penalty.alpha, weights=self.weights, partition=self.partition, depth=self.penalty.depth)


def prunable_weights(model: nn.Module) -> list[nn.Parameter]:
    """Return the weights of a model that a sparsity penalty is meant for, each once, in the order of the modules.

    These are the weights of linear, convolution and embedding modules and the projections of
    ``nn.MultiheadAttention``, if they require a gradient: never biases or norms. A weight that another
    parametrisation computes is not a parameter, and is left out. Raises nothing: a model may have none.

    >>> model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    >>> [tuple(w.shape) for w in prunable_weights(model)]
    [(3, 4), (2, 3)]
    """
    found: dict[int, nn.Parameter] = {}
    for module in model.modules():
        names: tuple[str, ...] = ()
        if isinstance(module, WEIGHTED):
            names = ("weight",)
        elif isinstance(module, nn.MultiheadAttention):
            names = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
        own = dict(module.named_parameters(recurse=False))
        for name in names:
            tensor = own.get(name)
            if tensor is not None and tensor.requires_grad:
                found[id(tensor)] = tensor
    return list(found.values())


def targets(penalties: L1 | Iterable[L1]) -> list[Target]:
    """Return one :class:`Target` for each penalised tensor, or for tensors that are joined, in the order given.

    Raises:
        InputError: something that is not a penalty, or a tensor that is named twice.
    """
    listed = [penalties] if isinstance(penalties, L1) else list(penalties)
    if not listed:
        raise InputError("no penalty given; give spred.L1 or spred.GroupL1")
    found: list[Target] = []
    named: set[int] = set()
    for penalty in listed:
        if not isinstance(penalty, L1):
            raise InputError(f"a penalty is of type {type(penalty).__name__}; give spred.L1 or spred.GroupL1")
        for position, tensor in enumerate(penalty.params):
            if id(tensor) in named:
                raise InputError(
                    f"{type(penalty).__name__}, tensor {position} of shape {tuple(tensor.shape)} is "
                    "penalised twice; name each tensor once"
                )
            named.add(id(tensor))
        for place in penalty.places():
            partition = penalty.partition(place)
            found.append(Target(place, penalty, partition, penalty.group_weights(place, partition)))
    return found


def factor_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of the factors of a tensor: its own, and float32 for half and bfloat16."""
    return torch.promote_types(dtype, torch.float32)


def split_exactly(
    value: Tensor, depth: int, partition: Partition, *, balanced: bool, scale: float | None = None
) -> Factors:
    """Split with gates that are powers of two near the natural ones: then ``merge`` gives every bit back.

    So a tensor that gets no gradient does not move, not even by rounding. (Not so with ``balanced``, and at
    depth 3 in float64 up to rounding.)
    """
    typical = typical_norm(value, partition) if scale is None else scale
    power = 2.0 ** (depth * round(log2(typical) / depth))
    return split(value, depth=depth, partition=partition, scale=power, balanced=balanced)


@torch.no_grad()
def zero_groups_(factors: Iterable[Tensor], dead: Tensor, partition: Partition) -> None:
    """Set every factor of the groups where ``dead`` (bool, gate shape) holds to zero, in place."""
    *gates, full = factors
    for gate in gates:
        gate.masked_fill_(dead, 0.0)
    full.masked_fill_(partition.spread(dead, full), 0.0)


def _check_tensor(tensor: Tensor, place: str) -> None:
    if not isinstance(tensor, Tensor):
        raise InputError(f"{place} is of type {type(tensor).__name__}; give tensors, as in [model.fc.weight]")
    if isinstance(tensor, UninitializedParameter):
        raise InputError(f"{place} has no shape yet; run one batch through the lazy module first")
    place = f"{place} of shape {tuple(tensor.shape)}"
    if not tensor.dtype.is_floating_point:
        raise InputError(f"{place} has dtype {tensor.dtype}; only real floating tensors can be penalised")
    if not tensor.is_leaf:
        raise InputError(f"{place} is computed from others (not a leaf); penalise the parameter itself")


def _even(labels: Tensor) -> bool:
    """Return whether these are integers from 0 on, each as often as the others."""
    if labels.dtype not in INTEGERS or labels.numel() == 0 or int(labels.min()) < 0:
        return False
    return len(torch.unique(torch.bincount(labels))) == 1


def _runs(groups: Tensor | None, heads: int | None, like: Tensor) -> tuple[int | None, Tensor | None]:
    """Return the number of runs of joined tensors, and the indices run by run."""
    if groups is None:
        return heads, None
    return int(groups.max()) + 1, groups.argsort(stable=True).to(like.device)


def _head_labels(tensor: Tensor, dim: int, heads: int, n_parts: int) -> Tensor:
    length = tensor.shape[dim] // n_parts
    index = torch.arange(tensor.shape[dim], device=tensor.device) % length // (length // heads)
    shape = [1] * tensor.ndim
    shape[dim] = -1
    return index.reshape(shape).expand(tensor.shape).contiguous()
