"""Text files: their encoding, separator and decimal sign, and the rows as a frame.

What a column means decides how it is parsed (``001`` is a patient, not the number 1), so the names of the columns that
stay text are asked for.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO, TypeVar

import numpy as np
import pandas as pd

from spred.errors import FileError, InputError
from spred.genes.io.tables import sample_names

T = TypeVar("T")

CHECKED_ROWS = 20
"""Rows that decide the decimal sign."""

SHORT = 1000
"""Columns up to which pandas reads in pieces, with a third less memory; with longer rows it would be far slower.
``python benchmarks/reading.py`` measures both."""

DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")
DECIMAL_POINT = re.compile(r"[-+]?\d*\.\d+([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Layout:
    """How separated text is written.

    Attributes:
        header: the names of the columns; empty for row names that have none.
        separator: between cells.
        decimal: the decimal sign, a point or a comma.
        n_before: lines up to the end of the header: comments, and the header itself.
    """

    header: list[str]
    separator: str
    decimal: str
    n_before: int


def layout_of(path: Path, encoding: str) -> Layout:
    """Find out how a text file is written; lines that begin with ``#`` before the header are comments.

    A header that lacks the cell above the row names is given one.
    """
    with open_text(path, encoding) as lines:
        n_before, first = 1, lines.readline()
        while first.startswith("#"):
            n_before, first = n_before + 1, lines.readline()
        rows = list(islice(lines, CHECKED_ROWS))
    if not first.strip():
        raise InputError("the table is empty")
    separator = separator_of(first)
    header, *cells = ([*next(csv.reader([line.rstrip("\r\n")], delimiter=separator), [])] for line in (first, *rows))
    if cells and len(cells[0]) == len(header) + 1:
        header = ["", *header]
    found = [cell.strip() for row in cells for cell in row]
    commas, points = (
        sum(sign.fullmatch(cell) is not None for cell in found) for sign in (DECIMAL_COMMA, DECIMAL_POINT)
    )
    return Layout([name.strip() for name in header], separator, "," if commas > points else ".", n_before)


def separator_of(header: str) -> str:
    """Return what stands between the cells: a tab if there is one, else a comma or semicolon, else a blank.

    >>> separator_of("sample,HLA-A"), separator_of('"class" "TP53"')
    (',', ' ')
    """
    if "\t" in header:
        return "\t"
    frequent = max(",;", key=header.count)
    return frequent if frequent in header else " "


def delimited(path: Path, layout: Layout, *, text: set[str] | None, encoding: str) -> pd.DataFrame:
    """Read the rows of separated text as a frame with columns 0, 1, …; repeated names stay as they are.

    The first column and those in ``text`` stay text; with ``text=None`` all do. Rows without any cell filled are left
    out.
    """
    as_text: object = str
    if text is not None:
        as_text = {i: str for i, name in enumerate(layout.header) if i == 0 or name in text}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.DtypeWarning)  # columns of mixed types are checked cell by cell
            frame = pd.read_csv(
                path,
                sep=layout.separator,
                decimal=layout.decimal,
                header=None,
                skiprows=layout.n_before,
                dtype=as_text,
                encoding=encoding,
                low_memory=len(layout.header) <= SHORT,
            )
    except pd.errors.EmptyDataError as err:
        raise InputError("the table is empty: there is nothing below its header") from err
    except pd.errors.ParserError as err:
        raise FileError(f"the rows are not equally long: {str(err).rsplit('error: ')[-1].strip()}") from err
    if frame.shape[1] != len(layout.header):
        raise FileError(f"the header has {len(layout.header)} cells but the rows have {frame.shape[1]}")
    unnamed = np.flatnonzero(frame[0].isna())
    if not len(unnamed):
        return frame
    blank = unnamed[frame.iloc[unnamed].isna().all(axis=1)]
    return frame.drop(index=blank).reset_index(drop=True)


def open_text(path: Path, encoding: str) -> TextIO:
    """Open text, compressed or not."""
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding=encoding)
    return path.open(encoding=encoding)


def in_some_encoding(path: Path, read: Callable[[str], T]) -> tuple[T, str | None]:
    """Read text as UTF-8 (UTF-16 if it says so), else as Windows-1252 or Latin-1; in that case return a note too."""
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    with opened(path, "rb") as file:
        wide = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    try:
        return read("utf-16" if wide else "utf-8-sig"), None
    except UnicodeDecodeError:
        pass
    try:
        found, name = read("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        found, name = read("latin-1"), "Latin-1"  # it takes every byte
    note = f"{path.name} is not UTF-8; it was read as {name}, so check the accents and Greek letters in names."
    return found, note


def read_text(path: Path, text: set[str] | None, encoding: str) -> tuple[Layout, pd.DataFrame]:
    """Find out how a text file is written, and read its rows; see :func:`delimited`."""
    layout = layout_of(path, encoding)
    return layout, delimited(path, layout, text=text, encoding=encoding)


def rows_of_table(
    lines: TextIO, header: list[str], end: str, *, columns: list[int] | None = None, quoting: int = csv.QUOTE_NONE
) -> pd.DataFrame:
    """Parse the rows of a GEO table up to the line ``end``, with columns 0, 1, …; names stay text."""
    names = [0, *(i for i, name in enumerate(header) if name == "IDENTIFIER")]
    with warnings.catch_warnings():
        # In pieces, a third less memory; a column with a word in it then has mixed types, and numbers() finds the word.
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)
        frame = pd.read_csv(
            lines,
            sep="\t",
            header=None,
            index_col=False,
            names=list(range(len(header))),
            usecols=None if columns is None else [*names, *columns],
            dtype=dict.fromkeys(names, str),
            quoting=quoting,
            low_memory=True,
        )
    if frame.empty or frame[0].iloc[-1] != end:
        raise FileError(f"the file ends before {end!r}: it is cut short; download it again")
    return frame.iloc[:-1]


def read_labels(path: Path) -> pd.DataFrame:
    """Read a labels file: sample names first, then one column an annotation."""
    layout, frame = in_some_encoding(path, lambda encoding: read_text(path, None, encoding))[0]
    header = layout.header
    if len(header) < 2:
        raise InputError("a labels file needs two columns at least: the sample and its label")
    names = sample_names(frame[0])
    return frame.drop(columns=0).set_axis(header[1:], axis=1).set_axis(names, axis=0)
