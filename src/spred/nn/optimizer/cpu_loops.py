"""The compiled loops of :mod:`spred.nn.optimizer.gradients`, over flat arrays.

A file of its own, because numba takes long to import: it is imported at the first step that has a use for it.
"""
# mypy: allow-untyped-defs

from __future__ import annotations

from spred.runtime.compiled import compiled


@compiled(nogil=True, error_model="numpy")
def plain_gradients(grad, gate, full, rate, of_gate, of_full):
    """Write ``g·w + rate·u`` and ``g·u + rate·w``, the gradients of the factors of single weights."""
    for i in range(grad.size):
        g, u, w = grad[i], gate[i], full[i]
        of_gate[i] = g * w + rate * u
        of_full[i] = g * u + rate * w


@compiled(nogil=True, error_model="numpy")
def preconditioned_gradients(grad, gate, full, rate, damping, of_gate, of_full):
    """Write the same, divided by ``u² + w² + damping``."""
    one = type(damping)(1.0)
    for i in range(grad.size):
        g, u, w = grad[i], gate[i], full[i]
        inverse = one / (u * u + w * w + damping)
        of_gate[i] = (g * w + rate * u) * inverse
        of_full[i] = (g * u + rate * w) * inverse
