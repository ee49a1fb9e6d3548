"""Other methods and meaningless labels are scored on the study's own folds."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from spred.errors import InputError
from spred.genes import Study, add_baselines, add_permutations, evidence, run_study, write_study
from spred.genes.baselines import permute


def test_the_filter_finds_the_signal_and_guessing_does_not(study: Study) -> None:
    guess, filtered = add_baselines(study).baselines
    assert (guess.name, guess.score.mean) == ("largest class", 0.5)
    assert filtered.score.mean > 0.8
    assert len(filtered.score.folds) == len(study.nested.folds)
    assert set(filtered.n_genes) <= {5, 10, 20}


def test_the_filter_never_sees_held_out_values(study: Study) -> None:
    values = study.expression.values.copy()
    held_out = study.nested.folds[0].test
    values[held_out] = np.random.default_rng(0).permuted(values[held_out], axis=1)
    spoilt = dataclasses.replace(study, expression=dataclasses.replace(study.expression, values=values))
    assert add_baselines(spoilt).baselines[1].n_genes[0] == add_baselines(study).baselines[1].n_genes[0]


def test_numbers_have_a_ridge(numbers_study: Study) -> None:
    guess, ridge = add_baselines(numbers_study).baselines
    assert guess.score.mean == 0
    assert ridge.score.mean > 0.5
    assert "ridge" in ridge.name


def test_a_signal_has_a_small_p_and_noise_has_not(study: Study) -> None:
    found = add_permutations(study, 19).permutations
    assert found is not None
    assert found.p == pytest.approx(1 / 20)
    assert found.observed == study.score.balanced_accuracy.mean
    assert abs(np.mean(found.scores) - 0.5) < 0.15
    values = np.random.default_rng(2).normal(size=(40, 30))
    noise = run_study(dataclasses.replace(study.expression, values=values), rule="min", n_alphas=6, folds=3)
    assert add_permutations(noise, 9).permutations.p > 0.1


def test_numbers_can_be_permuted(numbers_study: Study) -> None:
    assert add_permutations(numbers_study, 9).permutations.p == pytest.approx(0.1)


def test_permutations_keep_what_belongs_together() -> None:
    y = np.array(["a", "b", "a", "b", "a", "a", "b", "b", "a"])
    groups = np.array([1, 1, 2, 2, 3, 3, 4, 4, 5])
    rng = np.random.default_rng(0)
    for _ in range(20):
        new = permute(y, groups, rng)
        assert sorted(new[:2]) == sorted(new[2:4]) == ["a", "b"]
        assert {new[4], new[5]} | {new[6], new[7]} == {"a", "b"}
        assert new[4] == new[5]
        assert new[6] == new[7]
        assert new[8] == "a"
    assert sorted(permute(y, None, rng)) == sorted(y)


def test_the_same_seed_permutes_alike(study: Study) -> None:
    assert add_permutations(study, 3).permutations.scores == add_permutations(study, 3, n_jobs=2).permutations.scores
    with pytest.raises(InputError, match="at least 1"):
        add_permutations(study, 0)


def test_they_are_in_every_file(study: Study, tmp_path: Path) -> None:
    whole = add_permutations(add_baselines(study), 3)
    out = write_study(whole, tmp_path / "out")
    metrics = json.loads((out / "metrics.json").read_text())
    assert set(metrics["baselines"]) == {"largest class", "univariate filter + linear SVM"}
    assert metrics["permutations"]["p"] == 0.25
    html = (out / "report.html").read_text()
    assert "univariate filter + linear SVM" in html
    assert "Labels permuted 3 times" in html
    assert len(evidence.lines(whole)) == 3
