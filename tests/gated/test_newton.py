"""Both forms of a Gauss-Newton step solve the dense system that torch's Jacobian makes."""

from __future__ import annotations

import numpy as np
import pytest
from gated_problems import LOSSES, jacobian_by_torch, problem_of, random_network

from spred.core.partition import Labels
from spred.gated.network import sensitivities
from spred.gated.newton import PenaltyModel, Point, kernel, over_parameters, over_samples

DAMPING = 0.1


def model(
    name: str, hidden: tuple[int, ...], labels: np.ndarray, *, linear: bool = True, along: float = 0.0
) -> PenaltyModel:
    problem = problem_of(name)
    network = random_network(problem, len(labels), hidden, linear=linear)
    X = problem.design.columns(np.arange(len(labels)))
    at = problem.forward(network, X)
    here = Point(problem, network, X, Labels(labels, int(labels.max()) + 1), at, sensitivities(network, at))
    return PenaltyModel(here, 0.3 * np.arange(1, len(here.sizes) + 1) / here.sizes, DAMPING, along)


@pytest.mark.parametrize("hidden", [(4,), (3, 5)])
@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [2, 0, 1, 1], [0, 0, 0, 0]])
@pytest.mark.parametrize("name", LOSSES)
def test_steps_over_samples_and_over_parameters_agree(name: str, labels: list[int], hidden: tuple[int, ...]) -> None:
    here = model(name, hidden, np.array(labels))
    J, M = jacobian_by_torch(here.point.problem, here.point.network, here.point.X), here.matrix()
    g = J.T @ np.random.default_rng(0).standard_normal(len(J))
    curvature = here.point.problem.curvature_product(here.point.at.eta)(np.eye(len(J)))
    expected = np.linalg.solve(J.T @ curvature @ J + M, g)
    np.testing.assert_allclose(over_parameters(here)(g), expected, atol=1e-8 * np.abs(expected).max())
    np.testing.assert_allclose(over_samples(here)(g), expected, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("along", [0.0, 0.4])
@pytest.mark.parametrize("linear", [True, False])
def test_the_kernel_is_that_of_the_jacobian(linear: bool, along: float) -> None:
    here = model("multinomial-wide", (3, 4), np.array([1, 0, 1]), linear=linear, along=along)
    J, M = jacobian_by_torch(here.point.problem, here.point.network, here.point.X), here.matrix()
    np.testing.assert_allclose(kernel(here), J @ np.linalg.solve(M, J.T), atol=1e-9)
    g = np.random.default_rng(0).standard_normal(J.shape[1])
    np.testing.assert_allclose(here.inverse(g), np.linalg.solve(M, g), atol=1e-9)
