"""With which positions a solve begins, and which features exceed a level. The bounds: tests/linear/solvers."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_records import gradient_of, iterate_of, screening_of
from numba import njit

from spred.linear.kernels import screening
from spred.linear.kernels.state import extend, forget, new_iterate


@njit
def record_of(iterate):
    return iterate.screening


def test_only_a_negative_gradient_counts_for_a_positive_coordinate() -> None:
    assert screening.score(-2.0, False) == screening.score(2.0, False) == screening.score(-2.0, True) == 2.0
    assert screening.score(2.0, True) == -2.0


def test_what_exceeds_is_found_with_its_excess() -> None:
    X = np.eye(5)
    theta, weights = np.array([1.0, -3.0, 3.0, 0.5, -9.0]), np.array([1.0, 1.0, 1.0, 0.1, 10.0])
    record = screening_of(X, weights, np.array([False, False, True, False, False]), theta)
    features, excess = screening.exceeding(record, np.arange(5), 0.9, 2.0)
    np.testing.assert_array_equal(features, [0, 1, 3])
    np.testing.assert_allclose(excess, [-1.0, 1.0, 0.3])


@pytest.mark.parametrize("threshold", [0.0, 0.3, 2.0])
def test_a_solve_begins_with_the_support_free_features_and_the_strongest_beyond_the_threshold(threshold: float) -> None:
    rng = np.random.default_rng(4)
    p, features = 900, rng.permutation(900)[:300]
    theta, weights, positive = rng.standard_normal(p), rng.uniform(0.5, 2.0, p), rng.random(p) < 0.2
    position = np.full(p, -1)
    position[features] = np.arange(300)
    x = np.where(rng.random(300) < 0.1, 1.0, 0.0)
    weights[features[:3]] = 0.0
    record = screening_of(np.eye(p), weights, positive, theta)
    problem = 0, False, np.zeros(p), np.full(p, 1 / p), np.zeros(p), np.zeros(p), theta, position
    iterate = new_iterate(*problem, record, np.empty((0, p)))
    extend(iterate, np.eye(p)[features], features, x, np.zeros(300))
    evaluated = rng.permutation(p)[:700]
    work, missing = screening.starting_set(iterate, evaluated, threshold)
    excess = np.where(positive, -theta, np.abs(theta)) - threshold * weights
    beyond = evaluated[excess[evaluated] > 0]
    capacity = max(screening.FEW, np.count_nonzero(x))
    must = np.flatnonzero((x != 0) | (weights[features] == 0))
    assert np.isin(must, work).all()
    assert np.isin(np.setdiff1d(features[work], features[must]), beyond).all()
    assert (position[missing] < 0).all()
    assert np.isin(missing, beyond).all()
    joining = np.append(missing, np.setdiff1d(features[work], features[must]))
    assert len(joining) <= capacity
    strongest = beyond[np.argsort(-excess[beyond])][: 85 * capacity // 100]  # a few fewer may join than could
    assert np.isin(strongest, np.append(joining, features[must])).all()


def test_a_gradient_that_is_not_current_is_computed_anew() -> None:
    rng = np.random.default_rng(0)
    columns, y = rng.standard_normal((6, 20)), rng.standard_normal(20)
    iterate = iterate_of(columns, np.full(20, 1 / 20), x=np.zeros(6), y=y)
    theta, g = gradient_of(iterate)
    work = np.array([4, 1])
    screening.current_gradient(iterate, work)
    np.testing.assert_allclose(g[work], columns[work] @ theta)
    theta *= 2.0  # behind the record's back: what it keeps still counts as current
    screening.current_gradient(iterate, work)
    np.testing.assert_allclose(g[work], 0.5 * columns[work] @ theta)
    forget(record_of(iterate))
    screening.current_gradient(iterate, work)
    np.testing.assert_allclose(g[work], columns[work] @ theta)
    assert (g[[0, 2, 3, 5]] == 0).all()
