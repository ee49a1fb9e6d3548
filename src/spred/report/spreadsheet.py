"""CSV files that a spreadsheet may open: text in them is never a formula.

A spreadsheet computes a cell that begins with ``=``, ``+``, ``-`` or ``@``, even where it came as text of a stranger's
file, and a formula can start programs or send data. Such text gets an apostrophe in front, which spreadsheets take for
"this is text". Numbers stay as they are. spred's readers take the apostrophe away again.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
"""Text that a spreadsheet computes, or that has been guarded before: so that taking one apostrophe away is exact."""

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def guarded(text: str) -> str:
    """Return text with an apostrophe in front where a spreadsheet would compute it.

    >>> guarded("=1+1"), guarded("-TP53"), guarded("-1.5"), guarded("TP53")
    ("'=1+1", "'-TP53", '-1.5', 'TP53')
    """
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def unguarded(text: str) -> str:
    """Return text as it was before :func:`guarded`.

    >>> unguarded("'=1+1"), unguarded("5'-UTR"), unguarded(guarded("'-x"))
    ('=1+1', "5'-UTR", "'-x")
    """
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def to_csv(frame: pd.DataFrame) -> str:
    """Return a table as CSV without its index, with text guarded in cells and headings.

    >>> to_csv(pd.DataFrame({"gene": ["=A1", "TP53"], "weight": [-1.5, 2.0]}))
    "gene,weight\\n'=A1,-1.5\\nTP53,2.0\\n"
    """
    safe = frame.map(lambda cell: guarded(cell) if isinstance(cell, str) else cell)
    safe.columns = [guarded(str(name)) for name in frame.columns]
    return str(safe.to_csv(index=False, lineterminator="\n"))


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as :func:`to_csv` returns it."""
    path.write_text(to_csv(frame), encoding="utf-8", newline="\n")
