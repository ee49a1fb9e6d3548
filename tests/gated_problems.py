"""Problems of every loss for the gated engine, and a judge that shares no code with it: torch's autograd."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from problems import PROBLEMS

from spred.estimators.network_base import gated
from spred.gated import GatedProblem, Network
from spred.gated.network import pack, unpack
from spred.linear.problem import make_problem

LOSSES = ["squared-wide", "logistic-wide", "multinomial-wide", "poisson-tall", "huber-tall", "cox-tall"]

TORCH_ACTIVATIONS = {
    "tanh": torch.tanh,
    "softplus": lambda z: torch.nn.functional.softplus(z) - np.log(2.0),
    "silu": torch.nn.functional.silu,
}


def problem_of(name: str, activation: str = "tanh", **options: object) -> GatedProblem:
    """The gated problem of a row of ``PROBLEMS``, standardised."""
    row = PROBLEMS[name]
    return gated(make_problem(row.X, row.y, loss=row.loss, standardize=True, **options), activation)


def random_network(problem: GatedProblem, k: int, hidden: tuple[int, ...], *, linear: bool, seed: int = 0) -> Network:
    """A network on k inputs, everything at random, rows of the upper layers of norm 1."""
    rng = np.random.default_rng(seed)
    K, widths = problem.n_outputs, [*hidden, problem.n_outputs]
    upper = [rng.standard_normal((b, a)) for a, b in pairwise(widths)]
    return Network(
        free=rng.standard_normal((problem.free_columns.shape[1], K)),
        first=0.5 * rng.standard_normal((k, hidden[0] + (K if linear else 0))),
        biases=tuple(rng.standard_normal(h) for h in hidden),
        upper=tuple(w / np.linalg.norm(w, axis=1, keepdims=True) for w in upper),
    )


def eta_by_torch(problem: GatedProblem, flat: torch.Tensor, like: Network, X: np.ndarray) -> torch.Tensor:
    """The predictor as torch computes it, a function of all parameters; upper rows are divided by their norms."""
    parts = [
        piece.reshape(part.shape)
        for piece, part in zip(torch.split(flat, [part.size for part in like.parts]), like.parts, strict=True)
    ]
    n_hidden, k = len(like.biases), like.n_linear
    free, first, biases = parts[0], parts[1], parts[2 : 2 + n_hidden]
    upper = [w / w.norm(dim=1, keepdim=True) for w in parts[2 + n_hidden :]]
    both = torch.tensor(X) @ first
    h = TORCH_ACTIVATIONS[problem.activation](both[:, k:] + biases[0])
    for bias, weight in zip(biases[1:], upper[:-1], strict=True):
        h = TORCH_ACTIVATIONS[problem.activation](h @ weight.T + bias)
    eta = torch.tensor(problem.free_columns) @ free + h @ upper[-1].T
    return eta + both[:, :k] if k else eta


def jacobian_by_torch(problem: GatedProblem, network: Network, X: np.ndarray) -> np.ndarray:
    """∂η/∂parameters, ``(n·K, parameters)``."""
    flat = torch.tensor(pack(network))
    J = torch.autograd.functional.jacobian(lambda point: eta_by_torch(problem, point, network, X), flat)
    return J.reshape(-1, len(flat)).numpy()


def gradient_by_torch(problem: GatedProblem, network: Network, X: np.ndarray) -> Network:
    """The gradient of the data term in the parameters of a network whose inputs are the columns X."""
    theta = torch.tensor(problem.theta(problem.forward(network, X).eta))
    _, back = torch.autograd.functional.vjp(
        lambda point: eta_by_torch(problem, point, network, X), torch.tensor(pack(network)), theta
    )
    return unpack(back.numpy(), network)


def kkt_by_torch(
    problem: GatedProblem,
    network: Network,
    inputs: np.ndarray,
    alpha: float,
    weights: np.ndarray,
    l1_ratio: float = 1.0,
) -> float:
    """The largest KKT residual over all inputs and all free parameters, over αρ, from a dense network."""
    everything = np.flatnonzero(problem.labels >= 0)
    whole = np.zeros((len(everything), network.first.shape[1]))
    whole[np.searchsorted(everything, inputs)] = network.first
    full = network.with_first(whole)
    gradient = gradient_by_torch(problem, full, problem.design.columns(everything))
    labels = problem.labels[everything]
    worst = max(np.linalg.norm(part) for part in (gradient.free, *gradient.biases, *gradient.upper))
    for g in np.unique(labels):
        v, slope = whole[labels == g], gradient.first[labels == g]
        size = np.linalg.norm(v)
        if size > 0:
            outwards = l1_ratio * v / size + (1.0 - l1_ratio) * v
            worst = max(worst, np.linalg.norm(slope + alpha * weights[g] * outwards))
        else:
            worst = max(worst, np.linalg.norm(slope) - alpha * l1_ratio * weights[g])
    return worst / (alpha * l1_ratio)
