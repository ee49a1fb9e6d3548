"""A network in a study: in the same folds and beside the linear model, in every file, and applied to new samples."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spred.errors import FileError
from spred.genes import (
    Settings,
    Study,
    add_permutations,
    add_stability,
    apply_model,
    load_model,
    read,
    run_study,
    write_study,
)
from spred.genes.data.expression import Expression
from spred.genes.data.survival import make_survival
from spred.genes.report import methods, text
from spred.genes.saved_model import model_of
from spred.genes.study.scores import spread

QUICK = Settings(n_alphas=6, folds=3, model="network")


@pytest.fixture(scope="module")
def gated(expression: Expression) -> Study:
    return run_study(expression, QUICK)


@pytest.fixture(scope="module")
def folder(gated: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(gated, tmp_path_factory.mktemp("networks") / "out")


def test_the_genes_that_matter_are_found_with_a_certificate_of_their_own(gated: Study, folder: Path) -> None:
    assert {"G0", "G1", "G2"} <= set(gated.genes["gene"])
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["certificate"] == {"kkt": gated.model[-1].kkt_}
    assert metrics["certificate"]["kkt"] <= 1e-3
    page = (folder / "report.html").read_text()
    assert "behind one gate for each gene" in page
    assert "elastic net" not in methods.paragraph(gated, {"versions": {}})


def test_slopes_stand_where_coefficients_do(gated: Study, expression: Expression) -> None:
    table, values = gated.genes.set_index("gene"), expression.values.copy()
    step, j = 1e-5, list(expression.genes).index("G0")
    moved = values.copy()
    moved[:, j] += step
    before, after = (gated.model.decision_function(v) for v in (values, moved))
    assert table.loc["G0", "coef_tumour"] == pytest.approx(np.mean(after - before) / step, rel=1e-4)


def test_the_linear_model_is_scored_in_the_same_folds(gated: Study, expression: Expression) -> None:
    linear = run_study(expression, replace(QUICK, model="linear"))
    assert gated.baselines[0].score == linear.score.main
    assert gated.baselines[0].n_genes == linear.n_selected_folds
    assert "linear model" in text.summary(gated)
    assert "linear model" not in text.summary(linear)


@pytest.mark.parametrize(
    ("rise", "sentence"),
    [(-0.1, "the network does no better"), (0.02, "within what the folds differ by chance"), (0.2, "better by 0.20.")],
)
def test_the_summary_says_whether_the_network_pays(rise: float, sentence: str, gated: Study) -> None:
    values = np.array([0.7, 0.71, 0.69])
    own = spread(list(values + rise + 0.3 * (rise == 0.02) * np.array([-1, 0, 1])), gated.folds, (-np.inf, np.inf))
    linear = replace(gated.baselines[0], score=spread(list(values), gated.folds, (-np.inf, np.inf)))
    study = replace(gated, score=replace(gated.score, balanced_accuracy=own), baselines=(linear,))
    assert sentence in text.against_linear(study)


def test_new_samples_are_predicted_as_the_pipeline_does(
    gated: Study, folder: Path, frame: pd.DataFrame, tmp_path: Path
) -> None:
    values = frame.iloc[:, 3:] + 0.1 * np.random.default_rng(5).normal(size=(40, 30))
    values.set_axis([f"n{i}" for i in range(40)], axis=0).to_csv(tmp_path / "new.csv", index_label="sample")
    found = apply_model(folder, tmp_path / "new.csv").table
    np.testing.assert_allclose(found[["prob_normal", "prob_tumour"]], gated.model.predict_proba(values.to_numpy()))
    assert load_model(folder) == model_of(gated)


@pytest.mark.parametrize("change", [{"upper": []}, {"biases": [[0.0]]}, {"means": [0.0]}, {"activation": "relu"}])
def test_a_damaged_network_is_refused(change: dict, folder: Path, tmp_path: Path) -> None:
    content = json.loads((folder / "model.json").read_text())
    content["network"] |= change
    (tmp_path / "model.json").write_text(json.dumps(content))
    with pytest.raises(FileError, match="the model is damaged"):
        load_model(tmp_path)


def test_three_classes_and_covariates(expression: Expression, frame: pd.DataFrame, tmp_path: Path) -> None:
    data = frame.drop(columns="patient").assign(age=(50 + 10 * np.random.default_rng(1).normal(size=40)).round(1))
    data.loc[data.index % 3 == 0, "class"] = "other"
    data.loc[data.index % 3 == 0, "G5"] += 4.0
    data.to_csv(tmp_path / "three.csv", index=False)
    study = run_study(read(tmp_path / "three.csv", target="class", covariates=["age"]), QUICK)
    model = model_of(study)
    new = data.drop(columns="class").assign(sample=[f"n{i}" for i in range(40)])
    new.to_csv(tmp_path / "new.csv", index=False)
    found = apply_model(model, tmp_path / "new.csv").table
    expected = study.model.predict_proba(study.expression.design)
    np.testing.assert_allclose(found[[f"prob_{c}" for c in study.expression.classes]], expected)
    assert "G5" in set(study.genes["gene"])


def test_numbers_and_survival(numbers_study: Study, expression: Expression) -> None:
    small = replace(QUICK, n_alphas=4, folds=2, rule="min")
    number = run_study(numbers_study.expression, small)
    assert number.genes["gene"][0] == "G0"
    rng = np.random.default_rng(0)
    times = rng.exponential(np.exp(3 * (8 - expression.values[:, 0])))
    target = make_survival(pd.Series(times), pd.Series([1, 1, 1, 0] * 10))
    survival = replace(expression, target=target, task="survival", event_name="event", group=None, group_name=None)
    study = run_study(survival, small)
    assert study.genes["gene"][0] == "G0"
    assert study.score.concordance.mean > 0.6
    for each in (number, study):
        assert model_of(each).network is not None


def test_stability_and_permutations_follow_the_network(gated: Study) -> None:
    stable = add_stability(gated, n_pairs=10)
    assert {"G0", "G1"} <= set(stable.stability.genes["gene"])
    permuted = add_permutations(gated, 3)
    assert max(permuted.permutations.scores) < permuted.permutations.observed


def test_an_elastic_net_of_gates_keeps_more_genes_and_a_refit_is_named(gated: Study, expression: Expression) -> None:
    refitted = "refitted with a ridge"
    assert refitted in methods.paragraph(gated, {"versions": {}})
    mixed = run_study(expression, replace(QUICK, l1_ratio=0.2, refit=False))
    assert [gated.model[-1].refit, mixed.model[-1].refit] == [True, False]
    assert len(mixed.genes) > len(gated.genes)
    assert "(elastic net, 20% of it L1)" in methods.paragraph(mixed, {"versions": {}})
    assert refitted not in methods.paragraph(mixed, {"versions": {}})
