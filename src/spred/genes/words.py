"""The sentences of a study: for the page, and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from spred.genes.expression import Expression, count
from spred.genes.findings import Stability
from spred.genes.model import Application
from spred.genes.models import find_model
from spred.genes.scores import METRICS, ClassScore, NumberScore, Score, Spread
from spred.genes.settings import Settings
from spred.genes.study import Study

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
SURVIVAL_CAPTION = (
    "Kaplan–Meier curves of the held-out samples, by the risk that a model without them gave: above or below the "
    "median risk of its training samples. Ticks are samples that left without the event."
)
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
    what = f"tell {spoken(expression.classes)} apart" if expression.classes else f"predict {aim(expression)}"
    of = count(len(expression.genes), "gene")
    picked = f"{n or 'None'} of {of} {'were' if n > 1 else 'was'} selected to {what}."
    often = int((study.genes["frequency"] == 1).sum())
    again = f" {often or 'None'} of them {'were' if often > 1 else 'was'} selected again in every fold." if n else ""
    return f"{picked} {worth(study)}{again}"


def aim(expression: Expression) -> str:
    """Name what is predicted."""
    return f"survival ({expression.target_name})" if expression.task == "survival" else expression.target_name


def worth(study: Study) -> str:
    """Say what the held-out predictions are worth beside guessing."""
    score = study.score
    return (
        f"On samples that the selection never saw, {main_name(score)} is {score.main.mean:.2f} "
        f"({spoken_interval(score.main)}, {spoken_folds(study)}); {guessing(score)} gives {score.chance:.2f}."
        f"{doubt(score)}"
    )


def spoken_interval(score: Spread) -> str:
    """Write the interval; folds that all score the same have none."""
    if not score.sd:
        return "every fold scored the same, so they tell no interval"
    return f"95 % interval {score.interval[0]:.2f} to {score.interval[1]:.2f}"


def main_name(score: Score) -> str:
    """Name the score that methods are compared by, in a sentence."""
    if isinstance(score, ClassScore):
        return "the balanced accuracy"
    return "R²" if isinstance(score, NumberScore) else "the concordance of risk and survival"


def guessing(score: Score) -> str:
    """Say what guessing is."""
    if isinstance(score, ClassScore):
        return f"always guessing {score.majority_class!r}"
    return "guessing the mean" if isinstance(score, NumberScore) else "guessing"


def spoken_folds(study: Study) -> str:
    """Say how many folds a score comes from."""
    repeats = study.settings.repeats
    each = len(study.folds) // repeats
    return f"{each} folds" if repeats == 1 else f"{each} folds made {repeats} times"


def doubt(score: Score) -> str:
    """Warn of a score whose interval holds what guessing gives."""
    return (
        " That interval holds the score of guessing: no clear signal." if score.main.interval[0] <= score.chance else ""
    )


@dataclass(frozen=True)
class Card:
    """A figure that a reader looks for first."""

    value: str
    label: str


def cards(study: Study) -> list[Card]:
    """Return the figures that a reader looks for first."""
    certificate = study.model[-1].certificate_
    proof = f"relative duality gap of the final model; KKT residual {tiny(certificate.kkt)}"
    return [
        Card(str(len(study.genes)), "genes selected"),
        *score_cards(study.score),
        Card(tiny(certificate.gap), proof),
    ]


def score_cards(score: Score) -> list[Card]:
    """Return the figures of a score."""
    if isinstance(score, ClassScore):
        return [
            Card(plus_minus(score.balanced_accuracy), "balanced accuracy, held out"),
            Card(
                f"{score.majority_balanced_accuracy:.2f}",
                f"by guessing {score.majority_class!r} ({score.majority:.0%} of samples)",
            ),
            Card("–" if score.auc is None else f"{score.auc:.2f}", "AUC, held out"),
        ]
    if isinstance(score, NumberScore):
        return [
            Card(plus_minus(score.r2), "R², held out"),
            Card(plus_minus(score.mean_absolute_error), "mean absolute error, held out"),
        ]
    return [
        Card(plus_minus(score.concordance), "concordance, held out; 0.5 by guessing"),
        Card("–" if score.logrank_p is None else f"{score.logrank_p:.2g}", "log-rank p between risk groups, held out"),
    ]


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
        f"p is that of the gene alone ({name_of_test(study.expression)}, all samples), q the same adjusted for the "
        "number of genes; neighbours are the genes most correlated with it."
    )
    if len(classes) > 2:
        return f"Under each class stands its coefficient {per}; the strength is their norm. {alone}"
    toward = f"; a positive one speaks for {classes[1]!r}, a negative one for {classes[0]!r}" if classes else ""
    if study.expression.task == "survival":
        toward = " (logarithms of hazard ratios); a positive one means earlier events where the gene is high"
    scale = "log2 values" if study.expression.log2 else "values as in the file"
    return f"Coefficients are {per}{toward}. Mean and sd are of {scale}. {alone}"


def name_of_test(expression: Expression) -> str:
    """Name the test of a gene alone."""
    if expression.task == "classification":
        return "Welch's t-test" if len(expression.classes) == 2 else "one-way ANOVA"
    return "Pearson correlation" if expression.task == "regression" else "score test of Cox regression"


def fold_rows(study: Study) -> tuple[list[str], list[list[str]]]:
    """Return the table of folds: headings and rows of text."""
    score = study.score
    columns = {METRICS[study.expression.task].name: score.main}
    if isinstance(score, NumberScore):
        columns["mean absolute error"] = score.mean_absolute_error
    heads = ["fold", "trained on", "held out", "genes", *columns]
    rows = [
        [str(i + 1), str(len(fold.train)), str(len(fold.test)), str(study.n_selected_folds[i])]
        + [f"{column.folds[i]:.3f}" for column in columns.values()]
        for i, fold in enumerate(study.folds)
    ]
    return heads, rows


def methods(study: Study, run: Mapping[str, object]) -> str:
    """Return the paragraph that a paper can take over."""
    expression, settings = study.expression, study.settings
    adjusted = f", adjusted for {', '.join(c.name for c in expression.covariates)}" if expression.covariates else ""
    k = len(study.folds) // settings.repeats
    repeated = f"{settings.repeats} times repeated " if settings.repeats > 1 else ""
    scale = "log2(1 + value), negative values counted as 0" if expression.log2 else "the values as given"
    kind_of_target = "two classes" if len(expression.classes) == 2 else "classes"
    model = find_model(settings.model).title[kind_of_target if expression.classes else expression.task]
    weighted = ", all classes weighted equally" if settings.class_weight == "balanced" else ""
    kind = "stratified " * (expression.strata is not None) + "grouped " * (expression.group is not None)
    unit = f" (all samples of one {expression.group_name!r} in one fold)" if expression.group is not None else ""
    certificate = study.model[-1].certificate_
    return (
        f"Genes were selected with {model}{weighted}, on {scale}, each gene standardised on the training "
        f"samples{adjusted}. The penalty was chosen on a path of {settings.n_alphas} values by {kind}"
        f"cross-validation of the deviance, {rule_text(settings.rule)}. {refit_text(settings)}"
        f"Performance was estimated by {repeated}{k}-fold {kind}nested cross-validation{unit}: {inside(settings)}"
        "imputation, standardisation, choice of the penalty and selection were repeated in every outer fold without "
        "its held-out samples. The interval of the score is the corrected resampled t interval (Nadeau and Bengio, "
        f"2003). The reported genes come from the same procedure on all {len(expression.samples)} samples, solved to a "
        f"relative duality gap of {tiny(certificate.gap)}. {added(study)}"
        f"Software: {software(run)}; seed {settings.seed}."
    )


def inside(settings: Settings) -> str:
    """Name the steps that were asked for beyond the usual, in the methods."""
    quantiles = "quantile normalisation, " if settings.normalize == "quantile" else ""
    filtered = (
        f"removal of the {settings.min_variance:.0%} of genes of least variance, " if settings.min_variance else ""
    )
    return quantiles + filtered


def added(study: Study) -> str:
    """Say in the methods how stability selection, permutations and baselines were done, where they were."""
    text = ""
    if study.stability is not None:
        found = study.stability
        text += (
            f"Stability selection used {found.n_pairs} complementary pairs of halves, the first {found.n_selected} "
            f"genes on the path of each, and a threshold of {found.threshold:.2f} (PFER at most {found.pfer:.2g} by "
            f"the {found.bound} bound of Shah and Samworth, 2013){decoy_words(found)}. "
        )
    if study.permutations is not None:
        text += (
            f"The p-value of the score comes from {len(study.permutations.scores)} permutations of the labels in the "
            "same folds, at the penalties chosen for the true labels. "
        )
    if study.baselines:
        text += "Other methods were scored in the same folds. "
    return text


def refit_text(settings: Settings) -> str:
    """Say how the chosen genes were fitted again, in the methods."""
    return "The genes chosen were fitted again with a ridge penalty of the same strength. " if settings.refit else ""


def decoy_words(found: Stability) -> str:
    """Say how the false share was estimated, in the methods."""
    if found.fdp is None:
        return ""
    return f"; the false discovery proportion was estimated from decoy genes as {found.fdp:.2f}"


def rule_text(rule: object) -> str:
    """Say how the penalty is chosen."""
    if rule == "short":
        return (
            "taking the sparser of two models: the sparsest within one standard error of the best, and the best with "
            "at most half the genes of the best"
        )
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
    what = METRICS[found.model.task].name
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
