"""The gradients of the factors, as :mod:`spred.core.factorization` defines them.

Depth 2 is what runs at every step of most users, so it is written in place, without new memory. Single weights are
taken in blocks of rows, so that the divisor needs memory for one block only. Deeper products and compiled steps use the
functions of ``core``. The tests hold all of them to the same formulas.

Torch's operations read and write whole tensors one after the other. Written as a loop, the same is done while a number
is in a register: one pass over memory instead of six, in a quarter of the time on one thread. Torch shares its
operations among threads and a loop is one thread's, so from :data:`MANY_THREADS` on large tensors are left to torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from spred.core.factorization import Factors, decay, pull_back
from spred.core.partition import SINGLES, Partition
from spred.nn.optimizer.preconditioner import speed

Number = float | Tensor
"""A number, or a tensor without axes that holds one."""

Buffers = tuple[Tensor, Tensor, Tensor]
"""Gradient of the gate, gradient of the full factor, and the divisor, which may have fewer rows than the gate."""

SMALLEST_RATE = 1e-20
"""A rate ``α·ω`` below this is not divided by: the quotients would overflow in float32."""

MAX_BLOCKS, MIN_BLOCK_SIZE = 16, 2**17
"""A tensor is cut into so many blocks at most, of no fewer weights than this.

More blocks need less memory and make more calls; ``scripts/bench torch-memory`` and ``torch-steps`` measure both.
"""

MIN_LOOP_SIZE = 2**12
"""Fewer weights are not worth the call of a loop; ``scripts/bench torch-steps`` measures the step."""

MANY_THREADS, MAX_SHARED_SIZE = 4, 2**15
"""From so many threads on torch is faster than a loop where it shares its work, on tensors above this size;
``scripts/bench torch-steps`` measures one thread."""

LOOP_TYPES = (torch.float32, torch.float64)
"""What the loops are compiled for."""


def divisor_buffer(gate: Tensor, partition: Partition, *, whole: bool) -> Tensor:
    """Return memory for the divisor: of the whole gate, or of a block of its rows where each weight has a gate."""
    if whole or partition is not SINGLES or gate.numel() <= MIN_BLOCK_SIZE:
        return torch.empty_like(gate)
    n_blocks = min(MAX_BLOCKS, gate.numel() // MIN_BLOCK_SIZE, len(gate))
    return torch.empty_like(gate[: -(-len(gate) // n_blocks)])


def pair_gradients(
    grad: Tensor, factors: Factors, partition: Partition, rate: Tensor | float, damping: float | None, out: Buffers
) -> Factors:
    """Return the gradients of gate and full factor, written to ``out``.

    Args:
        grad: gradient of the loss in the product.
        factors: gate and full factor.
        partition: which coordinates share a gate.
        rate: ``α·ω``, a number or in the gate shape.
        damping: what is added to the speed before the gradients are divided by it; None to leave them undivided.
        out: shaped like gate and full factor, and from :func:`divisor_buffer`.
    """
    *results, divisor = out
    gate, _ = factors
    if divisor.shape == gate.shape:
        return _block_gradients(grad, factors, partition, rate, damping, out)
    n_rows = len(divisor)
    rates: Iterable[Tensor | float] = repeat(rate) if isinstance(rate, float) else torch.split(rate, n_rows)
    blocks = zip(*(torch.split(tensor, n_rows) for tensor in (grad, *factors, *results)), strict=True)
    for (g, u, w, of_gate, of_full), r in zip(blocks, rates, strict=False):
        _block_gradients(g, (u, w), partition, r, damping, (of_gate, of_full, divisor[: len(u)]))
    return tuple(results)


def _block_gradients(
    grad: Tensor, factors: Factors, partition: Partition, rate: Tensor | float, damping: float | None, out: Buffers
) -> Factors:
    """Return the same for one block."""
    gate, full = factors
    of_gate, of_full, divisor = out
    if partition is SINGLES and damping is not None and isinstance(rate, float) and rate > SMALLEST_RATE:
        return _single_gradients(grad, gate, full, rate, damping, out)
    _group_sums(grad, full, partition, of_gate, scratch=of_full)
    _add_product(of_gate, gate, rate)
    if damping is not None:
        _group_sums(full, full, partition, divisor, scratch=of_full)
        divisor.addcmul_(gate, gate).add_(damping)
        of_gate.div_(divisor)
    torch.mul(partition.spread(gate, full), grad, out=of_full)
    _add_product(of_full, full, rate if isinstance(rate, float) else partition.spread(rate, full))
    if damping is not None:
        of_full.div_(partition.spread(divisor, full))
    return of_gate, of_full


def _single_gradients(grad: Tensor, gate: Tensor, full: Tensor, rate: float, damping: float, out: Buffers) -> Factors:
    """Return the same for single weights with a divisor, in six passes over memory instead of nine.

    ``(g·w + r·u)/S = (u + g·w/r)/(S/r)``: the rate goes into the divisor, and each numerator is one operation.
    """
    of_gate, of_full, divisor = out
    torch.addcmul(full.new_full((), damping / rate), full, full, value=1.0 / rate, out=divisor)
    divisor.addcmul_(gate, gate, value=1.0 / rate)
    torch.addcmul(gate, grad, full, value=1.0 / rate, out=of_gate).div_(divisor)
    torch.addcmul(full, grad, gate, value=1.0 / rate, out=of_full).div_(divisor)
    return of_gate, of_full


def fits_loop(tensors: Sequence[Tensor]) -> bool:
    """Return whether tensors can go through a loop together: on the CPU, of one type and arrangement, without gaps."""
    first = tensors[0]
    shape, strides, dtype = first.shape, first.stride(), first.dtype
    size = first.numel()
    if size < MIN_LOOP_SIZE or dtype not in LOOP_TYPES or first.device.type != "cpu":
        return False
    if size > MAX_SHARED_SIZE and torch.get_num_threads() >= MANY_THREADS:
        return False
    if not first.is_contiguous() and 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) != size:
        return False
    return all(t.dtype == dtype and t.shape == shape and t.stride() == strides for t in tensors[1:])


def loop_gradients(
    grad: Tensor, factors: Sequence[Tensor], rate: float, damping: float | None, out: Sequence[Tensor]
) -> None:
    """Write ``(g·w + rate·u)/S`` and ``(g·u + rate·w)/S`` to ``out`` by a loop, with ``S = u² + w² + damping``.

    Without damping ``S`` is 1. The tensors have to fit (:func:`fits_loop`).
    """
    from spred.nn.optimizer import cpu_loops  # here, because numba takes long to import and not every run needs it

    g, u, w, of_gate, of_full = (_flat(tensor) for tensor in (grad, *factors, *out))
    number = g.dtype.type
    if damping is None:
        cpu_loops.plain_gradients(g, u, w, number(rate), of_gate, of_full)
    else:
        cpu_loops.preconditioned_gradients(g, u, w, number(rate), number(damping), of_gate, of_full)


def deep_gradients(
    grad: Tensor,
    factors: Factors,
    partition: Partition,
    alpha: Number,
    weights: Tensor | float,
    damping: Number | None,
) -> Factors:
    """Return the same at any depth, in new memory; see :func:`spred.core.factorization.decay`."""
    of_loss = pull_back(grad, factors, partition)
    of_penalty = decay(factors, alpha, weights, partition)
    *of_gates, of_full = (a + b for a, b in zip(of_loss, of_penalty, strict=True))
    if damping is None:
        return (*of_gates, of_full)
    divisor = speed(factors, partition) + damping
    return (*(of_gate / divisor for of_gate in of_gates), of_full / partition.spread(divisor, of_full))


def _group_sums(a: Tensor, b: Tensor, partition: Partition, out: Tensor, *, scratch: Tensor) -> None:
    """Write the sums of ``a·b`` over the groups to ``out``."""
    if partition is SINGLES:
        torch.mul(a, b, out=out)
    else:
        torch.mul(a, b, out=scratch)
        out.copy_(partition.gather(scratch))


def _add_product(out: Tensor, factor: Tensor, rate: Tensor | float) -> None:
    """``out += rate·factor``, in place."""
    if isinstance(rate, float):
        out.add_(factor, alpha=rate)
    else:
        out.addcmul_(factor, rate)


def _flat(tensor: Tensor) -> Any:
    """Return the memory of a tensor without gaps as a NumPy array."""
    return tensor.detach().as_strided((tensor.numel(),), (1,)).numpy()
