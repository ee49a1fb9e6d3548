"""The records of the genes application: a table as a file holds it, and an expression study's input.

Readers return a :class:`Table`: numbers, names and a sample table, without a target. :func:`choose` turns it into an
:class:`Expression`: one target, one group, the samples that can be used. What is decided on the way stands in
``notes``, one sentence each.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd

from spred.errors import InputError, did_you_mean
from spred.genes.data.numbers import as_numbers
from spred.genes.data.preprocess import needs_log2
from spred.genes.data.survival import make_survival
from spred.report.wording import count, label, some

Task = Literal["auto", "classification", "regression"]
Found = Literal["classification", "regression", "survival"]

MANY_NUMBERS = 10
"""A numeric target of more distinct values is a quantity, not a class; ``--task`` decides where this is wrong."""


@dataclass(frozen=True, eq=False)
class Table:
    """What a reader found in a file.

    Attributes:
        values: measurements, float64, shape (n_samples, n_genes), missing cells as NaN.
        samples: sample names, unique.
        genes: gene (or probe) names, as the file has them.
        annotations: one row a sample (index: ``samples``), one column an annotation: class, patient, batch, …
        symbols: gene symbols beside ``genes``, or None where the file has none.
        notes: what the reader decided, in sentences.
    """

    values: np.ndarray
    samples: list[str]
    genes: list[str]
    annotations: pd.DataFrame
    symbols: list[str] | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Covariate:
    """A column that is adjusted for: its name, and its levels, none for a number."""

    name: str
    levels: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """Names of its columns in the model."""
        return [f"{self.name}={level}" for level in self.levels[1:]] if self.levels else [self.name]


@dataclass(frozen=True, eq=False)
class Expression:
    """Expression data with the one thing to predict: the input of :func:`spred.genes.run_study`.

    Attributes:
        name: where it comes from, for titles.
        values: measurements as in the file, float64, shape (n_samples, n_genes); missing cells are NaN.
        samples: sample names, shape (n_samples,).
        genes: gene (or probe) names, unique, shape (n_genes,).
        symbols: gene symbols, shape (n_genes,), or None.
        table: the sample table: every annotation of the samples kept.
        target_name: the column to predict; for survival that of the times.
        target: its values: names of classes (str), numbers (float) for a regression, or for survival a structured array
            of ``event`` and ``time``; shape (n_samples,).
        task: "classification", "regression" or "survival".
        group: who each sample comes from, or None; samples of one group are never split across folds.
        group_name: the column of ``group``, or None.
        log2: whether the values are intensities that the pipeline takes to the log2 scale.
        notes: what was decided on reading, one sentence each.
        collapse: how probes became genes: "none", "mean" or "variance".
        covariates: what the model adjusts for.
        adjusted_for: the same in numbers, a column or more each, shape (n_samples, c); gaps are NaN.
        event_name: for survival, the column that says whether the time ended with the event; else None.
        source: the file that it was read from.
    """

    name: str
    values: np.ndarray
    samples: np.ndarray
    genes: np.ndarray
    symbols: np.ndarray | None
    table: pd.DataFrame
    target_name: str
    target: np.ndarray
    task: Found
    group: np.ndarray | None
    group_name: str | None
    log2: bool
    notes: tuple[str, ...]
    collapse: Literal["none", "mean", "variance"] = "none"
    covariates: tuple[Covariate, ...] = ()
    adjusted_for: np.ndarray | None = None
    event_name: str | None = None
    source: str = ""

    @property
    def design(self) -> np.ndarray:
        """What the pipeline is fitted to: the values, and the covariates behind them."""
        return self.values if self.adjusted_for is None else np.column_stack([self.values, self.adjusted_for])

    @property
    def special_columns(self) -> set[str | None]:
        """The columns that are target, event and group."""
        return {self.target_name, self.event_name, self.group_name}

    @property
    def n_free(self) -> int:
        """How many columns of the design are covariates."""
        return 0 if self.adjusted_for is None else self.adjusted_for.shape[1]

    @property
    def classes(self) -> list[str]:
        """The names of the classes in sorted order; empty for other tasks."""
        return sorted(set(self.target.tolist())) if self.task == "classification" else []

    @property
    def kind(self) -> Literal["two classes", "classes", "regression", "survival"]:
        """The task, and for a classification whether there are two classes or more: what methods are chosen by."""
        if self.task == "classification":
            return "two classes" if len(self.classes) == 2 else "classes"
        return self.task

    @property
    def strata(self) -> np.ndarray | None:
        """What folds and halves are stratified by: classes, or events of survival times; None for numbers."""
        if self.task == "survival":
            return self.target["event"].astype(int)
        return self.target if self.task == "classification" else None


def choose(
    table: Table,
    *,
    name: str,
    target: str | None,
    group: str | None,
    log2: bool | Literal["auto"],
    task: Task,
    event: str | None = None,
) -> Expression:
    """Choose what is predicted from what: a :class:`Table` becomes an :class:`Expression`.

    Samples without a target are dropped, genes without a single value too, repeated gene names are numbered;
    each of these leaves a note. With ``event`` the target is a survival time.

    Raises:
        InputError: no such column, fewer than two classes, a sample without its group, an empty table.
    """
    target_name = find_target(table.annotations, target, group)
    if group is not None:
        find_column(table.annotations, group)
        if group == target_name:
            raise InputError(f"column {group!r} is both the target and the group; name two columns")
    table = drop_unlabelled(table, target_name)
    if event is not None:
        table = drop_unlabelled(table, find_column(table.annotations, event))
    table = number_repeats(drop_empty_genes(table))
    refuse_infinite(table)
    found_task: Found
    if event is not None:
        found_task, y = "survival", make_survival(table.annotations[target_name], table.annotations[event])
    else:
        found_task, y = make_target(table.annotations[target_name], task)
    apply_log2 = needs_log2(table.values) if log2 == "auto" else bool(log2)
    notes = [*table.notes, log2_note(log2, apply_log2)]
    if task == "auto" and found_task == "regression":
        notes.append(f"Column {target_name!r} holds more than {MANY_NUMBERS} distinct numbers: a regression.")
    missing = int(np.isnan(table.values).sum())
    if missing:
        notes.append(f"{count(missing, 'missing cell')}, replaced by the gene's median over the training samples.")
    return Expression(
        name=name,
        values=table.values,
        samples=np.array(table.samples, dtype=object),
        genes=np.array(table.genes, dtype=object),
        symbols=None if table.symbols is None else np.array(table.symbols, dtype=object),
        table=table.annotations,
        target_name=target_name,
        target=y,
        task=found_task,
        group=None if group is None else make_group(table.annotations[group]),
        group_name=group,
        log2=apply_log2,
        notes=tuple(notes),
        event_name=event,
    )


def find_target(annotations: pd.DataFrame, target: str | None, group: str | None) -> str:
    """Return the column to predict: the one asked for, or the only one there is."""
    if target is not None:
        return find_column(annotations, target)
    columns = [str(c) for c in annotations.columns if str(c) != group]
    if len(columns) == 1:
        return columns[0]
    if not columns:
        raise InputError("no column of labels found; name it as the target, or give the labels in a second file")
    raise InputError(f"there are several columns to predict; name one of them as the target: {some(columns)}")


def find_column(annotations: pd.DataFrame, column: str) -> str:
    """Return ``column`` if the sample table has it; otherwise say what it has."""
    if column in annotations.columns:
        return column
    names = [str(c) for c in annotations.columns]
    hint = did_you_mean(column, names) or (f"; the sample table has {some(names)}" if names else "")
    raise InputError(f"column {column!r} not found{hint}")


def drop_unlabelled(table: Table, target: str) -> Table:
    """Drop the samples whose target is missing."""
    missing = table.annotations[target].isna().to_numpy()
    if not missing.any():
        return table
    if missing.all():
        raise InputError(f"column {target!r} is empty: no sample has a value to predict")
    gone = [s for s, m in zip(table.samples, missing, strict=True) if m]
    note = f"{count(len(gone), 'sample')} without a value in column {target!r} dropped: {some(gone)}."
    return replace(keep_samples(table, ~missing), notes=[*table.notes, note])


def keep_samples(table: Table, keep: np.ndarray) -> Table:
    """Return the table with only the samples where ``keep`` is true."""
    return replace(
        table,
        values=table.values[keep],
        samples=[s for s, k in zip(table.samples, keep, strict=True) if k],
        annotations=table.annotations.loc[keep],
    )


def drop_empty_genes(table: Table) -> Table:
    """Drop the genes that no sample has a value for; refuse a table that is empty then."""
    keep = ~np.isnan(table.values).all(axis=0) if len(table.samples) else np.zeros(len(table.genes), dtype=bool)
    if not keep.any():
        raise InputError("the table is empty: it holds no number for any sample")
    if keep.all():
        return table
    gone = [g for g, k in zip(table.genes, keep, strict=True) if not k]
    return replace(
        table,
        values=table.values[:, keep],
        genes=[g for g, k in zip(table.genes, keep, strict=True) if k],
        symbols=table.symbols and [s for s, k in zip(table.symbols, keep, strict=True) if k],
        notes=[*table.notes, f"{count(len(gone), 'gene')} without any value dropped: {some(gone)}."],
    )


def number_repeats(table: Table) -> Table:
    """Make gene names unique: the second ``GDI2`` becomes ``GDI2.2``, unless the file has that name too."""
    counts = Counter(table.genes)
    if len(counts) == len(table.genes):
        return table
    names: list[str] = []
    seen: set[str] = set()
    for gene in table.genes:
        name, number = gene, 2
        while name in seen or (name != gene and name in counts):
            name, number = f"{gene}.{number}", number + 1
        seen.add(name)
        names.append(name)
    repeated = [g for g, c in counts.items() if c > 1]
    note = f"Gene names that occur more than once were numbered: {some(repeated)}."
    return replace(table, genes=names, notes=[*table.notes, note])


def refuse_infinite(table: Table) -> None:
    """Raise an error with the place of the first value that is infinite, or too large for squares to be finite."""
    largest = np.sqrt(np.finfo(np.float64).max / (4.0 * len(table.samples)))
    places = np.argwhere(np.abs(table.values) > largest)
    if len(places):
        row, column = places[0]
        value = table.values[row, column]
        what = "infinite" if np.isinf(value) else f"{value:g}, too large to compute with"
        raise InputError(
            f"sample {table.samples[row]!r}, gene {table.genes[column]!r}: the value is {what}; "
            "leave the cell empty where nothing was measured"
        )


def make_target(column: pd.Series, task: Task) -> tuple[Literal["classification", "regression"], np.ndarray]:
    """Return the task and the target as class names or numbers."""
    numbers = as_numbers(column)
    numeric = bool(numbers.notna().all())
    if task == "regression" or (task == "auto" and numeric and column.nunique() > MANY_NUMBERS):
        if not numeric:
            sample, value = next((s, v) for s, v in column.items() if pd.isna(numbers[s]))
            raise InputError(f"sample {sample!r}: {column.name!r} is {value!r}, not a number, so no regression on it")
        if numbers.nunique() < 2:
            raise InputError(f"column {column.name!r} holds one value only ({numbers.iloc[0]:g}); nothing to predict")
        return "regression", numbers.to_numpy(dtype=np.float64)
    labels = column.map(label)
    if labels.nunique() < 2:
        raise InputError(f"column {column.name!r} holds one class only ({labels.iloc[0]!r}); at least two are needed")
    return "classification", labels.to_numpy(dtype=object)


def make_group(column: pd.Series) -> np.ndarray:
    """Return the groups as names; every sample must have one."""
    if column.isna().any():
        sample = column.index[column.isna()][0]
        raise InputError(
            f"sample {sample!r} has no value in the group column {column.name!r}; "
            "give every sample its group (a group of its own if it stands alone)"
        )
    return np.asarray(column.map(label), dtype=object)


def log2_note(asked: bool | Literal["auto"], applied: bool) -> str:
    """Say in one sentence what happens to the scale and who decided it."""
    why = "their range is that of raw intensities" if applied else "their range is that of a logarithmic scale"
    if asked != "auto":
        why = "as asked for"
    if applied:
        return f"Values are taken to log2(1 + value), negative ones counted as 0: {why}."
    return f"Values are used as they are: {why}."
