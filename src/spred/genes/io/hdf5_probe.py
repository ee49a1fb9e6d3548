"""Read an HDF5 file once in a process of its own: what crashes or never ends there is refused before it is opened here.

HDF5's library can end the process on a damaged file, most of all where texts are damaged. This file is run as a script
by :mod:`spred.runtime.files.isolated` and imports nothing of spred, to start quickly. What merely cannot be read is no
matter here: the reader meets it again, and says what it is.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from math import prod
from typing import Any

PARTS = ("X", "obs", "var", "uns")
"""What the reader of h5ad files looks at."""

LARGE = 1 << 26
"""Bytes up to which an array is read whole; of a larger one, its first and its last row. More, and large files take
twice as long; less, and damage within an array may go unseen."""


def look(path: str) -> None:
    """Read everything that the reader will read."""
    import h5py

    with suppress(Exception), h5py.File(path, "r") as file:
        outside: list[str] = []
        file.visititems_links(lambda name, link: outside.append(name) if isinstance(link, h5py.ExternalLink) else None)
        if outside:  # it is refused, and never followed
            return
        for part in PARTS:
            with suppress(Exception):
                item = file[part]
                look_at(item)
                if isinstance(item, h5py.Group):
                    item.visititems(lambda _, inner: look_at(inner))


def look_at(item: Any) -> None:
    """Read the attributes of an item, and what it holds."""
    with suppress(Exception):
        for name in item.attrs:
            with suppress(Exception):
                found = item.attrs.get_id(name)
                if prod(found.shape or ()) * found.dtype.itemsize <= LARGE:
                    item.attrs[name]
    if not hasattr(item, "dtype"):
        return
    with suppress(Exception):
        if item.is_virtual or item.external or item.shape is None or not item.id.get_storage_size():
            return
        if prod(item.shape) * item.dtype.itemsize <= LARGE:
            item[()]
        elif prod(item.shape[1:]) * item.dtype.itemsize <= LARGE:
            item[0]
            item[-1]


if __name__ == "__main__":
    look(sys.argv[1])
