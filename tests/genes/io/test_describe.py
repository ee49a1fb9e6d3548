"""A description says what a file holds before anything is chosen from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spred.errors import FileError
from spred.genes import describe
from spred.genes.data.checks import find_duplicates
from spred.genes.io.describe import sentences


def test_samples_genes_and_levels(csv_file: Path) -> None:
    found = describe(csv_file)
    assert (found.name, found.n_samples, found.n_genes, found.n_symbols) == ("small", 40, 30, 0)
    assert {c.name: c.levels for c in found.columns}["class"] == {"normal": 20, "tumour": 20}
    assert found.values is not None
    assert not found.values.raw
    assert found.values.n_cells == 1200
    assert found.duplicates == ()


def test_gaps_and_negative_values_are_counted(tmp_path: Path, frame: pd.DataFrame) -> None:
    holes = frame.copy()
    holes.loc[3, "G1"] = np.nan
    holes.loc[4, "G2"] = -1.0
    holes.loc[5, "class"] = None
    holes.to_csv(tmp_path / "a.csv", index=False)
    found = describe(tmp_path / "a.csv")
    assert found.values is not None
    assert (found.values.n_missing, found.values.n_negative) == (1, 1)
    assert {c.name: c.missing for c in found.columns}["class"] == 1
    assert any("; 1 missing" in line for line in sentences(found))


def test_genes_in_rows_are_recognised_without_labels(tmp_path: Path, frame: pd.DataFrame) -> None:
    table = frame.set_index("sample").filter(like="G").iloc[:8].T
    table.insert(0, "symbol", [f"S{j}" for j in range(30)])
    table.to_csv(tmp_path / "g.csv", index_label="gene")
    found = describe(tmp_path / "g.csv")
    assert (found.n_samples, found.n_genes, found.n_symbols) == (8, 30, 30)
    assert "There is no sample table" in sentences(found)[-1]


def test_labels_are_described_too(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.drop(columns=["class", "patient"]).to_csv(tmp_path / "g.csv", index=False)
    frame[["sample"]].assign(age=np.arange(40) + 0.5, dose=1).to_csv(tmp_path / "l.csv", index=False)
    text = "\n".join(sentences(describe(tmp_path / "g.csv", labels=tmp_path / "l.csv")))
    assert "age   numbers from 0.5 to 39.5, median 20" in text
    assert "dose  1 level: 1 (40)" in text


def test_long_columns_are_cut(tmp_path: Path, frame: pd.DataFrame) -> None:
    ids = frame.assign(note=[f"n{i}" for i in range(40)], patient="p" + frame["patient"])
    ids.to_csv(tmp_path / "a.csv", index=False)
    text = "\n".join(sentences(describe(tmp_path / "a.csv")))
    assert "40 values, all different" in text
    assert "20 levels: p000 (2), " in text
    assert "and 12 more" in text


def test_samples_measured_twice_are_reported(tmp_path: Path, frame: pd.DataFrame) -> None:
    copied = frame.copy()
    copied.loc[7, copied.columns[2:]] = copied.loc[2, copied.columns[2:]]
    copied.to_csv(tmp_path / "a.csv", index=False)
    found = describe(tmp_path / "a.csv")
    assert found.duplicates == (("s2", "s7"),)
    assert any("s2 = s7" in line for line in sentences(found))


def test_duplicates_of_rows() -> None:
    rows = np.array([[1.0, 2.0], [1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    assert find_duplicates(rows) == [(0, 1), (0, 3)]


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        describe(tmp_path / "a.csv")


def test_whole_numbers_among_the_genes_stand_out(tmp_path: Path, frame: pd.DataFrame) -> None:
    last = frame[[*(c for c in frame.columns if c != "patient"), "patient"]]
    last.to_csv(tmp_path / "a.csv", index=False)
    found = describe(tmp_path / "a.csv")
    assert found.counts == ("patient",)
    assert any("perhaps no genes: 'patient'" in line for line in sentences(found))
    many = last.assign(**{f"N{j}": np.arange(len(last)) for j in range(20)})
    many.to_csv(tmp_path / "a.csv", index=False)
    assert describe(tmp_path / "a.csv").counts == ()


def test_a_long_sample_table_is_cut(tmp_path: Path, frame: pd.DataFrame) -> None:
    words = frame.assign(**{f"note {j}": "x" for j in range(60)})
    words.to_csv(tmp_path / "a.csv", index=False)
    lines = sentences(describe(tmp_path / "a.csv"))
    assert lines[-1] == "  and 22 more"
