"""The scale is recognised; gaps are filled from the training samples alone."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from spred.genes.preprocess import log2_intensity, needs_log2, pipeline

RNG = np.random.default_rng(0)
LOGS = RNG.normal(8, 2, size=(50, 400))


class Recorder(BaseEstimator):
    """Keeps what it is fitted on and predicts what it is given."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Recorder:
        self.seen_ = X
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X


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


def test_gaps_get_the_median_of_the_training_samples() -> None:
    train = np.array([[1.0, 5.0], [3.0, np.nan], [100.0, 7.0]])
    model = pipeline(Recorder(), log2=False, n_genes=2).fit(train, np.zeros(3))
    np.testing.assert_array_equal(model[-1].seen_, [[1, 5], [3, 6], [100, 7]])
    np.testing.assert_array_equal(model.predict(np.array([[np.nan, -50.0]])), [[3, -50]])


def test_a_gene_without_a_value_in_the_training_samples_stays_in_place() -> None:
    model = pipeline(Recorder(), log2=True, n_genes=2).fit(np.array([[np.nan, 1.0], [np.nan, 3.0]]), np.zeros(2))
    np.testing.assert_array_equal(model[-1].seen_, [[0, 1], [0, 2]])


def test_log2_is_a_step_only_where_it_is_asked_for() -> None:
    assert list(pipeline(Recorder(), log2=True, n_genes=2).named_steps) == ["log2", "median", "model"]
    assert list(pipeline(Recorder(), log2=False, n_genes=2).named_steps) == ["median", "model"]
