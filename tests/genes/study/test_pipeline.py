"""Each step learns from the training samples, leaves covariates alone, and keeps every column in its place."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.base import clone

from spred.genes import Expression, Settings, run_study
from spred.genes.study.pipeline import LowVariance, QuantileNormalizer, preprocessing

RNG = np.random.default_rng(0)


def shaped(expression: Expression, values: np.ndarray, *, log2: bool = False) -> Expression:
    """The record with other values, a gene a column."""
    genes = np.array([f"G{j}" for j in range(values.shape[1])], dtype=object)
    return dataclasses.replace(expression, values=values, genes=genes, log2=log2)


def test_gaps_get_the_median_of_the_training_samples(expression: Expression) -> None:
    train = np.array([[1.0, 5.0], [3.0, np.nan], [100.0, 7.0]])
    steps = preprocessing(shaped(expression, train), Settings())
    np.testing.assert_array_equal(steps.fit_transform(train), [[1, 5], [3, 6], [100, 7]])
    np.testing.assert_array_equal(steps.transform(np.array([[np.nan, -50.0]])), [[3, -50]])


def test_a_gene_without_a_value_in_the_training_samples_stays_in_place(expression: Expression) -> None:
    train = np.array([[np.nan, 1.0], [np.nan, 3.0]])
    steps = preprocessing(shaped(expression, train, log2=True), Settings())
    np.testing.assert_array_equal(steps.fit_transform(train), [[0, 1], [0, 2]])


def test_steps_are_there_where_they_are_asked_for(expression: Expression) -> None:
    def names(log2: bool, **options: object) -> list[str]:
        return list(preprocessing(dataclasses.replace(expression, log2=log2), Settings(**options)).named_steps)

    assert names(False) == ["median"]
    assert names(True, normalize="quantile", min_variance=0.2) == ["log2", "quantiles", "median", "variance"]


def test_the_filter_flattens_what_varies_least_in_training_and_no_covariate() -> None:
    train = RNG.normal(size=(20, 11)) * np.r_[0.01, 0.02, np.ones(8), 0.001]
    step = LowVariance(0.2, n_genes=10).fit(train)
    assert np.flatnonzero(step.flat_).tolist() == [0, 1]
    new = RNG.normal(size=(4, 11))
    found = step.transform(new)
    assert not found[:, :2].any()
    np.testing.assert_array_equal(found[:, 2:], new[:, 2:])


def test_quantiles_leave_covariates_alone() -> None:
    train = RNG.normal(size=(20, 11))
    step = QuantileNormalizer(10).fit(train)
    found = step.transform(3 * train + 1)
    np.testing.assert_array_equal(found[:, 10], 3 * train[:, 10] + 1)
    np.testing.assert_allclose(np.sort(found[:, :10], axis=1), np.tile(step.reference_, (20, 1)))
    assert clone(step).get_params() == {"n_genes": 10}


@pytest.mark.parametrize("options", [{"normalize": "quantile"}, {"min_variance": 0.3}])
def test_what_a_step_learns_it_learns_in_the_training_part(options: dict, expression: Expression) -> None:
    settings = Settings(n_alphas=6, folds=3, **options)
    plain = run_study(expression, settings)
    values, held_out = expression.values.copy(), plain.folds[0].test
    values[held_out] = 40 * RNG.normal(size=values[held_out].shape)
    spoilt = run_study(dataclasses.replace(expression, values=values), settings)
    assert plain.folds[0].alpha == spoilt.folds[0].alpha
    np.testing.assert_array_equal(plain.folds[0].support, spoilt.folds[0].support)
    assert any("the training samples" in note for note in plain.notes)
