"""Whether plain data, as JSON gives them, are of the types that a dataclass declares."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

LARGEST = 2**63
"""Whole numbers below it are numbers of NumPy too."""


def misfit(kind: type, content: Mapping[str, object], place: str = "") -> str | None:
    """Return the first field of the dataclass ``kind`` that ``content`` lacks or has of another type, as a sentence.

    Numbers are finite, and none of them is True or False.

    >>> from dataclasses import make_dataclass
    >>> kind = make_dataclass("Kind", [("name", str), ("sizes", list[float])])
    >>> misfit(kind, {"name": "a", "sizes": [1, 2.5]}), misfit(kind, {"name": "a", "sizes": [1, "b"]})
    (None, "'sizes' is no list[float]")
    """
    for name, hint in get_type_hints(kind).items():
        if name not in content:
            return f"{place + name!r} is missing"
        if not conforms(content[name], hint):
            inner = _dataclass_in(hint)
            value = content[name]
            if inner is not None and isinstance(value, Mapping):
                return misfit(inner, value, f"{place + name}.")
            return f"{place + name!r} is no {getattr(hint, '__name__', hint) if hint in PLAIN else hint}"
    return None


PLAIN = (str, bool, int, float)


def conforms(value: Any, hint: Any) -> bool:
    """Return whether a value is of a type: text, numbers, lists, tuples as lists, literals, dataclasses as dicts.

    >>> conforms([["a", ["b"]]], list[tuple[str, list[str]]]), conforms(True, float), conforms(None, int | None)
    (True, False, True)
    """
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Literal:
        return isinstance(value, str) and value in inside
    if origin in (Union, types.UnionType):
        return any(conforms(value, one) for one in inside)
    if origin is list:
        return isinstance(value, list) and all(conforms(one, inside[0]) for one in value)
    if origin is tuple:
        listed = isinstance(value, list | tuple) and len(value) == len(inside)
        return listed and all(map(conforms, value, inside))
    if is_dataclass(hint) and isinstance(hint, type):
        return isinstance(value, Mapping) and misfit(hint, value) is None
    if hint in (int, float):
        whole = isinstance(value, int if hint is int else int | float) and not isinstance(value, bool)
        return whole and (abs(value) < LARGEST if isinstance(value, int) else math.isfinite(value))
    return value is None if hint is type(None) else isinstance(value, hint)


def _dataclass_in(hint: Any) -> type | None:
    return next((one for one in (hint, *get_args(hint)) if isinstance(one, type) and is_dataclass(one)), None)
