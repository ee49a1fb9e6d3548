"""What a file holds, before any model: samples, genes, the columns of the sample table, the range of the values.

:func:`describe` reads a file as :func:`spred.genes.read` does but chooses nothing, so it answers the question that
comes first: which column can be the target, which the group.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from spred.errors import where
from spred.genes.data.checks import find_duplicates
from spred.genes.data.expression import MANY_NUMBERS
from spred.genes.data.numbers import as_numbers
from spred.genes.data.preprocess import needs_log2
from spred.genes.io.readers import read_sheet, read_with_sheet, title
from spred.genes.io.tables import Request
from spred.report.wording import count, label, some

FEW = 10
"""Columns of whole numbers up to which they are the exception, in number and as one in so many: perhaps no genes."""

MOST_COLUMNS = 40
"""Columns of the sample table that are described."""

MOST_LEVELS = 8
"""Levels of a column that a line names."""


@dataclass(frozen=True)
class Column:
    """A column of the sample table.

    Attributes:
        name: its heading.
        levels: how many samples have each value, most frequent first.
        missing: samples without a value.
        numbers: smallest, median and largest value of a column of many distinct numbers, else None.
    """

    name: str
    levels: dict[str, int]
    missing: int
    numbers: tuple[float, float, float] | None


@dataclass(frozen=True)
class Values:
    """The range of the measurements; ``quantiles`` are those at 0, 25, 50, 75, 99 and 100 %."""

    quantiles: tuple[float, ...]
    n_missing: int
    n_negative: int
    n_cells: int
    raw: bool


@dataclass(frozen=True)
class Description:
    """What :func:`describe` found.

    Attributes:
        name: the study's name, from the file's.
        n_samples: arrays or libraries.
        n_genes: rows of measurements, under the names of the file.
        n_symbols: how many of them have a gene symbol.
        columns: the sample table, column by column.
        values: the range of the measurements.
        duplicates: pairs of samples with the same measurements.
        counts: genes of whole numbers in a table of fractions: rather annotations than genes.
        notes: what the reader decided, in sentences.
    """

    name: str
    n_samples: int
    n_genes: int
    n_symbols: int
    columns: tuple[Column, ...]
    values: Values | None
    duplicates: tuple[tuple[str, str], ...]
    counts: tuple[str, ...]
    notes: tuple[str, ...]


def describe(path: str | Path, *, labels: str | Path | None = None) -> Description:
    """Say what is in a file of expression data, before any model.

    Args:
        path: a file that :func:`spred.genes.read` reads, or ``demo:tissue``.
        labels: a second file with the sample table.

    Returns:
        The :class:`Description`: sizes, columns with their levels, the range of the values.

    Raises:
        FileError: the file is missing, broken, or of another format than its name says.
        InputError: the table cannot be used; the sentence says where.

    >>> found = describe("demo:tissue")
    >>> found.n_samples, found.columns[0].name, found.columns[0].levels["kidney"]
    (189, 'tissue', 39)
    """
    sheet = read_sheet(labels)
    with where(str(path)):
        table = read_with_sheet(path, Request(labels=sheet), sheet)
    return Description(
        name=title(path),
        n_samples=len(table.samples),
        n_genes=len(table.genes),
        n_symbols=sum(bool(symbol) for symbol in table.symbols or []),
        columns=tuple(column(table.annotations[c]) for c in table.annotations.columns),
        values=value_range(table.values),
        duplicates=tuple((table.samples[a], table.samples[b]) for a, b in find_duplicates(table.values)),
        counts=tuple(table.genes[j] for j in find_counts(table.values)),
        notes=tuple(table.notes),
    )


def column(cells: pd.Series) -> Column:
    """Count the levels of a column; a column of many distinct numbers has a range too."""
    filled = cells.dropna()
    numeric = as_numbers(filled)
    is_number = len(filled) > 0 and bool(numeric.notna().all()) and numeric.nunique() > MANY_NUMBERS
    return Column(
        name=str(cells.name),
        levels={str(level): int(n) for level, n in filled.map(label).value_counts().items()},
        missing=int(cells.isna().sum()),
        numbers=(float(numeric.min()), float(numeric.median()), float(numeric.max())) if is_number else None,
    )


def value_range(values: np.ndarray) -> Values | None:
    """Return the range of the measurements; None where there is no number at all."""
    n_missing = int(np.isnan(values).sum())
    if n_missing == values.size:
        return None
    quantiles = np.nanquantile(values, [0.0, 0.25, 0.5, 0.75, 0.99, 1.0])
    return Values(
        quantiles=tuple(float(q) for q in quantiles),
        n_missing=n_missing,
        n_negative=int((values < 0).sum()),
        n_cells=values.size,
        raw=needs_log2(values),
    )


def find_counts(values: np.ndarray) -> np.ndarray:
    """Return the columns of whole numbers, if they are the exception: ages, batches and patients among the genes."""
    whole = ((values == np.floor(values)) | np.isnan(values)).all(axis=0)
    return np.flatnonzero(whole) if whole.sum() <= min(FEW, values.shape[1] // FEW) else np.empty(0, dtype=int)


def sentences(found: Description) -> list[str]:
    """Say what was found, a line each; the columns of the sample table come last, aligned."""
    lines = [*found.notes, size_line(found), *value_lines(found.values)]
    if found.duplicates:
        pairs = [f"{a} = {b}" for a, b in found.duplicates]
        lines.append(f"{count(len(pairs), 'sample')} with the measurements of another one: {some(pairs)}.")
    if found.counts:
        lines.append(f"Whole numbers only, so perhaps no genes: {some(found.counts)}; name them (--target, --group).")
    if not found.columns:
        return [*lines, "There is no sample table: give the labels in a second file (--labels)."]
    shown = found.columns[:MOST_COLUMNS]
    width = max(len(c.name) for c in shown)
    lines += ["Columns of the sample table:", *(f"  {c.name:<{width}}  {column_line(c)}" for c in shown)]
    return lines if len(shown) == len(found.columns) else [*lines, f"  and {len(found.columns) - len(shown)} more"]


def size_line(found: Description) -> str:
    """Say how large the table is."""
    named = f", {found.n_symbols} of them with a symbol" if found.n_symbols else ""
    return f"{found.name}: {count(found.n_samples, 'sample')} × {count(found.n_genes, 'gene')}{named}."


def value_lines(values: Values | None) -> list[str]:
    """Say where the measurements lie and on which scale they seem to be."""
    if values is None:
        return ["No cell holds a number."]
    low, quarter, middle, three, _, top = (f"{q:.4g}" for q in values.quantiles)
    missing = values.n_missing / values.n_cells
    lines = [
        f"Values from {low} to {top}, half of them between {quarter} and {three}, median {middle}; "
        f"{values.n_missing} missing ({missing:.2%}), {values.n_negative} below zero."
    ]
    if values.raw:
        return [*lines, "They look like raw intensities: spred genes takes them to log2 unless --no-log2 is given."]
    return [*lines, "They look like logarithms: spred genes uses them as they are unless --log2 is given."]


def column_line(found: Column) -> str:
    """Describe one column: its levels with their counts, a range of numbers, or that every value is another."""
    gaps = f"; {found.missing} missing" if found.missing else ""
    if found.numbers is not None:
        low, middle, high = found.numbers
        return f"numbers from {low:g} to {high:g}, median {middle:g}{gaps}"
    n = len(found.levels)
    if n > MOST_LEVELS and max(found.levels.values()) == 1:
        return f"{n} values, all different{gaps}"
    shown = ", ".join(f"{level} ({times})" for level, times in list(found.levels.items())[:MOST_LEVELS])
    more = f" and {n - MOST_LEVELS} more" if n > MOST_LEVELS else ""
    return f"{count(n, 'level')}: {shown}{more}{gaps}"
