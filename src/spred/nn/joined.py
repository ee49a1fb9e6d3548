"""Where a penalised value lives: in one tensor of the model, or in several that share their groups.

A filter, the gain and the bias of its batch norm are one thing that can be removed, though they are three tensors. A
:class:`Place` reads such tensors as one matrix with a row for each group, and writes it back. All that is done to a
single tensor can then be done to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from spred.errors import InputError
from spred.nn.sharding import is_sharded


@dataclass(frozen=True, eq=False)
class Place:
    """Tensors that hold one penalised value.

    Attributes:
        tensors: one tensor, which is then the value itself, or several.
        dims: for several, the axis of each along which the groups run.
        heads: for several, the number of equal runs that the axis is cut into; None for a group of each index.
        order: the indices along the axis as they are cut into runs; None if they are cut as they lie.
        packed: for several cut into runs, the parts that the axis of each is packed in (:mod:`spred.nn.packing`); empty
            for 1 each.
    """

    tensors: tuple[Tensor, ...]
    dims: tuple[int, ...] = ()
    heads: int | None = None
    order: Tensor | None = None
    packed: tuple[int, ...] = ()

    @cached_property  # this and `sharded` are read several times a step
    def joined(self) -> bool:
        """Whether the value is a matrix with a row for each group."""
        return bool(self.dims)

    @property
    def requires_grad(self) -> bool:
        """Whether any of the tensors is trained."""
        return any(tensor.requires_grad for tensor in self.tensors)

    @cached_property
    def sharded(self) -> bool:
        """Whether several processes hold parts of it (a DTensor, as ``fully_shard`` makes)."""
        return any(is_sharded(tensor) for tensor in self.tensors)

    @property
    def parts_packed(self) -> tuple[int, ...]:
        """The parts that the axis of each tensor is packed in."""
        return self.packed or (1,) * len(self.tensors)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the value."""
        return self.tensors[0].dtype

    def value(self) -> Tensor:
        """Return the value: the tensor itself, or a matrix made of them."""
        return self.join([tensor.detach() for tensor in self.tensors])

    def grad(self) -> Tensor | None:
        """Return the gradient in the value; None if no tensor has one."""
        if not self.joined:
            return self.tensors[0].grad
        if all(tensor.grad is None for tensor in self.tensors):
            return None
        return self.join([torch.zeros_like(t) if t.grad is None else t.grad for t in self.tensors])

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Return what has the shapes of ``tensors`` as one value."""
        if not self.joined:
            return parts[0]
        places = zip(parts, self.dims, self.parts_packed, strict=True)
        views = [rows(part, dim, self.heads, self.order, n_parts) for part, dim, n_parts in places]
        return torch.cat([view.reshape(len(view), -1) for view in views], dim=1)

    def parts(self, value: Tensor) -> list[Tensor]:
        """Undo :meth:`join`."""
        if not self.joined:
            return [value]
        found, first = [], 0
        for tensor, dim, n_parts in zip(self.tensors, self.dims, self.parts_packed, strict=True):
            part = torch.empty_like(tensor, dtype=value.dtype)
            last = first + part.numel() // len(value)
            _fill_(part, dim, self.heads, self.order, n_parts, value[:, first:last])
            found.append(part)
            first = last
        return found

    @torch.no_grad()
    def write_(self, value: Tensor) -> None:
        """Put ``value`` into the tensors."""
        for tensor, part in zip(self.tensors, self.parts(value), strict=True):
            tensor.copy_(part)

    def versions(self) -> tuple[tuple[int, int], ...]:
        """Return addresses and versions: what changes when torch writes to a tensor."""
        return tuple((tensor.data_ptr(), tensor._version) for tensor in self.tensors)

    def describe(self) -> str:
        """Return what a message calls tensors without a name: their shapes."""
        return " + ".join(str(tuple(tensor.shape)) for tensor in self.tensors)


def rows(tensor: Tensor, dim: int, heads: int | None, order: Tensor | None = None, packed: int = 1) -> Tensor:
    """Return what is in ``tensor`` with a first axis that runs over its groups; a view of it without an ``order``."""
    first = tensor.movedim(dim, 0)
    if heads is None:
        return first
    if order is not None:
        return torch.unflatten(first.index_select(0, order), 0, (heads, -1))
    if packed > 1:
        return torch.unflatten(first, 0, (packed, heads, -1)).movedim(1, 0)
    return torch.unflatten(first, 0, (heads, -1))


def _fill_(tensor: Tensor, dim: int, heads: int | None, order: Tensor | None, packed: int, value: Tensor) -> None:
    """Undo :func:`rows`: fill ``tensor`` with the rows of ``value``."""
    if order is None:
        view = rows(tensor, dim, heads, packed=packed)
        view.copy_(value.reshape(view.shape))
    else:
        first = tensor.movedim(dim, 0)
        first.index_copy_(0, order, value.reshape(first.shape))


def join_tensors(
    tensors: Sequence[Tensor],
    dims: Sequence[int],
    heads: int | None,
    order: Tensor | None = None,
    packed: tuple[int, ...] = (),
) -> Place:
    """Return the place of tensors that share their groups.

    Raises:
        InputError: they differ in their number of groups, dtype or device, or are in parts.
    """
    place = Place(tuple(tensors), tuple(dims), heads, order, packed)
    kinds = {(tensor.dtype, tensor.device) for tensor in tensors}
    if len(kinds) > 1:
        raise InputError(f"the joined tensors have several dtypes or devices, {sorted(map(str, kinds))}; use one")
    if place.sharded:
        raise InputError("tensors in parts (fully_shard) cannot be joined; give each a penalty of its own")
    cut = zip(tensors, dims, place.parts_packed, strict=True)
    counts = {len(rows(tensor, dim, heads, order, n_parts)) for tensor, dim, n_parts in cut}
    if len(counts) > 1:
        raise InputError(
            f"the joined tensors {place.describe()} have {sorted(counts)} groups; give tensors with as many groups "
            "each, and dim=(…) if they run along different axes"
        )
    return place
