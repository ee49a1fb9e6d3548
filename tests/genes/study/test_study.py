"""A study is honest (nothing held out is seen), repeatable, and finds what is there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from spred.errors import InputError
from spred.genes import Expression, Settings, Study, run_study
from spred.genes.report.methods import paragraph
from spred.runtime.tasks import Store

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


def test_progress_is_told(expression: Expression) -> None:
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


def test_too_small_a_class_is_an_error(expression: Expression) -> None:
    target = np.array(["rare"] + ["common"] * 39, dtype=object)
    with pytest.raises(InputError, match="smallest class"):
        run_study(dataclasses.replace(expression, target=target, group=None), QUICK)
    with pytest.raises(InputError, match="at least 2"):
        Settings(folds=1)


def test_fewer_folds_than_asked_for_are_told(expression: Expression) -> None:
    target = np.array(["rare"] * 6 + ["common"] * 34, dtype=object)
    small = dataclasses.replace(expression, target=target, group=None)
    found = run_study(small, Settings(n_alphas=5, folds=9))
    assert len(found.folds) == 6
    assert any("6 outer folds (9 were asked for" in note for note in found.notes)


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


def test_an_elastic_net_keeps_more_genes_and_is_named(study: Study, expression: Expression) -> None:
    mixed = run_study(expression, Settings(l1_ratio=0.3))
    assert len(mixed.genes) > len(study.genes)
    assert mixed.model[-1].certificate_.gap < 1e-7
    assert "(elastic net, 30% of it L1)" in paragraph(mixed, {"versions": {}})
    assert "elastic net" not in paragraph(study, {"versions": {}})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"folds": 1}, "folds is 1; at least 2"),
        ({"repeats": 0}, "repeats is 0"),
        ({"normalize": "loess"}, "normalize is 'loess'"),
        ({"min_variance": 1.0}, "min_variance is 1"),
        ({"l1_ratio": 0.0}, "l1_ratio is 0.0; give a number above 0"),
        ({"model": "liner"}, "no model is called 'liner'; did you mean 'linear'"),
    ],
)
def test_choices_out_of_range(options: dict, sentence: str, expression: Expression) -> None:
    with pytest.raises(InputError, match=sentence):
        run_study(expression, Settings(**options))
