"""Other methods are scored on the study's own folds, and see nothing of what is held out."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import spred
from spred.genes import Expression, Settings, Study, add_baselines, run_study, write_study
from spred.genes.report import robustness
from spred.genes.study.folds import prepared
from spred.genes.study.models import LINEAR_EPS


def test_the_filter_finds_the_signal_and_guessing_does_not(study: Study) -> None:
    guess, lasso, filtered = add_baselines(study).baselines
    assert (guess.name, guess.score.mean) == ("largest class", 0.5)
    assert lasso.score.mean > 0.8
    assert filtered.score.mean > 0.8
    assert len(filtered.score.folds) == len(study.folds)
    assert set(filtered.n_genes) <= {5, 10, 20}


def test_the_filter_never_sees_held_out_values(study: Study) -> None:
    values = study.expression.values.copy()
    held_out = study.folds[0].test
    values[held_out] = np.random.default_rng(0).permuted(values[held_out], axis=1)
    spoilt = dataclasses.replace(study, expression=dataclasses.replace(study.expression, values=values))
    assert add_baselines(spoilt).baselines[2].n_genes[0] == add_baselines(study).baselines[2].n_genes[0]


def test_numbers_have_a_ridge(numbers_study: Study) -> None:
    guess, _, ridge = add_baselines(numbers_study).baselines
    assert guess.score.mean == 0
    assert ridge.score.mean > 0.5
    assert "ridge" in ridge.name


def test_the_l1_baseline_is_the_best_of_its_path_and_converged(study: Study) -> None:
    baseline = add_baselines(study).baselines[1]
    fold = study.folds[0]
    train, test = prepared(study.expression, study.settings, fold)
    y, group = study.expression.target, study.expression.group
    model = spred.SparseClassifierCV(rule="min", n_alphas=15, eps=LINEAR_EPS, cv=4, class_weight="balanced")
    model.fit(train, y[fold.train], groups=group[fold.train])
    assert model.certificate_.gap < 1e-7
    assert model.curve_.index == model.curve_.index_min
    assert baseline.n_genes[0] == model.get_support().sum()
    right = model.predict(test) == y[fold.test]
    recalls = [right[y[fold.test] == c].mean() for c in np.unique(y[fold.test])]
    assert baseline.score.folds[0] == pytest.approx(np.mean(recalls))


def test_many_classes_have_l1_in_both_forms(expression: Expression) -> None:
    target = expression.target.copy()
    target[(expression.values[:, 5] > 8.5) & (target == "normal")] = "other"
    three = dataclasses.replace(expression, target=target, group=None)
    whole = run_study(three, Settings(n_alphas=6, folds=3))
    _, one_by_one, row_sparse, filtered = add_baselines(whole).baselines
    assert "one against the rest" in one_by_one.name
    assert "row-sparse" in row_sparse.name
    assert min(one_by_one.score.mean, row_sparse.score.mean, filtered.score.mean) > 0.4
    assert min(*one_by_one.n_genes, *row_sparse.n_genes) > 0
    train, _ = prepared(three, whole.settings, whole.folds[0])
    y = three.target[whole.folds[0].train]
    model = spred.SparseClassifierCV(rule="min", n_alphas=6, eps=LINEAR_EPS, cv=3, class_weight="balanced").fit(
        train, y
    )
    assert row_sparse.n_genes[0] == model.get_support().sum()
    parts = [
        spred.SparseClassifierCV(rule="min", n_alphas=6, eps=LINEAR_EPS, cv=3, class_weight="balanced").fit(
            train, y == c
        )
        for c in ("normal", "other", "tumour")
    ]
    assert one_by_one.n_genes[0] == np.any([part.get_support() for part in parts], axis=0).sum()


def test_they_are_in_every_file(study: Study, tmp_path: Path) -> None:
    whole = add_baselines(study)
    out = write_study(whole, tmp_path / "out")
    found = json.loads((out / "metrics.json").read_text())["baselines"]
    assert set(found) == {"largest class", "L1 logistic regression", "univariate filter + linear SVM"}
    assert set(found["L1 logistic regression"]) == {"mean", "sd", "folds", "interval", "n_genes", "n_genes_folds"}
    assert "L1 logistic regression" in (out / "report.html").read_text()
    assert len(robustness.lines(whole)) == 3
