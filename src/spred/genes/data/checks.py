"""What makes a good score too good: samples that are the same or of one person, batches that go along with the target.

These checks change nothing. They put sentences into the notes, for a person to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from spred.genes.data.expression import Expression
from spred.report.wording import count, some

TECHNICAL = re.compile(
    r"batch|plate|lane|\brun\b|scan|chip|slide|site|cent(er|re)|hospital|laborator|\blab\b|date|operator|protocol", re.I
)
PERSON = re.compile(r"patient|individual|subject|donor|person|participant|animal|famil|\bpairs?\b|sibling|twin", re.I)
FEWEST = 0.1
"""Distinct values over samples: a column of fewer, such as "animal: mouse, rat", is about kinds, not persons."""

STRONG = 0.5
"""Cramér's V from which a technical column is reported: lower, and many a harmless one is. The tests of this file have
one of each."""

UNLIKELY = 0.01
"""p-value that its association must be below, since V is large by chance for columns of many levels."""


def find_problems(expression: Expression) -> Iterator[str]:
    """Yield a sentence for everything in the data that would make the score too good."""
    yield from split_duplicates(expression)
    yield from split_people(expression)
    yield from confounded(expression)


def split_duplicates(expression: Expression) -> Iterator[str]:
    """Report samples with the same measurements that nothing keeps in one fold."""
    group = expression.group
    pairs = [
        f"{expression.samples[a]} = {expression.samples[b]}"
        for a, b in find_duplicates(expression.values)
        if group is None or group[a] != group[b]
    ]
    if pairs:
        yield (
            f"{count(len(pairs), 'sample')} {'has' if len(pairs) == 1 else 'have'} the measurements of another one "
            f"({some(pairs, 3)}) and may be on both sides of a split, so the score is too good; drop them, or give "
            "such samples one group."
        )


def split_people(expression: Expression) -> Iterator[str]:
    """Report a column that says who a sample comes from, where nothing keeps such samples in one fold."""
    if expression.group is not None:
        return
    for name in expression.table.columns:
        if not PERSON.search(str(name)) or name in expression.special_columns:
            continue
        times = expression.table[name].value_counts()
        several = int((times > 1).sum())
        if several and len(times) >= FEWEST * times.sum():
            yield (
                f"Column {str(name)!r} has {count(several, 'value')} that several samples share, and may say who a "
                "sample comes from: give it as the group, else samples of one person are on both sides of a split and "
                "the score is too good."
            )


def confounded(expression: Expression) -> Iterator[str]:
    """Report technical columns that go along with the classes."""
    if not expression.classes:
        return
    for name in expression.table.columns:
        if not TECHNICAL.search(str(name)) or name in expression.special_columns:
            continue
        v, p = association(expression.table[name], expression.target)
        if v >= STRONG and p < UNLIKELY:
            yield (
                f"Column {str(name)!r} goes along with {expression.target_name!r} (Cramér's V {v:.2f}): genes that "
                "tell the classes apart may only tell these batches apart, and no score from these data can say which."
            )


def association(column: pd.Series, target: np.ndarray) -> tuple[float, float]:
    """Return Cramér's V between two columns of categories, and the p-value of the chi-squared test.

    A column of many levels is judged by its p-value too, for V is large there by chance.
    """
    known = column.notna().to_numpy()
    counts = pd.crosstab(column[known].astype(str).to_numpy(), target[known]).to_numpy()
    if min(counts.shape) < 2:
        return 0.0, 1.0
    chi2, p = stats.chi2_contingency(counts, correction=False)[:2]
    return float(np.sqrt(chi2 / (counts.sum() * (min(counts.shape) - 1)))), float(p)


def find_duplicates(values: np.ndarray) -> list[tuple[int, int]]:
    """Return pairs of rows with the same numbers: each row that repeats an earlier one, with that one."""
    first: dict[bytes, int] = {}
    pairs = []
    for i, row in enumerate(values):
        earlier = first.setdefault(row.tobytes(), i)
        if earlier != i:
            pairs.append((earlier, i))
    return pairs
