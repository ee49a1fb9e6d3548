"""The two formats of GEO, the Gene Expression Omnibus: series matrices and DataSets in SOFT.

**A series matrix** (``GSE2553_series_matrix.txt.gz``) describes its samples line by line, then comes one table. What is
known of a sample stands in lines ``!Sample_characteristics_ch1`` as ``key: value``, in an order that may differ from
sample to sample; each key becomes a column. A file holds the samples of one platform. For sequencing, GEO keeps no
values in it: the table is empty, and the error says where the counts are.

**A DataSet** (``GDS507.soft.gz``) lists its subsets ("RCC", of the type "disease state", with these samples), then one
table with a row a probe. A subset type that covers the samples is a column, and each array is one sample, however many
types there are.

Both headers are read line by line, and the table is parsed as it streams in.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from spred.errors import FileError, InputError
from spred.genes.data.expression import Table
from spred.genes.io.tables import Request, numbers, sample_names
from spred.genes.io.text import open_text, rows_of_table
from spred.report.wording import count, some

SERIES_BEGIN, SERIES_END = "!series_matrix_table_begin", "!series_matrix_table_end"
DATASET_BEGIN, DATASET_END = "!dataset_table_begin", "!dataset_table_end"
WITHOUT_KEY = "characteristics"
"""The column of characteristics without a key."""

KEPT = {"!Sample_title": "title", "!Sample_source_name_ch1": "source", "!Sample_source_name_ch2": "source (channel 2)"}
CHANNELS = {"!Sample_characteristics_ch1": "", "!Sample_characteristics_ch2": " (channel 2)"}

Lines = list[tuple[str, list[str]]]


def is_series(first: str) -> bool:
    """Return whether a file that begins so is a series matrix."""
    return first.startswith(("!Series_", "!Sample_"))


def read_series(path: Path, request: Request) -> Table:
    """Read a series matrix; sample names are the accessions, GSM…"""
    with open_text(path, request.encoding) as lines:
        head, before = read_head(lines)
        header = cells_of(lines.readline(), before + 1)
        refuse_empty(header, head)
        frame = rows_of_table(lines, header, SERIES_END, before=before + 1, quoting=csv.QUOTE_MINIMAL)
    if frame.empty:
        refuse_empty([], head)
    samples, genes = sample_names(pd.Series(header[1:])), frame.pop(0).astype(str).tolist()
    values = numbers(frame, list(frame.columns), genes, samples)
    note = f"GEO series matrix: {count(len(samples), 'sample')}, {count(len(genes), 'probe')}."
    return Table(values, samples, genes, sample_table(head, samples), notes=[note, *platform_notes(head)])


def read_head(lines: TextIO) -> tuple[Lines, int]:
    """Read up to the table: the name of each line and its cells; return the number of lines read too."""
    head: Lines = []
    n_samples = 0
    for number, line in enumerate(iter(lines.readline, ""), start=1):
        if line.startswith(SERIES_BEGIN):
            return head, number
        cells = cells_of(line, number)
        if not cells:
            continue
        name, values = cells[0], [cell.strip() for cell in cells[1:]]
        if name.startswith("!Sample_"):
            n_samples = n_samples or len(values)
            while len(values) > n_samples and not values[-1]:
                values.pop()
            if len(values) != n_samples:
                raise FileError(
                    f"line {number}, {name}, has {count(len(values), 'value')} for {count(n_samples, 'sample')}; "
                    "download the file again"
                )
        head.append((name, values))
    raise FileError(f"no line {SERIES_BEGIN!r}: this series matrix is cut short; download it again")


def cells_of(line: str, number: int) -> list[str]:
    """Return the cells of a line of a series matrix."""
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter="\t"), [])
    except csv.Error as err:
        raise FileError(f"line {number} cannot be parsed, {err}: close the quote that is open there") from err


def sample_table(head: Lines, samples: list[str]) -> pd.DataFrame:
    """Collect the characteristics: one column a key; a key that a sample has twice keeps both values."""
    columns: dict[str, dict[str, str]] = {}
    accessions = next((cells for name, cells in head if name == "!Sample_geo_accession"), samples)
    for name, cells in head:
        if name not in KEPT and name not in CHANNELS:
            continue
        if len(cells) != len(accessions):
            raise FileError(f"{name} has {len(cells)} values for {count(len(accessions), 'sample')}; download it again")
        if name in KEPT:
            columns[KEPT[name]] = {s: cell for s, cell in zip(accessions, cells, strict=True) if cell}
            continue
        for sample, cell in zip(accessions, cells, strict=True):
            key, colon, value = (part.strip() for part in cell.partition(":"))
            if not colon:
                key, value = WITHOUT_KEY, key
            add_value(columns.setdefault(key + CHANNELS[name], {}), sample, value)
    return pd.DataFrame(columns, index=samples, dtype=object)


def add_value(column: dict[str, str], sample: str, value: str) -> None:
    """Note a value of a sample beside what it has already; what GEO writes for a missing one is none."""
    if value.lower() in {"", "na", "n/a", "nan", "null", "--"}:
        return
    known = column.get(sample)
    column[sample] = value if known in (None, value) else f"{known} / {value}"


def platform_notes(head: Lines) -> list[str]:
    """Say which platform this is, if the series was measured on several."""
    of_series = sorted({cell for name, cells in head if name == "!Series_platform_id" for cell in cells})
    here = sorted({cell for name, cells in head if name == "!Sample_platform_id" for cell in cells})
    others = [platform for platform in of_series if platform not in here]
    if len(here) > 1:
        return [f"The samples were measured on several platforms ({some(here)}); their values may not be comparable."]
    if not (here and others):
        return []
    return [f"These are the samples on platform {here[0]}; those on {some(others)} have a file of their own."]


def refuse_empty(header: list[str], head: Lines) -> None:
    """Raise an error for a table without rows, with the place where the values are."""
    if len(header) > 1 and not header[0].startswith(SERIES_END):
        return
    files = [cell for name, cells in head if name == "!Series_supplementary_file" for cell in cells if cell]
    where = f" ({some([file.rsplit('/', 1)[-1] for file in files], 3)})" if files else ""
    raise FileError(
        "the table is empty, as it is for sequencing series at GEO; take the counts from the supplementary "
        f"files{where}, and give a labels file that names their samples"
    )


def read_dataset(path: Path, request: Request) -> Table:
    """Read a GEO DataSet; sample columns are those whose name starts with GSM."""
    with open_text(path, request.encoding) as lines:
        subsets, before = read_subsets(lines)
        header = lines.readline().rstrip("\r\n").split("\t")
        columns = [i for i, name in enumerate(header) if name.startswith("GSM")]
        if not columns:
            raise InputError("the table has no sample: no column whose name starts with GSM")
        frame = rows_of_table(lines, header, DATASET_END, before=before + 1, columns=columns)
    samples = sample_names(pd.Series([header[i] for i in columns]))
    genes = frame[0].astype(str).tolist()
    symbols = None
    if "IDENTIFIER" in header:
        symbols = frame[header.index("IDENTIFIER")].replace("--Control", np.nan).fillna("").tolist()
    return Table(
        values=numbers(frame, columns, genes, samples),
        samples=samples,
        genes=genes,
        annotations=pd.DataFrame(subsets, index=samples, dtype=object),
        symbols=symbols,
        notes=[f"GEO DataSet: {count(len(samples), 'sample')}, {count(len(genes), 'probe')}."],
    )


def read_subsets(lines: TextIO) -> tuple[dict[str, dict[str, str]], int]:
    """Read up to the table; return for each subset type the level of each sample (two levels are joined).

    The second part is the number of lines read.
    """
    types: dict[str, dict[str, str]] = {}
    level, members = "", []  # of the subset being read
    for number, line in enumerate(iter(lines.readline, ""), start=1):
        key, _, value = (part.strip() for part in line.partition("="))
        if key == DATASET_BEGIN:
            return types, number
        if key == "!subset_description":
            level = value
        elif key == "!subset_sample_id":
            members = [name.strip() for name in value.split(",")]
        elif key == "!subset_type":
            column = types.setdefault(value, {})
            for sample in members:
                column[sample] = f"{column[sample]} / {level}" if sample in column else level
    raise FileError(
        "no DataSet table in this SOFT file: it is cut short, or a GEO series or platform; spred reads DataSets (GDS…)"
    )
