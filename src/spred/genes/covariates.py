"""Age, sex, batch: columns of the sample table that the model adjusts for, without selecting or penalising them.

A covariate of many distinct numbers is one column of the model, any other one column a level but the first. Gaps stay
NaN here: the pipeline fills them with the median of the training samples, as it does for genes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from spred.errors import InputError, did_you_mean
from spred.genes.expression import MANY_NUMBERS, Covariate, label, some


def choose_covariates(table: pd.DataFrame, names: Sequence[str]) -> tuple[Covariate, ...]:
    """Decide how each column is written in numbers.

    Raises:
        InputError: no such column, or one that holds a single value, so nothing to adjust for.
    """
    return tuple(choose_covariate(table[find(table, name)]) for name in names)


def choose_covariate(cells: pd.Series) -> Covariate:
    """Decide whether a column is a number or has levels."""
    filled = cells.dropna()
    levels = sorted(set(filled.map(label)))
    if len(levels) < 2:
        raise InputError(f"covariate {str(cells.name)!r} holds one value only, so there is nothing to adjust for")
    if len(levels) > MANY_NUMBERS:
        if pd.to_numeric(filled, errors="coerce").notna().all():
            return Covariate(str(cells.name), ())
        raise InputError(
            f"covariate {str(cells.name)!r} has {len(levels)} levels ({some(levels, 3)}), too many to adjust for; "
            "give a column of numbers, or merge levels"
        )
    return Covariate(str(cells.name), tuple(levels))


def encode(covariates: Sequence[Covariate], table: pd.DataFrame) -> np.ndarray:
    """Return the columns of the model, ``(n_samples, c)``: numbers, and 0 or 1 for levels; NaN where missing.

    Raises:
        InputError: a column is missing, a cell is no number, or a level is one that the model does not know.
    """
    parts = [encode_one(covariate, table[find(table, covariate.name)]) for covariate in covariates]
    return np.column_stack(parts) if parts else np.empty((len(table), 0))


def encode_one(covariate: Covariate, cells: pd.Series) -> np.ndarray:
    """Return the columns of one covariate, ``(n_samples, 1)`` or a column a level but the first."""
    if not covariate.levels:
        numbers = pd.to_numeric(cells, errors="coerce")
        bad = numbers.isna() & cells.notna()
        if bad.any():
            raise InputError(
                f"sample {bad.idxmax()!r}: covariate {covariate.name!r} is {cells[bad.idxmax()]!r}, no number"
            )
        return numbers.to_numpy(dtype=np.float64)[:, None]
    words = cells.map(label, na_action="ignore")
    strange = sorted(set(words.dropna()) - set(covariate.levels))
    if strange:
        raise InputError(
            f"covariate {covariate.name!r} has the level {strange[0]!r}; known are {some(covariate.levels)}"
        )
    columns = np.column_stack([(words == level).to_numpy(dtype=np.float64) for level in covariate.levels[1:]])
    columns[words.isna().to_numpy()] = np.nan
    return columns


def find(table: pd.DataFrame, name: str) -> str:
    """Return ``name`` if the sample table has it."""
    if name not in table.columns:
        names = [str(c) for c in table.columns]
        raise InputError(f"covariate {name!r} not found{did_you_mean(name, names) or f'; there are {some(names)}'}")
    return name


def spoken(covariate: Covariate) -> str:
    """Say how a covariate is used."""
    return (
        f"{covariate.name} ({', '.join(covariate.levels[:4])})" if covariate.levels else f"{covariate.name} (a number)"
    )
