"""Probes and the genes that they measure: symbols put beside the probes, and probes collapsed to genes.

:func:`annotate` puts the symbols of a platform beside the probes; :func:`collapse_probes` makes one value a gene of
them. Neither knows the target, so both are done once, on the whole table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from spred.errors import InputError, did_you_mean
from spred.genes.data.expression import Expression, Table
from spred.genes.data.preprocess import log2_intensity
from spred.report.wording import count, some

Collapse = Literal["none", "mean", "variance"]

WAYS: tuple[Collapse, ...] = ("none", "mean", "variance")
SEVERAL = "///"
"""What stands between the symbols of a probe that measures more than one gene."""


def annotate(table: Table, symbols: dict[str, str]) -> Table:
    """Put a platform's symbols beside the probes; they take the place of the file's own."""
    own = [symbols.get(gene, "") for gene in table.genes]
    if not any(own):
        raise InputError(
            f"none of the probes ({some(table.genes, 3)}) has a symbol in the annotation, which names "
            f"{some(list(symbols), 3)}; take the annotation of the platform that was used"
        )
    several = sum(SEVERAL in symbol for symbol in own)
    note = (
        f"The annotation gives {count(sum(map(bool, own)), 'probe')} of {len(own)} a gene symbol; "
        f"{several} of them name several genes."
    )
    return replace(table, symbols=[s.replace(SEVERAL, f" {SEVERAL} ") for s in own], notes=[*table.notes, note])


@dataclass(frozen=True, eq=False)
class Collapsed:
    """Values, names and symbols of genes made from probes, and a note that says how many."""

    values: np.ndarray
    genes: list[str]
    symbols: list[str] | None
    note: str


def collapse_expression(expression: Expression, how: Collapse) -> Expression:
    """Collapse the probes of an expression study; see :func:`collapse_probes`."""
    check_collapse(how)
    if how == "none":
        return expression
    symbols = None if expression.symbols is None else expression.symbols.tolist()
    made = collapse_probes(expression.values, expression.genes.tolist(), symbols, how, log2=expression.log2)
    return replace(
        expression,
        values=made.values,
        genes=np.array(made.genes, dtype=object),
        symbols=None if made.symbols is None else np.array(made.symbols, dtype=object),
        notes=(*expression.notes, made.note),
        collapse=how,
    )


def collapse_probes(
    values: np.ndarray, probes: list[str], symbols: list[str] | None, how: Collapse, *, log2: bool
) -> Collapsed:
    """Make one gene of all probes with its symbol; probes with none or several symbols are left out.

    Args:
        values: measurements, ``(n_samples, n_probes)``.
        probes: their names.
        symbols: their symbols.
        how: "mean", named by symbol: the mean of the probes on the scale of the model; "variance", named by probe:
            the probe of the largest variance there.
        log2: whether the model takes the values to log2. A mean is then that of the logarithms.
    """
    if symbols is None:
        raise InputError("the file has no gene symbols to collapse probes to; give the platform's annotation")
    clear = np.flatnonzero([bool(s) and SEVERAL not in s for s in symbols])
    if not clear.size:
        raise InputError("no probe has exactly one gene symbol, so there is nothing to collapse to")
    codes, genes = pd.factorize(np.array(symbols, dtype=object)[clear])
    scaled = log2_intensity(values[:, clear]) if log2 else values[:, clear]
    note = (
        f"{count(len(clear), 'probe')} collapsed to {count(len(genes), 'gene')} by {how}; "
        f"{len(probes) - len(clear)} with no symbol or several left out."
    )
    if how == "variance":
        chosen = np.sort(clear[most_variable(scaled, codes, len(genes))])
        return Collapsed(values[:, chosen], [probes[j] for j in chosen], [symbols[j] for j in chosen], note)
    means = group_means(scaled, codes, len(genes))
    return Collapsed(np.exp2(means) - 1.0 if log2 else means, [str(gene) for gene in genes], None, note)


def check_collapse(how: str) -> None:
    """Refuse a way of collapsing that does not exist."""
    if how not in WAYS:
        raise InputError(f"probes are not collapsed by {how!r}{did_you_mean(how, WAYS)}; say none, mean or variance")


def group_means(values: np.ndarray, codes: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the mean of the columns of each group, without missing cells; NaN where all are missing."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(n_groups))
    there = ~np.isnan(values)
    totals = np.add.reduceat(np.where(there, values, 0.0)[:, order], starts, axis=1)
    counts = np.add.reduceat(there[:, order].astype(np.float64), starts, axis=1)
    return np.divide(totals, counts, out=np.full_like(totals, np.nan), where=counts > 0)


def most_variable(values: np.ndarray, codes: np.ndarray, n_groups: int) -> np.ndarray:
    """Return for each group the column of the largest variance; the first of equals."""
    order = np.lexsort((np.arange(len(codes)), -column_variance(values), codes))
    return order[np.searchsorted(codes[order], np.arange(n_groups))]


def column_variance(values: np.ndarray) -> np.ndarray:
    """Return the variance of each column without missing cells; 0 for an empty one."""
    there = ~np.isnan(values)
    counts = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, values, 0.0).sum(axis=0) / counts
    return np.asarray(np.where(there, (values - mean) ** 2, 0.0).sum(axis=0) / counts)
