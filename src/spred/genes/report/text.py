"""The sentences and tables of a study: for the page, and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import pandas as pd

from spred.genes.application import Application
from spred.genes.data.expression import Expression
from spred.genes.study.models import find_model
from spred.genes.study.scores import METRICS, ClassScore, NumberScore, Score, Spread, spread
from spred.genes.study.study import Study
from spred.report.blocks import Card, Table, headings, text_table
from spred.report.wording import count, joined

SMALLEST = 1e-15
"""Residuals below are written as such: double precision cannot tell them from zero."""

CERTIFICATES = {"gap": "relative duality gap", "kkt": "KKT residual over all genes, relative to the penalty,"}
MOST_NAMED = 5
"""Genes that a sentence names."""


def size(expression: Expression) -> str:
    """Say how much data there is: samples, genes, and how many samples a class has."""
    base = f"{count(len(expression.samples), 'sample')} × {count(len(expression.genes), 'gene')}"
    classes = [f"{c} ({int(np.sum(expression.target == c))})" for c in expression.classes]
    return f"{base}: {', '.join(classes)}" if classes else base


def summary(study: Study) -> str:
    """Say the result in three sentences: which genes were selected, how often again, what they are worth."""
    expression, n = study.expression, len(study.genes)
    what = (
        f"tell {joined([repr(c) for c in expression.classes])} apart"
        if expression.classes
        else f"predict {aim(expression)}"
    )
    of = count(len(expression.genes), "gene")
    named = f": {leading(study.genes)}" if n else ""
    picked = f"{n or 'None'} of {of} {'were' if n > 1 else 'was'} selected to {what}{named}."
    often = int((study.genes["frequency"] == 1).sum())
    again = f" {overlap(n, often)} selected in every fold too." if n else ""
    return f"{picked}{again} {score_text(study)}{against_linear(study)}"


def leading(genes: pd.DataFrame) -> str:
    """Name the first genes of a table, by symbol where there is one."""
    names = [str(gene.get("symbol") or gene["gene"]) for gene in genes.head(MOST_NAMED).to_dict("records")]
    return joined(names + ([f"{len(genes) - MOST_NAMED} more"] if len(genes) > MOST_NAMED else []))


def overlap(n: int, both: int) -> str:
    """Say how many of n genes are somewhere else too: the beginning of a sentence."""
    if n == 1:
        return "It is" if both else "It is not"
    known = {0: "None of them is", 1: "One of them is", n: "All of them are"}
    return known.get(both, f"{both} of them are")


def against_linear(study: Study) -> str:
    """Say whether a network does better than the linear model in the same folds."""
    if study.settings.model == "linear":
        return ""
    linear = study.baselines[0]
    difference = study.score.main.mean - linear.score.mean
    both = (
        f" The linear model scores {linear.score.mean:.2f} in the same folds, with {np.mean(linear.n_genes):.0f} genes"
    )
    if difference <= 0:
        return f"{both}: the network does no better, so prefer the linear one."
    pairs = zip(study.score.main.folds, linear.score.folds, strict=True)
    rise = spread([own - other for own, other in pairs], study.folds, (-np.inf, np.inf))
    clear = "" if rise.interval[0] > 0 else ", which is within what the folds differ by chance"
    return f"{both}: the network is better by {difference:.2f}{clear}."


def aim(expression: Expression) -> str:
    """Name what is predicted."""
    return f"survival ({expression.target_name})" if expression.task == "survival" else expression.target_name


def score_text(study: Study) -> str:
    """Say how good the held-out predictions are, and what guessing gives."""
    score = study.score
    return (
        f"On samples that the selection never saw, {score_name(score)} is {score.main.mean:.2f} "
        f"({interval_text(score.main)}, {folds_text(study)}); {guessing(score)} gives {score.chance:.2f}."
        f"{doubt(score)}"
    )


def interval_text(score: Spread) -> str:
    """Write the interval; folds that all score the same have none, unless every sample was right."""
    if score.interval[0] == score.interval[1]:
        return "every fold scored the same, so they give no interval"
    return f"95 % interval {interval_cell(score)}"


def interval_cell(score: Spread) -> str:
    """Write the interval in a table."""
    return "–" if score.interval[0] == score.interval[1] else f"{score.interval[0]:.2f} to {score.interval[1]:.2f}"


def score_name(score: Score) -> str:
    """Name the score that methods are compared by, in a sentence."""
    if isinstance(score, ClassScore):
        return "the balanced accuracy"
    return "R²" if isinstance(score, NumberScore) else "the concordance of risk and survival"


def guessing(score: Score) -> str:
    """Say what guessing is."""
    if isinstance(score, ClassScore):
        return f"always guessing {score.majority_class!r}"
    return "guessing the mean" if isinstance(score, NumberScore) else "guessing"


def folds_text(study: Study) -> str:
    """Say how many folds a score comes from."""
    repeats = study.settings.repeats
    each = len(study.folds) // repeats
    return f"{each} folds" if repeats == 1 else f"{each} folds made {repeats} times"


def doubt(score: Score) -> str:
    """Warn of a score whose interval holds what guessing gives."""
    return (
        " That interval holds the score of guessing: no clear signal." if score.main.interval[0] <= score.chance else ""
    )


def cards(study: Study) -> list[Card]:
    """Return the numbers that a reader sees first: how good, how many genes, how sure."""
    often = int((study.genes["frequency"] == 1).sum())
    found = [*score_cards(study.score), Card(str(len(study.genes)), f"genes selected, {often} of them in every fold")]
    if study.stability is not None:
        found.append(
            Card(str(len(study.stability.genes)), f"genes stable over halves, PFER {study.stability.pfer:.2g}")
        )
    if study.permutations is not None:
        n = len(study.permutations.scores)
        found.append(
            Card(f"{study.permutations.p:.2g}", f"p-value of the score, {count(n, 'permutation')} of the labels")
        )
    (what, value), *others = certificates(study)
    label = "".join([f"{what} of the final model", *(f"; {name} {number}" for name, number in others)])
    return [*found, Card(value, label)]


def certificates(study: Study) -> list[tuple[str, str]]:
    """Name what certifies the final model, with its size, the strongest first."""
    found = find_model(study.settings.model).certificate(study.model[-1])
    return [("KKT residual" if i else CERTIFICATES[name], tiny(value)) for i, (name, value) in enumerate(found.items())]


def score_cards(score: Score) -> list[Card]:
    """Return the numbers of a score."""
    interval = interval_text(score.main)
    if isinstance(score, ClassScore):
        return [
            Card(f"{score.balanced_accuracy.mean:.2f}", f"balanced accuracy, held out; {interval}"),
            Card(
                f"{score.majority_balanced_accuracy:.2f}",
                f"by guessing {score.majority_class!r} ({score.majority:.0%} of samples)",
            ),
            Card("–" if score.auc is None else f"{score.auc:.2f}", "AUC, held out"),
        ]
    if isinstance(score, NumberScore):
        return [
            Card(f"{score.r2.mean:.2f}", f"R², held out; {interval}"),
            Card(mean_and_sd(score.mean_absolute_error), "mean absolute error, held out"),
        ]
    return [
        Card(f"{score.concordance.mean:.2f}", f"concordance, held out; {interval}; 0.5 by guessing"),
        Card("–" if score.logrank_p is None else f"{score.logrank_p:.2g}", "log-rank p between risk groups, held out"),
    ]


def empty_list(study: Study) -> str:
    """Say what an empty list means."""
    return (
        f"By the rule {str(study.settings.rule)!r}, the inner cross-validation chose the model without any gene: on "
        "these samples no gene helps enough to predict new ones. More samples may change that; so may the rule 'min'."
    )


def how_to_read(study: Study) -> str:
    """Say how to read the gene table."""
    classes = study.expression.classes
    per = "per standard deviation of the gene"
    alone = (
        f"p is that of the gene alone ({test_name(study.expression)}, all samples), q the same adjusted for the "
        "number of genes; neighbours are the genes most correlated with it."
    )
    if len(classes) > 2:
        return f"Under each class stands its coefficient {per}; the strength is their norm. {alone}"
    toward = f"; a positive one speaks for {classes[1]!r}, a negative one for {classes[0]!r}" if classes else ""
    if study.expression.task == "survival":
        toward = " (logarithms of hazard ratios); a positive one means earlier events where the gene is high"
    scale = "log2 values" if study.expression.log2 else "values as in the file"
    what = "Coefficients" if study.settings.model == "linear" else "Coefficients, average slopes of the network,"
    return f"{what} are {per}{toward}. Mean and sd are of {scale}. {alone}"


def test_name(expression: Expression) -> str:
    """Name the test of a gene alone."""
    if expression.task == "classification":
        return "Welch's t-test" if len(expression.classes) == 2 else "one-way ANOVA"
    return "Pearson correlation" if expression.task == "regression" else "score test of Cox regression"


def fold_table(study: Study) -> Table:
    """Return the table of the outer folds."""
    score = study.score
    columns = {METRICS[study.expression.task].name: score.main}
    if isinstance(score, NumberScore):
        columns["mean absolute error"] = score.mean_absolute_error
    rows = [
        [str(i + 1), str(len(fold.train)), str(len(fold.test)), str(study.n_selected_folds[i])]
        + [f"{column.folds[i]:.3f}" for column in columns.values()]
        for i, fold in enumerate(study.folds)
    ]
    return text_table(headings("fold", "trained on", "held out", "genes", *columns, n_names=0), rows)


def software(run: Mapping[str, object]) -> str:
    """List the versions that matter for the numbers."""
    versions = cast("Mapping[str, str]", run["versions"])
    return ", ".join(
        f"{name} {versions[name]}" for name in ("spred", "scikit-learn", "numpy", "python") if name in versions
    )


def made(study: Study, run: Mapping[str, object]) -> str:
    """Return the last line of the page."""
    return f"Made in {study.seconds:.1f} s with {software(run)}. run.json has all versions and arguments."


def application_text(found: Application) -> str:
    """Say how good the predictions of new samples are, where the truth is known."""
    n = count(len(found.table), "sample")
    if found.score is None:
        return f"{n} predicted with {count(len(found.model.genes), 'gene')} of {found.model.name}."
    what = METRICS[found.model.task].name
    return f"{n} predicted; {what} on the {found.n_scored} with a known {found.model.target}: {found.score:.2f}."


def display_names(expression: Expression) -> np.ndarray:
    """Return names for figures: the symbol with the probe where there is one, else the gene's name."""
    if expression.symbols is None:
        return expression.genes
    pairs = zip(expression.genes, expression.symbols, strict=True)
    return np.array([f"{symbol} {gene}" if symbol else gene for gene, symbol in pairs], dtype=object)


def mean_and_sd(score: Spread) -> str:
    """Write a mean and its sd."""
    return f"{score.mean:.2f} ± {score.sd:.2f}"


def tiny(value: float) -> str:
    """Write a residual: its order of magnitude, or that it is below what double precision can tell from zero."""
    return f"{value:.0e}" if value >= SMALLEST else f"<{SMALLEST:.0e}"
