"""What a study leaves in its folder: the tables for programs, and one page for people.

``genes.csv``, ``metrics.json``, ``predictions.csv``, ``model.json`` and ``run.json`` hold the numbers; ``report.html``
shows them. ``docs/genes.md`` describes every column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd

from spred.genes.io.matrices import write_h5ad
from spred.genes.report import methods, robustness, text
from spred.genes.report.figures import drawings
from spred.genes.saved_model import as_json, model_of
from spred.genes.study.folds import support
from spred.genes.study.models import find_model
from spred.genes.study.study import Study
from spred.report.blocks import Cell, Heading, Table
from spred.report.html import render
from spred.report.spreadsheet import write_csv
from spred.runtime.folder import results_folder, run_record, write_json

TEMPLATE = Path(__file__).with_name("report.html")
MOST_ROWS = 500
"""Genes in the page's table; a browser is slow to sort many more."""

SYMBOL = re.compile(r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)*|C[0-9XY]+orf[0-9]+", re.ASCII)
NUMBERED = re.compile(r"[A-Z]+[0-9]+", re.ASCII)
"""``V6185``: where all names are so, they are those of columns and lead nowhere."""

NCBI = "https://www.ncbi.nlm.nih.gov/gene/?term="
DIGITS = {"p_value": 2, "q_value": 2}
"""Significant digits of a column, where they are not three."""

STRONGEST_TINT = 0.35
"""Opacity behind the largest coefficient; the text in front must stay readable."""


def write_study(study: Study, out: str | Path, *, arguments: Mapping[str, object] | None = None) -> Path:
    """Write the results of a study into a folder, all or nothing.

    Args:
        study: from :func:`spred.genes.run_study`, perhaps with stability, baselines and permutations.
        out: the folder; an earlier result of spred in it is replaced.
        arguments: what the caller was asked for; they go into run.json as they are.

    Returns:
        The folder: ``genes.csv``, ``metrics.json``, ``predictions.csv``, ``model.json``, ``report.html``, ``run.json``,
        with stability ``stable_genes.csv``, and for an h5ad file a copy of it, ``genes.h5ad``.

    Raises:
        FileError: ``out`` holds something else, or cannot be written.
        MissingPackageError: the data came from an h5ad file and h5py is not installed.

    >>> import tempfile
    >>> from spred.genes import Settings, read, run_study
    >>> study = run_study(read("demo:tissue"), Settings(rule="1se", n_alphas=5, folds=2))
    >>> folder = write_study(study, Path(tempfile.mkdtemp()) / "out")
    >>> (folder / "report.html").exists()
    True
    """
    run = run_record("genes", arguments or {}, seed=study.settings.seed)
    run["settings"], run["notes"] = asdict(study.settings), list(study.notes)
    with results_folder(out, run) as folder:
        write_csv(folder / "genes.csv", study.genes)
        if study.stability is not None:
            write_csv(folder / "stable_genes.csv", study.stability.genes)
        write_csv(folder / "predictions.csv", predictions(study))
        write_json(folder / "metrics.json", metrics(study))
        write_json(folder / "model.json", as_json(model_of(study)))
        (folder / "report.html").write_text(page(study, run), encoding="utf-8")
        if study.expression.source.lower().endswith(".h5ad"):
            write_h5ad(Path(study.expression.source), folder / "genes.h5ad", study.expression.genes, columns(study))
    return Path(out)


def metrics(study: Study) -> dict[str, object]:
    """Return the numbers of a study as they stand in metrics.json."""
    expression, final = study.expression, study.model[-1]
    return {
        "task": expression.task,
        "target": expression.target_name,
        **({"event": expression.event_name} if expression.event_name else {}),
        **asdict(study.score),
        "classes": {c: int(np.sum(expression.target == c)) for c in expression.classes},
        "n_samples": len(expression.samples),
        "n_features": len(expression.genes),
        **({"n_events": int(expression.target["event"].sum())} if expression.task == "survival" else {}),
        "n_selected": len(study.genes),
        "n_selected_folds": list(study.n_selected_folds),
        "alpha": float(final.alpha_),
        "certificate": find_model(study.settings.model).certificate(final),
        **robustness.metrics(study),
        "seconds": round(study.seconds, 3),
    }


def columns(study: Study) -> dict[str, np.ndarray]:
    """Return what is known of every gene of the study, for the ``var`` of an h5ad file."""
    selected = support(study.expression, study.model)
    found = {
        "spred_selected": selected,
        "spred_strength": np.linalg.norm(study.coefficients * study.scaled.std(axis=0), axis=0),
        "spred_frequency": np.mean([fold.support for fold in study.folds], axis=0),
    }
    return found if study.stability is None else {**found, "spred_stability": study.stability.frequency}


def predictions(study: Study) -> pd.DataFrame:
    """Return one row a held-out prediction: sample, group, repeat, fold, the truth, the prediction.

    Repeats are numbered where there are several. For survival the truth is ``time`` and ``event``, the prediction
    ``risk`` and ``risk_group``.
    """
    expression, parts = study.expression, []
    for number, fold in enumerate(study.folds, start=1):
        part = pd.DataFrame({"sample": expression.samples[fold.test]})
        if expression.group is not None:
            part["group"] = expression.group[fold.test]
        if study.settings.repeats > 1:
            part["repeat"] = fold.repeat + 1
        part["fold"] = number
        true = expression.target[fold.test]
        if expression.task == "survival":
            part["time"], part["event"], part["risk"] = true["time"], true["event"].astype(int), fold.predicted
            part["risk_group"] = np.where(fold.predicted > fold.middle, "high", "low")
        else:
            part["true"], part["predicted"] = true, fold.predicted
        if fold.probabilities is not None:
            part = part.assign(**{f"prob_{c}": fold.probabilities[:, j] for j, c in enumerate(expression.classes)})
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def page(study: Study, run: Mapping[str, object]) -> str:
    """Return the report as one HTML text; ``run`` is what run.json holds."""
    shown = study.genes.head(MOST_ROWS)
    stability = study.stability
    return render(
        TEMPLATE,
        title=f"{study.expression.name}: {study.expression.target_name}",
        size=text.size(study.expression),
        summary=text.summary(study),
        assurance=robustness.assurance(study),
        numbers=text.cards(study),
        reading=text.how_to_read(study),
        nothing=text.empty_list(study),
        genes=gene_table(shown, n_folds=len(study.folds), log2=study.expression.log2),
        n_hidden=len(study.genes) - len(shown),
        figures=drawings(study),
        stable=None if stability is None else robustness.stable(study, stability),
        stable_genes=None if stability is None else robustness.stable_table(stability.genes),
        agreement=robustness.agreement_text(study),
        compared=robustness.comparison(study) if study.baselines else None,
        permutations=robustness.permutation_text(study),
        folds=text.fold_table(study),
        decided=study.notes,
        methods=methods.paragraph(study, run),
        made=text.made(study, run),
    )


def gene_table(genes: pd.DataFrame, *, n_folds: int, log2: bool = False) -> Table:
    """Return the page's table of genes; coefficients are tinted by sign and size."""
    coefficients = [c for c in genes.columns if c.startswith("std_coef")]
    largest = float(genes[coefficients].abs().to_numpy().max()) if len(genes) else 1.0
    names = [c for c in ("gene", "symbol") if c in genes.columns]
    titles = column_titles(genes, coefficients, log2=log2)
    linked = names[-1] == "symbol" or not all(NUMBERED.fullmatch(name) for name in genes["gene"])
    rows = []
    for gene in genes.to_dict("records"):
        cells = [Cell(gene[c], gene[c], link=link(gene[c]) if linked and c == names[-1] else "") for c in names]
        for c in titles:
            shown = (
                f"{round(gene[c] * n_folds)} of {n_folds}" if c == "frequency" else f"{gene[c]:.{DIGITS.get(c, 3)}g}"
            )
            background = tint(gene[c] / largest) if c in coefficients else ""
            cells.append(Cell(shown, f"{gene[c]:.6g}", tint=background))
        rows.append((*cells, Cell(gene["neighbours"], gene["neighbours"])))
    heads = [Heading(c, is_name=True) for c in names] + [Heading(t) for t in titles.values()]
    return Table((*heads, Heading("neighbours", is_name=True)), tuple(rows), sortable=True)


def column_titles(genes: pd.DataFrame, coefficients: list[str], *, log2: bool) -> dict[str, str]:
    """Return the columns of numbers that the page shows, with their headings."""
    titles = {"frequency": "in folds"}
    if len(coefficients) == 1:
        titles |= {coefficients[0]: "coefficient", "mean": "mean", "sd": "sd"}
        titles |= {c: c.replace("_", " in ", 1) for c in genes.columns if c.startswith("mean_")}
    else:
        titles |= {"strength": "strength"} | {c: c.removeprefix("std_coef_") for c in coefficients}
    known = {"difference": "log2 fold change" if log2 else "difference", "p_value": "p", "q_value": "q"}
    return titles | {c: t for c, t in known.items() if c in genes.columns}


def link(name: str) -> str:
    """Return where NCBI knows the gene of this symbol (or of several, ``MYC /// TP53``); nothing for a probe's name."""
    symbols = [symbol.strip() for symbol in name.split("///")]
    if not all(SYMBOL.fullmatch(symbol) for symbol in symbols):
        return ""
    return NCBI + quote(" OR ".join(f"{symbol}[sym]" for symbol in symbols))


def tint(fraction: float) -> str:
    """Return a background colour: orange for positive, blue for negative, stronger for larger."""
    hue = "194,87,26" if fraction > 0 else "11,110,153"
    return f"rgba({hue},{STRONGEST_TINT * abs(fraction):.3f})" if fraction else ""
