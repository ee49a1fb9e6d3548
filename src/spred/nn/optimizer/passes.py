"""One pass over memory where torch takes six: the gradients of the factors of single weights, on a processor.

Torch's operations read and write whole tensors one after the other. Written as a loop, the same is done while a number
is in a register, which takes a quarter of the time on one thread. Torch shares its operations among threads and a loop
is one thread's, so from :data:`MANY` threads on large tensors are left to torch. :mod:`spred.nn.optimizer.loops` has
    the loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

SMALL, MANY, LARGE = 2**12, 4, 2**15
"""Fewer weights are not worth the call; with so many threads torch shares what has more weights than the last."""

TYPES = (torch.float32, torch.float64)
"""What the loops are compiled for."""


def fits(tensors: Sequence[Tensor]) -> bool:
    """Return whether tensors can go through a loop together: on the CPU, of one type and arrangement, without gaps."""
    first = tensors[0]
    shape, strides, dtype = first.shape, first.stride(), first.dtype
    size = first.numel()
    if size < SMALL or dtype not in TYPES or first.device.type != "cpu":
        return False
    if size > LARGE and torch.get_num_threads() >= MANY:
        return False
    if not first.is_contiguous() and 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) != size:
        return False
    return all(t.dtype == dtype and t.shape == shape and t.stride() == strides for t in tensors[1:])


def pair_gradients(
    grad: Tensor, factors: Sequence[Tensor], rate: float, constant: float | None, out: Sequence[Tensor]
) -> None:
    """Write ``(g·w + rate·u)/S`` and ``(g·u + rate·w)/S`` to ``out``, with ``S = u² + w² + constant``.

    Without a constant ``S`` is 1. The tensors have to fit (:func:`fits`).
    """
    from spred.nn.optimizer import loops  # here, because numba takes long to import and not every run has a use for it

    g, u, w, a, b = (_flat(tensor) for tensor in (grad, *factors, *out))
    number = g.dtype.type
    if constant is None:
        loops.plain(g, u, w, number(rate), a, b)
    else:
        loops.saturating(g, u, w, number(rate), number(constant), a, b)


def _flat(tensor: Tensor) -> Any:
    """Return the memory of a tensor without gaps as a NumPy array."""
    return tensor.detach().as_strided((tensor.numel(),), (1,)).numpy()
