"""``.h5ad`` files of single-cell tools: HDF5 with the layout of anndata.

``X`` is dense, or a sparse matrix as three arrays; ``obs`` is the sample table, ``var`` has the genes. Files of anndata
before 0.7 hold the two tables as records, and the levels of their columns in ``uns``. Read with h5py; results are
written back into a copy. Nothing of a file is believed: each array is read whole by :func:`array`, which refuses what
lies in another file or is larger than the memory, and indices are checked before they are used.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spred.errors import FileError
from spred.genes.data.expression import Table
from spred.genes.io import hdf5_probe as probe
from spred.genes.io.tables import Request, sample_names
from spred.report.wording import count, some
from spred.runtime.extras import extra
from spred.runtime.files.isolated import refuse_crash
from spred.runtime.files.limits import check_size
from spred.runtime.files.reading import from_library

SYMBOLS = ("feature_name", "gene_symbols", "gene_symbol", "gene_name", "symbol", "gene_short_name")
"""Columns of ``var`` that hold symbols, where the names are identifiers."""

BROKEN = "this HDF5 file is damaged; write or copy it again"


def read_h5ad(path: Path, request: Request) -> Table:
    """Read an h5ad file: observations are samples, variables are genes."""
    with opened(path, "r") as file:
        check_parts(file)
        samples = sample_names(pd.Series(index_of(file["obs"]), dtype=object))
        genes = [str(name) for name in index_of(file["var"])]
        values = matrix(file["X"])
        if values.shape != (len(samples), len(genes)):
            raise FileError(f"X is {values.shape}, but there are {len(samples)} names in obs and {len(genes)} in var")
        named = columns_of(file["var"])
        symbols = next((column(file["var"], name, len(genes)) for name in SYMBOLS if name in named), None)
        cells = {name: column(file["obs"], name, len(samples)) for name in columns_of(file["obs"])}
        table = pd.DataFrame(cells, index=samples)
    return Table(
        values=values,
        samples=samples,
        genes=genes,
        annotations=table,
        symbols=None if symbols is None else [str(s) for s in symbols],
        notes=[f"h5ad: {count(len(samples), 'observation')}, {count(len(genes), 'variable')}, from X."],
    )


def check_parts(file: Any) -> None:
    """Refuse an HDF5 file that lacks what an h5ad file has."""
    with from_library(BROKEN):
        there = sorted(file)
        for part in there:
            file[part]  # a damaged one raises
        stored = str(attribute(file["X"], "encoding-type")) if "X" in there else "null"
        layers = sorted(file["layers"]) if "layers" in there else []
    if "matrix" in there and "X" not in there:
        made = "a loom file" if "row_attrs" in there else "Cell Ranger's HDF5 file"
        how = "read_loom" if "row_attrs" in there else "read_10x_h5"
        raise FileError(f"this is {made}; write it as h5ad: scanpy.{how}(…).write_h5ad(…)")
    for part in ("obs", "var"):
        if part not in there:
            raise FileError(f"no {part!r} in this HDF5 file, so it is no h5ad file")
    if stored == "null":
        held = f"; copy one of the layers ({some(layers)}) to X" if layers else ", so it is no h5ad file"
        raise FileError(f"no 'X' in this HDF5 file{held}")


def write_h5ad(source: Path, target: Path, genes: Iterable[object], columns: dict[str, np.ndarray]) -> None:
    """Copy an h5ad file and add columns of numbers or of yes and no to its ``var``.

    ``columns`` are in the order of ``genes``; a variable that is none of them gets 0 or no.
    """
    shutil.copyfile(source, target)
    place = {str(gene): i for i, gene in enumerate(genes)}
    with opened(target, "r+") as file:
        var = file["var"]
        rows = np.array([place.get(str(name), -1) for name in index_of(var)])
        new = {name: np.where(rows >= 0, values[rows], values.dtype.type(0)) for name, values in columns.items()}
        if is_record(var):
            write_record(file, new)
            return
        order = [*columns_of(var), *(name for name in new if name not in columns_of(var))]
        for name, values in new.items():
            if name in var:
                del var[name]
            var[name] = values
            var[name].attrs["encoding-type"], var[name].attrs["encoding-version"] = "array", "0.2.0"
        var.attrs["column-order"] = np.array(order, dtype=object)


def write_record(file: Any, new: dict[str, np.ndarray]) -> None:
    """Add columns to a ``var`` of records."""
    old = file["var"]
    kept = [name for name in old.dtype.names if name not in new]
    kinds = [*((name, old.dtype[name]) for name in kept), *((name, values.dtype) for name, values in new.items())]
    records = np.empty(old.shape, dtype=kinds)
    for name in records.dtype.names:
        records[name] = new[name] if name in new else old[name]
    attributes = dict(old.attrs)
    del file["var"]
    file["var"] = records
    file["var"].attrs.update(attributes)


# --- HDF5 -------------------------------------------------------------------------------------------------


@contextmanager
def opened(path: Path, mode: str) -> Iterator[Any]:
    """Open an HDF5 file that has no links to other files, and that the library can read without a crash."""
    h5py = extra("h5py")
    refuse_crash(probe.__file__, path)
    with from_library("this is no HDF5 file, or it is damaged; write or copy it again"):
        file = h5py.File(path, mode)
    with file:
        outside: list[str] = []

        def note(name: str, link: Any) -> None:
            if isinstance(link, h5py.ExternalLink):
                outside.append(name)

        with from_library(BROKEN):
            file.visititems_links(note)
        if outside:
            raise FileError(f"{outside[0]!r} is a link to another file, which is not followed; write the file whole")
        yield file


def array(item: Any) -> np.ndarray:
    """Return what an HDF5 data set holds, numbers in the order of this machine's bytes."""
    with from_library(BROKEN):
        place = item.name
        if not hasattr(item, "dtype"):
            raise FileError(f"{place} is a group and no array; write the file with a newer anndata")
        if item.is_virtual or item.external:
            raise FileError(f"{place} lies in another file, which is not read; write the file whole")
        if item.shape is None:
            raise FileError(f"{place} is empty")
        check_size(int(np.prod(item.shape, dtype=object)) * item.dtype.itemsize, place)
        values = np.asarray(item[()])
    return values.astype(values.dtype.newbyteorder("=")) if values.dtype.kind in "iufc" else values


def attribute(item: Any, name: str, other: object = None) -> Any:
    """Return an attribute of an HDF5 item, text as text."""
    with from_library(BROKEN):
        value = item.attrs.get(name, other)
        return value.decode() if isinstance(value, bytes) else value


def member(group: Any, name: str) -> Any:
    """Return an item of a group."""
    with from_library(f"{name!r} is missing or damaged in this HDF5 file; write or copy it again"):
        return group[name]


def texts(values: np.ndarray, place: str) -> np.ndarray:
    """Return strings for the bytes that HDF5 holds."""
    try:
        return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in values], dtype=object)
    except UnicodeDecodeError as err:
        raise FileError(f"{place!r} holds text that is not UTF-8; the file is damaged") from err


# --- tables -----------------------------------------------------------------------------------------------


def is_record(item: Any) -> bool:
    """Return whether a table is one array of records, as anndata wrote it before 0.7."""
    return getattr(getattr(item, "dtype", None), "names", None) is not None


def index_of(table: Any) -> np.ndarray:
    """Return the names of the rows of ``obs`` or ``var``."""
    if is_record(table):
        names = table.dtype.names
        return flat(
            texts(array(table)[next((n for n in ("index", "_index") if n in names), names[0])], "index"), "index"
        )
    name = attribute(table, "_index", "_index")
    if not hasattr(table, "keys") or not isinstance(name, str) or name not in table:
        raise FileError(f"{table.name} has no names of its rows; write the file with a newer anndata")
    return column(table, name)


def columns_of(table: Any) -> list[str]:
    """Return the columns of a table, in their order."""
    if is_record(table):
        return [name for name in table.dtype.names if name not in ("index", "_index")]
    listed = np.ravel(attribute(table, "column-order", []))
    order = [name.decode() if isinstance(name, bytes) else str(name) for name in listed]
    with from_library(BROKEN):
        return [name for name in dict.fromkeys(order) if name in table]


def column(table: Any, name: str, length: int | None = None) -> np.ndarray:
    """Return a column: numbers, strings, or the levels of a categorical one, None for a gap.

    Raises:
        FileError: it is damaged, or has not ``length`` rows.
    """
    found = of_record(table, name) if is_record(table) else of_group(member(table, name), name)
    if length is not None and len(flat(found, name)) != length:
        raise FileError(f"column {name!r} has {len(found)} rows, and there are {length} names")
    return flat(found, name)


def flat(values: np.ndarray, name: str) -> np.ndarray:
    """Return a column that has one dimension."""
    if values.ndim != 1:
        raise FileError(f"column {name!r} has {values.ndim} dimensions and not one")
    return values


def of_group(item: Any, name: str) -> np.ndarray:
    """Return a column that is an item of its own: an array, or codes and levels, or values and a mask of the gaps."""
    if not hasattr(item, "keys"):
        levels = attribute(item, "categories")
        if levels is None:
            return plain(array(item), name)
        with from_library(BROKEN):  # anndata 0.7: the levels lie elsewhere, by a reference
            levels = item.file[levels]
        return categorical(array(item), plain(array(levels), name), name)
    if "codes" in item:
        levels = of_group(member(item, "categories"), name)
        return categorical(array(member(item, "codes")), levels, name)
    values, gaps = plain(array(member(item, "values")), name), flat(array(member(item, "mask")), name)
    if len(values) != len(gaps) or gaps.dtype.kind not in "biu":
        raise FileError(f"column {name!r} has {len(values)} values and a mask of {len(gaps)}; the file is damaged")
    return np.array([None if gap else value for value, gap in zip(values.tolist(), gaps, strict=True)], dtype=object)


def of_record(table: Any, name: str) -> np.ndarray:
    """Return a column of a table of records; its levels, if it is categorical, lie in ``uns``."""
    values, place = array(table)[name], f"uns/{name}_categories"
    with from_library(BROKEN):
        levels = table.file.get(place)
    return plain(values, name) if levels is None else categorical(values, plain(array(levels), name), name)


def plain(values: np.ndarray, name: str) -> np.ndarray:
    """Return numbers as they are, bytes as text."""
    flat(values, name)
    if values.dtype.kind not in "OSUbiuf":
        raise FileError(f"column {name!r} holds {values.dtype}, which is neither numbers nor text")
    return texts(values, name) if values.dtype.kind in "OSU" else values


def categorical(codes: np.ndarray, levels: np.ndarray, name: str) -> np.ndarray:
    """Return the level that each code stands for, None for -1."""
    flat(codes, name)
    if codes.dtype.kind not in "iu" or (len(codes) and not -1 <= int(codes.min()) <= int(codes.max()) < len(levels)):
        raise FileError(f"column {name!r} has codes that are none of its {len(levels)} levels; the file is damaged")
    return np.array([None if code < 0 else levels[code] for code in codes], dtype=object)


# --- X ----------------------------------------------------------------------------------------------------


def matrix(item: Any) -> np.ndarray:
    """Return ``X`` as float64, ``(samples, genes)``; a sparse one is filled with its zeros."""
    if not hasattr(item, "keys"):
        return numbers(array(item), "X")
    from scipy import sparse

    old = f"{attribute(item, 'h5sparse_format')}_matrix"  # before anndata 0.7
    stored = str(attribute(item, "encoding-type", old))
    kind = {"csr_matrix": sparse.csr_array, "csc_matrix": sparse.csc_array}.get(stored)
    if kind is None:
        raise FileError(f"X is stored as {stored!r}; save it dense, or as a csr or csc matrix")
    sizes = np.ravel(attribute(item, "shape", attribute(item, "h5sparse_shape", ())))
    if sizes.shape != (2,) or sizes.dtype.kind not in "iu" or (sizes < 0).any():
        raise FileError("the sparse matrix X says no shape; the file is damaged")
    shape = (int(sizes[0]), int(sizes[1]))
    check_size(8 * shape[0] * shape[1], "X with its zeros")
    data = numbers(array(member(item, "data")), "X")
    indices, starts = (array(member(item, part)) for part in ("indices", "indptr"))
    check_sparse(data, indices, starts, shape if stored == "csr_matrix" else shape[::-1])
    return np.asarray(kind((data, indices, starts), shape=shape).toarray())


def numbers(values: np.ndarray, name: str) -> np.ndarray:
    """Return numbers as float64."""
    if values.dtype.kind not in "biuf":
        raise FileError(f"{name} holds {values.dtype} and no real numbers")
    return np.asarray(values, dtype=np.float64)


def check_sparse(data: np.ndarray, indices: np.ndarray, starts: np.ndarray, shape: tuple[int, int]) -> None:
    """Refuse a sparse matrix of ``shape`` rows and columns (the other way round for csc) that points out of itself."""
    n = len(data) if data.ndim == 1 else -1
    whole = all(part.ndim == 1 and part.dtype.kind in "iu" for part in (indices, starts))
    if not whole or len(indices) != n or len(starts) != shape[0] + 1:
        raise FileError("the three arrays of the sparse matrix X do not fit each other; the file is damaged")
    if int(starts[0]) != 0 or int(starts[-1]) != n or (starts[1:] < starts[:-1]).any():
        raise FileError("the index pointers of the sparse matrix X do not rise from 0 to its end; the file is damaged")
    if n and not 0 <= int(indices.min()) <= int(indices.max()) < shape[1]:
        raise FileError(f"an index of the sparse matrix X is not within its {shape[1]} places; the file is damaged")
