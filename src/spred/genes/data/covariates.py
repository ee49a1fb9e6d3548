"""Age, sex, batch: columns of the sample table that the model adjusts for, without selecting or penalising them.

A covariate of more than five distinct numbers is one column of the model, any other one column a level but the first;
``age:number`` and ``batch:levels`` decide it. Gaps stay NaN here: the pipeline fills them with the median of the
training samples, as it does for genes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from spred.errors import InputError, did_you_mean
from spred.genes.data.expression import Covariate
from spred.genes.data.numbers import as_numbers
from spred.report.wording import label, some

MOST_LEVELS = 10
"""Levels of a covariate: each but the first is a column that is neither selected nor shrunk, so few are allowed."""

MANY_NUMBERS = 5
"""More distinct numbers than this are an age or a dose, not a batch; ``age:number`` and ``batch:levels`` decide it."""

MOST_SHOWN = 4
"""Levels that a note names."""

Kind = Literal["number", "levels"]
KINDS: tuple[Kind, ...] = ("number", "levels")


def choose_covariates(table: pd.DataFrame, asked: Sequence[str]) -> tuple[Covariate, ...]:
    """Decide how each column is written in numbers; ``"age:number"`` and ``"batch:levels"`` say it.

    Raises:
        InputError: no such column, one that is not of the kind asked for, or that holds a single value.
    """
    named = [named_kind(text) for text in asked]
    return tuple(choose_covariate(table[find(table, name)], kind) for name, kind in named)


def named_kind(text: str) -> tuple[str, Kind | None]:
    """Return the column and the kind asked for, if any.

    >>> named_kind("age:number"), named_kind("tissue: left")
    (('age', 'number'), ('tissue: left', None))
    """
    for kind in KINDS:
        if text.endswith(f":{kind}"):
            return text.removesuffix(f":{kind}"), kind
    return text, None


def choose_covariate(cells: pd.Series, kind: Kind | None = None) -> Covariate:
    """Decide whether a column is a number or has levels, unless ``kind`` says it."""
    filled = cells.dropna()
    levels = sorted(set(filled.map(label)))
    if len(levels) < 2:
        raise InputError(f"covariate {str(cells.name)!r} holds one value only, so there is nothing to adjust for")
    strange = as_numbers(filled).isna()
    if kind == "number" and strange.any():
        sample = strange.idxmax()
        raise InputError(f"sample {sample!r}: covariate {str(cells.name)!r} is {filled[sample]!r}, no number")
    if kind == "number" or (kind is None and len(levels) > MANY_NUMBERS and not strange.any()):
        return Covariate(str(cells.name), ())
    if len(levels) > MOST_LEVELS:
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
        numbers = as_numbers(cells)
        bad = numbers.isna() & cells.notna()
        if bad.any():
            raise InputError(
                f"sample {bad.idxmax()!r}: covariate {covariate.name!r} is {cells[bad.idxmax()]!r}, no number"
            )
        return np.asarray(numbers, dtype=np.float64)[:, None]
    cells = cells.map(label, na_action="ignore")
    strange = sorted(set(cells.dropna()) - set(covariate.levels))
    if strange:
        raise InputError(
            f"covariate {covariate.name!r} has the level {strange[0]!r}; known are {some(covariate.levels)}"
        )
    columns = np.column_stack([(cells == level).to_numpy(dtype=np.float64) for level in covariate.levels[1:]])
    columns[cells.isna().to_numpy()] = np.nan
    return columns


def find(table: pd.DataFrame, name: str) -> str:
    """Return ``name`` if the sample table has it."""
    if name not in table.columns:
        names = [str(c) for c in table.columns]
        raise InputError(f"covariate {name!r} not found{did_you_mean(name, names) or f'; there are {some(names)}'}")
    return name


def described(covariate: Covariate) -> str:
    """Say how a covariate is used, in a note.

    >>> described(Covariate("age", ())), described(Covariate("batch", ("1", "2")))
    ('age as a number', 'batch as 2 levels (1, 2)')
    """
    if not covariate.levels:
        return f"{covariate.name} as a number"
    shown = ", ".join(covariate.levels[:MOST_SHOWN]) + (", …" if len(covariate.levels) > MOST_SHOWN else "")
    return f"{covariate.name} as {len(covariate.levels)} levels ({shown})"


def levels_of_one_class(covariates: Sequence[Covariate], table: pd.DataFrame, classes: np.ndarray) -> Iterator[str]:
    """Report levels whose samples are all of one class: no finite coefficient fits them best."""
    for covariate in covariates:
        found = table[covariate.name].map(label, na_action="ignore").to_numpy()
        held = pd.Series(classes).groupby(found).nunique()
        alone = [level for level in covariate.levels if held[level] == 1]
        if alone:
            yield (
                f"Covariate {covariate.name!r}: all samples of a level ({some(alone)}) are of one class, so that its "
                "coefficient grows without end and the fit is slow; merge levels, or leave the column out."
            )
