"""What goes wrong while a file is opened and decoded, as one sentence; whoever knows the file's name adds it.

:func:`decoded` stands around a whole reader and knows exceptions by their kinds, so that a mistake in spred stays what
it is. :func:`from_library` stands right around the call of a library that can raise anything on a damaged file.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spred.errors import FileError, SpredError


@contextmanager
def decoded() -> Iterator[None]:
    """Turn what the system and Python's own decoders raise into a :class:`~spred.errors.FileError`.

    >>> with decoded():
    ...     b"caf\\xe9".decode("utf-8")
    Traceback (most recent call last):
    spred.errors.FileError: byte 3 is no utf-8 text; save the table as UTF-8
    """
    try:
        yield
    except gzip.BadGzipFile as err:
        raise FileError("the name ends in .gz but the content is no gzip file, or it is damaged") from err
    except (EOFError, zlib.error) as err:
        raise FileError("the compressed file is cut short or damaged; copy or download it again") from err
    except UnicodeDecodeError as err:
        raise FileError(f"byte {err.start} is no {err.encoding} text; save the table as UTF-8") from err
    except UnicodeError as err:  # UTF-16 without its first two bytes
        raise FileError("the text is damaged, or of an encoding that it does not name; save it as UTF-8") from err
    except PermissionError as err:
        raise FileError("the file may not be read by you; change its permissions") from err
    except OSError as err:
        said = next(iter(str(err.strerror or err).splitlines()), type(err).__name__)
        raise FileError(f"the file cannot be read: {said}") from err
    except MemoryError as err:
        raise FileError("there is not enough memory to read the file; free some, or read a part of it") from err


PAGES = (b"<!doctype html", b"<html")
POINTER = b"version https://git-lfs"


def check_no_page(path: Path) -> None:
    """Refuse what often lies under the name of a file that was downloaded: a page of a web site, a pointer to a file.

    Raises:
        FileError: it is one.
    """
    with path.open("rb") as file:
        start = file.read(200).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(PAGES):
        raise FileError("this is a page of a web site and not the file itself; download it again, and look at it first")
    if start.startswith(POINTER):
        raise FileError("this is a pointer of Git LFS and not the file itself; run git lfs pull")


OTHERS = {
    b"PK\x03\x04": "a workbook (.xlsx) or another zip archive",
    b"\xd0\xcf\x11\xe0": "an old workbook (.xls), to be saved as .xlsx",
    b"\x89HDF": "an HDF5 file (.h5ad)",
    b"PAR1": "a parquet table (.parquet)",
    b"\x1f\x8b": "compressed (.gz)",
    b"%PDF": "a PDF file",
}
"""Files that are no text, by their first bytes."""


def check_text(path: Path) -> None:
    """Refuse a file of another format under the name of a text file, compressed or not.

    Raises:
        FileError: it is one.
    """
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
        start = file.read(4)
    found = next((what for first, what in OTHERS.items() if start.startswith(first)), None)
    if found is not None:
        raise FileError(f"this is no text but {found}; give it the name of what it is")


@contextmanager
def from_library(sentence: str) -> Iterator[None]:
    """Turn whatever a library raises on a damaged file into a :class:`~spred.errors.FileError` with this sentence.

    The exception stays as its cause. What spred raised, and a want of memory, pass.
    """
    try:
        yield
    except (SpredError, MemoryError):
        raise
    except Exception as err:
        raise FileError(sentence) from err
