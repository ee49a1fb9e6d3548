"""Conjugate gradients against a direct solution of the same system."""

from __future__ import annotations

import numpy as np

from spred.linear.kernels.conjugate_gradients import conjugate_gradients


def test_the_system_is_solved_to_its_accuracy_or_it_says_not() -> None:
    rng = np.random.default_rng(0)
    starts, k = np.array([0, 3, 4]), 8
    group = np.repeat([0, 1, 2], [3, 1, 4])
    inside = group != 1
    A, ridge, strength = rng.standard_normal((20, k)), np.full(k, 0.1), np.array([2.0, 5.0, 0.5])[group]
    unit = rng.standard_normal(k)
    unit /= np.sqrt(np.bincount(group, unit**2))[group]
    diagonal, b = (A**2).sum(axis=0) + ridge, np.where(inside, rng.standard_normal(k), 0.0)
    across = np.where(group[:, None] == group, np.outer(unit, unit), 0.0)
    system = A.T @ A + np.diag(ridge) + strength[:, None] * (np.eye(k) - across)
    index = np.flatnonzero(inside)
    given = A.T.astype(np.float32).copy(), ridge, diagonal, 1e-300, starts, inside, unit, strength, b
    d, solved = conjugate_gradients(*given, 1e-6, 100)
    assert solved
    np.testing.assert_allclose(d[index], np.linalg.solve(system[np.ix_(index, index)], b[index]), rtol=1e-4, atol=1e-6)
    assert (d[~inside] == 0).all()
    assert not conjugate_gradients(*given, 1e-6, 1)[1]
