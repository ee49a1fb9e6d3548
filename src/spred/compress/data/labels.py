"""Labels of images: one for each, texts or whole numbers or one-hot rows, and the class that each means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from reprlib import repr as short
from typing import Any

import numpy as np

from spred.errors import InputError

WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images ``(n, channels, height, width)``, uint8; labels ``(n,)``, int64; the class that each label means."""

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]


def labelled(images: np.ndarray, labels: Sequence[Any], classes: tuple[str, ...] = ()) -> Labelled:
    """Number the labels by their names, in order; numbers with ``classes`` are used as they are.

    Raises:
        InputError: there are more or fewer labels than images, or one that is no name of a class.
    """
    if len(labels) != len(images):
        raise InputError(f"has {len(images)} images and {len(labels)} labels; give one label for each image")
    plain = [_plain(label, index) for index, label in enumerate(labels)]
    numbers = [label for label in plain if isinstance(label, int)]
    in_numbers = len(numbers) == len(plain)
    if classes and in_numbers:
        outside = [label for label in numbers if not 0 <= label < len(classes)]
        if outside:
            raise InputError(f"has the label {outside[0]}, and names of {len(classes)} classes: 0 … {len(classes) - 1}")
        return Labelled(images, np.asarray(numbers, dtype=np.int64), classes)
    texts = [str(label) for label in plain]
    names = [str(one) for one in sorted(set(numbers))] if in_numbers else sorted(set(texts))
    place = {name: index for index, name in enumerate(names)}
    return Labelled(images, np.array([place[text] for text in texts], dtype=np.int64), tuple(names))


def of_array(labels: np.ndarray) -> list[Any]:
    """Return the labels of an array: ``(n,)``, ``(n, 1)``, or one-hot rows ``(n, K)``.

    >>> of_array(np.array([[0, 1, 0], [1, 0, 0]]))
    [1, 0]
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 1:
        return list(labels.tolist())
    one_hot = labels.ndim == 2 and labels.dtype.kind in "buif" and bool(np.isin(labels, (0, 1)).all())
    if not one_hot or not bool((labels.sum(axis=1) == 1).all()):
        raise InputError(f"has labels of shape {labels.shape}; give one for each image, or rows with a single 1")
    return list(labels.argmax(axis=1).tolist())


def of_texts(labels: Sequence[str]) -> list[Any]:
    """Return labels of a text file: as whole numbers where all of them are."""
    return [int(one) for one in labels] if all(WHOLE.fullmatch(one.strip()) for one in labels) else list(labels)


def _plain(label: Any, index: int) -> int | str:
    """Return a label as a whole number or a text."""
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, bytes):
        label = label.decode("utf-8", errors="backslashreplace")
    if label is None or label != label or (isinstance(label, str) and not label.strip()):
        raise InputError(f"has images without a label: number {index} is the first")
    if isinstance(label, float) and label.is_integer():
        return int(label)
    if isinstance(label, bool | int):
        return int(label)
    if isinstance(label, str):
        return label
    raise InputError(f"has the label {short(label)}, which is no class; give texts or whole numbers")
