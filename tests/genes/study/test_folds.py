"""Outer folds hold every sample out once, whole by group, and nothing held out reaches the model."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from spred.errors import InputError
from spred.genes import Expression, Settings, Study, run_study
from spred.genes.study.folds import fit_fold, outer_folds, prepared, support
from spred.runtime.tasks import Store

QUICK = Settings(n_alphas=8, folds=3)


def test_every_sample_is_held_out_once_and_groups_stay_whole(study: Study) -> None:
    tests = [fold.test for fold in study.folds]
    assert sorted(np.concatenate(tests)) == list(range(40))
    group = study.expression.group
    for fold in study.folds:
        assert not set(group[fold.test]) & set(group[fold.train])


def test_held_out_values_do_not_reach_the_model(expression: Expression) -> None:
    plain = run_study(expression, QUICK)
    held_out = plain.folds[0].test
    values = expression.values.copy()
    values[held_out] = 1e6 * np.random.default_rng(0).normal(size=values[held_out].shape)
    spoilt = run_study(dataclasses.replace(expression, values=values), QUICK)
    one, other = plain.folds[0], spoilt.folds[0]
    np.testing.assert_array_equal(one.support, other.support)
    assert one.alpha == other.alpha


def test_repeats_add_folds_and_the_interval_stays_honest(study: Study, expression: Expression) -> None:
    again = run_study(expression, Settings(n_alphas=15, folds=4, repeats=3))
    assert [fold.repeat for fold in again.folds] == [0] * 4 + [1] * 4 + [2] * 4
    assert again.score.balanced_accuracy.folds[:4] == study.score.balanced_accuracy.folds
    assert again.genes["gene"].tolist() == study.genes["gene"].tolist()
    low, high = again.score.balanced_accuracy.interval
    assert 0 <= low < again.score.balanced_accuracy.mean < high <= 1
    assert any("4 outer folds, made 3 times" in note for note in again.notes)


def test_finished_folds_are_taken_from_the_store(expression: Expression, tmp_path: Path) -> None:
    whole = run_study(expression, QUICK, store=Store(tmp_path))
    (stage,) = tmp_path.iterdir()
    assert len(list(stage.iterdir())) == 3
    (stage / "1.npz").unlink()
    calls: list[tuple[int, int]] = []
    again = run_study(expression, QUICK, store=Store(tmp_path), on_fold=lambda *call: calls.append(call))
    assert calls == [(2, 3), (3, 3)]
    assert again.score == whole.score
    assert again.genes.equals(whole.genes)
    run_study(expression, dataclasses.replace(QUICK, seed=1), store=Store(tmp_path))
    assert len(list(tmp_path.iterdir())) == 2


def test_fewer_folds_than_asked_for_are_reported(expression: Expression) -> None:
    target = np.array(["rare"] * 6 + ["common"] * 34, dtype=object)
    small = dataclasses.replace(expression, target=target, group=None)
    found = run_study(small, Settings(n_alphas=5, folds=9))
    assert len(found.folds) == 6
    assert any("6 outer folds (9 were asked for" in note for note in found.notes)


def test_too_small_a_class_is_an_error(expression: Expression) -> None:
    target = np.array(["rare"] + ["common"] * 39, dtype=object)
    with pytest.raises(InputError, match="smallest class"):
        outer_folds(dataclasses.replace(expression, target=target, group=None), QUICK)


def test_a_fold_is_arrays_that_a_file_can_keep(expression: Expression) -> None:
    train, test = np.arange(10, 40), np.arange(10)
    found = fit_fold(expression, QUICK, train, test)
    assert {"predicted", "probabilities", "support", "alpha"} <= set(found)
    assert all(array.dtype != object for array in found.values())
    np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1.0)


def test_a_fold_is_prepared_again_as_its_model_saw_it(study: Study) -> None:
    first = study.folds[0]
    train, test = prepared(study.expression, study.settings, first)
    np.testing.assert_array_equal(train, study.expression.values[first.train])
    np.testing.assert_array_equal(test, study.expression.values[first.test])
    assert support(study.expression, study.model).sum() == len(study.genes)
