"""The compiled loops of ``passes``, over flat arrays."""
# mypy: allow-untyped-defs

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def plain(grad, gate, full, rate, of_gate, of_full):
    """Write the gradients of the factors of single weights."""
    for i in range(grad.size):
        g, u, w = grad[i], gate[i], full[i]
        of_gate[i] = g * w + rate * u
        of_full[i] = g * u + rate * w


@njit(cache=True, nogil=True, error_model="numpy")
def saturating(grad, gate, full, rate, constant, of_gate, of_full):
    """Write the same, divided by the metric."""
    one = type(constant)(1.0)
    for i in range(grad.size):
        g, u, w = grad[i], gate[i], full[i]
        inverse = one / (u * u + w * w + constant)
        of_gate[i] = (g * w + rate * u) * inverse
        of_full[i] = (g * u + rate * w) * inverse
