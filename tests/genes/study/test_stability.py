"""The stable list finds what is there, says when nothing is, and is in every file that a study leaves."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spred.genes import Settings, Study, add_stability, run_study, write_study
from spred.genes.study.stability import agreement, nogueira


@pytest.fixture(scope="module")
def stable(study: Study) -> Study:
    return add_stability(study, n_pairs=15)


@pytest.fixture(scope="module")
def noise(study: Study) -> Study:
    values = np.random.default_rng(1).normal(size=(40, 30))
    small = run_study(dataclasses.replace(study.expression, values=values), Settings(n_alphas=6, folds=3))
    return add_stability(small, n_pairs=15, pfer=0.05)


def test_the_true_genes_are_stable(stable: Study) -> None:
    found = stable.stability
    assert found is not None
    assert set(found.genes["gene"]) <= {"G0", "G1", "G2"}
    assert len(found.genes) >= 2
    assert found.genes["frequency"].is_monotonic_decreasing
    assert found.genes["frequency"].min() >= found.threshold
    assert found.pfer <= 1
    assert found.genes["in_list"].all()
    assert found.frequency.shape == (30,)


def test_noise_has_no_stable_gene_and_that_is_said(noise: Study, tmp_path: Path) -> None:
    assert noise.stability is not None
    assert noise.stability.genes.empty
    out = write_study(noise, tmp_path / "out")
    html = (out / "report.html").read_text()
    assert "No gene is stable: none came back in" in html
    assert "of 30 halves of the samples (15 complementary pairs)" in html
    assert (out / "stable_genes.csv").read_text().startswith("gene,frequency,in_list,neighbours")


def test_it_is_in_every_file(stable: Study, tmp_path: Path) -> None:
    out = write_study(stable, tmp_path / "out")
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["stability"]["n_stable"] == len(stable.stability.genes)
    assert metrics["nogueira"] == pytest.approx(agreement(stable))
    assert list(pd.read_csv(out / "stable_genes.csv")["gene"]) == list(stable.stability.genes["gene"])
    html = (out / "report.html").read_text()
    assert "Stable genes" in html
    assert "Stability selection used 15 complementary pairs" in html
    assert "share of halves that select it" in html


def test_progress_is_reported_and_the_study_is_left_alone(study: Study) -> None:
    calls: list[tuple[int, int]] = []
    found = add_stability(study, n_pairs=2, on_half=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (4, 4)
    assert study.stability is None
    assert found.genes is study.genes


def test_nogueiras_index() -> None:
    a, b = np.array([1, 1, 0, 0], dtype=bool), np.array([0, 0, 1, 1], dtype=bool)
    assert nogueira([a, a, a]) == 1.0
    assert nogueira([a, b]) == pytest.approx(-1.0)
    assert nogueira([a]) is None
    assert nogueira([a & b, a & b]) is None
    rng = np.random.default_rng(0)
    assert abs(nogueira([rng.random(5000) < 0.1 for _ in range(10)])) < 0.01
