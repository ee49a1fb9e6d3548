"""The sentences of a study: for the page, and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from spred.genes.expression import Expression, count
from spred.genes.model import Application
from spred.genes.scores import ClassScore, Spread
from spred.genes.study import Study, last_step

SMALLEST = 1e-15
PATH_CAPTION = (
    "Coefficients per standard deviation of the gene as the penalty falls; with several classes, their norm. "
    "The dashed line is the penalty chosen. Genes that matter early matter most."
)
CURVE_CAPTION = (
    "Deviance per sample on the inner held-out folds, with its standard error. The rule '1se' takes the "
    "sparsest model within one standard error of the lowest. This curve chose the penalty, so it is no "
    "honest score."
)
CONFUSION_CAPTION = "Held-out predictions of the outer folds: one for every sample, by a model that never saw it."
SCATTER_CAPTION = "Held-out predictions of the outer folds against the truth; on the line they agree."
HEATMAP_CAPTION = (
    "The selected genes, strongest first, as z-scores: red above the gene's mean, blue below. The samples "
    "are those that the genes were selected on, so the contrast looks better than it would on new ones."
)


def size(expression: Expression) -> str:
    """Say how much data there is: samples, genes, and how many samples a class has."""
    base = f"{count(len(expression.samples), 'sample')} × {count(len(expression.genes), 'gene')}"
    classes = [f"{c} {int(np.sum(expression.target == c))}" for c in expression.classes]
    return f"{base} ({', '.join(classes)})" if classes else base


def summary(study: Study) -> str:
    """Say the result in three sentences: what was selected, what it is worth, how stable it is."""
    expression, n = study.expression, len(study.genes)
    what = f"tell {spoken(expression.classes)} apart" if expression.classes else f"predict {expression.target_name}"
    of = count(len(expression.genes), "gene")
    picked = f"{n or 'None'} of {of} {'were' if n > 1 else 'was'} selected to {what}."
    often = int((study.genes["frequency"] == 1).sum())
    again = f" {often or 'None'} of them {'were' if often > 1 else 'was'} selected again in every fold." if n else ""
    return f"{picked} {worth(study)}{again}"


def worth(study: Study) -> str:
    """Say what the held-out predictions are worth beside guessing."""
    score, folds = study.score, len(study.nested.folds)
    if isinstance(score, ClassScore):
        return (
            "On samples that the selection never saw, the balanced accuracy is "
            f"{plus_minus(score.balanced_accuracy)} (mean ± sd of {folds} folds); "
            f"always guessing {score.majority_class!r} gives {score.majority_balanced_accuracy:.2f}."
            f"{doubt(score.balanced_accuracy, score.majority_balanced_accuracy)}"
        )
    return (
        f"On samples that the selection never saw, R² is {plus_minus(score.r2)} "
        f"(mean ± sd of {folds} folds); guessing the mean gives 0.{doubt(score.r2, 0.0)}"
    )


def doubt(score: Spread, guess: float) -> str:
    """Warn of a score that is within one standard deviation of guessing."""
    return (
        " That is within one sd of guessing: these folds show no clear signal."
        if score.mean - score.sd <= guess
        else ""
    )


@dataclass(frozen=True)
class Card:
    """A figure that a reader looks for first."""

    value: str
    label: str


def cards(study: Study) -> list[Card]:
    """Return the figures that a reader looks for first."""
    certificate, score = last_step(study.model).certificate_, study.score
    found = [Card(str(len(study.genes)), "genes selected")]
    if isinstance(score, ClassScore):
        guess = f"by guessing {score.majority_class!r} ({score.majority:.0%} of samples)"
        found += [
            Card(plus_minus(score.balanced_accuracy), "balanced accuracy, held out"),
            Card(f"{score.majority_balanced_accuracy:.2f}", guess),
            Card("–" if score.auc is None else f"{score.auc:.2f}", "AUC, held out"),
        ]
    else:
        found += [
            Card(plus_minus(score.r2), "R², held out"),
            Card(plus_minus(score.mean_absolute_error), "mean absolute error, held out"),
        ]
    proof = f"relative duality gap of the final model; KKT residual {tiny(certificate.kkt)}"
    return [*found, Card(tiny(certificate.gap), proof)]


def nothing(study: Study) -> str:
    """Say what an empty list means."""
    return (
        f"By the rule {str(study.settings.rule)!r}, the inner cross-validation chose the model without any gene: on "
        "these samples no gene helps enough to predict new ones. More samples may change that; so may the rule 'min'."
    )


def reading(study: Study) -> str:
    """Say how to read the gene table."""
    classes = study.expression.classes
    per = "per standard deviation of the gene"
    alone = (
        f"p is that of the gene alone ({name_of_test(len(classes))}, all samples), q the same adjusted for the number "
        "of genes; neighbours are the genes most correlated with it."
    )
    if len(classes) > 2:
        return f"Under each class stands its coefficient {per}; the strength is their norm. {alone}"
    toward = f"; a positive one speaks for {classes[1]!r}, a negative one for {classes[0]!r}" if classes else ""
    scale = "log2 values" if study.expression.log2 else "values as in the file"
    return f"Coefficients are {per}{toward}. Mean and sd are of {scale}. {alone}"


def name_of_test(n_classes: int) -> str:
    """Name the test of a gene alone."""
    return {0: "Pearson correlation", 2: "Welch's t-test"}.get(n_classes, "one-way ANOVA")


def fold_rows(study: Study) -> tuple[list[str], list[list[str]]]:
    """Return the table of folds: headings and rows of text."""
    score = study.score
    if isinstance(score, ClassScore):
        columns = {"balanced accuracy": score.balanced_accuracy}
    else:
        columns = {"R²": score.r2, "mean absolute error": score.mean_absolute_error}
    heads = ["fold", "trained on", "held out", "genes", *columns]
    rows = [
        [str(i + 1), str(len(fold.train)), str(len(fold.test)), str(study.n_selected_folds[i])]
        + [f"{column.folds[i]:.3f}" for column in columns.values()]
        for i, fold in enumerate(study.nested.folds)
    ]
    return heads, rows


def methods(study: Study, run: Mapping[str, object]) -> str:
    """Return the paragraph that a paper can take over."""
    expression, settings = study.expression, study.settings
    adjusted = f", adjusted for {', '.join(c.name for c in expression.covariates)}" if expression.covariates else ""
    k, n_classes = len(study.nested.folds), len(expression.classes)
    scale = "log2(1 + value), negative values counted as 0" if expression.log2 else "the values as given"
    model = {0: "Lasso regression", 2: "L1-penalised logistic regression"}.get(
        n_classes, "multinomial regression with a group penalty that selects a gene for all classes together"
    )
    weighted = ", all classes weighted equally" if settings.class_weight == "balanced" else ""
    kind = "stratified " * (n_classes > 0) + "grouped " * (expression.group is not None)
    unit = f" (all samples of one {expression.group_name!r} in one fold)" if expression.group is not None else ""
    certificate = last_step(study.model).certificate_
    return (
        f"Genes were selected with {model}{weighted}, on {scale}, each gene standardised on the training "
        f"samples{adjusted}. The penalty was chosen on a path of {settings.n_alphas} values by {kind}"
        f"cross-validation of the deviance, {rule_text(settings.rule)}. Performance was estimated by "
        f"{k}-fold {kind}nested cross-validation{unit}: imputation, standardisation, choice of the penalty "
        "and selection were repeated in every outer fold without its held-out samples. The reported genes "
        f"come from the same procedure on all {len(expression.samples)} samples, solved to a relative "
        f"duality gap of {tiny(certificate.gap)}. {added(study)}"
        f"Software: {software(run)}; seed {settings.seed}."
    )


def added(study: Study) -> str:
    """Say in the methods how stability selection, permutations and baselines were done, where they were."""
    text = ""
    if study.stability is not None:
        found = study.stability
        text += (
            f"Stability selection used {found.n_pairs} complementary pairs of halves, the first {found.n_selected} "
            f"genes on the path of each, and a threshold of {found.threshold:.2f} (PFER at most {found.pfer:.2g} by "
            f"the {found.bound} bound of Shah and Samworth, 2013). "
        )
    if study.permutations is not None:
        text += (
            f"The p-value of the score comes from {len(study.permutations.scores)} permutations of the labels in the "
            "same folds, at the penalties chosen for the true labels. "
        )
    if study.baselines:
        text += "Other methods were scored in the same folds. "
    return text


def rule_text(rule: object) -> str:
    """Say how the penalty is chosen."""
    if rule == "1se":
        return "taking the sparsest model within one standard error of the best"
    return "taking the best" if rule == "min" else f"taking the best with at most {rule} genes"


def software(run: Mapping[str, object]) -> str:
    """List the versions that matter for the numbers."""
    versions = cast("Mapping[str, str]", run["versions"])
    return ", ".join(
        f"{name} {versions[name]}" for name in ("spred", "scikit-learn", "numpy", "python") if name in versions
    )


def made(study: Study, run: Mapping[str, object]) -> str:
    """Return the last line of the page."""
    return f"Made in {study.seconds:.1f} s with {software(run)}. run.json has all versions and arguments."


def applied(found: Application) -> str:
    """Say what a model's predictions of new samples are worth, where the truth is known."""
    n = count(len(found.table), "sample")
    if found.score is None:
        return f"{n} predicted with {count(len(found.model.genes), 'gene')} of {found.model.name}."
    what = "R²" if found.model.task == "regression" else "balanced accuracy"
    return f"{n} predicted; {what} on the {found.n_scored} with a known {found.model.target}: {found.score:.2f}."


def display_names(expression: Expression) -> np.ndarray:
    """Return names for figures: the symbol with the probe where there is one, else the gene's name."""
    if expression.symbols is None:
        return expression.genes
    pairs = zip(expression.genes, expression.symbols, strict=True)
    return np.array([f"{symbol} {gene}" if symbol else gene for gene, symbol in pairs], dtype=object)


def plus_minus(spread: Spread) -> str:
    """Write a mean and its sd."""
    return f"{spread.mean:.2f} ± {spread.sd:.2f}"


def tiny(value: float) -> str:
    """Write a residual: its order of magnitude, or that it is below what double precision can tell from zero."""
    return f"{value:.0e}" if value >= SMALLEST else f"<{SMALLEST:.0e}"


def spoken(names: list[str]) -> str:
    """List names as one says them: ``'a', 'b' and 'c'``."""
    quoted = [repr(n) for n in names]
    return f"{', '.join(quoted[:-1])} and {quoted[-1]}"
