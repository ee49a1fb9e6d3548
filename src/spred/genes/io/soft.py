"""GEO DataSets in SOFT format (``GDS507.soft.gz``): one sample table column per subset type.

A DataSet file lists its subsets ("RCC", of the type "disease state", with these samples), then one table with
a row a probe. A subset type that covers the samples is a column, and each array is one sample, however many
types there are. The header is read line by line, the table is parsed as it streams in.
"""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from spred.errors import FileError, InputError
from spred.genes.data.expression import Table
from spred.genes.io.tables import Request, numbers
from spred.genes.io.text import open_text, rows_of_table
from spred.report.wording import count

TABLE_BEGIN, TABLE_END = "!dataset_table_begin", "!dataset_table_end"


def read_soft(path: Path, request: Request) -> Table:
    """Read a GEO DataSet; sample columns are those whose name starts with GSM."""
    with open_text(path, request.encoding) as lines:
        subsets = read_subsets(lines)
        header = lines.readline().rstrip("\r\n").split("\t")
        columns = [i for i, name in enumerate(header) if name.startswith("GSM")]
        if not columns:
            raise InputError("the table has no sample: no column whose name starts with GSM")
        frame = rows_of_table(lines, header, TABLE_END, columns=columns)
    samples = [header[i] for i in columns]
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


def read_subsets(lines: TextIO) -> dict[str, dict[str, str]]:
    """Read up to the table; return for each subset type the level of each sample (two levels are joined)."""
    types: dict[str, dict[str, str]] = {}
    level, members = "", []  # of the subset being read
    for line in iter(lines.readline, ""):
        key, _, value = (part.strip() for part in line.partition("="))
        if key == TABLE_BEGIN:
            return types
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
