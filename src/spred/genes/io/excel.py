"""Excel workbooks (.xlsx), their first sheet laid out as a CSV file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spred.errors import FileError, InputError
from spred.genes.data.expression import Table
from spred.genes.io.tables import Request, from_frame, written
from spred.genes.io.text import CHECKED_ROWS
from spred.report.wording import label, some
from spred.runtime.extras import extra
from spred.runtime.files.limits import check_size, memory_limit

GAPS = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"),
    *("N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
"""What stands for a missing cell in a sheet: the words that pandas takes for one in text files."""

TITLE_CELLS, TABLE_CELLS = 1, 3
"""A row of one cell is a title where two rows of three or more follow each other below."""

CELL = 8
"""Bytes of an empty cell in a list of cells."""


def read_excel(path: Path, request: Request) -> Table:
    """Read the first sheet of an Excel file, laid out as a CSV file; columns asked for by name stay text."""
    sheets, rows = read_sheets(path)
    if not rows:
        raise InputError(f"the sheet {sheets[0]!r} is empty")
    rows, notes = without_title(rows)
    width = max(map(len, rows))
    header = ["" if name is None else label(written(name)) for name in rows[0]] + [""] * (width - len(rows[0]))
    frame = pd.DataFrame([row + [None] * (width - len(row)) for row in rows[1:]], columns=range(width), dtype=object)
    frame = frame.replace(list(GAPS), np.nan).infer_objects()
    asked = [i for i, name in enumerate(header) if i == 0 or name in request.columns]
    frame[asked] = frame[asked].map(lambda cell: label(written(cell)), na_action="ignore").astype(object)
    table = from_frame(header, frame, request)
    if len(sheets) > 1:
        notes.insert(0, f"The sheet {sheets[0]!r} was read; there are {len(sheets)} in the file.")
    return replace(table, notes=[*notes, *table.notes])


def read_sheets(path: Path) -> tuple[list[str], list[list[Any]]]:
    """Return the names of the sheets, and the rows of the first one that hold anything."""
    openpyxl = extra("openpyxl")
    try:
        with path.open("rb") as file, warnings.catch_warnings():  # openpyxl leaves a damaged file open
            warnings.simplefilter("ignore", UserWarning)  # of styles and checks of cells, which are not read
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            with closing(book):
                rows = [row for row in rows_of(book.worksheets[0]) if row]
                first = book.worksheets[0].title
                names = [first, *(name for name in book.sheetnames if name != first)]
    except (FileError, MemoryError, PermissionError):
        raise
    except Exception as err:  # damaged bytes end in errors of every kind: of zip, of XML, and of what openpyxl expects
        raise FileError("this is no Excel file (.xlsx), or it is damaged; save it again") from err
    return names, rows


def without_title(rows: list[list[Any]]) -> tuple[list[list[Any]], list[str]]:
    """Leave out the rows of one cell above a table, and return a note of them."""
    filled = [sum(cell is not None for cell in row) for row in rows[: CHECKED_ROWS + 1]]
    tables = [i for i, (a, b) in enumerate(pairwise(filled)) if min(a, b) >= TABLE_CELLS]
    first = next((i for i, n in enumerate(filled) if n > TITLE_CELLS), 0)
    if not first or not tables or tables[0] != first:
        return rows, []
    title = [str(cell) for row in rows[:first] for cell in row if cell is not None]
    return rows[first:], [f"Left out above the header: {some(title)}."]


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
