"""The batch that stands for batched folds holds the engine's own systems."""

from __future__ import annotations

import numpy as np
from selection import batching
from selection.sets import xor

from spred.gated import PathOptions, network_path
from spred.gated.newton import Metric, jacobian, kernel


def metrics() -> list[Metric]:
    data, found = xor(0, 120), []
    for first in (0, 20):
        problem = batching.problem_of(data, np.arange(first, first + 100))
        path = network_path(problem, PathOptions(hidden=(5,), n_alphas=6, eps=0.3, kkt_tol=0.03))
        found.append(batching.metric_of(problem, path, 4))
    return found


def test_systems_over_samples_are_the_engines() -> None:
    both = metrics()
    assert len(both[0].point.labels) != len(both[1].point.labels)
    systems = batching.sample_systems(*batching.of_samples(both)).numpy()
    for metric, system in zip(both, systems, strict=True):
        expected = np.eye(100) + batching.curvature(metric)[:, None] * kernel(metric)
        np.testing.assert_allclose(system, expected, atol=1e-10)


def test_systems_over_parameters_are_the_engines() -> None:
    both = metrics()
    systems = batching.parameter_systems(*batching.of_parameters(both)).numpy()
    for metric, system in zip(both, systems, strict=True):
        J = jacobian(metric.point)
        expected = metric.point.problem.bent_gram(metric.point.at.eta, J) + metric.matrix()
        np.testing.assert_allclose(system[: len(expected), : len(expected)], expected, atol=1e-10)
