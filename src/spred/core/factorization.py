"""The identity in code: a weight as a product of factors, and plain L2 on the factors.

``v = u ⊙ w`` with ``(α/2)(‖u‖² + ‖w‖²)`` has the minima of ``α‖v‖₁``; with one scalar ``u_g`` for each group
it has those of ``α Σ ‖v_g‖₂``; with D factors and ``(α/D) Σ ‖f_k‖²`` those of ``α Σ ‖v_g‖^{2/D}``
(docs/math.md, §1 to §3; Ziyin and Wang, ICML 2023, theorems 1 and 2).

Factors are a tuple ``(gate, …, gate, full)``: D − 1 gates in the gate shape of the partition, and one factor
in the shape of ``v``. All functions are pure and take NumPy arrays and torch tensors alike; torch's autograd
passes through.
"""

from __future__ import annotations

from math import prod, sqrt

from array_api_compat import array_namespace

from spred.core.partition import SINGLES, Array, Partition, norms
from spred.errors import InputError

Factors = tuple[Array, ...]


def natural_scale(v: Array, partition: Partition = SINGLES) -> float:
    """Return the size of a typical group: the root mean square of the group norms of ``v``.

    A tensor of zeros has no size of its own; it gets that of a layer freshly initialised, ``1/√fan_in`` for
    each coordinate, so that it can leave zero.
    """
    xp = array_namespace(v)
    size = norms(v, partition)
    typical = sqrt(float(xp.mean(size * size))) if prod(size.shape) else 0.0
    if typical > 0.0:
        return typical
    fan_in = prod(v.shape[1:]) if v.ndim > 1 else prod(v.shape)
    per_group = prod(v.shape) / max(prod(size.shape), 1)
    return sqrt(max(per_group, 1.0) / max(fan_in, 1))


def split(
    v: Array,
    *,
    depth: int = 2,
    partition: Partition = SINGLES,
    scale: float | None = None,
    balanced: bool = False,
) -> Factors:
    """Write ``v`` as a product of ``depth`` factors; ``merge`` gives ``v`` back.

    Args:
        v: the tensor, any shape.
        depth: D ≥ 2, the number of factors. 2 is L1 or group lasso; 3 and 4 are sparser and non-convex.
        partition: which coordinates share a gate.
        scale: typical group norm of ``v``; by default :func:`natural_scale`.
        balanced: by default (False) every gate is the constant ``s = scale^{1/D}`` and the last factor
            carries the values: the factors can change sign and leave zero. True shares each group's norm
            evenly, the split with the smallest penalty; under SGD it stays balanced, so signs are frozen, and
            a group that is exactly zero gets ``u = w = 0`` and never leaves zero (docs/math.md, §6). The
            default split leaves zero.

    Returns:
        ``(gate, …, gate, full)``.

    Raises:
        InputError: depth below 2, or a scale that is not positive.

    >>> import numpy as np
    >>> u, w = split(np.array([4.0, -9.0]), balanced=True)
    >>> u.tolist(), w.tolist()
    ([2.0, 3.0], [2.0, -3.0])
    """
    if depth < 2:
        raise InputError(f"depth is {depth}; a product needs at least 2 factors")
    typical = natural_scale(v, partition) if scale is None else float(scale)
    if not typical > 0.0:
        raise InputError(f"scale is {typical}; give a positive number")
    xp = array_namespace(v)
    size = norms(v, partition)
    gate = size ** (1.0 / depth) if balanced else xp.full_like(size, typical ** (1.0 / depth))
    full = v / partition.spread(xp.where(gate > 0, gate, xp.ones_like(gate)), v) ** (depth - 1)
    return (*(xp.asarray(gate, copy=True) for _ in range(depth - 1)), full)


def merge(factors: Factors, partition: Partition = SINGLES) -> Array:
    """Return the product ``v`` of the factors.

    >>> import numpy as np
    >>> merge((np.array([2.0, 3.0]), np.array([2.0, -3.0]))).tolist()
    [4.0, -9.0]
    """
    *gates, full = factors
    return partition.spread(_product(gates), full) * full


def pull_back(grad: Array, factors: Factors, partition: Partition = SINGLES) -> Factors:
    """Return the gradient of each factor, given ``grad``, the gradient of the loss in the product ``v``.

    For one coordinate and two factors ``∂L/∂u = g·w``, ``∂L/∂w = g·u``; a gate gets the sum over its group.
    """
    *gates, full = factors
    on_product = partition.gather(grad * full)
    on_gates = tuple(
        on_product * _product(others) if (others := gates[:k] + gates[k + 1 :]) else on_product
        for k in range(len(gates))
    )
    return (*on_gates, partition.spread(_product(gates), full) * grad)


def quadratic_penalty(
    factors: Factors, alpha: float, weights: Array | float = 1.0, partition: Partition = SINGLES
) -> Array:
    """Return ``(α/D) Σ_k Σ_g ω_g ‖f_{k,g}‖²``, the smooth stand-in for ``α Σ_g ω_g ‖v_g‖^{2/D}``.

    ``weights`` (ω) is a number, or an array in the gate shape.
    """
    *gates, full = factors
    squares = partition.gather(full * full)
    for gate in gates:
        squares = squares + gate * gate
    return (alpha / len(factors)) * array_namespace(full).sum(weights * squares)


def decay(
    factors: Factors, alpha: Array | float, weights: Array | float = 1.0, partition: Partition = SINGLES
) -> Factors:
    """Return the gradient of :func:`quadratic_penalty` in each factor, ``(2α/D)·ω·f_k``."""
    *gates, full = factors
    rate = (2.0 * alpha / len(factors)) * weights
    one = isinstance(rate, float) or rate.ndim == 0
    on_full = rate if one else partition.spread(rate, full)
    return (*(rate * gate for gate in gates), on_full * full)


def _product(arrays: list[Array]) -> Array:
    out = arrays[0]
    for array in arrays[1:]:
        out = out * array
    return out
