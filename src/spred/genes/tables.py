"""Tables that a person made: which way round they stand, which columns are names, annotations and numbers.

Text is read here too, because what a column means decides how it is parsed: ``001`` is a patient, not the
number 1.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeVar

import numpy as np
import pandas as pd

from spred.errors import FileError, InputError, did_you_mean
from spred.genes.expression import Table, count, some

T = TypeVar("T")

SAMPLE_HEADERS = {
    "",
    "sample",
    "samples",
    "sample_id",
    "sampleid",
    "id",
    "name",
    "rownames",
    "index",
    "geo_accession",
}
LONG = 3  # a table without any label has genes in rows if it is so many times longer than wide
SYMBOL_HEADERS = {
    "symbol",
    "gene_symbol",
    "gene symbol",
    "genesymbol",
    "identifier",
    "gene_name",
    "gene name",
    "ilmn_gene",
}


@dataclass(frozen=True)
class Request:
    """What the caller asks of a file: the columns named, the labels file, and the genes that must be in it."""

    target: str | None = None
    event: str | None = None
    group: str | None = None
    labels: pd.DataFrame | None = None
    covariates: tuple[str, ...] = ()
    genes: frozenset[str] = frozenset()
    encoding: str = "utf-8-sig"

    @property
    def columns(self) -> set[str]:
        """The columns asked for by name."""
        return {c for c in (self.target, self.event, self.group, *self.covariates) if c is not None}


def delimited(path: Path, *, text: set[str] | None, encoding: str) -> tuple[list[str], pd.DataFrame]:
    """Read separated text as its header and a frame with columns 0, 1, …; repeated names stay as they are.

    The first column and those in ``text`` stay text; with ``text=None`` all do.
    """
    separator, header = read_header(path, encoding)
    as_text: object = str
    if text is not None:
        as_text = {i: str for i, name in enumerate(header) if i == 0 or name in text}
    try:
        frame = pd.read_csv(
            path,
            sep=separator,
            header=None,
            skiprows=1,
            dtype=as_text,
            encoding=encoding,
            low_memory=False,
        )
    except pd.errors.EmptyDataError as err:
        raise InputError("the table is empty: there is nothing below its header") from err
    except pd.errors.ParserError as err:
        raise FileError(f"the rows are not equally long: {str(err).rsplit('error: ')[-1].strip()}") from err
    if frame.shape[1] != len(header):
        raise FileError(f"the header has {len(header)} cells but the rows have {frame.shape[1]}")
    return header, frame


def read_header(path: Path, encoding: str) -> tuple[str, list[str]]:
    """Return the separator and the header; if it lacks the cell above the row names, it is given one."""
    with open_text(path, encoding) as lines:
        first, second = lines.readline(), lines.readline()
    if not first.strip():
        raise InputError("the table is empty")
    separator = "\t" if "\t" in first else max(",;", key=first.count)
    header, row = (next(csv.reader([line.rstrip("\r\n")], delimiter=separator), []) for line in (first, second))
    if len(row) == len(header) + 1:
        header = ["", *header]
    return separator, [name.strip() for name in header]


def open_text(path: Path, encoding: str) -> TextIO:
    """Open text, compressed or not."""
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding=encoding)
    return path.open(encoding=encoding)


def in_some_encoding(path: Path, read: Callable[[str], T]) -> tuple[T, str | None]:
    """Read text as UTF-8 (UTF-16 if it says so), else as Latin-1; in that case return a note too."""
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    with opened(path, "rb") as file:
        wide = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    try:
        return read("utf-16" if wide else "utf-8-sig"), None
    except UnicodeDecodeError:
        note = f"{path.name} is not UTF-8; it was read as Latin-1, so look at the accents and Greek letters in names."
        return read("latin-1"), note


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
    header, frame = in_some_encoding(path, lambda encoding: delimited(path, text=None, encoding=encoding))[0]
    if len(header) < 2:
        raise InputError("a labels file needs two columns at least: the sample and its label")
    names = sample_names(frame[0])
    return frame.drop(columns=0).set_axis(header[1:], axis=1).set_axis(names, axis=0)


def from_frame(header: list[str], frame: pd.DataFrame, request: Request) -> Table:
    """Make a :class:`Table` of a frame, whichever way round it stands."""
    if frame.empty or len(header) < 2:
        raise InputError("the table is empty: it needs names and numbers, in one row or more")
    if request.labels is None:
        if stands_on_its_side(header, frame, request):
            return genes_in_rows(header, frame, {header[i] for i in range(1, len(header)) if not is_text(frame[i])})
        return samples_in_rows(header, frame, request)
    wanted = set(request.labels.index)
    as_columns = sum(name in wanted for name in header)
    as_rows = int(frame[0].astype(str).isin(wanted).sum())
    if not as_columns and not as_rows:
        raise InputError(
            f"no sample of the labels file ({some(list(request.labels.index), 3)}) "
            "is a row or a column of the table; its first column must hold the sample names used there"
        )
    if as_columns > as_rows:
        return genes_in_rows(header, frame, wanted)
    return samples_in_rows(header, frame, request)


def stands_on_its_side(header: list[str], frame: pd.DataFrame, request: Request) -> bool:
    """Tell genes in rows where no labels file says so: by the genes looked for, or by a long table of numbers."""
    if request.genes:
        return frame[0].astype(str).isin(request.genes).sum() > sum(name in request.genes for name in header)
    if request.columns or len(frame) < LONG * (len(header) - 1) or not (is_text(frame[0]) and frame[0].nunique() > 1):
        return False
    return all(not is_text(frame[i]) or header[i].lower() in SYMBOL_HEADERS for i in range(1, len(header)))


def samples_in_rows(header: list[str], frame: pd.DataFrame, request: Request) -> Table:
    """Read a table with one row a sample: its name, its annotations, and one column a gene."""
    known = [] if request.labels is None else list(request.labels.columns)
    for column in sorted(request.columns):
        if column not in header and column not in known:
            hint = did_you_mean(column, header + known) or "; if genes are in rows, give the labels in a second file"
            raise InputError(f"column {column!r} not found{hint}")
    for column in request.columns:
        if header.count(column) > 1:
            raise InputError(f"column {column!r} occurs {header.count(column)} times; rename all but one")
    first_is_name = header[0] not in request.columns and (
        header[0].lower() in SAMPLE_HEADERS or request.labels is not None or (is_text(frame[0]) and frame[0].is_unique)
    )
    samples = sample_names(frame[0]) if first_is_name else [str(i + 1) for i in range(len(frame))]
    rest = range(1 if first_is_name else 0, len(header))
    about = [i for i in rest if header[i] in request.columns or is_text(frame[i])]
    genes = [i for i in rest if i not in set(about)]
    if not genes:
        raise InputError("no column of numbers found, so there are no genes to select from")
    annotations = pd.DataFrame({header[i]: frame[i].to_numpy() for i in about}, index=samples)
    names = [header[i] for i in genes]
    notes = [f"Samples are in rows: {count(len(samples), 'sample')}, {count(len(genes), 'gene')}."]
    extra = [header[i] for i in about if header[i] not in request.columns]
    if extra and request.columns:
        notes.append(f"Columns of text are kept as annotations, not as genes: {some(extra)}.")
    values = np.ascontiguousarray(numbers(frame[genes], samples, names))
    return Table(values, samples, names, annotations, notes=notes)


def genes_in_rows(header: list[str], frame: pd.DataFrame, wanted: set[str]) -> Table:
    """Read a table with one row a gene: its name, perhaps its symbol, and one column a sample."""
    columns = [i for i, name in enumerate(header) if i > 0 and name in wanted]
    samples = sample_names(pd.Series([header[i] for i in columns]))
    named = frame[0].notna().to_numpy()
    notes = [f"Genes are in rows: {count(len(samples), 'sample')}, {count(int(named.sum()), 'gene')}."]
    if not named.all():
        notes.append(f"{count(int((~named).sum()), 'row')} without a gene name dropped.")
        frame = frame.loc[named]
    genes = frame[0].astype(str).str.strip().tolist()
    other = [i for i in range(1, len(header)) if i not in set(columns)]
    symbol = next((i for i in other if header[i].lower() in SYMBOL_HEADERS), None)
    left = [header[i] for i in other if i != symbol]
    if left:
        notes.append(f"Columns that the labels file does not name were left out: {some(left)}.")
    return Table(
        values=np.ascontiguousarray(numbers(frame[columns], genes, samples).T),
        samples=samples,
        genes=genes,
        annotations=pd.DataFrame(index=samples),
        symbols=None if symbol is None else frame[symbol].fillna("").astype(str).tolist(),
        notes=notes,
    )


def sample_names(column: pd.Series) -> list[str]:
    """Return the names of the samples; each must be there, once."""
    if column.isna().any():
        raise InputError(f"row {int(np.flatnonzero(column.isna())[0]) + 1} has no sample name")
    names = column.astype(str).str.strip().tolist()
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"sample {twice[0]!r} occurs {names.count(twice[0])} times; give every sample its own name")
    return names


def is_text(column: pd.Series) -> bool:
    """Tell an annotation from a gene: fewer than half of the cells that are filled are numbers."""
    if pd.api.types.is_bool_dtype(column):
        return True
    if pd.api.types.is_numeric_dtype(column):
        return False
    filled = column.dropna()
    return len(filled) > 0 and bool(pd.to_numeric(filled, errors="coerce").notna().mean() < 0.5)


def numbers(frame: pd.DataFrame, rows: Sequence[str], columns: Sequence[str]) -> np.ndarray:
    """Return the frame as float64, missing as NaN; a cell that is no number is an error with its place."""
    text = [i for i in frame.columns if not pd.api.types.is_numeric_dtype(frame[i])]
    for i in text:
        bad = (pd.to_numeric(frame[i], errors="coerce").isna() & frame[i].notna()).to_numpy()
        if bad.any():
            row, column = int(np.flatnonzero(bad)[0]), columns[frame.columns.get_loc(i)]
            raise InputError(
                f"row {rows[row]!r}, column {column!r}: {str(frame[i].iloc[row])!r} is not a number; "
                "correct the cell, or leave it empty if the value is missing"
            )
    if text:
        frame = frame.copy()
        frame[text] = frame[text].apply(pd.to_numeric)
    if all(isinstance(kind, np.dtype) for kind in frame.dtypes):
        return frame.to_numpy(dtype=np.float64)  # a view where it can be one; na_value would copy
    return frame.to_numpy(dtype=np.float64, na_value=np.nan)
