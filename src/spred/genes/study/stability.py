"""How far the list depends on the samples at hand: stability selection, and the agreement of the folds.

Two answers beside the list of the study. Stability selection repeats the selection on halves of the samples and keeps
the genes that come back, with a bound on the false ones. Nogueira's index says how much the outer folds agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np
import pandas as pd

from spred.genes.study.folds import support
from spred.genes.study.models import find_model
from spred.genes.study.results import Stability
from spred.genes.study.study import Study
from spred.genes.study.univariate import neighbours
from spred.runtime.tasks import Store, tracked


def add_stability(
    study: Study,
    *,
    pfer: float = 1.0,
    n_pairs: int = 150,
    decoys: bool = True,
    n_jobs: int | None = None,
    store: Store | None = None,
    on_half: Callable[[int, int], None] | None = None,
) -> Study:
    """Return the study with its ``stability`` filled in.

    Gaps are filled and the scale is set once, without the target; standardisation and the path are done in each half.

    Args:
        study: from :func:`run_study`.
        pfer: false genes to accept, on average.
        n_pairs: pairs of halves.
        decoys: let copies of the genes that are independent of the target take part, to estimate the false discovery
            proportion.
        n_jobs: halves at a time.
        store: where finished halves are kept, for a run that may be stopped.
        on_half: called with (halves done, halves in all).

    Raises:
        InputError: the smallest class is too small for two halves.

    Source: R. Shah and R. Samworth, "Variable selection with error control: another look at stability selection",
    Journal of the Royal Statistical Society B 75, 2013.

    >>> from spred.genes import Settings, read, run_study
    >>> study = run_study(read("demo:tissue"), Settings(rule="1se", n_alphas=5, folds=2))
    >>> add_stability(study, n_pairs=2, decoys=False).stability.pfer <= 1.0
    True
    """
    from spred.estimators import StabilitySelection

    start, expression = perf_counter(), study.expression
    values = study.model[:-1].transform(expression.design)
    selection = StabilitySelection(
        find_model(study.settings.model).on_path(expression, replace(study.settings, rule="min")),
        pfer=pfer,
        n_pairs=n_pairs,
        decoys=decoys,
        n_jobs=n_jobs,
        random_state=study.settings.seed,
    )
    with tracked(on_done=on_half, store=store):
        selection.fit(values, expression.target, groups=expression.group)
    found = Stability(
        genes=stable_table(study, selection.selection_frequency_, selection.get_support(indices=True)),
        frequency=selection.selection_frequency_[: len(expression.genes)],
        threshold=float(selection.threshold_),
        pfer=float(selection.pfer_),
        n_selected=int(selection.n_selected_),
        n_pairs=n_pairs,
        bound=str(selection.bound),
        fdp=selection.fdp_,
        fdp_safe=selection.fdp_safe_,
        n_decoys=int(selection.n_decoys_),
        seconds=perf_counter() - start,
    )
    return replace(study, stability=found)


def stable_table(study: Study, frequency: np.ndarray, stable: np.ndarray) -> pd.DataFrame:
    """Describe the stable genes, most frequent first."""
    expression = study.expression
    stable = stable[np.argsort(-frequency[stable], kind="stable")]
    table = pd.DataFrame({"gene": expression.genes[stable]})
    if expression.symbols is not None:
        table["symbol"] = expression.symbols[stable]
    table["frequency"] = frequency[stable]
    table["in_list"] = support(expression, study.model)[stable]
    table["neighbours"] = neighbours(study.scaled, stable, expression.genes)
    return table


def nogueira(selections: Sequence[np.ndarray]) -> float | None:
    """Return Nogueira's index of the agreement of M selections: 1 if they are equal, around 0 by chance.

    One minus the mean variance of a gene's selection over that of random selections of the same size; None if no
    selection, or every one, holds all genes or none.

    Source: Nogueira, Sechidis and Brown, "On the stability of feature selection algorithms", Journal of Machine
    Learning Research 18 (2018), 1–54, definition 4.

    >>> nogueira([np.array([True, True, False, False])] * 3)
    1.0
    """
    chosen = np.array(selections, dtype=np.float64)
    m = len(chosen)
    selected = chosen.sum(axis=1).mean() / chosen.shape[1]
    if m < 2 or selected in (0.0, 1.0):
        return None
    frequency = chosen.mean(axis=0)
    variance = m / (m - 1) * frequency * (1 - frequency)
    return float(1.0 - variance.mean() / (selected * (1 - selected)))


def agreement(study: Study) -> float | None:
    """Return Nogueira's index over the outer folds of a study."""
    return nogueira([fold.support for fold in study.folds])
