"""What a whole path shares: data, target, loss, groups of inputs, and the shapes between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from spred.core.curvature import OutputCurvature
from spred.core.losses import Loss
from spred.core.partition import Labels, norms
from spred.core.risk_sets import Coupled
from spred.gated.network import Forward, Network, forward, input_slopes, sensitivities
from spred.gated.penalty import NORM, NormPenalty


class Design(Protocol):
    """A data matrix ``(n, p)``, centred and scaled: a few of its columns, and one pass over all."""

    X: Any
    n: int
    p: int
    scale: np.ndarray

    @property
    def location(self) -> np.ndarray:
        """What is subtracted from each column, ``(p,)``."""

    def columns(self, features: np.ndarray) -> np.ndarray:
        """Return columns, ``(n, len(features))``."""

    def correlate(self, theta: np.ndarray) -> np.ndarray:
        """Return ``Xᵀθ``, ``(p, …)``."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A network with what it takes to apply it to data in their own units.

    Attributes:
        network: parameters.
        inputs: ``(k,)``, the columns of X that enter it through their gates.
        free_inputs: columns of X without penalty.
        intercept: whether there is one.
        activation: a row of :data:`~spred.gated.network.ACTIVATIONS`.
        means, scales: of the inputs and then of the free ones, in the training samples.
    """

    network: Network
    inputs: np.ndarray
    free_inputs: np.ndarray
    intercept: bool
    activation: str
    means: np.ndarray
    scales: np.ndarray

    def eta(self, X: Any) -> np.ndarray:
        """Return the predictor ``(n, K)`` of new samples ``(n, p)``, dense or sparse; only columns in use are read."""
        return self._forward(X).eta

    def mean_slopes(self, X: Any, s: np.ndarray) -> np.ndarray:
        """Return the average over samples, with weights ``s`` of sum 1, of ∂η/∂x, ``(K, k + q)``.

        They are those of ``inputs`` and then of ``free_inputs``.
        """
        q = len(self.free_inputs)
        slopes = input_slopes(self.network, sensitivities(self.network, self._forward(X))[0])
        gated = np.tensordot(s, slopes, axes=1) @ self.network.first.T
        straight = self.network.free[len(self.network.free) - q :].T
        found: np.ndarray = np.hstack([gated, straight]) / self.scales
        return found

    def _forward(self, X: Any) -> Forward:
        used = X[:, np.concatenate([self.inputs, self.free_inputs])]
        used = (used.toarray() if hasattr(used, "toarray") else np.asarray(used, dtype=np.float64)) - self.means
        used /= self.scales
        ones = np.ones((len(used), 1 if self.intercept else 0))
        k = len(self.inputs)
        return forward(self.network, np.hstack([ones, used[:, k:]]), used[:, :k], self.activation)


@dataclass(frozen=True, eq=False)
class GatedProblem:
    """``min L(network) + α Σ_g ω_g φ(‖(θ, W)_g‖)`` but for alpha and the network.

    Attributes:
        loss: the data term, a function of η.
        design: the inputs.
        y: target as the loss takes it.
        s: sample weights, sum 1.
        labels: ``(p,)``, the group of each input; -1 for inputs without penalty, which join the linear branch alone.
        weights: ``(G,)``, ω of each group, positive.
        n_outputs: K.
        intercept: whether the first free column is an intercept.
        activation: a row of :data:`spred.gated.network.ACTIVATIONS`.
        penalty: φ; the norm, with a ridge beside it in an elastic net, a ridge alone in a refit of chosen inputs.
    """

    loss: Loss
    design: Design
    y: Any
    s: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    n_outputs: int
    intercept: bool = True
    activation: str = "tanh"
    penalty: NormPenalty = NORM

    @cached_property
    def free_inputs(self) -> np.ndarray:
        """Inputs without penalty."""
        return np.flatnonzero(self.labels < 0)

    @cached_property
    def penalised(self) -> np.ndarray:
        """Inputs with a penalty."""
        return np.flatnonzero(self.labels >= 0)

    @cached_property
    def groups(self) -> Labels:
        """The groups of the penalised inputs."""
        return self.groups_of(self.penalised)

    def groups_of(self, inputs: np.ndarray) -> Labels:
        """Return the groups of some penalised ``inputs``, numbered as in the whole problem."""
        return Labels(self.labels[inputs], len(self.weights))

    @cached_property
    def free_columns(self) -> np.ndarray:
        """``Z (n, q)``: the intercept, then the inputs without penalty."""
        ones = np.ones((self.design.n, 1 if self.intercept else 0))
        return np.hstack([ones, self.design.columns(self.free_inputs)])

    @cached_property
    def members(self) -> list[np.ndarray]:
        """The inputs of each group."""
        order = np.argsort(self.labels, kind="stable")
        starts = np.searchsorted(self.labels[order], np.arange(len(self.weights) + 1))
        return [order[a:b] for a, b in pairwise(starts)]

    def forward(self, network: Network, X: np.ndarray) -> Forward:
        """Evaluate a network whose inputs are the columns ``X``."""
        return forward(network, self.free_columns, X, self.activation)

    def value(self, eta: np.ndarray) -> float:
        """Return the data term."""
        return float(self.loss.value(self._as_target(eta), self.y, self.s))

    def theta(self, eta: np.ndarray) -> np.ndarray:
        """Return the gradient of the data term in η, ``(n, K)``."""
        return np.asarray(self.loss.gradient(self._as_target(eta), self.y, self.s)).reshape(eta.shape)

    def curvature_product(self, eta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return ``M ↦ ΛM`` for matrices ``(n·K, m)``, Λ being the curvature of the data term in η."""
        curvature = self.loss.curvature(self._as_target(eta), self.y, self.s)
        if isinstance(curvature, Coupled):
            return curvature.times
        if isinstance(curvature, OutputCurvature):
            return lambda M: np.asarray(curvature.times(M.reshape(*eta.shape, -1))).reshape(M.shape)
        return lambda M: np.asarray(curvature[:, None] * M)

    def curved_gram(self, eta: np.ndarray, J: np.ndarray) -> np.ndarray:
        """Return ``JᵀΛJ`` for ``J (n·K, m)``; half the work where Λ is diagonal."""
        curvature = self.loss.curvature(self._as_target(eta), self.y, self.s)
        if isinstance(curvature, Coupled | OutputCurvature):
            return np.asarray(J.T @ self.curvature_product(eta)(J))
        scaled = np.sqrt(curvature)[:, None] * J
        return np.asarray(scaled.T @ scaled)

    def fitted(self, network: Network, inputs: np.ndarray) -> Fitted:
        """Return ``network`` on its active ``inputs``, ready for data in their own units."""
        used = np.concatenate([inputs, self.free_inputs])
        means, scales = self.design.location[used], self.design.scale[used]
        return Fitted(network, inputs, self.free_inputs, self.intercept, self.activation, means, scales)

    def group_norms(self, rows: np.ndarray) -> np.ndarray:
        """Return ‖rows_g‖ for every group, ``(G,)``, of an array with a row for each of the p inputs."""
        own = rows[self.penalised] if self.free_inputs.size else rows
        return np.asarray(norms(own, self.groups))

    def _as_target(self, eta: np.ndarray) -> np.ndarray:
        return eta if self.loss.multi else eta[:, 0]
