"""Platform tables: which genes a probe measures.

A GEO platform (``GPL97.annot.gz``, or the full table ``GPL97-1234.txt``) lists for each probe its gene symbol, or
several, separated by ``///``.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TextIO

from spred.errors import FileError
from spred.genes.data.probes import SEVERAL
from spred.genes.io.rows import CountedRows
from spred.genes.io.tables import SYMBOL_HEADERS
from spred.genes.io.text import in_some_encoding, open_text, parse
from spred.report.wording import some

TABLE_END = "!platform_table_end"
ASSIGNMENT = "gene_assignment"  # Affymetrix: accession // symbol // title /// accession // …
NO_SYMBOL = {"", "---", "--Control", "NA", "nan"}


def read_annotation(path: Path) -> dict[str, str]:
    """Return the symbols of each probe of a platform, ``"A /// B"`` where there are several.

    Raises:
        FileError: there is no table, or it has no column of symbols.
    """
    return in_some_encoding(path, lambda encoding: parse_annotation(path, encoding))[0]


def parse_annotation(path: Path, encoding: str) -> dict[str, str]:
    """Read the table of a platform: probes in the first column, symbols in the column that is called so."""
    with open_text(path, encoding) as lines:
        header, before = find_header(lines)
        column = next((i for i, name in enumerate(header) if name.lower() in {*SYMBOL_HEADERS, ASSIGNMENT}), None)
        if column is None or column == 0:
            raise FileError(f"no column of gene symbols; the platform's table has {some(header, 8)}")
        frame = parse(
            CountedRows(lines.read, "\t", len(header), before=before, gone=before, quoted=False, end=TABLE_END),
            sep="\t",
            index_col=False,
            names=list(range(len(header))),
            usecols=[0, column],
            dtype=str,
            quoting=csv.QUOTE_NONE,
        )
    frame = frame[frame[0].notna()]
    frame = frame[~frame[0].str.startswith("!", na=True)].fillna("")
    read = assigned if header[column].lower() == ASSIGNMENT else listed
    return {probe: SEVERAL.join(read(text)) for probe, text in zip(frame[0], frame[column], strict=True)}


def find_header(lines: TextIO) -> tuple[list[str], int]:
    """Read up to the header of the table, the first line with tabs that is no comment; return its number too."""
    for number, line in enumerate(iter(lines.readline, ""), start=1):
        if "\t" in line and line[0] not in "!#^":
            names = [name.strip().strip('"') for name in line.rstrip("\r\n").split("\t")]
            return names, number
    raise FileError("no platform table in this file: probes and symbols, separated by tabs")


def listed(text: str) -> list[str]:
    """Return the symbols of ``"A /// B"``, each once.

    >>> listed("DDR1 /// MIR4640"), listed("---")
    (['DDR1', 'MIR4640'], [])
    """
    parts = (part.strip() for part in text.split(SEVERAL))
    return list(dict.fromkeys(part for part in parts if part not in NO_SYMBOL))


def assigned(text: str) -> list[str]:
    """Return the symbols of an Affymetrix gene assignment, each once.

    >>> assigned("NM_1 // OR4F5 // olfactory receptor /// ENST2 // OR4F5 // the same")
    ['OR4F5']
    """
    parts = (part.split("//") for part in text.split(SEVERAL))
    return listed(SEVERAL.join(fields[1] for fields in parts if len(fields) > 1))
