"""Bounds that no distribution of their kind breaks, and that some reach."""

from __future__ import annotations

import numpy as np
import pytest

from spred.estimators.stability_bounds import r_concave, tail, worst_case


def r_concave_distribution(rng: np.random.Generator, steps: int, r: float) -> np.ndarray:
    """A falling distribution on 0 … steps whose r-th power is convex, cut off somewhere."""
    rises = np.sort(rng.exponential(size=steps) ** rng.uniform(0.1, 6))
    f = (1e-3 + rng.exponential() ** 3 + np.r_[0.0, np.cumsum(rises)]) ** (1 / r)
    f[rng.integers(1, steps + 1) + 1 :] = 0.0
    return f / f.sum()


@pytest.mark.parametrize("r", [-0.5, -0.25])
def test_no_r_concave_distribution_breaks_the_bound_and_some_reach_it(r: float) -> None:
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(150):
        steps = int(rng.integers(5, 25))
        f = r_concave_distribution(rng, steps, r)
        mean, first = float(np.arange(steps + 1) @ f) / steps, int(rng.integers(1, steps + 1))
        if mean > 1e-9:
            ratios.append(f[first:].sum() / tail(mean, first / steps, steps, r))
    assert max(ratios) <= 1 + 1e-6
    straight = (0.3 + np.arange(21)) ** (1 / r)  # the extreme shape itself
    straight /= straight.sum()
    mean = float(np.arange(21) @ straight) / 20
    assert straight[15:].sum() <= tail(mean, 0.75, 20, r) * (1 + 1e-6)
    assert straight[20:].sum() == pytest.approx(tail(mean, 1.0, 20, r), rel=1e-4)


def test_bounds_fall_with_the_threshold_and_grow_with_the_share() -> None:
    for bound in (r_concave, worst_case):
        values = [bound(0.01, t, 50) for t in (0.6, 0.7, 0.8, 0.9, 1.0)]
        assert values == sorted(values, reverse=True)
        assert bound(0.02, 0.75, 50) > bound(0.01, 0.75, 50)
        assert bound(0.4, 0.6, 50) <= 1
    assert r_concave(0.01, 0.6, 50) < worst_case(0.01, 0.6, 50) / 5
