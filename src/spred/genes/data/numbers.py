"""Cells of any kind as numbers: the one place where text becomes one."""

from __future__ import annotations

import pandas as pd


def as_numbers(cells: pd.Series) -> pd.Series:
    """Return the number that each cell is or writes, NaN where it is none; one beyond float64 is infinite.

    >>> as_numbers(pd.Series(["1.5", "x", 10**400], dtype=object)).tolist()
    [1.5, nan, inf]
    """
    try:
        return pd.to_numeric(cells, errors="coerce")
    except OverflowError:  # a whole number of hundreds of digits, which pandas does not coerce; as text it does
        return pd.to_numeric(cells.map(str, na_action="ignore"), errors="coerce")
