"""Covariates are adjusted for, never selected, and asked for again when a model predicts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spred.errors import InputError
from spred.genes import (
    Settings,
    Study,
    add_baselines,
    add_permutations,
    add_stability,
    apply_model,
    load_model,
    read,
    run_study,
    write_study,
)
from spred.genes.data.covariates import choose_covariates, encode
from spred.genes.data.expression import Covariate
from spred.genes.saved_model import model_of

QUICK = Settings(n_alphas=12, folds=3)


@pytest.fixture(scope="module")
def batched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 samples in two batches, of which one holds most tumours: FOLLOWS follows the batch, TRUE the class."""
    rng = np.random.default_rng(0)
    batch = np.arange(80) % 2
    tumour = np.where(rng.random(80) < 0.8, batch, 1 - batch)
    values = 8 + rng.normal(size=(80, 40))
    values[:, 0] += 1.5 * tumour
    values[:, 1] += 4.0 * batch
    frame = pd.DataFrame(values.round(4), columns=["TRUE", "FOLLOWS", *(f"N{j}" for j in range(38))])
    age = 40 + np.arange(80) * 0.5
    frame.insert(0, "sample", [f"s{i}" for i in range(80)])
    frame.insert(1, "class", np.where(tumour, "tumour", "normal"))
    frame.insert(2, "batch", batch + 1)
    frame.insert(3, "age", np.where(np.arange(80) == 7, np.nan, age))
    path = tmp_path_factory.mktemp("data") / "batched.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def adjusted(batched: Path) -> Study:
    return run_study(read(batched, target="class", covariates=["batch", "age"]), QUICK)


def test_numbers_levels_and_gaps() -> None:
    table = pd.DataFrame(
        {"age": [*np.arange(11) + 30.5, None], "sex": [*"fmfmfmfmfmf", None], "site": [*"abcabcabcabc"]}
    )
    chosen = choose_covariates(table, ["age", "sex", "site"])
    assert chosen == (Covariate("age", ()), Covariate("sex", ("f", "m")), Covariate("site", ("a", "b", "c")))
    assert [name for covariate in chosen for name in covariate.columns] == ["age", "sex=m", "site=b", "site=c"]
    values = encode(chosen, table)
    np.testing.assert_array_equal(values[1], [31.5, 1, 1, 0])
    np.testing.assert_array_equal(np.isnan(values[11]), [True, True, False, False])
    assert encode((), table).shape == (12, 0)


def test_whole_numbers_are_levels_only_where_they_are_few() -> None:
    table = pd.DataFrame({"age": np.arange(12) % 6 + 60, "batch": np.arange(12) % 5, "sex": [*"fm"] * 6})
    assert choose_covariates(table, ["age", "batch"]) == (
        Covariate("age", ()),
        Covariate("batch", ("0", "1", "2", "3", "4")),
    )
    assert choose_covariates(table, ["age:levels", "batch:number"]) == (
        Covariate("age", ("60", "61", "62", "63", "64", "65")),
        Covariate("batch", ()),
    )
    with pytest.raises(InputError, match="sample 0: covariate 'sex' is 'f', no number"):
        choose_covariates(table, ["sex:number"])


def test_a_file_is_read_with_covariates_said_to_be_of_a_kind(batched: Path) -> None:
    expression = read(batched, target="class", covariates=["batch:number", "age"])
    assert expression.covariates == (Covariate("batch", ()), Covariate("age", ()))
    assert "Adjusted for, without a penalty: batch as a number, age as a number." in expression.notes


def test_a_level_that_only_one_class_has_is_reported(batched: Path, tmp_path: Path) -> None:
    assert not any(
        "all samples of a level" in note for note in read(batched, target="class", covariates=["batch"]).notes
    )
    frame = pd.read_csv(batched)
    frame.loc[frame.index[frame["class"] == "tumour"][:3], "batch"] = 3
    frame.to_csv(tmp_path / "third.csv", index=False)
    (*_, reported) = read(tmp_path / "third.csv", target="class", covariates=["batch", "age"]).notes
    assert reported.startswith("Covariate 'batch': all samples of a level ('3') are of one class")


def test_a_gene_that_follows_the_batch_is_left_out(adjusted: Study) -> None:
    plain = run_study(dataclasses.replace(adjusted.expression, covariates=(), adjusted_for=None), QUICK)
    assert "FOLLOWS" in set(plain.genes["gene"])
    assert adjusted.genes["gene"][0] == "TRUE"
    assert "FOLLOWS" not in set(adjusted.genes["gene"])
    assert any(
        note == "Adjusted for, without a penalty: batch as 2 levels (1, 2), age as a number." for note in adjusted.notes
    )
    assert adjusted.scaled.shape == (80, 40)
    assert not {"batch", "age"} & set(adjusted.expression.genes)


def test_covariates_are_not_taken_to_log2(batched: Path, adjusted: Study) -> None:
    expression = dataclasses.replace(adjusted.expression, values=2**adjusted.expression.values - 1, log2=True)
    assert list(run_study(expression, QUICK).genes["gene"]) == list(adjusted.genes["gene"])


def test_a_rule_of_k_counts_genes_only(batched: Path) -> None:
    study = run_study(read(batched, target="class", covariates=["batch", "age"]), dataclasses.replace(QUICK, rule=1))
    assert list(study.genes["gene"]) == ["TRUE"]


def test_the_whole_study_goes_on_with_covariates(adjusted: Study, tmp_path: Path) -> None:
    whole = add_permutations(add_baselines(add_stability(adjusted, n_pairs=5)), 3)
    assert whole.stability is not None
    assert len(whole.stability.frequency) == 40
    out = write_study(whole, tmp_path / "out")
    assert load_model(out) == model_of(adjusted)
    assert "adjusted for batch, age" in (out / "report.html").read_text()


def test_a_model_asks_for_its_covariates(batched: Path, adjusted: Study, tmp_path: Path) -> None:
    found = apply_model(model_of(adjusted), batched).table
    expected = adjusted.model.predict_proba(adjusted.expression.design)
    np.testing.assert_allclose(found[["prob_normal", "prob_tumour"]], expected, atol=1e-12)
    frame = pd.read_csv(batched)
    frame.drop(columns="age").to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(InputError, match="'age' not found"):
        apply_model(model_of(adjusted), tmp_path / "a.csv")
    frame.assign(batch=frame["batch"] + 1).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(InputError, match="covariate 'batch' has the level '3'; known are '1', '2'"):
        apply_model(model_of(adjusted), tmp_path / "b.csv")


def test_numbers_are_adjusted_for_too(batched: Path) -> None:
    study = run_study(read(batched, target="age", task="regression", covariates=["batch"]), QUICK)
    assert np.isfinite(study.score.r2.mean)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["bach"], "column 'bach' not found; did you mean 'batch'"),
        (["class"], "is the target or the group"),
        (["sample name"], "not found"),
    ],
)
def test_bad_covariates_are_sentences(names: list[str], sentence: str, batched: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        read(batched, target="class", covariates=names)


def test_columns_that_are_no_covariates() -> None:
    table = pd.DataFrame({"one": ["x"] * 12, "many": [f"p{i}" for i in range(12)], "age": np.arange(12) + 0.5})
    with pytest.raises(InputError, match="'one' holds one value only"):
        choose_covariates(table, ["one"])
    with pytest.raises(InputError, match="'many' has 12 levels"):
        choose_covariates(table, ["many"])
    with pytest.raises(InputError, match="covariate 'ages' not found; did you mean 'age'"):
        choose_covariates(table, ["ages"])
    broken = table.astype({"age": object})
    broken.loc[3, "age"] = "old"
    with pytest.raises(InputError, match="sample 3: covariate 'age' is 'old', no number"):
        encode([Covariate("age", ())], broken)
