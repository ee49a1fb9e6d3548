"""Excel workbooks (.xlsx), their first sheet laid out as a CSV file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from spred.errors import FileError, InputError
from spred.genes.data.expression import Table
from spred.genes.io.tables import Request, from_frame
from spred.report.wording import label
from spred.runtime.extras import extra

GAPS = ("NA", "N/A", "NaN", "nan", "null", "NULL", "")
"""What stands for a missing cell in a sheet; pandas knows these in text files."""


def read_excel(path: Path, request: Request) -> Table:
    """Read the first sheet of an Excel file, laid out as a CSV file; columns asked for by name stay text."""
    openpyxl = extra("openpyxl")
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, KeyError, ValueError) as err:
        raise FileError("this is no Excel file (.xlsx), or it is damaged; save it again") from err
    sheet = book.worksheets[0]
    rows = [list(row) for row in sheet.iter_rows(values_only=True) if any(cell is not None for cell in row)]
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
