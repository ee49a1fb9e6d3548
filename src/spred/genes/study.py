"""One study: an honest score by nested cross-validation, then the gene list from all samples.

The score belongs to the *procedure*: in every outer fold the whole pipeline (gaps, scaling, the path, the
choice of alpha, the selection) is fitted anew on the training samples, and the held-out samples are predicted
once. The list belongs to the *data*: the same procedure on all samples. How often a gene is chosen again in
the folds says how far the list depends on the samples at hand.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from spred.errors import InputError
from spred.genes.checks import warnings_about
from spred.genes.expression import Expression
from spred.genes.findings import Baseline, Permutations, Stability
from spred.genes.preprocess import pipeline
from spred.genes.scores import ClassScore, NumberScore, score_classes, score_numbers
from spred.genes.univariate import adjusted, neighbours, p_values

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from spred.estimators import NestedCV, SparseClassifierCV, SparseRegressorCV


@dataclass(frozen=True)
class Settings:
    """How a study is done; :func:`run_study` explains each."""

    rule: str | int
    n_alphas: int
    folds: int
    seed: int
    class_weight: Literal["balanced"] | None


@dataclass(frozen=True, eq=False)
class Study:
    """Everything that a report needs.

    Attributes:
        expression: the data.
        model: the pipeline fitted on all samples; its last step has the path, the curve and the certificate.
        nested: the outer folds with their fitted pipelines and held-out predictions.
        score: what these predictions are worth.
        genes: the genes selected from all samples, strongest first (docs/genes.md names the columns).
        n_selected_folds: how many genes each outer fold selected.
        settings: how it was done.
        seconds: time for folds and final fit.
        notes: what was decided, what to beware of, and what the solvers warned of, in sentences.
        stability: filled in by :func:`add_stability`.
        baselines: filled in by :func:`add_baselines`.
        permutations: filled in by :func:`add_permutations`.
    """

    expression: Expression
    model: Pipeline
    nested: NestedCV
    score: ClassScore | NumberScore
    genes: pd.DataFrame
    n_selected_folds: tuple[int, ...]
    settings: Settings
    seconds: float
    notes: tuple[str, ...]
    stability: Stability | None = None
    baselines: tuple[Baseline, ...] = ()
    permutations: Permutations | None = None

    @property
    def scaled(self) -> np.ndarray:
        """The values as the final model sees them, ``(n_samples, n_genes)``: on its scale, gaps filled."""
        return genes_only(self.expression, self.model[:-1].transform(self.expression.design))

    @property
    def supports(self) -> list[np.ndarray]:
        """Which genes each outer fold selected, ``(n_genes,)`` each."""
        return [support(self.expression, fold.estimator) for fold in self.nested.folds]


def run_study(
    expression: Expression,
    *,
    rule: str | int = "1se",
    n_alphas: int = 50,
    folds: int = 5,
    seed: int = 0,
    class_weight: Literal["balanced"] | None = "balanced",
    n_jobs: int | None = None,
    on_fold: Callable[[int, int], None] | None = None,
) -> Study:
    """Score the selection of genes honestly, then select from all samples.

    Args:
        expression: data from :func:`spred.genes.read`.
        rule: how alpha is chosen inside: "1se" (the sparsest within one standard error of the best), "min"
            (the best), or a number: the best with at most so many genes.
        n_alphas: number of penalties on the path.
        folds: outer and inner folds, reduced where the smallest class has fewer samples (or groups).
        seed: seed of the splits; the same seed gives the same study.
        class_weight: "balanced" gives every class the same weight in the fit, None every sample.
        n_jobs: outer folds fitted at the same time, as joblib counts them.
        on_fold: called with (folds done, folds in all).

    Raises:
        InputError: an option is out of range, or a class is too small to be split.

    >>> from spred.genes import read
    >>> study = run_study(read("demo:tissue"), n_alphas=5, folds=2)
    >>> study.score.balanced_accuracy.mean > 0.8
    True
    """
    if folds < 2:
        raise InputError(f"folds is {folds}; at least 2 are needed to hold samples out")
    start = perf_counter()
    settings = Settings(rule, n_alphas, folds, seed, class_weight)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        nested, model = fit(expression, settings, n_jobs, on_fold)
    classes, y = expression.classes, expression.target
    return Study(
        expression=expression,
        model=model,
        nested=nested,
        score=score_classes(nested, y, classes) if classes else score_numbers(nested, y),
        genes=gene_table(expression, model, nested),
        n_selected_folds=tuple(int(support(expression, f.estimator).sum()) for f in nested.folds),
        settings=settings,
        seconds=perf_counter() - start,
        notes=(
            *expression.notes,
            fold_note(nested, folds, expression.group),
            *warnings_about(expression),
            *sorted({str(w.message) for w in caught}),
        ),
    )


def fit(
    expression: Expression, settings: Settings, n_jobs: int | None, on_fold: Callable[[int, int], None] | None
) -> tuple[NestedCV, Pipeline]:
    """Fit the pipeline in every outer fold, and on all samples."""
    from spred.estimators import nested_cv

    X, y, groups = expression.design, expression.target, expression.group
    n_genes, n_free = len(expression.genes), X.shape[1] - len(expression.genes)
    free = {"penalty_weights": np.r_[np.ones(n_genes), np.zeros(n_free)]} if n_free else {}
    last = estimator(expression.task, settings, n_free).set_params(**free)
    model = pipeline(last, log2=expression.log2, n_genes=n_genes)
    nested = nested_cv(
        model, X, y, groups=groups, cv=settings.folds, random_state=settings.seed, n_jobs=n_jobs, on_fold=on_fold
    )
    return nested, model.fit(X, y, model__groups=groups)


def estimator(task: str, settings: Settings, n_free: int) -> SparseClassifierCV | SparseRegressorCV:
    """Make the last step of the pipeline; a rule that counts genes does not count the covariates."""
    from spred.estimators import SparseClassifierCV, SparseRegressorCV

    rule = settings.rule if isinstance(settings.rule, str) else settings.rule + n_free
    if task == "regression":
        return SparseRegressorCV(rule=rule, n_alphas=settings.n_alphas, cv=settings.folds, random_state=settings.seed)
    return SparseClassifierCV(
        rule=rule,
        n_alphas=settings.n_alphas,
        cv=settings.folds,
        class_weight=settings.class_weight,
        random_state=settings.seed,
    )


def gene_table(expression: Expression, model: Pipeline, nested: NestedCV) -> pd.DataFrame:
    """Describe the selected genes, strongest first.

    Coefficients are given per unit of the values that the model sees (log2 where applied), and per standard
    deviation of the gene, which makes genes comparable.
    """
    final = last_step(model)
    chosen = np.flatnonzero(support(expression, model))
    everything = genes_only(expression, model[:-1].transform(expression.design))
    values = everything[:, chosen]
    coef = np.atleast_2d(final.coef_)[:, chosen]
    standardised = coef * values.std(axis=0)
    frequency = np.mean([support(expression, f.estimator)[chosen] for f in nested.folds], axis=0)
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
    p = p_values(everything, expression.target, expression.classes)
    table["p_value"], table["q_value"] = p[chosen], adjusted(p)[chosen]
    table["neighbours"] = neighbours(everything, chosen, expression.genes)
    return table.sort_values(["strength", "gene"], ascending=[False, True], ignore_index=True)


def coefficient_names(expression: Expression) -> list[str]:
    """Return what follows ``coef`` for each row of it: nothing, the second class, or every class."""
    classes = expression.classes
    if not classes:
        return [""]
    return [f"_{c}" for c in (classes if len(classes) > 2 else classes[1:])]


def fold_note(nested: NestedCV, asked: int, groups: np.ndarray | None) -> str:
    """Say how the samples were split."""
    made = len(nested.folds)
    fewer = f" ({asked} were asked for; the smallest class allows no more)" if made < asked else ""
    whole = "" if groups is None else f"; all samples of one of the {len(np.unique(groups))} groups stay in one fold"
    return f"The score comes from {made} outer folds{fewer}{whole}."


def genes_only(expression: Expression, columns: np.ndarray) -> np.ndarray:
    """Return the columns of the genes, without those of the covariates behind them."""
    return columns[:, : len(expression.genes)]


def support(expression: Expression, model: Pipeline) -> np.ndarray:
    """Return which genes a fitted pipeline selected, ``(n_genes,)``."""
    return last_step(model).get_support()[: len(expression.genes)]


def last_step(model: Pipeline) -> SparseClassifierCV | SparseRegressorCV:
    """Return the fitted estimator at the end of a pipeline."""
    return model[-1]
