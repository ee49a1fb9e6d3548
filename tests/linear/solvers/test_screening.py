"""The bounds never lose a feature: what they rule out lies inside, on every layout, however the dual point moves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from spred.linear.design import Design
from spred.linear.solvers.screening import SLOTS, Bounds


def bounds_of(X: object, weights: np.ndarray, positive: np.ndarray, theta: np.ndarray) -> tuple[Bounds, Design]:
    n = len(theta)
    design = Design(X, np.full(n, 1 / n), center=True, scale=True)
    return Bounds(design, weights, positive, theta, design.correlate(theta)), design


@given(seed=st.integers(0, 10_000), move=st.floats(0.0, 2.0), factor=st.floats(0.3, 1.2))
def test_what_is_ruled_out_lies_inside(seed: int, move: float, factor: float) -> None:
    rng = np.random.default_rng(seed)
    n, p = 15, 60
    X, theta = rng.standard_normal((n, p)), rng.standard_normal(n)
    weights, positive = rng.uniform(0.5, 2.0, p), rng.random(p) < 0.5
    bounds, design = bounds_of(X, weights, positive, theta)
    level = float((np.abs(design.correlate(theta)) / weights).max())
    for step in range(5):
        theta = 0.9 * theta + move * 0.2 * rng.standard_normal(n)
        level *= factor
        grad = design.correlate(theta)
        known = rng.choice(p, 5, replace=False)
        unproven = bounds.update(theta, level, known, grad[known])
        evaluated = np.union1d(unproven, known)
        np.testing.assert_allclose(bounds.values[evaluated], grad[evaluated], atol=1e-10)
        score = np.where(positive, -grad, np.abs(grad))
        outside = np.setdiff1d(np.flatnonzero(score >= level * weights), known)
        assert np.isin(outside, unproven).all(), step


def test_after_a_small_move_few_features_are_evaluated() -> None:
    rng = np.random.default_rng(1)
    X, theta = rng.standard_normal((50, 2000)), rng.standard_normal(50)
    bounds, design = bounds_of(X, np.ones(2000), np.zeros(2000, dtype=bool), theta)
    level = 0.95 * float(np.abs(design.correlate(theta)).max())
    unproven = bounds.update(theta + 0.01 * rng.standard_normal(50), level, np.empty(0, dtype=int), np.empty(0))
    assert 0 < len(unproven) < 100


def test_more_moves_than_slots_lose_nothing() -> None:
    rng = np.random.default_rng(2)
    X, theta = rng.standard_normal((30, 400)), rng.standard_normal(30)
    bounds, design = bounds_of(X, np.ones(400), np.zeros(400, dtype=bool), theta)
    level, none = 0.8 * float(np.abs(design.correlate(theta)).max()), np.empty(0, dtype=int)
    for _ in range(3 * SLOTS):
        theta = theta + 0.05 * rng.standard_normal(30)
        unproven = bounds.update(theta, level, none, np.empty(0))
        outside = np.flatnonzero(np.abs(design.correlate(theta)) >= level)
        assert np.isin(outside, unproven).all()


@pytest.mark.parametrize("layout", ["columns first", "rows first", "float32", "sparse"])
def test_a_few_features_are_evaluated_alike_on_every_layout(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spred.linear.design.COPIED", 0)  # as large matrices are treated: left where they lie
    rng = np.random.default_rng(3)
    X = np.where(rng.random((40, 90)) < 0.4, 1.0 + rng.standard_normal((40, 90)), 0.0).astype(np.float32)
    given = {
        "columns first": np.asfortranarray(X, dtype=np.float64),
        "rows first": np.ascontiguousarray(X, dtype=np.float64),
        "float32": np.asfortranarray(X),
        "sparse": sparse.csc_array(X.astype(np.float64)),
    }[layout]
    s, theta = np.full(40, 1 / 40), rng.standard_normal(40)
    design = Design(given, s, center=True, scale=True)
    dense = (X - X.mean(axis=0, dtype=np.float64)) / X.std(axis=0, dtype=np.float64)
    np.testing.assert_allclose(design.norms(), np.linalg.norm(dense, axis=0), rtol=1e-6)
    for features in (np.array([3, 80, 5]), np.arange(0, 90, 2)):
        np.testing.assert_allclose(design.correlate_some(theta, features), dense[:, features].T @ theta, atol=1e-4)
        np.testing.assert_allclose(
            design.correlate_some(theta, features), design.correlate(theta)[features], atol=1e-10
        )
