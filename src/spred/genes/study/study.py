"""One study: an honest score by nested cross-validation, then the gene list from all samples.

The score belongs to the *procedure*: in every outer fold the whole pipeline (gaps, scaling, the path, the
choice of alpha, the selection) is fitted anew on the training samples, and the held-out samples are predicted
once. The list belongs to the *data*: the same procedure on all samples. How often a gene is chosen again in
the folds says how far the list depends on the samples at hand.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from spred.genes.data.checks import find_problems
from spred.genes.data.expression import Expression
from spred.genes.study.folds import OuterFold, fit, outer_folds, support
from spred.genes.study.models import find_model
from spred.genes.study.results import Baseline, Permutations, Stability
from spred.genes.study.scores import METRICS, SCORES, Score, fold_scores
from spred.genes.study.settings import Settings
from spred.genes.study.univariate import adjusted, neighbours, p_values
from spred.report.wording import count
from spred.runtime.tasks import Store


@dataclass(frozen=True, eq=False)
class Study:
    """Everything that a report needs.

    Attributes:
        expression: the data.
        model: the pipeline fitted on all samples; its last step has the path, the curve and the certificate.
        folds: the outer folds with their held-out predictions and the genes they selected.
        score: what these predictions are worth.
        genes: the genes selected from all samples, strongest first (docs/genes.md names the columns).
        settings: how it was done.
        seconds: time for folds and final fit.
        notes: what was decided, what to beware of, and what the solvers warned of, in sentences.
        stability: filled in by :func:`add_stability`.
        baselines: filled in by :func:`add_baselines`; of a network, the linear model in the same folds comes first.
        permutations: filled in by :func:`add_permutations`.
    """

    expression: Expression
    model: Pipeline
    folds: tuple[OuterFold, ...]
    score: Score
    genes: pd.DataFrame
    settings: Settings
    seconds: float
    notes: tuple[str, ...]
    stability: Stability | None = None
    baselines: tuple[Baseline, ...] = ()
    permutations: Permutations | None = None

    @property
    def scaled(self) -> np.ndarray:
        """The values as the final model has them, ``(n_samples, n_genes)``: on its scale, gaps filled."""
        return genes_only(self.expression, self.model[:-1].transform(self.expression.design))

    @property
    def n_selected_folds(self) -> tuple[int, ...]:
        """How many genes each outer fold selected."""
        return tuple(int(fold.support.sum()) for fold in self.folds)

    @property
    def coefficients(self) -> np.ndarray:
        """The final model's coefficients of the genes, ``(rows, n_genes)``, a row a class where there are many."""
        fitted = find_model(self.settings.model).coefficients(self.model[-1])
        return fitted[:, : len(self.expression.genes)]


def run_study(
    expression: Expression,
    settings: Settings | None = None,
    *,
    n_jobs: int | None = None,
    store: Store | None = None,
    on_fold: Callable[[int, int], None] | None = None,
) -> Study:
    """Score the selection of genes honestly, then select from all samples.

    Args:
        expression: data from :func:`spred.genes.read`.
        settings: how it is done; see :class:`Settings`.
        n_jobs: outer folds fitted at the same time, as joblib counts them.
        store: where finished folds are kept, for a run that may be stopped.
        on_fold: called with (folds done, folds in all).

    Returns:
        The :class:`Study`. Its ``score`` belongs to the procedure, its ``genes`` to all samples; ``notes`` has what was
        decided and what to beware of.

    Raises:
        InputError: a class is too small to be split, or there is no such model.

    Source: nested cross-validation is that of M. Stone, Journal of the Royal Statistical Society B 36, 1974; that the
    selection belongs inside is shown by C. Ambroise and G. McLachlan, PNAS 99, 2002.

    >>> from spred.genes import read
    >>> study = run_study(read("demo:tissue"), Settings(rule="1se", n_alphas=5, folds=2))
    >>> study.score.balanced_accuracy.mean > 0.8
    True
    """
    start, settings = perf_counter(), settings or Settings()
    folds = outer_folds(expression, settings, n_jobs=n_jobs, store=store, on_fold=on_fold)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        model = fit(expression, settings, np.arange(len(expression.samples)))
    baselines = (
        () if settings.model == "linear" else (linear_baseline(expression, settings, n_jobs=n_jobs, store=store),)
    )
    warned = {str(w.message) for w in caught}.union(*(fold.warned for fold in folds))
    return Study(
        expression=expression,
        model=model,
        folds=folds,
        score=SCORES[expression.task](folds, expression.target),
        genes=gene_table(expression, settings, model, folds),
        settings=settings,
        seconds=perf_counter() - start,
        notes=(
            *expression.notes,
            fold_note(folds, settings, expression.group),
            *step_notes(expression, settings),
            *find_problems(expression),
            *sorted(warned),
        ),
        baselines=baselines,
    )


def linear_baseline(expression: Expression, settings: Settings, *, n_jobs: int | None, store: Store | None) -> Baseline:
    """Score the linear model in the folds of a study of another kind of model."""
    folds = outer_folds(expression, replace(settings, model="linear"), n_jobs=n_jobs, store=store)
    score = fold_scores(METRICS[expression.task], folds, expression.target, [fold.predicted for fold in folds])
    return Baseline("the linear model of spred", score, tuple(int(fold.support.sum()) for fold in folds))


def gene_table(expression: Expression, settings: Settings, model: Pipeline, folds: Sequence[OuterFold]) -> pd.DataFrame:
    """Describe the selected genes, strongest first.

    Coefficients are given per unit of the values that the model has (log2 where applied), and per standard
    deviation of the gene, which makes genes comparable.
    """
    chosen = np.flatnonzero(support(expression, model))
    everything = genes_only(expression, model[:-1].transform(expression.design))
    values = everything[:, chosen]
    coef = find_model(settings.model).coefficients(model[-1])[:, chosen]
    standardised = coef * values.std(axis=0)
    frequency = np.mean([fold.support[chosen] for fold in folds], axis=0)
    table = pd.DataFrame({"gene": expression.genes[chosen]})
    if expression.symbols is not None:
        table["symbol"] = expression.symbols[chosen]
    table["strength"] = np.linalg.norm(standardised, axis=0)
    table["frequency"] = frequency
    for row, name in enumerate(coefficient_names(expression)):
        table[f"coef{name}"] = coef[row]
        table[f"std_coef{name}"] = standardised[row]
    table["mean"], table["sd"] = values.mean(axis=0), values.std(axis=0)
    for c in expression.classes:
        table[f"mean_{c}"] = values[expression.target == c].mean(axis=0)
    if len(expression.classes) == 2:
        first, second = expression.classes
        table["difference"] = table[f"mean_{second}"] - table[f"mean_{first}"]
    p = p_values(everything, expression.target, expression.task)
    table["p_value"], table["q_value"] = p[chosen], adjusted(p)[chosen]
    table["neighbours"] = neighbours(everything, chosen, expression.genes)
    return table.sort_values(["strength", "gene"], ascending=[False, True], ignore_index=True)


def coefficient_names(expression: Expression) -> list[str]:
    """Return what follows ``coef`` for each row of it: nothing, the second class, or every class."""
    classes = expression.classes
    if not classes:
        return [""]
    return [f"_{c}" for c in (classes if len(classes) > 2 else classes[1:])]


def fold_note(folds: Sequence[OuterFold], settings: Settings, groups: np.ndarray | None) -> str:
    """Say how the samples were split."""
    made = len(folds) // settings.repeats
    fewer = f" ({settings.folds} were asked for; the smallest class allows no more)" if made < settings.folds else ""
    again = f", made {settings.repeats} times with other seeds" if settings.repeats > 1 else ""
    whole = "" if groups is None else f"; all samples of one of the {len(np.unique(groups))} groups stay in one fold"
    return f"The score comes from {made} outer folds{fewer}{again}{whole}."


def step_notes(expression: Expression, settings: Settings) -> Iterator[str]:
    """Say what was done to the values in each fold beyond the usual."""
    if settings.normalize == "quantile":
        yield "Every sample was brought to the mean distribution of the training samples (quantile normalisation)."
    if settings.min_variance:
        n = round(settings.min_variance * len(expression.genes))
        yield f"In each fold, the {count(n, 'gene')} of least variance over the training samples were left out."


def genes_only(expression: Expression, columns: np.ndarray) -> np.ndarray:
    """Return the columns of the genes, without those of the covariates behind them."""
    return columns[:, : len(expression.genes)]
