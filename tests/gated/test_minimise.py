"""One alpha: the curvature that Newton's directions are made of is torch's, and the end is reached in few steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from gated_problems import LOSSES, eta_by_torch, gradient_by_torch, problem_of, random_network

from spred.gated.minimise import State, Work, minimise, newton_direction
from spred.gated.network import pack, tangent
from spred.gated.penalty import RIDGE, elastic


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
@pytest.mark.parametrize("hidden", [(3,), (3, 2)])
@pytest.mark.parametrize("name", ["squared-wide", "logistic-wide", "multinomial-wide"])
def test_the_hessians_product_is_the_change_of_the_gradient(
    name: str, hidden: tuple[int, ...], l1_ratio: float
) -> None:
    problem = replace(problem_of(name), penalty=elastic(l1_ratio))
    network = random_network(problem, 4, hidden, linear=True)
    work = Work(problem, 0.1 * l1_ratio, State(network, np.arange(4)))
    step = random_network(problem, 4, hidden, linear=True, seed=1)
    along = (tangent(w, part) for w, part in zip(network.upper, step.upper, strict=True))
    p = pack(replace(step, upper=tuple(along)))
    assert p @ work.hessian_product(p) == pytest.approx(second_by_torch(work, p, 0.1, l1_ratio), rel=1e-4)


def second_by_torch(work: Work, p: np.ndarray, alpha: float, l1_ratio: float) -> float:
    """The second derivative of the penalised objective along p at 0, upper rows divided by their norms."""
    problem, network, X = work.problem, work.point.network, work.X
    at, along = (torch.tensor(each) for each in (pack(network), p))
    start, stop = network.free.size, network.free.size + network.first.size

    def eta(t: torch.Tensor) -> torch.Tensor:
        return eta_by_torch(problem, at + t * along, network, X)

    zero = torch.zeros((), dtype=torch.float64)
    first, second = torch.autograd.functional.jvp(
        lambda t: torch.autograd.functional.jvp(eta, t, torch.ones_like(t), create_graph=True)[1],
        zero,
        torch.ones_like(zero),
    )
    theta, here = problem.theta(eta(zero).numpy()), first.numpy().reshape(-1)
    data = here @ problem.curvature_product(eta(zero).numpy())(here[:, None])[:, 0] + float(
        np.sum(theta * second.numpy())
    )
    rows, steps = (each[start:stop].reshape(network.first.shape) for each in (pack(network), p))
    norms = np.linalg.norm(rows, axis=1)
    across = (np.sum(steps**2, axis=1) - (np.sum(rows * steps, axis=1) / norms) ** 2) / norms
    return float(data + alpha * (l1_ratio * across.sum() + (1.0 - l1_ratio) * np.sum(steps**2)))


@pytest.mark.parametrize("name", LOSSES)
def test_with_a_ridge_the_gradient_is_torchs_and_no_gate_becomes_zero(name: str) -> None:
    problem = replace(problem_of(name), penalty=RIDGE)
    start = State(random_network(problem, 4, (3,), linear=True), np.arange(4))
    end = minimise(problem, start, 0.05, kkt_tol=1e-6, max_iter=200)
    assert end.residual <= 1e-6
    network, X = end.state.network, problem.design.columns(end.state.inputs)
    assert len(network.first) == 4
    slope = gradient_by_torch(problem, network, X)
    weights = problem.weights[problem.labels[end.state.inputs]]
    np.testing.assert_allclose(slope.first, -0.05 * weights[:, None] * network.first, atol=1e-7)
    np.testing.assert_allclose(slope.free, 0.0, atol=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_newtons_directions_reach_the_end_in_few_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_of(name)
    start = State(random_network(problem, 4, (3,), linear=True), np.arange(4))
    near = minimise(problem, start, 0.02, kkt_tol=0.5, max_iter=300).state
    monkeypatch.setattr("spred.gated.minimise.MANY", 0)
    end = minimise(problem, near, 0.02, kkt_tol=1e-6, max_iter=100)
    assert end.residual <= 1e-6
    work = Work(problem, 0.02, near)
    assert work.gradient @ newton_direction(work, lambda g: g) < 0
