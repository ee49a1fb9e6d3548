"""Symbols find their probes, and probes become genes on the scale of the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from platforms import GEO, platform

from spred.errors import FileError, InputError
from spred.genes import Settings, apply_model, read, run_study
from spred.genes.data.probes import collapse_probes, group_means, most_variable
from spred.genes.saved_model import model_of

VALUES = np.array([[1.0, 3.0, 9.0, 9.0, 4.0], [3.0, 7.0, 9.0, 9.0, np.nan]])

PROBES = ["p1", "p2", "p3", "p4", "p5"]

SYMBOLS = ["TP53", "TP53", "MYC /// TP53", "", "EGFR"]


def data(folder: Path, *, factor: float = 1.0) -> Path:
    """Twelve samples, five probes on a raw scale; both probes of TP53 tell the classes apart."""
    rng = np.random.default_rng(0)
    rows = ["sample,class,p1,p2,p3,p4,p5"]
    for i in range(12):
        logs = 9 + rng.normal(size=5) * 0.3 + np.array([2.0, 2.0, 0, 0, 0]) * (i % 2)
        rows.append(f"s{i},{'ab'[i % 2]}," + ",".join(f"{factor * 2**v:.3f}" for v in logs))
    (folder / "data.csv").write_text("\n".join(rows))
    return folder / "data.csv"


def test_symbols_stand_beside_the_probes(tmp_path: Path) -> None:
    found = read(data(tmp_path), target="class", annotation=platform(tmp_path))
    assert list(found.symbols) == SYMBOLS
    assert any("4 probes of 5 a gene symbol; 1 of them name several" in note for note in found.notes)


def test_the_annotation_of_another_platform_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of the probes \('p1', 'p2', 'p3' and 2 more\) has a symbol"):
        read(data(tmp_path), target="class", annotation=platform(tmp_path, GEO.replace("\np", "\nq")))
    with pytest.raises(FileError, match=r"GPL2\.annot: no such file"):
        read(data(tmp_path), target="class", annotation=tmp_path / "GPL2.annot")


def test_the_mean_of_probes_leaves_gaps_out() -> None:
    made = collapse_probes(VALUES, PROBES, SYMBOLS, "mean", log2=False)
    assert made.genes == ["TP53", "EGFR"]
    np.testing.assert_array_equal(made.values, [[2.0, 4.0], [5.0, np.nan]])
    assert made.note == "3 probes collapsed to 2 genes by mean; 2 with no symbol or several left out."


def test_the_mean_of_intensities_is_that_of_their_logarithms() -> None:
    made = collapse_probes(np.array([[3.0, 15.0]]), ["p1", "p2"], ["A", "A"], "mean", log2=True)
    np.testing.assert_allclose(np.log2(1 + made.values), [[3.0]])


def test_the_most_variable_probe_keeps_its_name() -> None:
    made = collapse_probes(VALUES, PROBES, SYMBOLS, "variance", log2=False)
    assert (made.genes, made.symbols) == (["p2", "p5"], ["TP53", "EGFR"])
    np.testing.assert_array_equal(made.values, VALUES[:, [1, 4]])


def test_groups_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    values, codes = rng.normal(size=(6, 40)), np.concatenate([np.arange(9), rng.integers(9, size=31)])
    means = [values[:, codes == g].mean(axis=1) for g in range(9)]
    np.testing.assert_allclose(group_means(values, codes, 9), np.transpose(means))
    best = [max(np.flatnonzero(codes == g), key=lambda j: values[:, j].var()) for g in range(9)]
    assert most_variable(values, codes, 9).tolist() == best


def test_what_cannot_be_collapsed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.csv: the file has no gene symbols"):
        read(data(tmp_path), target="class", collapse="mean")
    with pytest.raises(InputError, match="did you mean 'mean'"):
        read(data(tmp_path), target="class", collapse="means")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no probe has exactly one"):
        collapse_probes(VALUES[:, 2:4], PROBES[2:4], SYMBOLS[2:4], "mean", log2=False)


@pytest.mark.parametrize("how", ["mean", "variance"])
def test_a_model_of_genes_predicts_from_probes(how: str, tmp_path: Path) -> None:
    annotation = platform(tmp_path)
    path = data(tmp_path)
    study = run_study(read(path, target="class", annotation=annotation, collapse=how), Settings(n_alphas=5, folds=2))
    assert study.expression.collapse == how
    assert set(study.genes["gene"]) <= {"TP53", "EGFR"} if how == "mean" else set(study.genes["gene"]) <= set(PROBES)
    found = apply_model(model_of(study), path, annotation=annotation).table
    expected = study.model.predict_proba(study.expression.values)
    np.testing.assert_allclose(found[["prob_a", "prob_b"]], expected, atol=1e-9)
    if how == "mean":
        with pytest.raises(InputError, match="of the model not found: 'TP53'"):
            apply_model(model_of(study), path)
