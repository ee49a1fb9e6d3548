"""The scale is recognised; quantile normalisation keeps ranks, ties and gaps."""

from __future__ import annotations

import numpy as np
import pytest

from spred.genes.data.preprocess import log2_intensity, needs_log2, quantile_normalized, reference_quantiles

RNG = np.random.default_rng(0)
LOGS = RNG.normal(8, 2, size=(50, 400))


@pytest.mark.parametrize(
    ("values", "raw"),
    [
        (LOGS, False),
        (2**LOGS, True),
        (RNG.normal(size=(50, 400)), False),
        (2**LOGS - 300, True),
        (RNG.uniform(1, 60, size=(50, 400)), True),
        (RNG.uniform(-60, 60, size=(50, 400)), False),
    ],
)
def test_raw_intensities_are_told_from_logarithms(values: np.ndarray, raw: bool) -> None:
    assert needs_log2(values) is raw


def test_gaps_do_not_disturb_the_decision() -> None:
    values = 2**LOGS
    values[::2] = np.nan
    assert needs_log2(values)


def test_a_large_table_is_sampled() -> None:
    assert needs_log2(np.full((3000, 1000), 5000.0))


def test_log2_is_finite_monotone_and_log2_for_intensities() -> None:
    values = np.array([-1e4, -1.0, 0.0, 0.5, 1.0, 1e4])
    found = log2_intensity(values)
    assert np.isfinite(found).all()
    assert np.all(np.diff(found) >= 0)
    assert found[-1] == pytest.approx(np.log2(1e4), abs=2e-4)


def test_quantiles_are_those_of_the_training_samples_alone() -> None:
    values = RNG.normal(size=(6, 50)) * np.arange(1, 7)[:, None]
    reference = reference_quantiles(values)
    np.testing.assert_allclose(reference, np.sort(values, axis=1).mean(axis=0))
    found = quantile_normalized(RNG.normal(50, 9, size=(3, 50)), reference)
    np.testing.assert_allclose(np.sort(found, axis=1), np.tile(reference, (3, 1)))


def test_quantiles_keep_ranks_ties_and_gaps() -> None:
    row = np.array([[4.0, np.nan, 1.0, 4.0, 9.0]])
    (found,) = quantile_normalized(row, np.array([10.0, 20.0, 30.0, 40.0, 50.0]))
    assert np.isnan(found[1])
    assert found[0] == found[3] == 30.0
    assert found[2] < found[0] < found[4]
    filled = reference_quantiles(np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]]))
    assert np.isfinite(filled).all()
    assert filled[0] >= 1.0
    assert filled[-1] <= 3.0
