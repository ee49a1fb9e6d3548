"""Gene selection on seven real sets: spred beside its baselines in the same folds of a nested cross-validation.

    python benchmarks/genes.py [--repeats 1] [--only golub alon] [--jobs 2] [--fresh] [--file NAME]

The sets lie in ``genes/`` of ``SPRED_DATA``, or of ``shared/data`` beside the checkout. Printed are the balanced
accuracy and the genes kept, on average over the folds, for each set and as a mean over the sets; ``results/genes.json``
has the rest, and keeps sets that are not run again. L1 stands twice where there are many classes; the mean takes the
form with the better score of each set. The goal: spred's mean accuracy within 0.01 of the best baseline, with at most
half the genes of L1 at its best.

The default rule was chosen on those seven. ``--fresh`` runs the sets of ``fresh.py``, which no rule was chosen on, and
writes ``results/genes-fresh.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from fresh import FRESH
from record import RESULTS, machine, write

from spred.genes import Expression, Settings, Study, add_baselines, read, run_study

FOLDER = Path(os.environ.get("SPRED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SETS: dict[str, dict[str, str]] = {
    "golub": {"path": "golub.csv.gz", "target": "class"},
    "singh": {"path": "singh.parquet", "target": "class"},
    "alon": {"path": "alon_genes_by_samples.tsv.gz", "labels": "alon_labels.csv"},
    "ALLAML": {"path": "ALLAML.mat"},
    "Prostate-GE": {"path": "Prostate-GE.mat"},
    "TOX-171": {"path": "TOX-171.mat"},
    "GLIOMA": {"path": "GLIOMA.mat"},
}
L1 = "L1 at its best"
L1_FORMS = (
    "L1 logistic regression",
    "L1 logistic regression, one against the rest",
    "row-sparse multinomial regression",
)
OWN = "spred"
RULES = {OWN: Settings(), "rule 1se, not refitted": Settings(rule="1se", refit=False)}
"""What spred does by default, and one other way for comparison."""


def load(name: str) -> Expression:
    """Return a set by its name."""
    if name in FRESH:
        return FRESH[name]()
    where = dict(SETS[name])
    labels = where.pop("labels", None)
    path = FOLDER / "genes" / where.pop("path")
    return read(path, labels=None if labels is None else path.with_name(labels), **where)


def studies(name: str, repeats: int, jobs: int) -> dict[str, Study]:
    """Study one set by each rule, in the same folds; the first has the baselines."""
    expression = load(name)
    found = {
        rule: run_study(expression, Settings(**{**asdict(settings), "repeats": repeats}), n_jobs=jobs)
        for rule, settings in RULES.items()
    }
    return {**found, OWN: add_baselines(found[OWN], n_jobs=jobs)}


def rows_of(name: str, found: dict[str, Study]) -> Iterable[dict[str, Any]]:
    """Give a row for each method: accuracy and genes, on average over the folds, and by fold."""
    own = [(rule, study.score.main, study.n_selected_folds) for rule, study in found.items()]
    others = [(b.name, b.score, b.n_genes) for b in found[OWN].baselines]
    for method, score, genes in own + others:
        yield {
            "data": name,
            "method": method,
            "balanced_accuracy": score.mean,
            "interval": score.interval,
            "genes": float(np.mean(genes)),
            "folds": score.folds,
            "genes_folds": genes,
        }


def means(rows: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Return accuracy and genes of each method, averaged over the sets; L1 in the better form of each set."""
    found: dict[str, list[tuple[float, float]]] = {}
    best: dict[str, tuple[float, float]] = {}
    for row in rows:
        pair = (row["balanced_accuracy"], row["genes"])
        if row["method"] in L1_FORMS:
            best[row["data"]] = max(best.get(row["data"], pair), pair)
        else:
            found.setdefault(row["method"], []).append(pair)
    pairs = {**found, L1: list(best.values())}
    return {method: tuple(np.mean(each, axis=0).tolist()) for method, each in pairs.items()}


def main() -> None:
    """Run the sets, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=[*SETS, *FRESH])
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--file", help="name of the results file, without its suffix")
    parser.add_argument("--fresh", action="store_true", help="the sets of fresh.py, which no rule was chosen on")
    options = parser.parse_args()
    file = options.file or ("genes-fresh" if options.fresh else "genes")
    names = options.only or list(FRESH if options.fresh else SETS)
    rows = [row for row in earlier(file, options.repeats) if row["data"] not in names]
    for name in names:
        start = time.perf_counter()
        new = list(rows_of(name, studies(name, options.repeats, options.jobs)))
        rows += new
        print(f"{name} ({time.perf_counter() - start:.0f} s)", flush=True)
        for row in new:
            print(f"  {row['method']:44} {row['balanced_accuracy']:.3f}  {row['genes']:6.1f} genes", flush=True)
        keep(file, options.repeats, rows)
    summary = keep(file, options.repeats, rows)
    print(f"mean over the {len({row['data'] for row in rows})} sets that the file has")
    for method, (value, number) in summary["mean"].items():
        print(f"  {method:44} {value:.3f}  {number:6.1f} genes")
    print(f"spred minus the best baseline {summary['difference']:+.3f} (goal: -0.010 or more)")
    print(f"its genes over those of L1 {summary['gene_ratio']:.2f} (goal: 0.50 or less)")


def earlier(file: str, repeats: int) -> list[dict[str, Any]]:
    """Return the rows of an earlier run with as many repeats: sets that are not run again stay."""
    path = RESULTS / f"{file}.json"
    found = json.loads(path.read_text()) if path.exists() else {"summary": {"repeats": None}, "rows": []}
    return found["rows"] if found["summary"]["repeats"] == repeats else []


def keep(file: str, repeats: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Write the rows with their summary, and return that."""
    average = means(rows)
    best = max(accuracy for method, (accuracy, _) in average.items() if method not in RULES)
    (accuracy, genes), l1 = average[OWN], average[L1][1]
    summary = {"repeats": repeats, "mean": average, "difference": accuracy - best, "gene_ratio": genes / l1}
    write(file, {"machine": machine(), "summary": summary, "rows": rows})
    return summary


if __name__ == "__main__":
    main()
