"""Tables that a person made: which way round they stand, which columns are names, annotations and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal

import numpy as np
import pandas as pd

from spred.errors import InputError, did_you_mean
from spred.genes.data.expression import Table
from spred.genes.data.numbers import as_numbers
from spred.report.spreadsheet import unguarded
from spred.report.wording import count, label, some

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
GENE_HEADERS = {"gene", "genes", "gene_id", "geneid", "gene id", "probe", "probe_id", "probeset", "id_ref"}
UNNAMED = "Unnamed: "  # what pandas calls a column without a heading
MOST_LEADING = 30
"""Columns of whole numbers before the genes that can be annotations; more are genes that happen to be whole."""

EXCEPTION = 0.1
"""Fraction of columns of whole numbers up to which they are no genes; where more are whole, the genes are counts."""

CHECKED_GENES = 50
"""Genes that decide whether whole numbers are an exception: enough for a tenth to show, few enough to cost nothing."""

AT_A_TIME = 2_000_000
"""Cells converted at a time: more take more memory, fewer more time. ``python benchmarks/reading.py`` measures both."""

LONG = 3
"""A table without any label has genes in rows if it is so many times longer than wide."""

TEXT_BELOW = 0.5
"""Fraction of numbers among the filled cells below which a column is text; a gene with many bad cells is an error."""

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


def from_frame(header: list[str], frame: pd.DataFrame, request: Request) -> Table:
    """Make a :class:`Table` of a frame, whichever way round it stands."""
    if frame.empty or len(header) < 2:
        raise InputError("the table is empty: it needs names and numbers, in one row or more")
    frame, header = with_text(frame, header), [unguarded(name) for name in header]
    if request.labels is None:
        if has_genes_in_rows(header, frame, request):
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


def with_text(frame: pd.DataFrame, header: Sequence[str]) -> pd.DataFrame:
    """Return the frame with text for all that is neither number nor text: dates, times, periods, yes and no.

    Such columns are annotations, as they are where a text file writes them; as numbers a date would be a gene of 1e18.
    """
    others = [i for i, kind in enumerate(frame.dtypes) if not is_number(kind)]
    frame = frame.copy(deep=False) if others else frame
    for i in others:
        column = frame[i]
        if pd.api.types.is_string_dtype(column.dtype) and not pd.api.types.is_object_dtype(column.dtype):
            if column.str.startswith("'", na=False).any():
                frame.isetitem(i, column.map(unguarded, na_action="ignore"))
        elif isinstance(column.dtype, pd.CategoricalDtype):
            names = column.astype(object).map(lambda cell: label(written(cell)), na_action="ignore")
            frame.isetitem(i, names.astype("category"))
        else:
            frame.isetitem(i, column.astype(object).map(written, na_action="ignore"))
    unreal = [header[i] for i, kind in enumerate(frame.dtypes) if pd.api.types.is_complex_dtype(kind)]
    if unreal:
        raise InputError(f"column {unreal[0]!r} holds complex numbers; give real ones, such as their absolute values")
    return frame


def written(cell: object) -> object:
    """Return a cell as a text file would hold it: numbers and text as they are, all else as text.

    >>> written(pd.Timestamp("2020-01-05")), written(True), written(1.5), written(pd.Timedelta("2h"))
    ('2020-01-05', 'True', 1.5, '0 days 02:00:00')
    """
    match cell:
        case str():
            return unguarded(cell)
        case bool() | np.bool_():
            return str(bool(cell))
        case int() | float() | np.integer() | np.floating():
            return cell
        case Decimal():
            return float(cell)
        case complex() | np.complexfloating():
            raise InputError(f"a cell holds the complex number {cell}; give real ones, such as their absolute values")
        case datetime() if cell.time() == time() and cell.tzinfo is None:
            return cell.date().isoformat()
        case bytes():
            return cell.decode("utf-8", errors="replace")
    return str(cell)


def has_genes_in_rows(header: list[str], frame: pd.DataFrame, request: Request) -> bool:
    """Return whether genes are in rows where no labels file says so: by the genes asked for, or a long table."""
    if request.genes:
        return bool(frame[0].astype(str).isin(request.genes).sum() > sum(name in request.genes for name in header))
    if request.columns or len(frame) < LONG * (len(header) - 1) or not (is_text(frame[0]) and frame[0].nunique() > 1):
        return False
    return all(not is_text(frame[i]) or header[i].lower() in SYMBOL_HEADERS for i in range(1, len(header)))


def samples_in_rows(header: list[str], frame: pd.DataFrame, request: Request) -> Table:
    """Read a table with one row a sample: its name, its annotations, and one column a gene."""
    refuse_unclear(header, request)
    texts = text_columns(frame)
    first_is_name = header[0] not in request.columns and (
        header[0].lower() in SAMPLE_HEADERS or request.labels is not None or (0 in texts and frame[0].is_unique)
    )
    samples = sample_names(frame[0]) if first_is_name else [str(i + 1) for i in range(len(frame))]
    rest = range(1 if first_is_name else 0, len(header))
    asked = {i for i in rest if header[i] in request.columns}
    counts = leading_counts(frame, [i for i in rest if i not in asked | texts and header[i] not in request.genes])
    about = [i for i in rest if i in asked | texts | counts]
    genes = [i for i in rest if i not in set(about)]
    if not genes:
        raise InputError("no column of numbers found, so there are no genes to select from")
    named = [i for i in genes if header[i] and not header[i].startswith(UNNAMED)]
    names = [header[i] for i in named]
    notes = [f"Samples are in rows: {count(len(samples), 'sample')}, {count(len(named), 'gene')}."]
    if len(named) < len(genes):
        notes.append(f"{count(len(genes) - len(named), 'column')} of numbers without a gene name dropped.")
    if not first_is_name and 0 in texts and frame[0].nunique() > len(frame) / 2:
        notes.append(f"Column {header[0]!r} is not taken for sample names, as it repeats some; samples are numbered.")
    extra = [header[i] for i in about if i in texts - asked]
    if extra and request.columns:
        notes.append(f"Columns of text are kept as annotations, not as genes: {some(extra)}.")
    if counts:
        left = some([header[i] for i in sorted(counts)])
        notes.append(f"Columns of whole numbers before the first gene are kept as annotations, not as genes: {left}.")
    return Table(
        values=np.ascontiguousarray(numbers(frame, named, samples, names).T),
        samples=samples,
        genes=names,
        annotations=pd.DataFrame({header[i]: frame[i].to_numpy() for i in about}, index=samples),
        notes=notes,
    )


def refuse_unclear(header: list[str], request: Request) -> None:
    """Raise an error for a column asked for that is not there, or is there twice."""
    known = [] if request.labels is None else list(request.labels.columns)
    for column in sorted(request.columns):
        if column not in header and column not in known:
            hint = did_you_mean(column, header + known) or "; if genes are in rows, give the labels in a second file"
            raise InputError(f"column {column!r} not found{hint}")
        if header.count(column) > 1:
            raise InputError(f"column {column!r} occurs {header.count(column)} times; rename all but one")


def leading_counts(frame: pd.DataFrame, columns: list[int]) -> set[int]:
    """Return the columns of whole numbers before the first of fractions: ages, batches, codes, and no genes.

    None, if whole numbers are no exception: then the genes are counts.
    """
    first = next((k for k, i in enumerate(columns) if not is_whole(frame[i])), len(columns))
    later = columns[first :: max(1, (len(columns) - first) // CHECKED_GENES)]
    if first > MOST_LEADING or not later or np.mean([is_whole(frame[i]) for i in later]) > EXCEPTION:
        return set()
    return set(columns[:first])


def is_whole(column: pd.Series) -> bool:
    """Return whether all numbers of a column are whole."""
    values = as_numbers(column).to_numpy(dtype=np.float64, na_value=np.nan)
    return bool(np.all((values == np.floor(values)) | np.isnan(values)))


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
        values=numbers(frame, columns, genes, samples),
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
    names: list[str] = column.astype(str).str.strip().tolist()
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"sample {twice[0]!r} occurs {names.count(twice[0])} times; give every sample its own name")
    return names


def text_columns(frame: pd.DataFrame) -> set[int]:
    """Return the columns that are annotations and not numbers."""
    return {i for i, kind in frame.dtypes.items() if not is_number(kind) and is_text(frame[i])}


def is_number(kind: object) -> bool:
    """Return whether a column of this type holds numbers only; yes and no are none."""
    return pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)


def is_text(column: pd.Series) -> bool:
    """Return whether a column is an annotation and no gene: fewer than half of its filled cells are numbers.

    Yes and no are, and so are categories, be their names numbers.
    """
    if pd.api.types.is_bool_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype):
        return True
    if pd.api.types.is_numeric_dtype(column):
        return False
    filled = column.dropna()
    return len(filled) > 0 and bool(as_numbers(filled).notna().mean() < TEXT_BELOW)


def numbers(frame: pd.DataFrame, which: Sequence[int], rows: Sequence[str], columns: Sequence[str]) -> np.ndarray:
    """Return columns of the frame as float64, ``(columns, rows)``, gaps as NaN.

    They are taken over some at a time, so that a large table is never in memory a third time. A cell that is no number
    is an error with its place, for which the names of rows and columns are.
    """
    values = np.empty((len(which), len(frame)))
    step = max(1, AT_A_TIME // len(frame))
    for first in range(0, len(which), step):
        part = frame[list(which[first : first + step])]
        texts = [i for i, position in enumerate(part) if not is_number(part.dtypes[position])]
        part = part.copy() if texts else part
        for i in texts:
            part.isetitem(i, parsed(part.iloc[:, i], rows, columns[first + i]))
        values[first : first + step] = part.to_numpy(dtype=np.float64, na_value=np.nan).T
    return values


def parsed(cells: pd.Series, rows: Sequence[str], column: str) -> pd.Series:
    """Return text as the numbers that it writes."""
    found = as_numbers(cells.astype(object))
    bad = (found.isna() & cells.notna()).to_numpy()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"row {rows[row]!r}, column {column!r}: {str(cells.iloc[row])!r} is not a number; "
            "correct the cell, or leave it empty if the value is missing"
        )
    return found
