"""How things are said in sentences and cells: counts with their nouns, lists that end, cells as text."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import category

import numpy as np

SHOWN = ("Zs", "Co", "Cn")
"""Categories of characters that Python calls unprintable and terminals show: blanks, and letters newer than Python."""


def count(n: int, noun: str) -> str:
    """Write a number with its noun: ``1 sample``, ``3 samples``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def some(names: Sequence[str], most: int = 5) -> str:
    """List a few names: ``'a', 'b' and 7 more``."""
    shown = ", ".join(repr(str(n)) for n in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def joined(names: Sequence[str]) -> str:
    """List names as one says them.

    >>> joined(["a"]), joined(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def printable(text: str) -> str:
    """Return text with its control characters written out, so that a terminal shows them and does nothing else.

    Escape sequences move the cursor, set titles or answer as if someone typed; other invisible characters turn the
    direction of what follows. Accents, Greek letters and the like stay.

    >>> printable("TP53\\x1b[2J"), printable("IFN-γ\\nβ")
    ('TP53\\\\x1b[2J', 'IFN-γ\\\\nβ')
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or category(c) in SHOWN else c.encode("unicode_escape").decode() for c in text)


def label(value: object) -> str:
    """Write a cell as the name of a class: ``2.0`` and ``2`` are the same class."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()
