"""Excel workbooks (.xlsx), their first sheet laid out as a CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from spred.errors import FileError, InputError
from spred.genes.data.expression import Table
from spred.genes.io.tables import Request, from_frame
from spred.report.wording import label
from spred.runtime.extras import extra
from spred.runtime.limits import check_size, memory_limit

GAPS = ("NA", "N/A", "NaN", "nan", "null", "NULL", "")
"""What stands for a missing cell in a sheet; pandas knows these in text files."""

CELL = 8
"""Bytes of an empty cell in a list of cells."""


def read_excel(path: Path, request: Request) -> Table:
    """Read the first sheet of an Excel file, laid out as a CSV file; columns asked for by name stay text."""
    openpyxl = extra("openpyxl")
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, KeyError, ValueError) as err:
        raise FileError("this is no Excel file (.xlsx), or it is damaged; save it again") from err
    sheet = book.worksheets[0]
    rows = [row for row in rows_of(sheet) if row]
    width = max(map(len, rows), default=0)
    rows = [row + [None] * (width - len(row)) for row in rows]
    book.close()
    if not rows:
        raise InputError(f"the sheet {sheet.title!r} is empty")
    header = ["" if name is None else str(name).strip() for name in rows[0]]
    frame = pd.DataFrame(rows[1:]).replace(list(GAPS), np.nan)
    asked = [i for i, name in enumerate(header) if i == 0 or name in request.columns]
    frame = frame.infer_objects()
    frame[asked] = frame[asked].map(label, na_action="ignore").astype(object)
    table = from_frame(header, frame, request)
    if len(book.sheetnames) == 1:
        return table
    note = f"The sheet {sheet.title!r} was read; there are {len(book.sheetnames)} in the file."
    return replace(table, notes=[note, *table.notes])


def rows_of(sheet: Any) -> Iterator[list[Any]]:
    """Give the rows of a sheet without the empty cells at their ends.

    A format that was given to whole columns makes a sheet of 1,048,576 rows, and each would be as wide as the widest.
    """
    sheet.reset_dimensions()
    limit = memory_limit()
    width = n_rows = 0
    for cells in sheet.iter_rows(values_only=True):
        end = next((i for i in range(len(cells), 0, -1) if cells[i - 1] is not None), 0)
        width, n_rows = max(width, end), n_rows + (end > 0)
        if CELL * width * n_rows > limit:
            check_size(CELL * width * n_rows, f"the sheet {sheet.title!r}")
        yield list(cells[:end])
