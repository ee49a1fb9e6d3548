"""What a file may unpack to: no more than the memory that is there, asked before it is unpacked.

A small file can say that it holds terabytes: zeros that are compressed, a table that repeats one value, a shape. So
readers ask here first. The limit is half of the memory that is free, or what ``SPRED_MEMORY_LIMIT`` says ("64G").
"""

from __future__ import annotations

import gzip
import os
import re
import stat
import zipfile
import zlib
from pathlib import Path

from spred.errors import FileError, InputError
from spred.runtime.files.memory import available_memory

OPTION = "SPRED_MEMORY_LIMIT"
"""The variable of the environment that sets the limit; worker processes get it too."""

SHARE = 0.5
"""Of the free memory, that a file may unpack to. More, and the numbers that are made of it do not fit beside it; less,
and files are refused that can be read."""

MOST_DEFLATED = 1032
"""Bytes that one byte of the deflate code can stand for at most: shorter files need not be counted through."""

SHEET_CELL = 4
"""Bytes in memory for a byte of a workbook's text, about: each cell becomes an object."""

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}

PIECE = 1 << 20


def memory_limit() -> int:
    """Return the bytes that a file may unpack to.

    Raises:
        InputError: ``SPRED_MEMORY_LIMIT`` is no number of bytes.
    """
    text = os.environ.get(OPTION, "").strip()
    if not text:
        return int(SHARE * available_memory())
    found = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)\s*([KMGT]?)(?:i?B)?", text, re.IGNORECASE)
    if found is None:
        raise InputError(f"{OPTION} is {text!r}; give a number of bytes such as 64G")
    return int(float(found[1]) * UNITS[found[2].upper()])


def check_size(n_bytes: int, what: str = "the file") -> None:
    """Refuse what would take more bytes of memory than :func:`memory_limit`.

    Raises:
        FileError: it would.

    >>> check_size(2**60, "X")
    Traceback (most recent call last):
    spred.errors.FileError: X would take 1,048,576.0 TB of memory, ...
    """
    limit = memory_limit()
    if n_bytes > limit:
        raise FileError(
            f"{what} would take {written(n_bytes)} of memory, and the limit is {written(limit)}; "
            f"if that is no mistake, raise it with {OPTION}={written(n_bytes).replace(',', '').replace(' ', '')}"
        )


def written(n_bytes: int) -> str:
    """Write a number of bytes for people, rounded up.

    >>> written(3 * 2**30), written(999)
    ('3.0 GB', '999 bytes')
    """
    if n_bytes < UNITS["K"]:
        return f"{n_bytes} bytes"
    name, unit = next(((n, u) for n, u in reversed(UNITS.items()) if n_bytes >= u), ("K", UNITS["K"]))
    return f"{-(-n_bytes * 10 // unit) / 10:,.1f} {name}B"


def check_unpacked(path: Path) -> None:
    """Refuse a file that unpacks to more than the limit, by its first bytes: gzip, zip archives, parquet.

    Raises:
        FileError: it does, or it is no regular file: a pipe or a device may never end.
        gzip.BadGzipFile, EOFError, zlib.error: a gzip file is damaged.
    """
    check_regular(path)
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] == b"\x1f\x8b":
        check_gzip(path)
    elif start == b"PK\x03\x04":
        check_zip(path)
    elif start == b"PAR1":
        check_parquet(path)


def check_regular(path: Path) -> None:
    """Refuse a pipe, a socket or a device.

    Raises:
        FileError: it is one.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise FileError("this is no file but a pipe or a device; write what comes of it to a file first")


def too_long(what: str, limit: int) -> FileError:
    """Say that something goes on beyond the limit, how far is not known."""
    return FileError(
        f"{what} unpacks to more than {written(limit)}, which is the limit; "
        f"if that is no mistake, raise it with {OPTION}={written(2 * limit).replace(' ', '')}"
    )


def check_gzip(path: Path) -> None:
    """Refuse a gzip file that unpacks to more than the limit; one that is too short for that is not unpacked."""
    limit = memory_limit()
    if path.stat().st_size * MOST_DEFLATED <= limit:
        return
    total = 0
    with gzip.open(path) as file:
        while piece := file.read(PIECE):
            total += len(piece)
            if total > limit:
                raise too_long("the file", limit)


def inflated(content: bytes, what: str) -> bytes:
    """Return what zlib has deflated, if it is no longer than the limit.

    Raises:
        FileError: it is longer.
        zlib.error: it is damaged or cut short.

    >>> inflated(zlib.compress(b"TP53"), "a name")
    b'TP53'
    """
    limit = memory_limit()
    unpacker = zlib.decompressobj()
    found = unpacker.decompress(content, limit + 1)
    if len(found) > limit:
        raise too_long(what, limit)
    if not unpacker.eof:
        raise zlib.error("it is cut short")
    return found


def check_zip(path: Path) -> None:
    """Refuse an archive whose members are longer than the limit; what they say holds, for no more is unpacked.

    A damaged archive is left to its reader.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError):
        return
    total = sum(member.file_size for member in members)
    sheets = any(member.filename.startswith("xl/") for member in members)
    check_size(total * (SHEET_CELL if sheets else 1))


def check_parquet(path: Path) -> None:
    """Refuse a parquet table that is larger than the limit: its cells, and the bytes of its pages.

    A damaged table is left to its reader.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        found = pyarrow.parquet.read_metadata(path)
        pages = sum(found.row_group(i).total_byte_size for i in range(found.num_row_groups))
    except (pyarrow.ArrowException, OSError, ValueError):
        return
    check_size(max(8 * found.num_rows * found.num_columns, pages))
