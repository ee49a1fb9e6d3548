"""Arrays of pixels brought to one form: bytes, channels first, all of one size."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from spred.errors import FileError, InputError
from spred.runtime.files.limits import memory_limit

CHANNELS = (1, 3), (2, 4)
"""Numbers of channels of images, the usual ones first."""


def stack(pictures: Iterable[np.ndarray]) -> np.ndarray:
    """Return ``(n, channels, height, width)`` of arrays ``(height, width[, channels])``.

    Raises:
        InputError: they have several sizes, or there are none.
        FileError: they do not fit into memory.
    """
    listed = within_memory(pictures)
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


def within_memory(pictures: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Return the pictures as a list, which leaves room for one copy of all of them."""
    listed: list[np.ndarray] = []
    room = memory_limit()
    for picture in pictures:
        room -= picture.nbytes
        if room < 0:
            raise FileError(f"its images do not fit into memory: {len(listed)} do; give data.size, or fewer images")
        listed.append(picture)
    return listed


def as_bytes(images: np.ndarray, size: int | None) -> np.ndarray:
    """Return arrays of images, 0 … 255 or 0 … 1, channels first or last or none, as uint8 ``(n, c, h, w)``."""
    if images.ndim not in (3, 4):
        raise InputError(f"has images of shape {images.shape}; give (n, h, w), (n, h, w, c) or (n, c, h, w)")
    if images.size == 0:
        raise InputError(f"has no images: their shape is {images.shape}")
    if images.dtype.kind not in "buif":
        raise InputError(f"has images of {images.dtype}; give numbers between 0 and 255, or between 0 and 1")
    if images.dtype != np.uint8:
        if not np.isfinite(images).all() or images.min() < 0 or images.max() > 255:
            raise InputError("has values outside 0 … 255; give pixels between 0 and 255, or between 0 and 1")
        images = np.rint(images * (255 if images.max() <= 1 else 1)).astype(np.uint8)
    images = images[:, None] if images.ndim == 3 else channels_first(images)
    if size is None or images.shape[2:] == (size, size):
        return np.ascontiguousarray(images)
    return _resized(images, size)


def channels_first(images: np.ndarray) -> np.ndarray:
    """Return images as ``(n, c, h, w)``: the channels are the axis with as many as images have, else the shorter one.

    Raises:
        InputError: both ends are as long.
    """
    first, last = images.shape[1], images.shape[3]
    for usual in CHANNELS:
        if first in usual or last in usual:
            return images if first in usual else images.transpose(0, 3, 1, 2)
    if first == last:
        raise InputError(f"has images of shape {images.shape}, in which no axis is that of the channels")
    return images if first < last else images.transpose(0, 3, 1, 2)


def _resized(images: np.ndarray, size: int) -> np.ndarray:
    import torch

    pixels = torch.from_numpy(np.ascontiguousarray(images)).float()
    resized = torch.nn.functional.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
    return resized.round().clamp(0, 255).to(torch.uint8).numpy()
