"""Records of what can be added to a study: other methods, permuted labels, stability.

``baselines.py``, ``permutations.py`` and ``stability.py`` make them; the report shows those that are there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from spred.genes.study.scores import Spread


@dataclass(frozen=True)
class Baseline:
    """Another method in the same folds.

    Attributes:
        name: what it is.
        score: balanced accuracy, R² or concordance.
        n_genes: genes it used in each fold.
    """

    name: str
    score: Spread
    n_genes: tuple[int, ...]


@dataclass(frozen=True)
class Permutations:
    """The score that meaningless labels get: the same folds, at the alphas that were chosen for the true ones.

    Attributes:
        observed: mean score over the folds (of the first repeat) with the true labels.
        scores: the same with each set of permuted labels.
        p: (1 + how many of these are at least as good) / (1 + how many there are).
        seconds: wall time.
    """

    observed: float
    scores: tuple[float, ...]
    p: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Stability:
    """What stability selection found.

    Attributes:
        genes: the stable genes, most frequent first: ``gene``, ``symbol`` (where known), ``frequency``, ``neighbours``.
        frequency: fraction of the halves that selected each gene of the expression table, ``(p,)``.
        threshold: the frequency that a stable gene reaches.
        pfer: bound on the expected number of genes in the list that a half selects no more often than chance would.
        n_selected: genes that each half selected.
        n_pairs: complementary pairs of halves.
        bound: which bound ("r-concave" or "worst-case").
        fdp: estimated false discovery proportion of the list, from decoys; None without decoys.
        fdp_safe: the same with one decoy more, on the safe side.
        n_decoys: decoys that reached the threshold.
        seconds: wall time.
    """

    genes: pd.DataFrame
    frequency: np.ndarray
    threshold: float
    pfer: float
    n_selected: int
    n_pairs: int
    bound: str
    fdp: float | None
    fdp_safe: float | None
    n_decoys: int
    seconds: float
