"""Picture files, decoded by Pillow: each becomes an array, or one sentence says which cannot.

What Pillow would do in silence is done right or said: 16 bits are scaled to 8 and not cut off, a photograph is turned
as its camera says, of several pages the first is taken with a warning. Formats that run other programs stay closed.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spred.compress.data.pixels import stack
from spred.errors import FileError, SpredError, SpredWarning, first_line
from spred.runtime.extras import extra

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")

FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP", "PPM", "TIFF", "JPEG2000", "ICO", "TGA", "AVIF")
"""What is opened, whatever a file is called; Pillow would hand EPS to Ghostscript."""

MOST_PIXELS = 2**26
"""Of one picture, 8,192 × 8,192. More, and a damaged file of a few bytes can take seconds and gigabytes; less, and
photographs are refused."""

ORIENTATION = 0x0112
"""The tag in which a camera says how it was held."""

OF_THE_SYSTEM = ("__MACOSX",)
"""Folders that archives of other systems leave beside the images."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """One picture ``(height, width[, 3])``, uint8, and whether its file has more of them."""

    pixels: np.ndarray
    more: bool


def decode(files: Sequence[Path | io.BytesIO], size: int | None) -> np.ndarray:
    """Return encoded images as one array: grey ones with one channel, all others with red, green and blue.

    Raises:
        FileError: one cannot be decoded.
        InputError: they have several sizes, and ``size`` is None.
    """
    image = extra("PIL.Image")
    image.init()
    known = [name for name in FORMATS if name in image.OPEN]
    paged: list[str] = []

    def one(numbered: tuple[int, Path | io.BytesIO]) -> np.ndarray:
        index, file = numbered
        named = repr(file.name) if isinstance(file, Path) else f"number {index}"
        try:
            found = _decoded(file, size, known)
        except SpredError as err:
            raise FileError(f"image {named} {err}") from err
        except OSError as err:  # Pillow's own have no strerror
            raise FileError(f"image {named} cannot be decoded: {err.strerror or first_line(err)}") from err
        except Exception as err:  # each decoder has kinds of its own for a damaged file
            raise FileError(f"image {named} cannot be decoded: {first_line(err)}") from err
        if found.more:
            paged.append(named)
        return found.pixels

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about damaged tags and the like: the pixels count
        with ThreadPoolExecutor() as pool:
            whole = stack(pool.map(one, enumerate(files), chunksize=256))
    if paged:
        warnings.warn(
            f"{len(paged)} images have several pages or frames ({min(paged)}, say), of which the first is taken",
            SpredWarning,
            stacklevel=2,
        )
    return whole


def _decoded(file: Path | io.BytesIO, size: int | None, formats: Sequence[str]) -> Decoded:
    """Return one picture, turned as it was taken, with grey or three colours of 8 bits, brought to a size if given."""
    if isinstance(file, Path) and not file.is_file():
        raise FileError("is not there" if not file.exists() else "is no file")
    image, ops = extra("PIL.Image"), extra("PIL.ImageOps")
    with image.open(file, formats=formats) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            raise FileError(f"has {picture.width} × {picture.height} pixels, above {MOST_PIXELS:,}; save it smaller")
        more = bool(getattr(picture, "is_animated", False)) and picture.format != "MPO"  # a telephone's preview
        turned = ops.exif_transpose(picture) if _orientation(picture) != 1 else picture
        plain = _eight_bits(turned)
        plain = plain if size is None else plain.resize((size, size), image.Resampling.BILINEAR)
        return Decoded(np.asarray(plain), more)


def _orientation(picture: Any) -> int:
    """Return how the camera was held, 1 if it does not say; damaged tags say nothing."""
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # of many parsers; the pixels do not depend on them
        return 1


def _eight_bits(picture: Any) -> Any:
    """Return a picture with grey or with three colours, of 8 bits each."""
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM")):
        image = extra("PIL.Image")
        deep = np.asarray(picture).astype(np.float64)
        return image.fromarray(np.rint(deep / 257).clip(0, 255).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise FileError(f"has numbers of 32 bits (mode {picture.mode}), whose scale is not known; save it with 8 or 16")
    return picture.convert("L" if picture.mode in ("1", "L", "LA", "La") else "RGB")


def pictures_in(folder: Path) -> list[Path]:
    """Return the image files under a folder, sorted; hidden ones, and those in hidden folders, are none."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in PICTURES and not any(is_hidden(part) for part in path.relative_to(folder).parts)
    )


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is the system's own: ``.ipynb_checkpoints``, ``._cat.png``, ``__MACOSX``."""
    return name.startswith(".") or name in OF_THE_SYSTEM
