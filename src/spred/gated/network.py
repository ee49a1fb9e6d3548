"""A linear branch and an MLP on the same inputs: parameters, forward pass, sensitivities, gradient.

    η = Z b + X θ + A h_L,    h_1 = σ(X W + c_1),    h_{l+1} = σ(U_l h_l + c_{l+1})

Row j of ``first`` is ``(θ_j, W_j)``, all weights of input j. Every row of U and A has norm 1, so the scale of
the first layer cannot be moved upwards, and its penalty means something (docs/math.md, §9).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spred.errors import InputError, did_you_mean


def _tanh(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    value = np.tanh(z)
    return value, 1.0 - value * value


def _softplus(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.logaddexp(0.0, z) - np.log(2.0), 0.5 * (1.0 + np.tanh(0.5 * z))


def _silu(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sigmoid = 0.5 * (1.0 + np.tanh(0.5 * z))
    return z * sigmoid, sigmoid * (1.0 + z * (1.0 - sigmoid))


ACTIVATIONS: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "tanh": _tanh,
    "softplus": _softplus,
    "silu": _silu,
}
"""Smooth activations: value and derivative. All are 0 at 0."""


def get_activation(name: str) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return a row of :data:`ACTIVATIONS`, or raise with the nearest name."""
    if name not in ACTIVATIONS:
        known = ", ".join(map(repr, ACTIVATIONS))
        raise InputError(f"no activation is called {name!r}{did_you_mean(name, ACTIVATIONS)}; use one of {known}")
    return ACTIVATIONS[name]


@dataclass(frozen=True, eq=False)
class Network:
    """Parameters of a gated network with k inputs and K outputs; also a gradient or a step in them.

    Attributes:
        free: ``(q, K)``, coefficients of the columns that no penalty sees (intercept first).
        first: ``(k, K + H_1)``, rows ``(θ_j, W_j)``; ``(k, H_1)`` without a linear branch.
        biases: ``(H_l,)`` of each hidden layer.
        upper: ``(H_{l+1}, H_l)`` between hidden layers, and ``(K, H_L)``; rows of norm 1.
    """

    free: np.ndarray
    first: np.ndarray
    biases: tuple[np.ndarray, ...]
    upper: tuple[np.ndarray, ...]

    @property
    def parts(self) -> tuple[np.ndarray, ...]:
        """All arrays, in a fixed order."""
        return (self.free, self.first, *self.biases, *self.upper)

    @property
    def n_linear(self) -> int:
        """Columns of ``first`` that belong to the linear branch: K or 0."""
        return int(self.first.shape[1]) - len(self.biases[0])

    def with_first(self, first: np.ndarray) -> Network:
        """Return the same network with other rows for its inputs."""
        return Network(self.free, first, self.biases, self.upper)


@dataclass(frozen=True, eq=False)
class Forward:
    """One forward pass: ``eta (n, K)``, and of each hidden layer its output and slope ``(n, H_l)``."""

    eta: np.ndarray
    hidden: tuple[np.ndarray, ...]
    slopes: tuple[np.ndarray, ...]


def initial(n_free: int, n_outputs: int, hidden: tuple[int, ...], *, linear: bool, seed: int | None) -> Network:
    """Return a network without inputs: biases of zero, upper layers with orthonormal rows (or columns)."""
    rng = np.random.default_rng(seed)
    widths = [*hidden, n_outputs]
    upper = tuple(_orthonormal(rng, wide, narrow) for narrow, wide in pairwise(widths))
    biases = tuple(np.zeros(width) for width in hidden)
    first = np.zeros((0, hidden[0] + (n_outputs if linear else 0)))
    return Network(np.zeros((n_free, n_outputs)), first, biases, upper)


def _orthonormal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    square = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))[0]
    return unit_rows(square.T if rows <= columns else square)


def unit_rows(matrix: np.ndarray) -> np.ndarray:
    """Return the matrix with every row scaled to norm 1."""
    unit: np.ndarray = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    return unit


def forward(network: Network, Z: np.ndarray, X: np.ndarray, activation: str) -> Forward:
    """Evaluate the network at free columns ``Z (n, q)`` and inputs ``X (n, k)``."""
    sigma, k = ACTIVATIONS[activation], network.n_linear
    both = X @ network.first
    hidden, slopes = [], []
    z = both[:, k:] + network.biases[0]
    for bias, weight in zip((*network.biases[1:], None), network.upper, strict=True):
        value, slope = sigma(z)
        hidden.append(value)
        slopes.append(slope)
        z = value @ weight.T if bias is None else value @ weight.T + bias
    eta = Z @ network.free + z
    if k:
        eta += both[:, :k]
    return Forward(eta, tuple(hidden), tuple(slopes))


def sensitivities(network: Network, at: Forward) -> tuple[np.ndarray, ...]:
    """Return ∂η/∂z_l for the input ``z_l`` of each hidden layer, ``(n, K, H_l)``."""
    out = network.upper[-1] * at.slopes[-1][:, None, :]
    found = [out]
    for weight, slope in zip(network.upper[-2::-1], at.slopes[-2::-1], strict=True):
        out = (out @ weight) * slope[:, None, :]
        found.append(out)
    return tuple(found[::-1])


def input_slopes(network: Network, sensitive: np.ndarray) -> np.ndarray:
    """Return ∂η/∂(XΘ, XW), ``(n, K, columns of first)``: times row j of ``first`` it is the slope of η in input j.

    ``sensitive`` is that of the first hidden layer.
    """
    n, K, _ = sensitive.shape
    straight = [np.broadcast_to(np.eye(K), (n, K, K))] if network.n_linear else []
    return np.concatenate([*straight, sensitive], axis=2)


def signals(theta: np.ndarray, sensitive: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Carry ``theta (n, K)``, a gradient in η, back to the inputs of the hidden layers, ``(n, H_l)`` each."""
    return tuple((theta[:, None, :] @ each)[:, 0] for each in sensitive)


def pull_back(
    network: Network, Z: np.ndarray, X: np.ndarray, at: Forward, sensitive: tuple[np.ndarray, ...], theta: np.ndarray
) -> Network:
    """Return ``Jᵀθ``: the gradient in the parameters of whatever has the gradient ``theta (n, K)`` in η."""
    back = signals(theta, sensitive)
    above = (*back[1:], theta)
    upper = (tangent(w, s.T @ h) for w, s, h in zip(network.upper, above, at.hidden, strict=True))
    return Network(
        Z.T @ theta, X.T @ input_signals(network, theta, back[0]), tuple(s.sum(axis=0) for s in back), tuple(upper)
    )


def push_forward(
    network: Network, Z: np.ndarray, X: np.ndarray, at: Forward, sensitive: tuple[np.ndarray, ...], step: Network
) -> np.ndarray:
    """Return ``J·step``, the change of η to first order, ``(n, K)``."""
    k = network.n_linear
    both = X @ step.first
    eta = Z @ step.free + at.hidden[-1] @ tangent(network.upper[-1], step.upper[-1]).T
    if k:
        eta += both[:, :k]
    changes = [both[:, k:] + step.biases[0]]
    for bias, weight, moved, value in zip(step.biases[1:], network.upper, step.upper, at.hidden, strict=False):
        changes.append(value @ tangent(weight, moved).T + bias)
    for each, change in zip(sensitive, changes, strict=True):
        eta += (each @ change[:, :, None])[:, :, 0]
    return np.asarray(eta)


def input_signals(network: Network, theta: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Return ``R (n, K + H_1)`` such that ``XᵀR`` is the gradient in ``first``, whatever inputs X holds.

    ``signal`` is that of the first hidden layer, from :func:`signals`.
    """
    return np.hstack([theta, signal]) if network.n_linear else signal


def tangent(weight: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return the part of ``step`` that keeps the norm of every row of ``weight``, to first order."""
    return np.asarray(step - np.sum(step * weight, axis=1, keepdims=True) * weight)


def moved(network: Network, step: Network, length: float) -> Network:
    """Return the network after ``length·step``, rows of the upper layers brought back to norm 1."""
    return Network(
        network.free + length * step.free,
        network.first + length * step.first,
        tuple(b + length * d for b, d in zip(network.biases, step.biases, strict=True)),
        tuple(unit_rows(w + length * d) for w, d in zip(network.upper, step.upper, strict=True)),
    )


def pack(network: Network) -> np.ndarray:
    """Return all parameters as one vector."""
    flat: np.ndarray = np.concatenate([part.ravel() for part in network.parts])
    return flat


def unpack(flat: np.ndarray, like: Network) -> Network:
    """Return the vector as a network of the shape of ``like``."""
    ends = np.cumsum([part.size for part in like.parts])
    pieces = [piece.reshape(part.shape) for piece, part in zip(np.split(flat, ends[:-1]), like.parts, strict=True)]
    n_hidden = len(like.biases)
    return Network(pieces[0], pieces[1], tuple(pieces[2 : 2 + n_hidden]), tuple(pieces[2 + n_hidden :]))
