"""Gene selection on seven real sets: spred beside its baselines in the same folds of a nested cross-validation.

    python benchmarks/genes.py [--repeats 1] [--only golub alon] [--jobs 2]

The sets lie in ``genes/`` of ``SPRED_DATA``, or of ``shared/data`` beside the checkout. Printed are the balanced
accuracy and the genes kept, on average over the folds, for each set and as a mean over the sets; ``results/genes.json``
has the rest. The goal: spred's mean accuracy within 0.01 of the best baseline, with at most half the genes of L1 at its
best.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from record import machine, write

from spred.genes import Settings, Study, add_baselines, read, run_study

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
L1 = "L1 logistic regression"
OWN = "spred"
RULES = {OWN: Settings(), "rule 1se, not refitted": Settings(rule="1se", refit=False)}
"""What spred does by default, and one other way for comparison."""


def studies(name: str, repeats: int, jobs: int) -> dict[str, Study]:
    """Study one set by each rule, in the same folds; the first has the baselines."""
    where = dict(SETS[name])
    labels = where.pop("labels", None)
    path = FOLDER / "genes" / where.pop("path")
    expression = read(path, labels=None if labels is None else path.with_name(labels), **where)
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
    """Return accuracy and genes of each method, averaged over the sets."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    mine = {m: [row for row in rows if row["method"] == m] for m in methods}
    return {
        m: (float(np.mean([r["balanced_accuracy"] for r in mine[m]])), float(np.mean([r["genes"] for r in mine[m]])))
        for m in methods
    }


def main() -> None:
    """Run the sets, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--jobs", type=int, default=-1)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name in options.only:
        start = time.perf_counter()
        new = list(rows_of(name, studies(name, options.repeats, options.jobs)))
        rows += new
        print(f"{name} ({time.perf_counter() - start:.0f} s)", flush=True)
        for row in new:
            print(f"  {row['method']:32} {row['balanced_accuracy']:.3f}  {row['genes']:6.1f} genes", flush=True)
    average = means(rows)
    best = max(accuracy for method, (accuracy, _) in average.items() if method not in RULES)
    (accuracy, genes), l1 = average[OWN], average[L1][1]
    print("mean over the sets")
    for method, (value, number) in average.items():
        print(f"  {method:32} {value:.3f}  {number:6.1f} genes")
    print(f"spred minus the best baseline {accuracy - best:+.3f} (goal: -0.010 or more)")
    print(f"its genes over those of L1 {genes / l1:.2f} (goal: 0.50 or less)")
    summary = {"repeats": options.repeats, "mean": average, "difference": accuracy - best, "gene_ratio": genes / l1}
    write("genes", {"machine": machine(), "summary": summary, "rows": rows})


if __name__ == "__main__":
    main()
