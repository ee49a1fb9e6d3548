"""Formats of single-cell and sequencing tools: ``.h5ad`` files, and 10x folders of a sparse matrix with its names.

An h5ad file is HDF5 with the layout of anndata: ``X`` (dense, or a sparse matrix as three arrays), ``obs`` (the sample
table) and ``var`` (the genes). It is read with h5py, and results are written back into a copy of it.
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spred.errors import FileError
from spred.genes.data.expression import Table
from spred.genes.io.tables import Request, sample_names
from spred.report.wording import count
from spred.runtime.extras import extra

SYMBOLS = ("feature_name", "gene_symbols", "gene_symbol", "gene_name", "symbol", "gene_short_name")
"""Columns of ``var`` that hold symbols, where the names are identifiers."""

TENX = {"features": ("features.tsv", "genes.tsv"), "barcodes": ("barcodes.tsv",), "matrix": ("matrix.mtx",)}
GENE_ROWS = ("Gene Expression", "")
"""Kinds of a 10x feature that are genes; others are antibodies or guides."""


def read_h5ad(path: Path, request: Request) -> Table:
    """Read an h5ad file: observations are samples, variables are genes."""
    with opened(path, "r") as file:
        missing = [part for part in ("X", "obs", "var") if part not in file]
        if missing:
            raise FileError(f"no {missing[0]!r} in this HDF5 file, so it is no h5ad file")
        samples = sample_names(pd.Series(index_of(file["obs"])))
        genes = [str(name) for name in index_of(file["var"])]
        values = dense(file["X"])
        if values.shape != (len(samples), len(genes)):
            raise FileError(f"X is {values.shape}, but there are {len(samples)} names in obs and {len(genes)} in var")
        symbols = next((column(file["var"][name]) for name in SYMBOLS if name in file["var"]), None)
        table = pd.DataFrame({name: column(file["obs"][name]) for name in columns_of(file["obs"])}, index=samples)
    return Table(
        values=values,
        samples=samples,
        genes=genes,
        annotations=table,
        symbols=None if symbols is None else [str(s) for s in symbols],
        notes=[f"h5ad: {count(len(samples), 'observation')}, {count(len(genes), 'variable')}, from X."],
    )


def write_h5ad(source: Path, target: Path, genes: Iterable[object], columns: dict[str, np.ndarray]) -> None:
    """Copy an h5ad file and add columns of numbers or of yes and no to its ``var``.

    ``columns`` are in the order of ``genes``; a variable that is none of them gets 0 or no.
    """
    shutil.copyfile(source, target)
    place = {str(gene): i for i, gene in enumerate(genes)}
    with opened(target, "r+") as file:
        var = file["var"]
        rows = np.array([place.get(str(name), -1) for name in index_of(var)])
        for name, values in columns.items():
            if name in var:
                del var[name]
            var[name] = np.where(rows >= 0, values[rows], values.dtype.type(0))
            var[name].attrs["encoding-type"], var[name].attrs["encoding-version"] = "array", "0.2.0"
        order = [*columns_of(var), *(name for name in columns if name not in columns_of(var))]
        var.attrs["column-order"] = np.array(order, dtype=object)


@contextmanager
def opened(path: Path, mode: str) -> Iterator[Any]:
    """Open an HDF5 file."""
    h5py = extra("h5py")
    try:
        file = h5py.File(path, mode)
    except OSError as err:
        raise FileError("this is no HDF5 file, or it is damaged; write or copy it again") from err
    with file:
        yield file


def index_of(group: Any) -> list[object]:
    """Return the names of the rows of a table in an HDF5 file."""
    name = group.attrs.get("_index", "_index")
    if name not in group:
        raise FileError(f"{group.name} has no names of its rows; write the file with a newer anndata")
    return list(column(group[name]))


def columns_of(group: Any) -> list[str]:
    """Return the columns of a table, in their order."""
    order = [str(name) for name in group.attrs.get("column-order", [])]
    return [name for name in order if name in group]


def column(item: Any) -> np.ndarray:
    """Return a column: an array, strings, or codes of categories, -1 for a gap."""
    if hasattr(item, "keys") and "codes" in item:
        codes, levels = item["codes"][()], column(item["categories"])
        return np.array([None if code < 0 else levels[code] for code in codes], dtype=object)
    if hasattr(item, "keys"):  # nullable numbers: values and a mask of gaps
        values, gaps = item["values"][()], item["mask"][()]
        pairs = zip(values.tolist(), gaps, strict=True)
        return np.array([None if gap else value for value, gap in pairs], dtype=object)
    values = item[()]
    if values.dtype.kind in "OS":
        return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in values], dtype=object)
    return np.asarray(values)


def dense(item: Any) -> np.ndarray:
    """Return ``X`` as float64, ``(samples, genes)``; a sparse one is filled with its zeros."""
    if not hasattr(item, "keys"):
        return np.asarray(item[()], dtype=np.float64)
    from scipy import sparse

    kind = {"csr_matrix": sparse.csr_array, "csc_matrix": sparse.csc_array}.get(item.attrs.get("encoding-type", ""))
    if kind is None:
        raise FileError(f"X is stored as {item.attrs.get('encoding-type')!r}; save it dense, or as a csr or csc matrix")
    parts = (item["data"][()].astype(np.float64), item["indices"][()], item["indptr"][()])
    return np.asarray(kind(parts, shape=tuple(item.attrs["shape"])).toarray())


def read_tenx(path: Path, request: Request) -> Table:
    """Read a 10x folder: ``matrix.mtx``, ``features.tsv`` (or genes.tsv) and ``barcodes.tsv``, each perhaps ``.gz``."""
    from scipy.io import mmread

    places = {part: find_part(path, names) for part, names in TENX.items()}
    features = [line.split("\t") for line in lines_of(places["features"])]
    samples = sample_names(pd.Series(lines_of(places["barcodes"])))
    matrix = mmread(places["matrix"]).tocsr()
    if matrix.shape != (len(features), len(samples)):
        counted = f"{len(features)} features and {len(samples)} barcodes"
        raise FileError(f"the matrix is {matrix.shape}, and there are {counted}; the files are of different runs")
    genes = [i for i, f in enumerate(features) if len(f) < 3 or f[2] in GENE_ROWS]
    notes = [f"10x folder: {count(len(samples), 'barcode')}, {count(len(genes), 'gene')}."]
    if len(genes) < len(features):
        notes.append(f"Left out: {count(len(features) - len(genes), 'feature')} of another kind than gene expression.")
    return Table(
        values=np.ascontiguousarray(matrix[genes].T.toarray(), dtype=np.float64),
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
    opener = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\r\n") for line in file]
