"""Forward pass, gradient and Jacobian of the gated network are those of torch's autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gated_problems import eta_by_torch, jacobian_by_torch, problem_of, random_network

from spred.core.partition import Labels
from spred.errors import InputError
from spred.gated.network import ACTIVATIONS, forward, get_activation, moved, pack, sensitivities, unpack
from spred.gated.newton import Point, jacobian

SHAPES = [((4,), True), ((4,), False), ((5, 3), True), ((3, 4, 2), False)]


def point(name: str, hidden: tuple[int, ...], linear: bool, activation: str = "tanh") -> Point:
    problem = problem_of(name, activation)
    inputs = np.array([1, 4, 7])
    network = random_network(problem, 3, hidden, linear=linear)
    X = problem.design.columns(inputs)
    at = problem.forward(network, X)
    return Point(problem, network, X, Labels(np.arange(3), 3), at, sensitivities(network, at))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("hidden", "linear"), SHAPES)
def test_the_forward_pass_and_the_jacobian_are_torchs(hidden: tuple[int, ...], linear: bool, activation: str) -> None:
    here = point("multinomial-wide", hidden, linear, activation)
    eta = eta_by_torch(here.problem, torch.tensor(pack(here.network)), here.network, here.X)
    J = jacobian_by_torch(here.problem, here.network, here.X)
    np.testing.assert_allclose(here.at.eta, eta.numpy(), atol=1e-12)
    np.testing.assert_allclose(jacobian(here), J, atol=1e-12)
    rng = np.random.default_rng(1)
    theta, step = rng.standard_normal(here.at.eta.shape), rng.standard_normal(J.shape[1])
    np.testing.assert_allclose(pack(here.pull_back(theta)), J.T @ theta.ravel(), atol=1e-11)
    np.testing.assert_allclose(here.push_forward(unpack(step, here.network)).ravel(), J @ step, atol=1e-11)


def test_the_upper_scale_is_fixed() -> None:
    here = point("squared-wide", (5, 3), True)
    step = np.random.default_rng(0).standard_normal(pack(here.network).size)
    longer = moved(here.network, unpack(step, here.network), 3.0)
    for weight in longer.upper:
        np.testing.assert_allclose(np.linalg.norm(weight, axis=1), 1.0)


def test_scaling_the_first_layer_down_and_the_upper_up_costs() -> None:
    """With free upper layers ``(W/t, tA)`` would cost less at the same fit, in the limit of small signals."""
    here = point("squared-wide", (6,), False)
    small = here.network.with_first(1e-3 * here.network.first)
    smaller = here.network.with_first(1e-4 * here.network.first)
    raised = type(smaller)(smaller.free, smaller.first, smaller.biases, tuple(10.0 * w for w in smaller.upper))
    Z, X = here.problem.free_columns, here.X

    def signal(network: object) -> float:
        flat = network.with_first(np.zeros_like(network.first))
        return np.linalg.norm(forward(network, Z, X, "tanh").eta - forward(flat, Z, X, "tanh").eta)

    assert signal(raised) == pytest.approx(signal(small), rel=1e-2)  # what a free scale would allow
    held = moved(raised, unpack(np.zeros(pack(raised).size), raised), 1.0)  # what the engine makes of it
    assert signal(held) == pytest.approx(0.1 * signal(small), rel=1e-2)


def test_an_unknown_activation_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'tanh'"):
        get_activation("tahn")
