"""Meaningless labels are scored on the study's own folds, and keep what belongs together."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from spred.errors import InputError
from spred.genes import Settings, Study, add_permutations, run_study, write_study
from spred.genes.report import robustness
from spred.genes.study.permutations import permute


def test_a_signal_has_a_small_p_and_noise_has_not(study: Study) -> None:
    found = add_permutations(study, 19).permutations
    assert found is not None
    assert found.p <= 0.1
    assert found.p == (1 + sum(s >= found.observed for s in found.scores)) / 20
    assert found.observed == study.score.balanced_accuracy.mean
    assert abs(np.mean(found.scores) - 0.5) < 0.15
    values = np.random.default_rng(2).normal(size=(40, 30))
    noise = run_study(dataclasses.replace(study.expression, values=values), Settings(rule="min", n_alphas=6, folds=3))
    assert add_permutations(noise, 9).permutations.p > 0.1


def test_numbers_can_be_permuted(numbers_study: Study) -> None:
    assert add_permutations(numbers_study, 9).permutations.p == pytest.approx(0.1)


def test_permutations_keep_what_belongs_together() -> None:
    y = np.array([0, 1, 0, 1, 0, 0, 1, 1, 0])
    groups = np.array([1, 1, 2, 2, 3, 3, 4, 4, 5])
    rng = np.random.default_rng(0)
    for _ in range(20):
        order = permute(y, groups, rng)
        assert sorted(order) == list(range(9))
        new = y[order]
        assert sorted(new[:2]) == sorted(new[2:4]) == [0, 1]
        assert {new[4], new[5]} | {new[6], new[7]} == {0, 1}
        assert new[4] == new[5]
        assert new[6] == new[7]
        assert new[8] == 0
    assert sorted(permute(y, None, rng)) == list(range(9))


def test_the_same_seed_permutes_alike(study: Study) -> None:
    assert add_permutations(study, 3).permutations.scores == add_permutations(study, 3, n_jobs=2).permutations.scores
    with pytest.raises(InputError, match="at least 1"):
        add_permutations(study, 0)


def test_they_are_in_every_file(study: Study, tmp_path: Path) -> None:
    whole = add_permutations(study, 3)
    out = write_study(whole, tmp_path / "out")
    assert json.loads((out / "metrics.json").read_text())["permutations"]["p"] == 0.25
    assert "Labels permuted 3 times" in (out / "report.html").read_text()
    assert any("permuted 3 times" in line for line in robustness.lines(whole))
