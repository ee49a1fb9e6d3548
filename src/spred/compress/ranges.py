"""What the values of a recipe may be, checked before anything runs: finite numbers, plausible sizes, plain texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from reprlib import repr as short
from typing import Any

from spred.errors import InputError

DEEPEST = 20
"""Levels of lists and tables in the arguments of a model: far more than a function takes, and few enough to follow."""

MOST = {
    "epochs": 10**6,
    "sparse_epochs": 10**6,
    "refit_epochs": 10**6,
    "warmup": 10**6,
    "batch_size": 10**7,
    "size": 2**14,
    "crop": 2**10,
    "limit": 10**10,
    "depth": 16,
    "multiple_of": 2**12,
    "seed": 2**63 - 1,
}
"""The largest whole numbers that a recipe may have, far above what runs: a digit too many is refused before hours are
spent on it. ``seed`` is what torch takes."""


def whole(least: int, **values: int | None) -> None:
    """Raise unless each is a whole number of at least ``least`` and at most :data:`MOST`."""
    for name, value in values.items():
        if value is None:
            continue
        if not isinstance(value, int) or value < least:
            raise InputError(f"{name} is {short(value)}; give at least {least}")
        if value > MOST[name]:
            raise InputError(f"{name} is {short(value)}; give at most {MOST[name]:,}")


def number(above: float | None = None, least: float | None = None, **values: float | None) -> None:
    """Raise unless each is a finite number, above ``above`` or at least ``least``."""
    for name, value in values.items():
        if value is None:
            continue
        if not isfinite(value):
            raise InputError(f"{name} is {value}; give a finite number")
        if above is not None and not value > above:
            raise InputError(f"{name} is {value:g}; give a number above {above:g}")
        if least is not None and not value >= least:
            raise InputError(f"{name} is {value:g}; give at least {least:g}")


def apart(name: str, written: Sequence[str]) -> None:
    """Raise if two strengths are the same in the six digits by which the stages of a run are named.

    >>> apart("alphas", [f"{alpha:.6g}" for alpha in (0.1, 0.10000001)])
    Traceback (most recent call last):
    spred.errors.InputError: alphas has 0.1 twice; give each strength once, and apart in six digits
    """
    double = next((one for one in written if written.count(one) > 1), None)
    if double is not None:
        raise InputError(f"{name} has {double} twice; give each strength once, and apart in six digits")


def text(name: str, value: str) -> None:
    """Raise if a name is empty, or has characters that no name of a file has."""
    if not value.strip() or not value.isprintable():
        raise InputError(f"{name} is {short(value)}; give a name without control characters")


def plain(place: str, value: Any, depth: int = 0) -> None:
    """Raise unless a value is made of what JSON has: texts, finite numbers, true and false, lists and tables."""
    if isinstance(value, Mapping) and depth < DEEPEST:
        for key, one in value.items():
            if not isinstance(key, str):
                raise InputError(f"{place} has the key {short(key)}; give a text")
            plain(f"{place}.{key}", one, depth + 1)
    elif isinstance(value, list | tuple) and depth < DEEPEST:
        for one in value:
            plain(place, one, depth + 1)
    elif isinstance(value, float):
        number(**{place: value})
    elif not isinstance(value, str | int):
        raise InputError(f"{place} is {short(value)}; give texts, numbers, true or false, or lists and tables of these")


def strengths(name: str, values: tuple[float, ...]) -> None:
    """Raise unless these are strengths of a penalty."""
    if not all(isfinite(value) and value > 0 for value in values):
        raise InputError(f"{name} is {list(values)}; give numbers above 0, and finite ones")
    apart(name, [f"{value:.6g}" for value in values])
