"""The figures of the page, with their captions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spred.genes.data.survival import kaplan_meier
from spred.genes.report.text import display_names
from spred.genes.study.models import find_model
from spred.genes.study.results import Stability
from spred.genes.study.scores import ClassScore, NumberScore, by_risk
from spred.genes.study.study import Study
from spred.report import plots
from spred.report.blocks import Drawing, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_IN_HEATMAP = 40
"""Genes in the heatmap; more of them have no room for their names."""

PATH_CAPTION = (
    "The path on all samples: coefficients per standard deviation of the gene as the penalty falls from left to "
    "right; with several classes, their norm. A gene is in the list if its line has left zero at the dashed line, the "
    "penalty chosen. Colours are for telling the strongest genes apart."
)
GATES_CAPTION = (
    "The path on all samples: the size of each gene's gate, the norm of all that leaves it into the network, as the "
    "penalty falls from left to right. A gene is in the list if its line has left zero at the dashed line, the penalty "
    "chosen. Colours are for telling the strongest genes apart."
)
CURVE_CAPTION = (
    "Mean deviance per sample on the inner held-out folds over the penalty; the band is one standard error to either "
    "side, the numbers on top are genes. This curve chose the penalty, so it is no honest score."
)
ROC_CAPTION = (
    "ROC curves of the held-out predictions: thin, one for each outer fold; thick, their mean. On the diagonal, "
    "guessing."
)
SCATTER_CAPTION = "Held-out predictions of the outer folds against the truth; on the line they agree."
SURVIVAL_CAPTION = (
    "Kaplan–Meier curves of the held-out samples, by the risk that a model without them gave: above or below the "
    "median risk of its training samples. Ticks are samples that left without the event."
)
STABILITY_CAPTION = (
    "How often each gene was among those that a half of the samples selected, most frequent first. The dashed line is "
    "the threshold of the stable list."
)
HEATMAP_CAPTION = (
    "The selected genes, strongest first, as z-scores: red above the gene's mean, blue below. The samples "
    "are those that the genes were selected on, so the contrast looks better than it would on new ones."
)


def drawings(study: Study) -> dict[str, Drawing]:
    """Draw the figures of the page, by the names that the template has for them."""
    linear = study.settings.model == "linear"
    drawn = {
        "path": drawing(path_figure(study), "path", PATH_CAPTION if linear else GATES_CAPTION),
        "curve": drawing(curve_figure(study), "curve", CURVE_CAPTION),
        "held_out": held_out(study),
    }
    if isinstance(study.score, ClassScore) and len(study.expression.classes) == 2:
        drawn["roc"] = drawing(roc_figure(study), "roc", ROC_CAPTION)
    if study.stability is not None:
        drawn["stability"] = drawing(stability_figure(study, study.stability), "stability", STABILITY_CAPTION)
    if len(study.genes):
        drawn["heatmap"] = drawing(heatmap_figure(study), "heatmap", HEATMAP_CAPTION, wide=True)
    return drawn


def held_out(study: Study) -> Drawing:
    """Draw the held-out predictions: counts of classes, numbers over the truth, or survival by risk."""
    if isinstance(study.score, ClassScore):
        plot = plots.confusion_plot(np.array(study.score.confusion), study.expression.classes)
        return drawing(plot, "confusion", confusion_caption(study))
    if isinstance(study.score, NumberScore):
        true = np.concatenate([study.expression.target[fold.test] for fold in study.folds])
        predicted = np.concatenate([fold.predicted for fold in study.folds])
        return drawing(
            plots.scatter_plot(true, predicted, what=study.expression.target_name), "scatter", SCATTER_CAPTION
        )
    return drawing(survival_figure(study, study.score.logrank_p), "survival", SURVIVAL_CAPTION)


def confusion_caption(study: Study) -> str:
    """Say what the counts of the confusion matrix are."""
    repeats = study.settings.repeats
    each = "one" if repeats == 1 else f"{repeats}, one a repeat,"
    return (
        f"Held-out predictions of the outer folds: {each} for every sample, by a model that never saw it. Counts; the "
        "shade is the share of the true class."
    )


def path_figure(study: Study) -> Figure:
    """Draw the path of the final model: the genes that enter it anywhere."""
    final, values = study.model[-1], study.model[:-1].transform(study.expression.design)
    sizes = find_model(study.settings.model).sizes(final, values)[:, : len(study.expression.genes)]
    ever = np.flatnonzero(sizes.any(axis=0))
    names = display_names(study.expression)[ever]
    what = "standardised coefficient" if study.settings.model == "linear" else "size of the gate"
    return plots.path_plot(final.path_.alphas, sizes[:, ever], list(names), chosen=float(final.alpha_), what=what)


def curve_figure(study: Study) -> Figure:
    """Draw the inner cross-validation of the final model with the marks of the rules."""
    curve = study.model[-1].curve_
    known = {"lowest": curve.index_min, "one standard error": curve.index_1se}
    reason = next((name for name, index in known.items() if index == curve.index), f"rule {study.settings.rule}")
    marks = {f"chosen: {reason}": curve.index, **{n: i for n, i in known.items() if i != curve.index}}
    return plots.curve_plot(
        curve.alphas,
        curve.mean,
        curve.se,
        curve.n_nonzero - study.expression.n_free * find_model(study.settings.model).counts_free,
        marks={name: float(curve.alphas[index]) for name, index in marks.items()},
    )


def roc_figure(study: Study) -> Figure:
    """Draw the ROC curve of each outer fold that holds samples of both classes."""
    from sklearn.metrics import roc_curve

    y, second = study.expression.target, study.expression.classes[1]
    held_out = [(y[f.test] == second, f.probabilities) for f in study.folds]
    curves = [roc_curve(true, p[:, 1])[:2] for true, p in held_out if p is not None and 0 < true.sum() < len(true)]
    return plots.roc_plot(curves, positive=second)


def survival_figure(study: Study, p: float | None) -> Figure:
    """Draw the Kaplan–Meier curves of held-out samples of low and of high risk."""
    named = zip(("low risk", "high risk"), by_risk(study.folds, study.expression.target), strict=True)
    groups = [kaplan_meier(part, name) for name, part in named if len(part)]
    return plots.survival_plot(
        [(f"{g.name} ({g.n_samples}, {g.n_events} events)", g.time, g.alive, g.censored) for g in groups],
        time=study.expression.target_name,
        p=p,
    )


def stability_figure(study: Study, found: Stability) -> Figure:
    """Draw how often halves of the samples selected each gene."""
    return plots.frequency_plot(found.frequency, list(display_names(study.expression)), threshold=found.threshold)


def heatmap_figure(study: Study) -> Figure:
    """Draw the strongest selected genes over all samples, as z-scores, samples in the order of the target."""
    expression = study.expression
    position = {gene: j for j, gene in enumerate(expression.genes)}
    chosen = np.array([position[g] for g in study.genes["gene"].head(MOST_IN_HEATMAP)])
    target = expression.target["time"] if expression.task == "survival" else expression.target
    order = np.argsort(target, kind="stable")
    values = study.scaled[np.ix_(order, chosen)]
    scores = (values - values.mean(axis=0)) / values.std(axis=0)
    groups = list(expression.target[order])
    if not expression.classes:
        groups = [f"samples, by rising {expression.target_name}"] * len(order)
    return plots.heatmap(scores, list(display_names(expression)[chosen]), groups)
