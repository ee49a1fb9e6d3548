"""Arrays in ``.npz`` files, read without pickle: each header is checked before anything is allocated for it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from spred.errors import FileError, SpredError, first_line
from spred.runtime.files.limits import check_size

SUFFIX = ".npy"

KINDS = "biufcSUmM"
"""Kinds of numbers and texts that an array may hold (NumPy's letters); objects and records are none."""


def array_names(path: Path) -> list[str]:
    """Return the names of the arrays of a file.

    Raises:
        FileError: it is no archive of arrays. The message does not name the file: whoever asks does.
    """
    with _archive(path) as archive:
        return [name.removesuffix(SUFFIX) for name in archive.namelist()]


def read_arrays(path: Path, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Return arrays of a file by name; all of them if ``names`` is left out.

    Raises:
        FileError: it is no archive of arrays, it is damaged, an array is missing or holds objects, or there is less
            memory than the arrays take.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.npz"
    >>> np.savez(path, x=np.arange(3))
    >>> read_arrays(path)
    {'x': array([0, 1, 2])}
    """
    with _archive(path) as archive:
        members = {info.filename.removesuffix(SUFFIX): info for info in archive.infolist()}
        chosen = list(members) if names is None else list(names)
        missing = [name for name in chosen if name not in members]
        if missing:
            raise FileError(f"has no array {missing[0]!r}; it has {list(members)}")
        check_size(sum(members[name].file_size for name in chosen), "the arrays")
        return {name: _read(archive, members[name], name) for name in chosen}


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> np.ndarray:
    """Return one array whose header agrees with the length of its member."""
    with archive.open(info) as file:
        shape, dtype = _header(file, name)
        length = prod(shape) * dtype.itemsize
        if dtype.kind not in KINDS or dtype.hasobject:
            raise FileError(f"array {name!r} holds {dtype}, and not plain numbers or texts")
        if min(shape, default=0) < 0 or length + file.tell() != info.file_size:
            raise FileError(f"array {name!r} says that its shape is {shape}, and its length is another; it is damaged")
    with archive.open(info) as file:
        found: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
        file.read(1)  # at the end of the member its checksum is compared
    return found


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Return what the header of an array says."""
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise FileError(f"array {name!r} is of version {version} of NumPy's format, which is not known here")
    shape, _, dtype = readers[version](file)
    return shape, dtype


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive; whatever is wrong with it becomes a FileError."""
    try:
        if not path.is_file():
            raise FileError("cannot be read: there is no such file")
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(set(names)) < len(names):
                raise FileError("names an array twice; the file is damaged")
            yield archive
    except SpredError:
        raise
    except OSError as err:
        raise FileError(f"cannot be read: {err.strerror or err}") from err
    except Exception as err:  # of zipfile, zlib, NumPy and its parser: each has kinds of its own for a damaged file
        raise FileError(f"cannot be read as arrays of NumPy: {first_line(err)}") from err
