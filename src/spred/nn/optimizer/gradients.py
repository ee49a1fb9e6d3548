"""The gradients of the factors, as :mod:`spred.core.factorization` defines them.

Depth 2 is what runs at every step of most users, so it is written in place, without new memory. Single weights are
taken in blocks of rows, so that the metric needs memory for one block only. Deeper products and compiled steps use the
words of ``core``. The tests hold both to the same formulas.
"""

from __future__ import annotations

from itertools import repeat

import torch
from torch import Tensor

from spred.core.factorization import Factors, decay, pull_back
from spred.core.partition import SINGLES, Partition
from spred.nn.optimizer.preconditioner import speed

Number = float | Tensor
"""A number, or a tensor without axes that holds one."""

Buffers = tuple[Tensor, Tensor, Tensor]
"""Gradient of the gate, gradient of the full factor, and the metric, which may have fewer rows than the gate."""

FAINT = 1e-20
"""A rate below this is not divided by."""

N_BLOCKS, SMALLEST = 16, 2**17
"""A tensor is cut into so many blocks at most, of no fewer weights than this."""


def scratch(gate: Tensor, partition: Partition, *, whole: bool) -> Tensor:
    """Return memory for the metric: of the whole gate, or of a block of its rows where each weight has a gate."""
    if whole or partition is not SINGLES or gate.numel() <= SMALLEST:
        return torch.empty_like(gate)
    n_blocks = min(N_BLOCKS, gate.numel() // SMALLEST, len(gate))
    return torch.empty_like(gate[: -(-len(gate) // n_blocks)])


def pair_gradients(
    grad: Tensor,
    factors: Factors,
    partition: Partition,
    rate: Tensor | float,
    constant: float | None,
    out: Buffers,
) -> Factors:
    """Return the gradients of gate and full factor, written to ``out``.

    Args:
        grad: gradient of the loss in the product.
        factors: gate and full factor.
        partition: which coordinates share a gate.
        rate: ``α·ω``, a number or in the gate shape.
        constant: what the metric adds to the speed; None for no metric.
        out: shaped like gate and full factor, and from :func:`scratch`.
    """
    *results, divisor = out
    gate, _ = factors
    if divisor.shape == gate.shape:
        return _gradients(grad, factors, partition, rate, constant, out)
    n_rows = len(divisor)
    rates = repeat(rate) if isinstance(rate, float) else rate.split(n_rows)
    blocks = zip(*(tensor.split(n_rows) for tensor in (grad, *factors, *results)), strict=True)
    for (g, u, w, of_gate, of_full), r in zip(blocks, rates, strict=False):
        _gradients(g, (u, w), partition, r, constant, (of_gate, of_full, divisor[: len(u)]))
    return tuple(results)


def _gradients(
    grad: Tensor,
    factors: Factors,
    partition: Partition,
    rate: Tensor | float,
    constant: float | None,
    out: Buffers,
) -> Factors:
    """Return the same for one block."""
    gate, full = factors
    of_gate, of_full, divisor = out
    if partition is SINGLES and constant is not None and isinstance(rate, float) and rate > FAINT:
        return _single_gradients(grad, gate, full, rate, constant, out)
    _gathered(grad, full, partition, of_gate, scratch=of_full)
    _add_product(of_gate, gate, rate)
    if constant is not None:
        _gathered(full, full, partition, divisor, scratch=of_full)
        divisor.addcmul_(gate, gate).add_(constant)
        of_gate.div_(divisor)
    torch.mul(partition.spread(gate, full), grad, out=of_full)
    _add_product(of_full, full, rate if isinstance(rate, float) else partition.spread(rate, full))
    if constant is not None:
        of_full.div_(partition.spread(divisor, full))
    return of_gate, of_full


def _single_gradients(grad: Tensor, gate: Tensor, full: Tensor, rate: float, constant: float, out: Buffers) -> Factors:
    """Return the same for single weights under the metric, in six passes over memory instead of nine.

    ``(g·w + r·u)/S = (u + g·w/r)/(S/r)``: the rate goes into the divisor, and each numerator is one operation.
    """
    of_gate, of_full, divisor = out
    torch.addcmul(full.new_full((), constant / rate), full, full, value=1.0 / rate, out=divisor)
    divisor.addcmul_(gate, gate, value=1.0 / rate)
    torch.addcmul(gate, grad, full, value=1.0 / rate, out=of_gate).div_(divisor)
    torch.addcmul(full, grad, gate, value=1.0 / rate, out=of_full).div_(divisor)
    return of_gate, of_full


def deep_gradients(
    grad: Tensor,
    factors: Factors,
    partition: Partition,
    alpha: Number,
    weights: Tensor | float,
    constant: Number | None,
) -> Factors:
    """Return the same at any depth, in new memory; see :func:`spred.core.factorization.decay`."""
    of_loss = pull_back(grad, factors, partition)
    of_penalty = decay(factors, alpha, weights, partition)
    *of_gates, of_full = (a + b for a, b in zip(of_loss, of_penalty, strict=True))
    if constant is None:
        return (*of_gates, of_full)
    divisor = speed(factors, partition) + constant
    return (*(of_gate / divisor for of_gate in of_gates), of_full / partition.spread(divisor, of_full))


def _gathered(a: Tensor, b: Tensor, partition: Partition, out: Tensor, *, scratch: Tensor) -> None:
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
