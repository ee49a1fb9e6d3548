"""A network of a study as plain numbers: what model.json holds of it, and its predictor for new samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spred.estimators.network_base import GatedNetwork
from spred.gated.network import Network, get_activation
from spred.gated.problem import Fitted

Matrix = list[list[float]]


@dataclass(frozen=True)
class NetworkWeights:
    """Everything that the predictor of a network is made of; columns are the genes and then the covariates.

    Attributes:
        activation: of the hidden layers.
        constant: whether the first row of ``free`` is an intercept.
        free: coefficients of the intercept and the covariates, a column for each output.
        first: a row for each gene, of its linear coefficients and its weights into the first layer.
        biases: of each hidden layer.
        upper: weights between hidden layers, and to the outputs.
        means, scales: of the columns in the training samples.
        shift, unit: from the outputs to the target's units.
        basis: contrasts that many classes are written in; empty where there are none.
    """

    activation: str
    constant: bool
    free: Matrix
    first: Matrix
    biases: Matrix
    upper: list[Matrix]
    means: list[float]
    scales: list[float]
    shift: list[float]
    unit: list[float]
    basis: Matrix


def weights_of(estimator: GatedNetwork) -> NetworkWeights:
    """Return the weights of a fitted network estimator."""
    fitted, basis = estimator.network_, estimator._basis
    network = fitted.network
    return NetworkWeights(
        activation=fitted.activation,
        constant=fitted.intercept,
        free=network.free.tolist(),
        first=network.first.tolist(),
        biases=[bias.tolist() for bias in network.biases],
        upper=[weight.tolist() for weight in network.upper],
        means=fitted.means.tolist(),
        scales=fitted.scales.tolist(),
        shift=np.ravel(estimator._shift).tolist(),
        unit=np.ravel(estimator._unit).tolist(),
        basis=[] if basis is None else basis.tolist(),
    )


def network_predictor(weights: NetworkWeights, values: np.ndarray) -> np.ndarray:
    """Return the predictor ``(n, 1)`` or ``(n, K)`` of the values of the genes and the covariates behind them.

    Raises:
        ValueError, InputError: shapes do not fit each other, or an unknown activation.
    """
    get_activation(weights.activation)
    width = len(weights.biases[0])
    k, n_outputs = len(weights.first), len(weights.upper[-1])
    n_free = len(weights.means) - k
    if n_free < 0 or len(weights.scales) != len(weights.means):
        raise ValueError("its scales do not fit its genes")
    network = Network(
        free=np.reshape(weights.free, (n_free + int(weights.constant), n_outputs)).astype(np.float64),
        first=np.reshape(weights.first, (k, -1 if k else width)).astype(np.float64),
        biases=tuple(np.asarray(bias, dtype=np.float64) for bias in weights.biases),
        upper=tuple(np.asarray(weight, dtype=np.float64) for weight in weights.upper),
    )
    fitted = Fitted(
        network=network,
        inputs=np.arange(k),
        free_inputs=np.arange(k, k + n_free),
        intercept=weights.constant,
        activation=weights.activation,
        means=np.asarray(weights.means, dtype=np.float64),
        scales=np.asarray(weights.scales, dtype=np.float64),
    )
    eta = fitted.eta(values)
    eta = eta @ np.asarray(weights.basis).T if weights.basis else eta
    return np.asarray(weights.shift) + np.asarray(weights.unit) * eta
