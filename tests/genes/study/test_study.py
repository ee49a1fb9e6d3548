"""A study is honest (nothing held out is used), repeatable, and finds what is there."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spred.genes import Expression, Settings, Study, run_study
from spred.genes.report.methods import paragraph

QUICK = Settings(n_alphas=8, folds=3)


def noise(expression: Expression, seed: int) -> Expression:
    """The same samples and classes with 150 genes that say nothing."""
    values = np.random.default_rng(seed).normal(size=(len(expression.samples), 150))
    genes = np.array([f"N{j}" for j in range(150)], dtype=object)
    return dataclasses.replace(expression, values=values, genes=genes, group=None, group_name=None)


def test_the_genes_that_matter_are_found(study: Study) -> None:
    assert set(study.genes["gene"].head(3)) == {"G0", "G1", "G2"}
    assert len(study.genes) < 15
    assert study.score.balanced_accuracy.mean > 0.85
    assert study.score.auc > 0.9


def test_the_final_model_is_certified(study: Study) -> None:
    certificate = study.model[-1].certificate_
    assert certificate.gap < 1e-7
    assert certificate.kkt < 1e-5


def test_signs_and_scales_of_the_gene_table(study: Study, expression: Expression) -> None:
    table = study.genes.set_index("gene")
    assert table.loc["G0", "coef_tumour"] > 0 > table.loc["G1", "coef_tumour"]
    values = expression.values[:, list(expression.genes).index("G0")]
    assert table.loc["G0", "sd"] == pytest.approx(values.std())
    assert table.loc["G0", "std_coef_tumour"] == pytest.approx(table.loc["G0", "coef_tumour"] * values.std())
    assert table.loc["G0", "strength"] == pytest.approx(abs(table.loc["G0", "std_coef_tumour"]))
    assert table.loc["G0", "mean_tumour"] == pytest.approx(values[expression.target == "tumour"].mean())
    assert table["strength"].is_monotonic_decreasing
    assert table["frequency"].between(0, 1).all()


def test_the_frequency_counts_the_outer_folds(study: Study) -> None:
    chosen = [set(study.expression.genes[fold.support]) for fold in study.folds]
    for gene, frequency in zip(study.genes["gene"], study.genes["frequency"], strict=True):
        assert frequency == pytest.approx(np.mean([gene in c for c in chosen]))
    assert study.n_selected_folds == tuple(len(c) for c in chosen)


def test_noise_scores_as_guessing_does(expression: Expression) -> None:
    best = dataclasses.replace(QUICK, rule="min")
    means = [run_study(noise(expression, seed), best).score.balanced_accuracy.mean for seed in range(8)]
    assert abs(np.mean(means) - 0.5) < 0.1


def test_the_same_seed_gives_the_same_study(study: Study, expression: Expression) -> None:
    again = run_study(expression, Settings(n_alphas=15, folds=4))
    assert again.genes.equals(study.genes)
    assert again.score == study.score
    other = run_study(expression, Settings(n_alphas=15, folds=4, seed=1))
    assert any(list(a.test) != list(b.test) for a, b in zip(other.folds, study.folds, strict=True))


def test_processes_do_not_change_the_numbers(study: Study, expression: Expression) -> None:
    again = run_study(expression, Settings(n_alphas=15, folds=4), n_jobs=2)
    assert again.score == study.score


def test_progress_is_reported(expression: Expression) -> None:
    calls: list[tuple[int, int]] = []
    run_study(expression, QUICK, on_fold=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_a_rule_of_k_genes_holds(expression: Expression) -> None:
    assert len(run_study(expression, dataclasses.replace(QUICK, rule=2)).genes) <= 2


def test_gaps_are_filled_inside(expression: Expression) -> None:
    values = expression.values.copy()
    values[np.random.default_rng(0).random(values.shape) < 0.05] = np.nan
    found = run_study(dataclasses.replace(expression, values=values), QUICK)
    assert found.score.balanced_accuracy.mean > 0.7
    assert found.genes.notna().all(axis=None)


def test_intensities_give_the_study_of_their_logarithms(expression: Expression) -> None:
    raw = dataclasses.replace(expression, values=2**expression.values - 1, log2=True)
    plain = run_study(expression, QUICK)
    assert list(run_study(raw, QUICK).genes["gene"]) == list(plain.genes["gene"])


def test_three_classes_have_a_column_each(expression: Expression) -> None:
    target = expression.target.copy()
    target[(expression.values[:, 5] > 8.5) & (target == "normal")] = "other"
    found = run_study(dataclasses.replace(expression, target=target, group=None), QUICK)
    columns = [c for c in found.genes.columns if c.startswith("std_coef")]
    assert columns == ["std_coef_normal", "std_coef_other", "std_coef_tumour"]
    assert found.score.majority_balanced_accuracy == pytest.approx(1 / 3)


def test_a_number_is_predicted(numbers_study: Study) -> None:
    assert numbers_study.expression.task == "regression"
    assert numbers_study.genes["gene"][0] == "G0"
    assert numbers_study.score.r2.mean > 0.7
    assert {"coef", "std_coef"} <= set(numbers_study.genes.columns)


def test_an_elastic_net_keeps_more_genes_and_is_named(study: Study, expression: Expression) -> None:
    mixed = run_study(expression, Settings(l1_ratio=0.3))
    assert len(mixed.genes) > len(study.genes)
    assert mixed.model[-1].certificate_.gap < 1e-7
    assert "(elastic net, 30% of it L1)" in paragraph(mixed, {"versions": {}})
    assert "elastic net" not in paragraph(study, {"versions": {}})
