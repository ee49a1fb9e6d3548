"""A saved model predicts what the fitted pipeline predicts, by gene name, and refuses what does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spred.errors import InputError
from spred.genes import Settings, Study, apply_model, read, run_study, write_study
from spred.genes.application import predict_samples
from spred.genes.data.expression import Expression, Table
from spred.genes.saved_model import model_of
from spred.report.spreadsheet import to_csv


@pytest.fixture(scope="module")
def folder(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(study, tmp_path_factory.mktemp("model") / "out")


@pytest.fixture
def new(frame: pd.DataFrame) -> pd.DataFrame:
    """Forty new samples of the same kind."""
    values = frame.iloc[:, 3:] + 0.1 * np.random.default_rng(5).normal(size=(40, 30))
    return pd.concat([frame[["class"]], values], axis=1).set_axis([f"n{i}" for i in range(40)], axis=0)


def saved(new: pd.DataFrame, folder: Path, name: str = "new.csv") -> Path:
    new.to_csv(folder / name, index_label="sample")
    return folder / name


def test_a_table_needs_no_file(study: Study, new: pd.DataFrame) -> None:
    values = new.drop(columns="class")
    table = Table(values.to_numpy(), list(new.index), list(values.columns), new[["class"]])
    found = predict_samples(model_of(study), table, target="class")
    expected = study.model.predict_proba(values.to_numpy())
    np.testing.assert_allclose(found.table[["prob_normal", "prob_tumour"]], expected, atol=1e-12)
    assert found.n_scored == 40


def test_the_file_predicts_as_the_pipeline_does(folder: Path, study: Study, new: pd.DataFrame, tmp_path: Path) -> None:
    found = apply_model(folder, saved(new, tmp_path), target="class")
    expected = study.model.predict_proba(new.drop(columns="class").to_numpy())
    np.testing.assert_allclose(found.table[["prob_normal", "prob_tumour"]], expected, atol=1e-12)
    assert list(found.table["true"]) == list(new["class"])
    assert found.score is not None
    assert found.score > 0.85
    assert found.n_scored == 40


def test_genes_are_matched_by_name_whichever_way_round(folder: Path, new: pd.DataFrame, tmp_path: Path) -> None:
    plain = apply_model(folder, saved(new, tmp_path)).table
    mixed = new.drop(columns="class").iloc[:, ::-1].assign(extra=1.0)
    turned = mixed.T.assign(symbol="x")
    turned.to_csv(tmp_path / "turned.csv", index_label="gene")
    for path in (saved(mixed, tmp_path, "mixed.csv"), tmp_path / "turned.csv"):
        pd.testing.assert_frame_equal(apply_model(folder, path).table, plain)


def test_gaps_take_the_training_median(folder: Path, study: Study, new: pd.DataFrame, tmp_path: Path) -> None:
    values = new.drop(columns="class").mask(np.random.default_rng(0).random((40, 30)) < 0.1)
    found = apply_model(folder, saved(values, tmp_path)).table
    expected = study.model.predict_proba(values.to_numpy())
    np.testing.assert_allclose(found[["prob_normal", "prob_tumour"]], expected, atol=1e-12)


def test_missing_genes_are_named(folder: Path, new: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"new\.csv: 1 gene of the \d+ of the model not found: 'G0'") as raised:
        apply_model(folder, saved(new.drop(columns="G0"), tmp_path))
    assert "(the file has 'G1', 'G2', 'G3' and 26 more)" in str(raised.value)
    assert "run spred genes again on the genes that both files have" in str(raised.value)


def test_another_scale_is_refused_unless_it_is_said(folder: Path, new: pd.DataFrame, tmp_path: Path) -> None:
    values = new.drop(columns="class")
    raw = saved(2**values - 1, tmp_path, "raw.csv")
    with pytest.raises(
        InputError, match="look like raw intensities, and the model was made from logarithms; say --log2"
    ):
        apply_model(folder, raw)
    plain = apply_model(folder, saved(values, tmp_path)).table
    pd.testing.assert_frame_equal(apply_model(folder, raw, log2=True).table, plain, atol=1e-6)


def test_training_samples_are_not_scored(folder: Path, csv_file: Path) -> None:
    with pytest.raises(InputError, match="selected on 40 samples of these"):
        apply_model(folder, csv_file, target="class")
    assert len(apply_model(folder, csv_file).table) == 40


def test_the_truth_must_fit(folder: Path, new: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'tissue' not found"):
        apply_model(folder, saved(new, tmp_path), target="tissue")
    strange = new.replace({"class": {"tumour": "cyst"}})
    with pytest.raises(InputError, match="the data hold 'cyst' too"):
        apply_model(folder, saved(strange, tmp_path), target="class")
    some = new.assign(**{"class": new["class"].where(np.arange(40) < 30)})
    assert apply_model(folder, saved(some, tmp_path), target="class").n_scored == 30


def test_a_number_is_predicted_and_scored(numbers_study: Study, new: pd.DataFrame, tmp_path: Path) -> None:
    dose = 3 * new["G0"] - 20
    found = apply_model(model_of(numbers_study), saved(new.assign(dose=dose), tmp_path), target="dose")
    assert list(found.table.columns) == ["sample", "true", "predicted"]
    assert found.score is not None
    assert found.score > 0.8


def test_three_classes_and_no_gene(expression: Expression, new: pd.DataFrame, tmp_path: Path) -> None:
    target = expression.target.copy()
    target[(expression.values[:, 5] > 8.5) & (target == "normal")] = "other"
    three = run_study(replace(expression, target=target, group=None), Settings(n_alphas=8, folds=3))
    values = new.drop(columns="class")
    found = apply_model(model_of(three), saved(values, tmp_path)).table
    np.testing.assert_allclose(found.filter(like="prob_"), three.model.predict_proba(values.to_numpy()), atol=1e-12)
    model = model_of(three)
    empty = replace(model, genes=[], medians=[], coef=[[], [], []])
    assert apply_model(empty, tmp_path / "new.csv").table["predicted"].nunique() == 1


def test_names_that_a_spreadsheet_would_compute(frame: pd.DataFrame, tmp_path: Path) -> None:
    evil = {"G0": "=G0", "G1": "-G1", "G2": "@G2", "class": "+class", "sample": "sample"}
    data = frame.drop(columns="patient").rename(columns=evil)
    data["sample"], data["+class"] = "=" + data["sample"], "-" + data["+class"]
    data.to_csv(tmp_path / "raw.csv", index=False)
    study = run_study(read(tmp_path / "raw.csv", target="+class"), Settings(n_alphas=10, folds=3))
    out = write_study(study, tmp_path / "out")
    for name in ("genes.csv", "predictions.csv"):
        cells = pd.read_csv(out / name, dtype=str, header=None).to_numpy().ravel()
        assert not [c for c in cells if str(c)[:1] in "=+@"], name
    assert {"'=G0", "'-G1"} <= set(pd.read_csv(out / "genes.csv")["gene"])
    (tmp_path / "guarded.csv").write_text(to_csv(data))
    plain, safe = (apply_model(out, tmp_path / f"{name}.csv").table for name in ("raw", "guarded"))
    pd.testing.assert_frame_equal(plain, safe)
    assert plain["sample"][0] == "=s0"
    assert set(plain["predicted"]) == {"-normal", "-tumour"}


def test_a_value_too_large_to_compute_with_is_named(study: Study, new: pd.DataFrame) -> None:
    values = new.drop(columns="class")
    values.iloc[3, 0] = 1e308
    table = Table(values.to_numpy(), list(new.index), list(values.columns), new[["class"]])
    with pytest.raises(InputError, match="sample 'n3', gene 'G0': the value is 1e\\+308"):
        predict_samples(model_of(study), table)
