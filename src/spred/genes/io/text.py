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
from dataclasses import dataclass, replace
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO, TypeVar

import numpy as np
import pandas as pd

from spred.errors import FileError, InputError
from spred.genes.io.rows import CountedRows
from spred.genes.io.tables import GENE_HEADERS, SAMPLE_HEADERS, sample_names, with_text
from spred.report.spreadsheet import unguarded
from spred.report.wording import some

T = TypeVar("T")

CHECKED_ROWS = 20
"""Rows that decide the decimal sign, and whether the lines above them are a title."""

MOST_TITLES = 10
"""Lines of a title above a header."""

TITLE_CELLS = 3
"""A line of a title fills one cell, or one in so many of the columns: "Date:", and the date. A header fills more."""

SHORT = 1000
"""Columns up to which pandas reads in pieces, with a third less memory; with longer rows it would be far slower.
``python benchmarks/reading.py`` measures both."""

DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")
DECIMAL_POINT = re.compile(r"[-+]?\d*\.\d+([eE][-+]?\d+)?")
NAME = re.compile(
    r"|.*(sample|patient|subject|donor|name|gene|probe|symbol|barcode|array|accession).*|(.*[\W_])?id|rowid", re.I
)
"""A heading of names. Where it is the first, no cell above the names is missing."""

IN_QUOTES = re.compile(r'"[^"]*"')
LINE_BREAKS = re.compile(r"\s*[\r\n]+\s*")


@dataclass(frozen=True)
class Layout:
    """How separated text is written.

    Attributes:
        header: the names of the columns; empty for row names that have none.
        separator: between cells.
        decimal: the decimal sign, a point or a comma.
        n_before: lines up to the end of the header: comments, a title, and the header itself.
        title: lines above the header that are no comments and no part of the table.
        extra: where the rows have a cell that the header lacks: at the corner, or at their end; "" if nowhere.
        notes: what was decided, in sentences.
    """

    header: list[str]
    separator: str
    decimal: str
    n_before: int
    title: tuple[str, ...] = ()
    extra: Literal["", "corner", "end"] = ""
    notes: tuple[str, ...] = ()


def layout_of(path: Path, encoding: str) -> Layout:
    """Find out how a text file is written; lines that begin with ``#`` before the header are comments.

    A header that lacks the cell above the row names is given one, and so is one that lacks an empty last cell.
    """
    with open_text(path, encoding) as lines:
        n_before, first = 0, lines.readline()
        while first.startswith("#") or (first and not is_filled(first)):
            n_before, first = n_before + 1, lines.readline()
        if not first:
            raise InputError("the table is empty")
        top = [first, *islice(lines, CHECKED_ROWS)]
        above = titles(top)
        separator = separator_of(*(text for _, text in records(top[above:])[:2]))
        reader = csv.reader(chain(top[above:], lines), delimiter=separator)
        try:
            names = [unguarded(LINE_BREAKS.sub(" ", name.strip())) for name in next(reader, [])]
            n_header = above + reader.line_num
            read = [(n_before + above + reader.line_num, row) for row in islice(reader, CHECKED_ROWS)]
        except csv.Error as err:
            line = n_before + above + reader.line_num
            raise FileError(f"line {line} cannot be parsed, {err}: close the quote that is open there") from err
    rows = {line: row for line, row in read if any(cell.strip() for cell in row)}
    found = [cell.strip() for row in rows.values() for cell in row]
    commas, points = (
        sum(sign.fullmatch(cell) is not None for cell in found) for sign in (DECIMAL_COMMA, DECIMAL_POINT)
    )
    layout = Layout(
        names,
        separator,
        "," if commas > points else ".",
        n_before + n_header,
        title=tuple(text for text in map(str.strip, top[:above]) if is_filled(text)),
    )
    line, first_row = next(iter(rows.items()), (0, names))
    if len(first_row) != len(names) + 1:
        return layout
    if all(row[-1] == "" for row in rows.values()):
        return replace(layout, header=[*names, ""], extra="end")
    return with_corner(layout, names, line)


def with_corner(layout: Layout, names: list[str], line: int) -> Layout:
    """Give the header the cell above the row names, unless its first cell is their name: then a row is too long."""
    if names[0].lower() in SAMPLE_HEADERS | GENE_HEADERS:
        n = len(names)
        raise FileError(
            f"line {line} has {n + 1} cells, and the header, which begins with {names[0]!r}, has {n}; correct the "
            "line, or name the column that the header lacks"
        )
    return replace(layout, header=["", *names], extra="corner")


def titles(top: list[str]) -> int:
    """Return how many lines stand above the header: few of their cells are filled, and rows that agree follow.

    >>> titles(["My table", "", "sample,class,TP53", "a,x,1"])
    2
    """
    found = [(i, text) for i, text in records(top) if is_filled(text)]
    for (i, header), (_, row) in pairwise(found):
        if i > MOST_TITLES:
            break
        separator = separator_of(header, row)
        width = n_cells(header, separator)
        named = header.split(separator, 1)[0].strip('" ').lower() in SAMPLE_HEADERS - {""}
        most = max(1, width // TITLE_CELLS)
        agree = n_cells(row, separator) - width in (0, 1) and (width > 2 or (width == 2 and named))
        if agree and n_filled(header, separator) > most:
            return i if all(n_filled(above, separator) <= most for above in top[:i]) else 0
    return 0


def n_cells(row: str, separator: str) -> int:
    """Return how many cells a row has."""
    return IN_QUOTES.sub("", row).count(separator) + 1


def n_filled(row: str, separator: str) -> int:
    """Return how many cells of a row hold anything."""
    return sum(bool(cell.strip()) for cell in IN_QUOTES.sub("text", row).split(separator))


def is_filled(line: str) -> bool:
    """Return whether a line holds anything but separators."""
    return bool(line.strip(" ,;\t\r\n"))


def records(lines: list[str]) -> list[tuple[int, str]]:
    """Return the rows of these lines with the number of the first line of each; quotes may hold line breaks.

    >>> records(['"a\\n', 'b",c\\n', 'x,1\\n'])
    [(0, '"a\\nb",c\\n'), (2, 'x,1\\n')]
    """
    rows: list[tuple[int, str]] = []
    is_open = False
    for i, line in enumerate(lines):
        if is_open:
            rows[-1] = (rows[-1][0], rows[-1][1] + line)
        else:
            rows.append((i, line))
        is_open ^= line.count('"') % 2 == 1
    return list(enumerate(lines)) if is_open else rows


def separator_of(header: str, row: str = "") -> str:
    """Return what stands between the cells: a tab if there is one, else a comma or semicolon, else a blank.

    A header of one cell has none; then the row below it shows the separator.

    >>> separator_of("sample,HLA-A"), separator_of('"class" "TP53"'), separator_of('"HLA-A,B,C";"TP53"')
    (',', ' ', ';')
    >>> separator_of("class", "s1,ALL")
    ','
    """
    outside = IN_QUOTES.sub("", header)
    if "\t" in outside:
        return "\t"
    frequent = max(",;", key=outside.count)
    if frequent in outside:
        return frequent
    return separator_of(row) if row and " " not in outside.strip() else " "


def delimited(path: Path, layout: Layout, *, text: set[str] | None, encoding: str) -> tuple[pd.DataFrame, CountedRows]:
    """Read the rows of separated text as a frame with columns 0, 1, …; repeated names stay as they are.

    The first column and those in ``text`` stay text; with ``text=None`` all do. Rows without any cell filled are left
    out. A row with another number of cells than the others is an error.
    """
    as_text: object = str
    if text is not None:
        as_text = {i: str for i, name in enumerate(layout.header) if i == 0 or name in text}
    with open_raw(path, encoding) as file:
        n_cells = len(layout.header) - bool(layout.extra)
        rows = CountedRows(file.read, layout.separator, n_cells, before=layout.n_before)
        frame = parse(
            rows,
            sep=layout.separator,
            decimal=layout.decimal,
            dtype=as_text,
            low_memory=len(layout.header) <= SHORT,
        )
    if frame.shape[1] != len(layout.header):
        raise FileError(f"the header has {len(layout.header)} cells but the rows have {frame.shape[1]}")
    unnamed = np.flatnonzero(frame[0].isna())
    blank = unnamed[frame.iloc[unnamed].isna().all(axis=1)] if len(unnamed) else unnamed
    return (frame.drop(index=blank).reset_index(drop=True) if len(blank) else frame), rows


def parse(rows: CountedRows, **options: Any) -> pd.DataFrame:
    """Let pandas parse the rows; what it says of them becomes a sentence."""
    try:
        with warnings.catch_warnings():
            # In pieces, a third less memory; a column with a word in it then has mixed types, and numbers() finds the
            # word.
            warnings.simplefilter("ignore", pd.errors.DtypeWarning)
            return pd.read_csv(rows, encoding="utf-8", header=None, **options)
    except pd.errors.EmptyDataError as err:
        raise InputError("the table is empty: there is nothing below its header") from err
    except pd.errors.ParserError as err:
        raise FileError(f"the rows cannot be parsed: {str(err).rsplit('error: ')[-1].strip()}") from err


def open_text(path: Path, encoding: str) -> TextIO:
    """Open text, compressed or not."""
    if is_gzip(path):
        return gzip.open(path, "rt", encoding=encoding)
    return path.open(encoding=encoding)


def open_raw(path: Path, encoding: str) -> TextIO | BinaryIO | gzip.GzipFile:
    """Open UTF-8 as bytes, which pandas takes as they are, and other text as text."""
    if not encoding.startswith("utf-8"):
        return open_text(path, encoding)
    return gzip.open(path) if is_gzip(path) else path.open("rb")


def is_gzip(path: Path) -> bool:
    """Return whether a file's name says that it is compressed."""
    return path.name.lower().endswith(".gz")


def in_some_encoding(path: Path, read: Callable[[str], T]) -> tuple[T, str | None]:
    """Read text as UTF-8 (UTF-16 if it says so), else as Windows-1252 or Latin-1; in that case return a note too."""
    opened = gzip.open if is_gzip(path) else open
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
    frame, rows = delimited(path, layout, text=text, encoding=encoding)
    if layout.extra == "end" and not rows.trailing:  # it looked so in the first rows
        layout = with_corner(layout, layout.header[:-1], layout.n_before + 1)
        frame, rows = delimited(path, layout, text=text, encoding=encoding)
    if layout.extra == "end" and not NAME.fullmatch(layout.header[0]):
        raise FileError(
            f"every row ends with an empty cell that the header lacks, so {layout.header[0]!r} may be the heading of "
            "the first column or of the second; put 'sample' or 'gene' above the names, or take out the last separators"
        )
    if rows.trailing and not layout.extra and layout.header[-1] and "" in layout.header[1:]:
        raise FileError(
            f"the header has an empty cell, and the last column, {layout.header[-1]!r}, is empty in every row, so the "
            "header may have a cell too many; take it out, or name the column"
        )
    notes = notes_on(layout)
    if rows.trailing and not layout.extra and len(frame):
        notes.append(
            f"The last column, {layout.header[-1]!r}, is empty in every row; check that the header has no name too "
            "many."
        )
    if not rows.complete:
        last = str(frame.iloc[-1, -1 - (layout.extra == "end")])
        notes.append(
            f"{path.name} does not end with a line break, as a file that was cut short; compare its last cell, "
            f"{last!r}."
        )
    if layout.extra == "end":
        frame = frame.drop(columns=len(layout.header) - 1)
        layout = replace(layout, header=layout.header[:-1])
    return replace(layout, notes=tuple(notes)), frame


def notes_on(layout: Layout) -> list[str]:
    """Say what was decided about a file's layout."""
    notes = []
    if layout.title:
        notes.append(f"Left out above the header: {some(layout.title)}.")
    if layout.extra == "end":
        notes.append(
            f"Every row ends with an empty cell that the header lacks; it was left out, so {layout.header[0]!r} names "
            "the first column."
        )
    if layout.extra == "corner":
        notes.append("The header has a name less than the rows have cells: the first column is taken for the names.")
    if layout.decimal == ",":
        notes.append("Numbers are written with a decimal comma.")
    return notes


def rows_of_table(
    lines: TextIO,
    header: list[str],
    end: str,
    *,
    before: int,
    columns: list[int] | None = None,
    quoting: Literal[0, 3] = csv.QUOTE_NONE,
) -> pd.DataFrame:
    """Parse the rows of a GEO table up to the line ``end``, with columns 0, 1, …; names stay text.

    The header ended with line ``before``. A row with more or fewer cells is an error, but for an empty one at the end
    of every row.
    """
    names = [0, *(i for i, name in enumerate(header) if name == "IDENTIFIER")]
    rows = CountedRows(
        lines.read, "\t", len(header), before=before, gone=before, quoted=quoting != csv.QUOTE_NONE, end=end
    )
    frame = parse(
        rows,
        sep="\t",
        index_col=False,
        names=list(range(len(header))),
        usecols=None if columns is None else [*names, *columns],
        dtype=dict.fromkeys(names, str),
        quoting=quoting,
        low_memory=True,
    )
    if frame.empty or frame[0].iloc[-1] != end:
        raise FileError(f"the file ends before {end!r}: it is cut short; download it again")
    if rows.width > len(header) and not rows.trailing:
        raise FileError(
            f"line {before + 1} has {rows.width} cells, and the header has {len(header)}; download the file again"
        )
    return frame.iloc[:-1]


def read_labels(path: Path) -> pd.DataFrame:
    """Read a labels file: sample names first, then one column an annotation."""
    layout, frame = in_some_encoding(path, lambda encoding: read_text(path, None, encoding))[0]
    header = layout.header
    if len(header) < 2:
        raise InputError("a labels file needs two columns at least: the sample and its label")
    frame = with_text(frame, header)
    names = sample_names(frame[0])
    return frame.drop(columns=0).set_axis(header[1:], axis=1).set_axis(names, axis=0)
