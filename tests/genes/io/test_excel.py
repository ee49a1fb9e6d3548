"""Workbooks give the same table as text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from genes_files import assert_fails, assert_same

from spred.errors import FileError
from spred.genes import Expression, read


def test_excel(tmp_path: Path, frame: pd.DataFrame, expression: Expression) -> None:
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter(tmp_path / "a.xlsx") as book:
        frame.to_excel(book, sheet_name="values", index=False)
        frame.head(1).to_excel(book, sheet_name="notes", index=False)
    found = read(tmp_path / "a.xlsx", target="class", group="patient")
    np.testing.assert_array_equal(found.values, expression.values)
    assert list(found.group) == list(expression.group)
    assert list(found.target) == list(expression.target)
    assert found.notes[0] == "The sheet 'values' was read; there are 2 in the file."


def test_excel_with_gaps_and_genes_in_rows(tmp_path: Path, frame: pd.DataFrame, expression: Expression) -> None:
    pytest.importorskip("openpyxl")
    table = frame.drop(columns=["class", "patient"]).set_index("sample").T.astype(object)
    table.iloc[2, 3], table.iloc[4, 5] = "NA", None
    table.to_excel(tmp_path / "g.xlsx")
    frame[["sample", "class"]].to_csv(tmp_path / "l.csv", index=False)
    found = read(tmp_path / "g.xlsx", labels=tmp_path / "l.csv")
    assert np.argwhere(np.isnan(found.values)).tolist() == [[3, 2], [5, 4]]
    np.testing.assert_allclose(np.nan_to_num(found.values[0]), expression.values[0])


def test_a_broken_excel_file(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    (tmp_path / "a.xlsx").write_text("hello")
    with pytest.raises(FileError, match="no Excel file"):
        read(tmp_path / "a.xlsx", target="class")


def test_a_sheet_whose_last_cell_was_touched_is_read_at_once(
    tmp_path: Path, frame: pd.DataFrame, expression: Expression
) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    book.active.cell(100_000, 16_384).font = openpyxl.styles.Font(bold=True)
    book.save(tmp_path / "b.xlsx")
    assert_same(read(tmp_path / "b.xlsx", target="class", group="patient"), expression)


def test_a_sheet_of_more_cells_than_the_memory_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for _ in range(40):
        sheet.append([None] * 16_383 + [1])
    book.save(tmp_path / "a.xlsx")
    monkeypatch.setenv("SPRED_MEMORY_LIMIT", "4M")
    assert_fails(tmp_path / "a.xlsx", "the sheet 'Sheet' would take .* of memory")
