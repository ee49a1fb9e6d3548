"""Levels of consecutive groups: values, changes, KKT residuals, against ``core`` and by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spred.core.partition import Labels
from spred.core.penalties import Penalty
from spred.linear.subproblem.penalty import Blocks


def levels(size: int, groups: int, strength: float, within: float = 0.0, bound: str = "none") -> Blocks:
    """Groups of one size and one level; every other coordinate may be bounded."""
    k, full = size * groups, np.full(groups, strength)
    positive = {"none": np.zeros(k), "some": np.arange(k) % 2}[bound]
    return Blocks(np.arange(0, k, size), (1.0 - within) * full, within * full, positive.astype(bool))


@given(
    seed=st.integers(0, 10_000),
    size=st.integers(1, 4),
    within=st.sampled_from((0.0, 0.3, 1.0)),
    bound=st.sampled_from(("none", "some")),
)
def test_values_and_residuals_are_those_of_core(seed: int, size: int, within: float, bound: str) -> None:
    rng = np.random.default_rng(seed)
    blocks = levels(size, 4, 0.7, within, bound)
    positive = blocks.positive if bound == "some" else False
    penalty = Penalty(0.7, partition=Labels(blocks.group, 4), within_ratio=within, positive=positive)
    v = blocks.admissible(np.where(rng.random(4 * size) < 0.6, rng.standard_normal(4 * size), 0.0))
    v[:size] = 0.0
    g = rng.standard_normal(4 * size)
    assert blocks.value(v) == pytest.approx(float(penalty.value(v)))
    np.testing.assert_allclose(np.maximum(blocks.residuals(v, g), 0.0), penalty.kkt_residual(v, g), atol=1e-12)


def test_a_free_group_has_its_gradient_as_residual() -> None:
    blocks = Blocks(np.array([0, 2]), np.array([0.0, 1.0]), np.zeros(2), np.zeros(4, dtype=bool))
    assert blocks.free.tolist() == [True, False]
    np.testing.assert_allclose(blocks.residuals(np.zeros(4), np.array([3.0, 4.0, 0.3, 0.4])), [5.0, -0.5])


def test_what_is_separable_is_said_so() -> None:
    assert levels(1, 5, 1.0).separable
    assert not levels(2, 5, 1.0).separable
    assert levels(2, 5, 1.0, within=1.0).separable
    np.testing.assert_allclose(levels(2, 2, 0.8, within=0.25).levels, 0.8)


@given(seed=st.integers(0, 10_000), within=st.sampled_from((0.0, 0.5)), bound=st.sampled_from(("none", "some")))
def test_a_change_of_penalty_is_a_difference_without_cancellation(seed: int, within: float, bound: str) -> None:
    rng = np.random.default_rng(seed)
    blocks = levels(4, 2, 0.5, within, bound)
    v, move = blocks.admissible(rng.standard_normal(8)), 0.1 * rng.standard_normal(8)
    there = blocks.admissible(v + move)
    assert blocks.change(v, there - v) == pytest.approx(blocks.value(there) - blocks.value(v), abs=1e-12)
    kept = 1e-12 * np.where(blocks.positive, np.abs(move), move)
    slope = blocks.lam[0] * v[:4] @ kept[:4] / max(np.linalg.norm(v[:4]), 1e-300)
    alone = Blocks(np.array([0]), blocks.lam[:1], np.zeros(1), np.zeros(4, dtype=bool))
    if v[:4].any():
        assert alone.change(v[:4], kept[:4]) == pytest.approx(slope, rel=1e-6)


def test_chosen_groups_keep_their_levels() -> None:
    blocks = replace(levels(2, 3, 0.5, 0.5, "some"), lam=np.array([1.0, 2.0, 3.0]))
    some = blocks.of(np.array([True, False, True]))
    assert some.lam.tolist() == [1.0, 3.0]
    assert some.starts.tolist() == [0, 2]
    assert some.positive.tolist() == [False, True, False, True]
    v = np.array([1.0, -2.0, 0.0, 0.0, -1.0, 5.0])
    assert some.value(v[[0, 1, 4, 5]]) == pytest.approx(blocks.value(v))
