"""MATLAB files (.mat) of versions 4 to 7: the largest matrix, and vectors as long as it as annotations.

The format: The MathWorks, "MAT-File Format". It is read here and not with SciPy, whose reader can end the process on a
damaged file: every length is checked against the bytes that are there.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import pandas as pd

from spred.errors import FileError
from spred.genes.data.expression import Table
from spred.genes.io.tables import Request
from spred.report.wording import some
from spred.runtime.files.limits import check_size, inflated

NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Types of an element that holds numbers."""

TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
"""Types of an element that holds text, and how: MATLAB writes 16-bit numbers for most."""

MATRIX, COMPRESSED = 14, 15
CELL, CHAR, SPARSE = 1, 4, 5
ARRAYS = range(6, 16)
"""Classes of arrays of numbers. Values stay as they are stored: whole numbers of type double often are bytes."""

LOGICAL, COMPLEX = 0x200, 0x800
HEADER = 128
MOST_AXES, LARGEST = 32, 2**48
"""Axes and elements of an array at most; NumPy has no room for more, be they of an axis of length 0."""

DEEPEST = 8
"""Cells inside of cells that are looked at; labels lie in the first."""

OLD_NUMBERS = ("f8", "f4", "i4", "i2", "u2", "u1")
"""Precisions of version 4, by their digit."""

DAMAGED = "this is no MATLAB file, or it is damaged"


def read_mat(path: Path, request: Request) -> Table:
    """Read a MATLAB file: the largest matrix is samples × genes, vectors as long are annotations."""
    check_size(path.stat().st_size)
    found, skipped = variables(path.read_bytes())
    arrays = {name: value for name, value in found.items() if not name.startswith("__")}
    matrices = {k: v for k, v in arrays.items() if v.ndim == 2 and v.dtype.kind in "fiub" and min(v.shape) > 1}
    if not matrices:
        raise FileError("no matrix of samples × genes is in this MATLAB file")
    main = max(matrices, key=lambda k: matrices[k].size)
    n, p = matrices[main].shape
    samples = [str(i + 1) for i in range(n)]
    vectors = {k: v.ravel() for k, v in arrays.items() if v.size == n and max(v.shape) == n and k != main}
    notes = [f"Matrix {main!r} holds {n} samples in rows and {p} genes, named by their position from 1."]
    if skipped:
        notes.append(f"Left out, for they are no arrays of numbers or text: {some(skipped)}.")
    return Table(
        values=matrices[main].astype(np.float64),
        samples=samples,
        genes=[f"gene_{j + 1}" for j in range(p)],
        annotations=pd.DataFrame({k: [cell(x) for x in v] for k, v in vectors.items()}, index=samples),
        notes=notes,
    )


def cell(value: object) -> object:
    """Take a string out of MATLAB's cell array."""
    return value.item() if isinstance(value, np.ndarray) and value.size == 1 else value


Variables = tuple[dict[str, np.ndarray], list[str]]
"""Arrays by their names, and names of what is neither numbers nor text: structures, functions, objects."""


def variables(content: bytes) -> Variables:
    """Return the arrays of a MATLAB file.

    Raises:
        FileError: it is none, is damaged, or of version 7.3, which is another format.
    """
    if len(content) < 20:
        raise FileError(DAMAGED)
    if 0 in content[:4]:
        return old_variables(content)
    if len(content) < HEADER or content[126:128] not in (b"IM", b"MI"):
        raise FileError(DAMAGED)
    order = "<" if content[126:128] == b"IM" else ">"
    version = struct.unpack(order + "H", content[124:126])[0]
    if version == 0x200:
        raise FileError("MATLAB 7.3 files are not read; save it again with the option -v7")
    if version != 0x100:
        raise FileError(DAMAGED)
    found, skipped = {}, []
    for kind, element in elements(content[HEADER:], order, aligned=False):
        if kind == COMPRESSED:
            try:
                inner = inflated(element, "a variable")
            except zlib.error as err:
                raise FileError(f"{DAMAGED}: a variable cannot be unpacked; copy or download it again") from err
            kind, element = next(elements(inner, order), (0, b""))
        if kind != MATRIX:
            continue
        name, value = matrix(element, order)
        if value is None:
            skipped.append(name)
        else:
            found[name] = value
    return found, [name for name in skipped if name]


def elements(content: bytes, order: str, *, aligned: bool = True) -> Iterator[tuple[int, bytes]]:
    """Give type and bytes of each element; ``aligned`` ones are filled up to a multiple of eight bytes."""
    place = 0
    while place < len(content):
        if place + 8 > len(content):
            raise FileError(DAMAGED)
        kind, length = struct.unpack_from(order + "II", content, place)
        if kind >> 16:  # a short one: length and type in four bytes, four bytes of content
            kind, length, start = kind & 0xFFFF, kind >> 16, place + 4
            if length > 4:
                raise FileError(DAMAGED)
            place += 8
        else:
            start = place + 8
            place = start + length
            if place > len(content):
                raise FileError(f"{DAMAGED}: it ends before a variable of {length} bytes does")
            if aligned or kind not in (COMPRESSED, MATRIX):
                place += -length % 8
        yield kind, content[start : start + length]


@dataclass(frozen=True)
class Head:
    """What the first elements of a matrix say: its class, whether it is logical or complex, its shape and name."""

    class_: int
    flags: int
    shape: tuple[int, ...]
    name: str


def matrix(content: bytes, order: str, depth: int = 0) -> tuple[str, np.ndarray | None]:
    """Return name and array of a matrix; None for what is neither numbers nor text."""
    parts = elements(content, order)
    flags = next(parts, (0, b""))[1]
    if not content:
        return "", np.zeros((0, 0))
    if len(flags) != 8:
        raise FileError(DAMAGED)
    word = struct.unpack(order + "I", flags[:4])[0]
    class_ = word & 0xFF
    if class_ not in (CELL, CHAR, SPARSE, *ARRAYS):
        return name_of_other(parts, class_), None
    sizes = numbers(next(parts, (0, b"")), order)
    name = next(parts, (0, b""))[1].decode("latin-1")
    if sizes.dtype.kind not in "iu" or sizes.ndim != 1 or not 2 <= len(sizes) <= MOST_AXES or (sizes < 0).any():
        raise FileError(DAMAGED)
    if prod(max(int(size), 1) for size in sizes) > LARGEST:  # with a 0 among them it would have no element
        raise FileError(DAMAGED)
    head = Head(class_, word, tuple(int(size) for size in sizes), name)
    if class_ == CELL:
        return name, cells(parts, head, order, depth)
    if class_ == CHAR:
        return name, texts(next(parts, (4, b"")), head, order)
    if class_ == SPARSE:
        return name, filled(parts, head, order)
    values = numbers(next(parts, (9, b"")), order)
    if values.size != prod(head.shape):
        raise FileError(f"{DAMAGED}: {name!r} has {values.size} values and not {prod(head.shape)}")
    return name, None if word & COMPLEX else values.reshape(head.shape, order="F")


def name_of_other(parts: Iterator[tuple[int, bytes]], class_: int) -> str:
    """Return the name of a structure, a function or an object; objects of classes have no shape before it."""
    for kind, content in parts:
        if kind in (1, 16):
            return content.decode("latin-1")
    return f"a variable of class {class_}"


def numbers(element: tuple[int, bytes], order: str) -> np.ndarray:
    """Return the numbers of an element."""
    kind, content = element
    if kind not in NUMBERS or len(content) % int(NUMBERS[kind][1]):
        raise FileError(DAMAGED)
    found = np.frombuffer(content, order + NUMBERS[kind])
    return found.astype(found.dtype.newbyteorder("="))


def cells(parts: Iterator[tuple[int, bytes]], head: Head, order: str, depth: int) -> np.ndarray:
    """Return an array of arrays."""
    inside = list(parts)
    if len(inside) != prod(head.shape) or depth > DEEPEST or any(kind != MATRIX for kind, _ in inside):
        raise FileError(f"{DAMAGED}: {head.name!r} has {len(inside)} cells and not {prod(head.shape)}")
    found = np.empty(len(inside), dtype=object)
    for i, (_, content) in enumerate(inside):
        found[i] = matrix(content, order, depth + 1)[1]
    return found.reshape(head.shape, order="F")


def texts(element: tuple[int, bytes], head: Head, order: str) -> np.ndarray:
    """Return the rows of an array of characters, each as one text without the blanks at its end."""
    kind, content = element
    if kind not in TEXTS:
        raise FileError(DAMAGED)
    wide = {"utf-16": 2, "utf-32": 4}.get(TEXTS[kind], 1)
    encoding = TEXTS[kind] + ({"<": "-le", ">": "-be"}[order] if wide > 1 else "")
    text = content[: len(content) // wide * wide].decode(encoding, errors="replace")
    if len(text) == prod(head.shape):
        return rows_of_text(np.array(list(text), dtype="U1").reshape(head.shape, order="F"))
    if prod(head.shape[:-1]) != 1:  # a single one may have characters that MATLAB counts twice
        raise FileError(f"{DAMAGED}: {head.name!r} has {len(text)} characters and not {prod(head.shape)}")
    return np.array([text.rstrip(" \x00")], dtype=object)


def rows_of_text(letters: np.ndarray) -> np.ndarray:
    """Join letters along the last axis."""
    rows = letters.reshape(prod(letters.shape[:-1]), -1) if letters.size else np.empty((0, 0), dtype="U1")
    joined = np.array(["".join(row).rstrip(" \x00") for row in rows], dtype=object)
    return joined.reshape(letters.shape[:-1]) if letters.size else joined


def filled(parts: Iterator[tuple[int, bytes]], head: Head, order: str) -> np.ndarray | None:
    """Return a sparse matrix with its zeros; None if it is complex."""
    from scipy import sparse

    i, start = (numbers(next(parts, (9, b"")), order) for _ in range(2))
    kind, content = next(parts, (9, b""))
    if head.flags & LOGICAL and len(start) and len(content) == start[-1]:
        kind = 2  # MATLAB says 8 bytes for each, and writes one
    values = numbers((kind, content), order)
    if len(head.shape) != 2 or i.dtype.kind not in "iu" or start.dtype.kind not in "iu":
        raise FileError(DAMAGED)
    rows, columns = head.shape
    check_size(8 * rows * columns, f"matrix {head.name!r}")
    n = int(start[-1]) if len(start) else -1
    fits = len(start) == columns + 1 and start[0] == 0 and (np.diff(start.astype(np.int64)) >= 0).all()
    if not fits or not 0 <= n <= min(len(i), len(values)) or ((i[:n] < 0) | (i[:n] >= rows)).any():
        raise FileError(f"{DAMAGED}: the indices of {head.name!r} do not fit its shape")
    whole = sparse.csc_array((values[:n].astype(np.float64), i[:n], start), shape=head.shape).toarray()
    return None if head.flags & COMPLEX else np.asarray(whole != 0 if head.flags & LOGICAL else whole)


# --- version 4 --------------------------------------------------------------------------------------------


def old_variables(content: bytes) -> Variables:
    """Return the arrays of a file of version 4: for each a head of five numbers, its name and its values."""
    found: dict[str, np.ndarray] = {}
    skipped, place = [], 0
    order = "<" if struct.unpack("<i", content[:4])[0] in range(5000) else ">"
    while place < len(content):
        if place + 20 > len(content):
            raise FileError(DAMAGED)
        kind, rows, columns, imaginary, n_name = struct.unpack_from(order + "5i", content, place)
        machine, zero, precision, what = (kind // 10**k % 10 for k in (3, 2, 1, 0))
        if not 0 <= kind < 2000 or machine > 1 or zero or precision >= len(OLD_NUMBERS) or what > 2:
            raise FileError(DAMAGED)
        type_ = np.dtype(order + OLD_NUMBERS[precision])
        start = place + 20 + n_name
        length = rows * columns * type_.itemsize
        place = start + length * (2 if imaginary else 1)
        if min(rows, columns, n_name) < 0 or place > len(content):
            raise FileError(f"{DAMAGED}: it ends before a variable of {length} bytes does")
        name = content[start - n_name : start].rstrip(b"\x00").decode("latin-1")
        values = np.frombuffer(content[start : start + length], type_).reshape((rows, columns), order="F")
        values = values.astype(type_.newbyteorder("="))
        if imaginary or (what == 2 and columns == 4):  # complex
            skipped.append(name)
        else:
            found[name] = values if what == 0 else old_text(values) if what == 1 else old_sparse(values, name)
    return found, skipped


def old_text(values: np.ndarray) -> np.ndarray:
    """Return the rows of an array of characters: their codes as numbers."""
    codes = values.astype(np.uint8).astype(np.uint32)
    return rows_of_text(np.ascontiguousarray(codes).view("U1"))


def old_sparse(values: np.ndarray, name: str) -> np.ndarray:
    """Return a sparse matrix with its zeros: rows, columns and values, its shape in the last row."""
    from scipy import sparse

    places = np.nan_to_num(values[:, :2]).clip(-1, 2**52).astype(np.int64)
    if values.ndim != 2 or values.shape[1] != 3 or not len(values) or (places < 0).any():
        raise FileError(DAMAGED)
    (rows, columns), (i, j) = places[-1].tolist(), places[:-1].T - 1
    check_size(8 * rows * columns, f"matrix {name!r}")
    if ((i < 0) | (j < 0) | (i >= rows) | (j >= columns)).any():
        raise FileError(f"{DAMAGED}: the indices of {name!r} do not fit its shape")
    return np.asarray(sparse.coo_array((values[:-1, 2], (i, j)), shape=(rows, columns)).toarray())
