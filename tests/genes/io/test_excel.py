"""Workbooks give the same table as text."""

from __future__ import annotations

import random
import zipfile
from datetime import datetime, time, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from genes_files import assert_fails, assert_same

from spred.errors import FileError, InputError
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


def test_dates_times_and_yes_or_no_are_annotations(tmp_path: Path, frame: pd.DataFrame, expression: Expression) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    dated = frame.assign(
        day=pd.date_range("2020-01-05", periods=40),
        at=[time(9, i) for i in range(40)],
        lasted=[timedelta(hours=i) for i in range(40)],
        treated=[True, None] * 20,
    )
    book = openpyxl.Workbook()
    for row in [list(dated.columns), *dated.astype(object).to_numpy().tolist()]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    found = read(tmp_path / "a.xlsx", target="class", group="patient")
    assert_same(found, expression)
    assert list(found.table.columns) == ["class", "patient", "day", "at", "lasted", "treated"]
    assert found.table["day"].iloc[0] == "2020-01-05"
    assert found.table["treated"].tolist()[:1] == ["True"]


def test_a_date_among_numbers_is_named(tmp_path: Path, frame: pd.DataFrame) -> None:
    pytest.importorskip("openpyxl")
    broken = frame.astype({"G1": object})
    broken.loc[3, "G1"] = datetime(2020, 3, 1)  # Excel's idea of "1/3" or "3.1"
    broken.to_excel(tmp_path / "a.xlsx", index=False)
    assert_fails(tmp_path / "a.xlsx", "row 's3', column 'G1': '2020-03-01' is not a number", target="class")


def test_a_title_and_cells_without_a_heading(tmp_path: Path, frame: pd.DataFrame, expression: Expression) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [["My table"], [], list(frame.columns), *frame.to_numpy().tolist()]:
        book.active.append(row)
    book.active["AJ5"] = "a remark"
    book.save(tmp_path / "a.xlsx")
    found = read(tmp_path / "a.xlsx", target="class", group="patient")
    assert_same(found, expression)
    assert found.notes[0] == "Left out above the header: 'My table'."


def test_damaged_workbooks_are_refused_or_read(tmp_path: Path, frame: pd.DataFrame) -> None:
    pytest.importorskip("openpyxl")
    frame.iloc[:6, :6].to_excel(tmp_path / "whole.xlsx", index=False)
    rng, refused = random.Random(0), 0
    with zipfile.ZipFile(tmp_path / "whole.xlsx") as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    for _ in range(60):
        broken = rng.choice(sorted(parts))
        place = rng.randrange(len(parts[broken]))
        content = parts[broken][:place] + bytes([rng.randrange(256)]) * rng.randrange(3) + parts[broken][place + 2 :]
        with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as book:
            for name, part in parts.items():
                book.writestr(name, content if name == broken else part)
        try:
            read(tmp_path / "a.xlsx", target="class")
        except InputError:
            refused += 1
    assert 10 < refused < 60


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
