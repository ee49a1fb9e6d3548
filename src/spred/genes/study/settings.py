"""How a study is done: every choice that changes its numbers, in one record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from spred import _checks
from spred.errors import InputError


@dataclass(frozen=True)
class Settings:
    """The choices of a study; they stand in run.json as they are.

    Attributes:
        rule: how alpha is chosen inside: "1se" (the sparsest within one standard error of the best), "min"
            (the best), a number: the best with at most so many genes, or "short": 1se, or the best with at most half
            the genes of the best where that is sparser.
        refit: refit the chosen genes with a ridge in the place of L1, which shrinks what it keeps.
        n_alphas: number of penalties on the path.
        folds: outer and inner folds, reduced where the smallest class has fewer samples (or groups).
        repeats: how often the outer folds are made anew, with other seeds.
        seed: seed of the splits; the same seed gives the same study.
        class_weight: "balanced" gives every class the same weight in the fit, None every sample.
        normalize: "quantile" brings every sample to the distribution of the training samples, "none" does not.
        min_variance: fraction of the genes, those of least variance over the training samples, that are left out.
        model: which kind of model, a name of ``spred.genes.study.models.MODELS``.
        l1_ratio: fraction of L1 (of the group penalty, for a network) in the penalty; below 1 is an elastic net, which
            keeps more of the genes that go together.

    Raises:
        InputError: a choice is out of range; the sentence says which.

    >>> Settings(folds=10, repeats=5).rule
    'short'
    """

    rule: str | int = "short"
    refit: bool = True
    n_alphas: int = 50
    folds: int = 5
    repeats: int = 1
    seed: int = 0
    class_weight: Literal["balanced"] | None = "balanced"
    normalize: Literal["none", "quantile"] = "none"
    min_variance: float = 0.0
    model: str = "linear"
    l1_ratio: float = 1.0

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise InputError(f"folds is {self.folds}; at least 2 are needed to hold samples out")
        if self.repeats < 1:
            raise InputError(f"repeats is {self.repeats}; at least 1 is needed")
        if self.normalize not in ("none", "quantile"):
            raise InputError(f"normalize is {self.normalize!r}; use 'none' or 'quantile'")
        if not 0 <= self.min_variance < 1:
            raise InputError(f"min_variance is {self.min_variance:g}; give a share of the genes, from 0 to below 1")
        _checks.l1_ratio(self.l1_ratio)
