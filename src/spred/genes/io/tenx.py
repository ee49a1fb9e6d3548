"""10x folders: a sparse matrix in the Matrix Market format, genes in rows, with the names of genes and barcodes.

The format: National Institute of Standards and Technology, "Text File Formats", math.nist.gov/MatrixMarket. It is read
here and not with SciPy, whose reader can end the process on a damaged file.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pandas as pd

from spred.errors import FileError, where
from spred.genes.data.expression import Table
from spred.genes.io.tables import Request, sample_names
from spred.report.wording import count
from spred.runtime.files.limits import check_size, check_unpacked
from spred.runtime.files.reading import decoded

TENX = {"features": ("features.tsv", "genes.tsv"), "barcodes": ("barcodes.tsv",), "matrix": ("matrix.mtx",)}
GENE_ROWS = ("Gene Expression", "")
"""Kinds of a 10x feature that are genes; others are antibodies or guides."""

FIELDS = ("real", "integer", "pattern")
SYMMETRIES = ("general", "symmetric", "skew-symmetric")

LONGEST_LINE = 4096
"""Bytes of a line before the entries."""


def read_tenx(path: Path, request: Request) -> Table:
    """Read a 10x folder: ``matrix.mtx``, ``features.tsv`` (or genes.tsv) and ``barcodes.tsv``, each perhaps ``.gz``."""
    places = {part: find_part(path, names) for part, names in TENX.items()}
    features = [line.split("\t") for line in lines_of(places["features"])]
    barcodes = lines_of(places["barcodes"])
    with where(places["barcodes"].name):
        samples = sample_names(pd.Series(barcodes, dtype=object))
    with where(places["matrix"].name), decoded():
        check_unpacked(places["matrix"])
        matrix = read_matrix(places["matrix"])
    if matrix.shape != (len(features), len(samples)):
        counted = f"{len(features)} features and {len(samples)} barcodes"
        raise FileError(f"the matrix is {matrix.shape}, and there are {counted}; the files are of different runs")
    genes = [i for i, f in enumerate(features) if len(f) < 3 or f[2] in GENE_ROWS]
    notes = [f"10x folder: {count(len(samples), 'barcode')}, {count(len(genes), 'gene')}."]
    if len(genes) < len(features):
        notes.append(f"Left out: {count(len(features) - len(genes), 'feature')} of another kind than gene expression.")
    return Table(
        values=np.ascontiguousarray(matrix[genes].T),
        samples=samples,
        genes=[features[i][0] for i in genes],
        annotations=pd.DataFrame(index=samples),
        symbols=[features[i][1] if len(features[i]) > 1 else "" for i in genes],
        notes=notes,
    )


def is_tenx(path: Path) -> bool:
    """Return whether this is a 10x folder: it holds the matrix."""
    return path.is_dir() and any((path / f"matrix.mtx{end}").exists() for end in ("", ".gz"))


def find_part(folder: Path, names: tuple[str, ...]) -> Path:
    """Return the file of one of these names, compressed or not."""
    for name in names:
        for place in (folder / name, folder / f"{name}.gz"):
            if place.exists():
                return place
    raise FileError(f"the folder has no {names[0]}(.gz), which belongs to a 10x matrix")


def lines_of(path: Path) -> list[str]:
    """Return the lines of a text file, compressed or not."""
    with where(path.name), decoded():
        check_unpacked(path)
        with opened(path) as file:
            return [line.decode().rstrip("\r\n") for line in file]


def opened(path: Path) -> BinaryIO:
    """Open a file, compressed or not."""
    return cast(BinaryIO, gzip.open(path)) if path.name.endswith(".gz") else path.open("rb")


# --- the Matrix Market format -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Banner:
    """What the first lines of a Matrix Market file say.

    Attributes:
        listed: whether the entries are listed with their places; else all are there, column by column.
        field: "real", "integer", or "pattern", whose entries are ones.
        symmetry: "general"; or only the lower triangle is there, "symmetric" or "skew-symmetric".
        shape: rows and columns.
        n_entries: lines that follow.
    """

    listed: bool
    field: str
    symmetry: str
    shape: tuple[int, int]
    n_entries: int


def read_matrix(path: Path) -> np.ndarray:
    """Return the matrix of a Matrix Market file, with its zeros, float64; entries of one place are added.

    Raises:
        FileError: it is none, is damaged or cut short, or has complex entries.
    """
    from scipy import sparse

    with opened(path) as file:
        banner = read_banner(file)
        check_size(8 * banner.shape[0] * banner.shape[1] + 24 * banner.n_entries, "the matrix")
        entries = read_entries(file, banner)
    if not banner.listed:
        return np.reshape(entries[0].to_numpy(), banner.shape, order="F")
    i, j = (entries[k].to_numpy() - 1 for k in (0, 1))
    for places, size, what in ((i, banner.shape[0], "row"), (j, banner.shape[1], "column")):
        wrong = np.flatnonzero((places < 0) | (places >= size))
        if len(wrong):
            raise FileError(f"entry {wrong[0] + 1} is in {what} {places[wrong[0]] + 1}, and there are {size}")
    values = np.ones(len(entries)) if banner.field == "pattern" else entries[2].to_numpy()
    if banner.symmetry != "general":
        off = np.flatnonzero(i != j)
        mirrored = values[off] if banner.symmetry == "symmetric" else -values[off]
        i, j, values = np.append(i, j[off]), np.append(j, i[off]), np.append(values, mirrored)
    return np.asarray(sparse.coo_array((values, (i, j)), shape=banner.shape).toarray())


def read_banner(file: BinaryIO) -> Banner:
    """Read the lines up to the sizes."""
    words = file.readline(LONGEST_LINE).decode().lower().split()
    if len(words) != 5 or words[:2] != ["%%matrixmarket", "matrix"] or words[2] not in ("coordinate", "array"):
        raise FileError("this is no Matrix Market file: it does not begin with '%%MatrixMarket matrix coordinate'")
    listed, field, symmetry = words[2] == "coordinate", words[3], words[4]
    field = {"double": "real", "unsigned-integer": "integer"}.get(field, field)
    if field not in FIELDS or symmetry not in SYMMETRIES or (field == "pattern" and not listed):
        raise FileError(f"a matrix that is {field} and {symmetry} is not read; write it as real and general")
    if not listed and symmetry != "general":
        raise FileError(f"an array that is {symmetry} is not read; write it as general")
    line = file.readline(LONGEST_LINE)
    while line.startswith(b"%") or (line and not line.strip()):
        line = file.readline(LONGEST_LINE)
    sizes = line.decode().split()
    if len(sizes) != (3 if listed else 2) or not all(size.isdecimal() and len(size) < 19 for size in sizes):
        raise FileError(f"the line of the sizes is {line[:60].decode().strip()!r}; the file is damaged")
    rows, columns = int(sizes[0]), int(sizes[1])
    n_entries = int(sizes[2]) if listed else rows * columns
    if symmetry != "general" and rows != columns:
        raise FileError(f"a {symmetry} matrix of {rows} rows and {columns} columns; the file is damaged")
    return Banner(listed, field, symmetry, (rows, columns), n_entries)


def read_entries(file: BinaryIO, banner: Banner) -> pd.DataFrame:
    """Read the lines below the sizes: row and column from 1, and the value; or the value alone."""
    kinds: list[type] = [np.int64] * 2 * banner.listed + [np.float64] * (banner.field != "pattern")
    if not banner.n_entries:
        if file.read().strip():
            raise FileError("no entry is announced, but there are some; the file is damaged")
        return pd.DataFrame({k: np.zeros(0, kind) for k, kind in enumerate(kinds)})
    try:
        found = pd.read_csv(
            file,
            sep=r"\s+",
            header=None,
            comment="%",
            dtype=dict(enumerate(kinds)),
            na_filter=False,
            quoting=csv.QUOTE_NONE,
        )
    except (ValueError, OverflowError) as err:  # pandas' own errors of parsing are ValueErrors
        if isinstance(err, UnicodeDecodeError):
            raise
        said = str(err).splitlines()[0].rpartition("error: ")[2]
        raise FileError(f"an entry is no row, column and value ({said}); the file is damaged") from err
    if found.shape[1] != len(kinds):
        raise FileError(f"the entries have {found.shape[1]} numbers and not {len(kinds)}; the file is damaged")
    if len(found) != banner.n_entries:
        counted = f"{len(found)} entries, and {banner.n_entries} are announced"
        raise FileError(f"there are {counted}; the file is cut short or damaged")
    return found
