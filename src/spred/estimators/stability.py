"""Stability selection: keep the features that a sparse model selects again and again on halves of the samples.

Complementary pairs: the samples are cut into two halves, B times over, and each half selects the q features of the
highest score. A feature stays if the fraction of the 2B halves that select it reaches a threshold; the threshold is the
smallest at which the expected number of features of low selection probability that get in (PFER) is bounded. The bound
holds for every score. Here it is the size of a coefficient at a moderate alpha, and behind the features of that model
the size of the gradient: how near each other one is to entering the support.

Source: Shah and Samworth, Journal of the Royal Statistical Society B 75 (2013), 55–80; after Meinshausen and Bühlmann,
the same journal 72 (2010), 417–473.
"""

# mypy: allow-subclassing-any
# scikit-learn has no types.

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from copy import copy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from spred.errors import InputError, did_you_mean
from spred.estimators.base import SparseEstimator
from spred.estimators.stability_bounds import BOUNDS
from spred.runtime.tasks import Arrays, Store, run_tasks, tracking

LOWEST = {"r-concave": 0.5, "worst-case": 0.55}
"""Smallest threshold of each bound: no feature that most halves leave out is called stable. Markov's bound is
infinite at one half; the higher threshold lets a half select more features (``python benchmarks/stability.py``)."""

HALF_N_ALPHAS, HALF_EPS = 15, 0.1
"""The path of a half: so many steps to the moderate alpha, a tenth of the smallest one without any feature. At a
smaller alpha noise enters, at a larger one gradients alone rank the features (``python benchmarks/stability.py`` counts
what is found)."""

ROUNDING = 1e-9
"""Frequencies and thresholds are fractions k/2B; they count as equal within this."""


class StabilitySelection(MetaEstimatorMixin, SelectorMixin, BaseEstimator):
    """Select features by their frequency over complementary halves, with a bound on the false ones (PFER).

    The bound counts features that a half selects no more often than chance would (probability q/p at most). In the
    worst case it assumes nothing; ``"r-concave"`` assumes a shape of the frequencies' distributions that the authors
    find in practice, and is far tighter.

    Args:
        estimator: a linear or network estimator of spred; its penalty, scaling and class weights are used, its alpha is
            not. Networks are solved along a path that gates enter; ``"auto"`` and ``"both"`` take the sparse start.
        pfer: expected number of low-probability features to let in, at most.
        n_selected: q, features that each half selects. By default the most for which a threshold of one half keeps the
            bound.
        n_pairs: B, the number of complementary pairs.
        bound: ``"r-concave"`` or ``"worst-case"``.
        decoys: let a decoy of each feature take part, its column in another order of the samples, to estimate the
            fraction of false features. Decoys compete for the q places and count among the features of the bound.
        n_jobs: halves at a time, through joblib.
        random_state: seed of the halves.

    Attributes:
        selection_frequency_: ``(p,)``, fraction of the halves that select each feature.
        threshold_: the smallest frequency that is kept, at least 0.5.
        pfer_: the bound at that threshold.
        n_selected_: q.
        fdp_: estimated fraction of false features at the threshold, decoys / features up to 1; None without decoys.
        fdp_safe_: the same on the safe side, (decoys + 1) / features up to 1; None without decoys.
        n_decoys_: decoys that reach the threshold.
        decoy_frequency_: ``(p,)``, fraction of the halves that select each decoy; None without decoys.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.

    Source: Shah and Samworth (2013), bounds (5) and (8); decoys counted as by R. F. Barber and E. Candès, Annals of
    Statistics 43, 2015, and in Stabl (J. Hédou et al., Nature Biotechnology 42, 2024).

    >>> import numpy as np, spred
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 200))
    >>> stable = StabilitySelection(spred.SparseRegressor(), n_pairs=20).fit(X, X[:, 3] - X[:, 7] + rng.normal(size=80))
    >>> stable.get_support(indices=True).tolist(), stable.pfer_ <= 1
    ([3, 7], True)
    """

    selection_frequency_: np.ndarray
    decoy_frequency_: np.ndarray | None
    threshold_: float

    def __init__(
        self,
        estimator: Any,
        *,
        pfer: float = 1.0,
        n_selected: int | None = None,
        n_pairs: int = 150,
        bound: str = "r-concave",
        decoys: bool = False,
        n_jobs: int | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.estimator = estimator
        self.pfer = pfer
        self.n_selected = n_selected
        self.n_pairs = n_pairs
        self.bound = bound
        self.decoys = decoys
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Count selections over the halves of ``X`` (n, p) and ``y`` (n,).

        Samples with one label in ``groups`` go to the same half; classes are split evenly. Inside
        :func:`~spred.runtime.tasks.tracked` each half counts as a piece of the work, and is kept in its store.

        Raises:
            InputError: another kind of estimator, an option out of range, or too few samples for two halves.
        """
        self._check_options()
        base = clone(self.estimator)
        data, target, weight = base._read(X, y, None)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(base, name):
                setattr(self, name, getattr(base, name))
        if len(target) < 4:
            raise InputError(f"n_samples = {len(target)}; two halves of two samples need at least 4")
        labels = half_strata(target, base._classification)
        halves = list(complementary_halves(labels, len(target), self.n_pairs, groups, self.random_state))
        free, p = self._free(data.shape[1]), data.shape[1]
        if self.decoys:
            base, data, free = with_decoys(base, data, free, self.random_state)
        n_penalised = int((~free).sum())
        self.n_selected_ = self._choose_q(n_penalised)
        self.threshold_, self.pfer_ = self._choose_threshold(n_penalised)
        tasks = [(base, data, target, weight, half, free, self.n_selected_) for half in halves]
        with tracking() as outer:
            kept = None if outer.store is None else self._stage(outer.store, data, target, weight, halves[0])
            pieces = run_tasks(select_in_half, tasks, n_jobs=self.n_jobs, store=kept, on_done=outer.on_done)
        chosen = np.concatenate([piece["selected"] for piece in pieces])
        frequency = np.bincount(chosen, minlength=data.shape[1]) / len(halves)
        self._keep(frequency[:p], frequency[p:] if self.decoys else None)
        return self

    def _keep(self, frequency: np.ndarray, decoys: np.ndarray | None) -> None:
        """Store the frequencies, and the estimate that decoys give at the threshold."""
        self.selection_frequency_, self.decoy_frequency_ = frequency, decoys
        self.n_decoys_ = 0 if decoys is None else int(self._passes(decoys).sum())
        n_features = int(self._passes(frequency).sum())
        self.fdp_ = None if decoys is None else false_fraction(self.n_decoys_, n_features)
        self.fdp_safe_ = None if decoys is None else false_fraction(self.n_decoys_ + 1, n_features)

    def _passes(self, frequency: np.ndarray) -> np.ndarray:
        return np.asarray(frequency >= self.threshold_ - ROUNDING)

    def _stage(self, store: Store, data: Any, target: np.ndarray, weight: np.ndarray | None, half: np.ndarray) -> Store:
        """Return the store for halves of this kind; ``half``, the first, stands for groups and seed."""
        options = sorted(self.estimator.get_params().items())
        return store.stage("halves", data, target, weight, half, self.n_selected_, self.decoys, options)

    def _check_options(self) -> None:
        if not isinstance(self.estimator, SparseEstimator):
            name = type(self.estimator).__name__
            raise InputError(f"{name} has no path of alphas; give an estimator of spred, such as SparseClassifier()")
        if not self.pfer > 0:
            raise InputError(f"pfer is {self.pfer}; give the number of false features to accept, such as 1")
        if self.n_pairs < 1:
            raise InputError(f"n_pairs is {self.n_pairs}; at least 1 is needed, and 50 are usual")
        if self.bound not in BOUNDS:
            raise InputError(f"no bound is called {self.bound!r}{did_you_mean(self.bound, BOUNDS)}; use 'r-concave'")

    def _free(self, p: int) -> np.ndarray:
        """Return which features are not penalised: they are in every model, and not selected."""
        weights = self.estimator.penalty_weights
        if weights is None or self.estimator.feature_groups is not None:
            return np.zeros(p, dtype=bool)
        return np.asarray(np.asarray(weights, dtype=np.float64) == 0)

    def _choose_q(self, p: int) -> int:
        if self.n_selected is not None:
            if not 1 <= self.n_selected <= p:
                raise InputError(f"n_selected is {self.n_selected}; give a number between 1 and the {p} features")
            return int(self.n_selected)
        bound, lowest = BOUNDS[self.bound], LOWEST[self.bound]
        # the bound grows with q, so halving finds the last q that keeps it
        too_many = bisect_left(range(1, p), 1, key=lambda q: p * bound(q / p, lowest, self.n_pairs) > self.pfer)
        return max(too_many, 1)

    def _choose_threshold(self, p: int) -> tuple[float, float]:
        """Return the smallest fraction of 2B halves, a half or above, that keeps the bound, and the bound there."""
        halves = 2 * self.n_pairs
        for k in range(int(np.ceil(LOWEST[self.bound] * halves - ROUNDING)), halves + 1):
            expected = p * BOUNDS[self.bound](self.n_selected_ / p, k / halves, self.n_pairs)
            if expected <= self.pfer:
                return k / halves, float(expected)
        raise InputError(
            f"with {self.n_selected_} of {p} features selected by each half no threshold keeps PFER at {self.pfer:g}; "
            "give a smaller n_selected, a larger pfer or more pairs"
        )

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return np.asarray(self._passes(self.selection_frequency_))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags.sparse = inner.input_tags.sparse
        tags.target_tags = inner.target_tags
        return tags


def half_strata(target: np.ndarray, classification: bool) -> np.ndarray | None:
    """Return what the halves are stratified by: classes, or events of survival times; None for numbers."""
    if target.dtype.names:
        return np.asarray(target["event"])
    return target if classification else None


def complementary_halves(
    classes: np.ndarray | None, n: int, n_pairs: int, groups: ArrayLike | None, random_state: int | None
) -> Iterator[np.ndarray]:
    """Give the samples of each half, two halves a pair: disjoint, of equal size but for groups, classes split evenly.

    Units (groups, or samples) are shuffled within their class and dealt out in turn; an odd one is left out.
    """
    rng = np.random.default_rng(random_state)
    units = np.arange(n) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    strata = strata_of(units, classes)
    for _ in range(n_pairs):
        sides: tuple[list[int], list[int]] = ([], [])
        for label in np.unique(strata):
            members = rng.permutation(np.flatnonzero(strata == label))
            even = len(members) // 2 * 2
            sides[0].extend(members[:even:2])
            sides[1].extend(members[1:even:2])
        for side in sides:
            half = np.flatnonzero(np.isin(units, side))
            check_half(half, classes)
            yield half


def strata_of(units: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
    """Return for each unit the classes it holds, as a number; all the same where there are no classes."""
    if classes is None:
        return np.zeros(units.max() + 1, dtype=int)
    held = [tuple(np.unique(classes[units == u])) for u in range(units.max() + 1)]
    kinds = sorted(set(held))
    return np.array([kinds.index(kind) for kind in held])


def check_half(half: np.ndarray, classes: np.ndarray | None) -> None:
    """Refuse a half that no model can be fitted to."""
    if len(half) < 2 or (classes is not None and len(np.unique(classes[half])) < len(np.unique(classes))):
        raise InputError(
            "too few samples (or groups) in the smallest class for two halves; give more, or merge classes"
        )


def select_in_half(
    estimator: Any,
    X: Any,
    target: np.ndarray,
    weight: np.ndarray | None,
    half: np.ndarray,
    free: np.ndarray,
    q: int,
) -> Arrays:
    """Return as ``selected`` the q features of the highest score in the model of a half."""
    inside = None if weight is None else weight[half]
    scores = estimator._selection_scores(X[half], target[half], inside, HALF_N_ALPHAS, HALF_EPS)
    scores[free] = 0.0
    some = np.flatnonzero(scores)
    return {"selected": some[np.argsort(-scores[some], kind="stable")[:q]]}


def with_decoys(estimator: Any, X: Any, free: np.ndarray, random_state: int | None) -> tuple[Any, Any, np.ndarray]:
    """Return the estimator, the design and the free features with a decoy behind each feature that is not free.

    The decoys are the same columns with the samples in one other order: they are correlated with one another as the
    features are, and are independent of the target.
    """
    if estimator.feature_groups is not None:
        raise InputError("decoys of feature groups are not made; leave out feature_groups or decoys")
    order = np.random.default_rng(random_state).permutation(X.shape[0])
    false = X[order] if free.sum() == 0 else flattened(X[order], free)
    both = sparse.hstack([X, false], format="csc") if sparse.issparse(X) else np.hstack([X, false])
    weights = estimator.penalty_weights
    if weights is not None:
        open_ = np.where(free, 1.0, np.asarray(weights, dtype=np.float64))
        estimator = copy(estimator).set_params(penalty_weights=np.r_[weights, open_])  # keeps the classes it has read
    return estimator, both, np.r_[free, free]


def flattened(X: Any, which: np.ndarray) -> Any:
    """Return a copy with these columns at 0: no model selects them."""
    return X @ sparse.diags_array((~which).astype(np.float64)) if sparse.issparse(X) else np.where(which, 0.0, X)


def false_fraction(n_false: int, n_features: int) -> float:
    """Estimate the fraction of false ones among features above a threshold, by as many decoys above it.

    >>> false_fraction(1, 4), false_fraction(3, 2), false_fraction(1, 0)
    (0.25, 1.0, 0.0)
    """
    return min(1.0, n_false / n_features) if n_features else 0.0
