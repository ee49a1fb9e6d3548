"""The batch that stands for batched folds holds the engine's own systems."""

from __future__ import annotations

import numpy as np
from selection import batching
from selection.sets import xor

from spred.gated import PathOptions, network_path
from spred.gated.newton import PenaltyModel, jacobian, kernel


def models() -> list[PenaltyModel]:
    data, found = xor(0, 120), []
    for first in (0, 20):
        problem = batching.problem_of(data, np.arange(first, first + 100))
        path = network_path(problem, PathOptions(hidden=(5,), n_alphas=6, eps=0.3, kkt_tol=0.03))
        found.append(batching.model_of(problem, path, 4))
    return found


def test_systems_over_samples_are_the_engines() -> None:
    both = models()
    assert len(both[0].point.groups.labels) != len(both[1].point.groups.labels)
    systems = batching.sample_systems(*batching.of_samples(both)).numpy()
    for model, system in zip(both, systems, strict=True):
        expected = np.eye(100) + batching.curvature(model)[:, None] * kernel(model)
        np.testing.assert_allclose(system, expected, atol=1e-10)


def test_systems_over_parameters_are_the_engines() -> None:
    both = models()
    systems = batching.parameter_systems(*batching.of_parameters(both)).numpy()
    for model, system in zip(both, systems, strict=True):
        J = jacobian(model.point)
        expected = model.point.problem.curved_gram(model.point.at.eta, J) + model.matrix()
        np.testing.assert_allclose(system[: len(expected), : len(expected)], expected, atol=1e-10)
