"""Samples that repeat are one sample of their weights, whatever their order; the network estimators build on it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.utils import shuffle

import spred
from spred.estimators.repeats import distinct


@given(seed=st.integers(0, 10_000), is_sparse=st.booleans(), several=st.booleans())
def test_repeated_and_weighted_samples_become_the_same(seed: int, is_sparse: bool, several: bool) -> None:
    rng = np.random.default_rng(seed)
    X = rng.integers(-1, 2, size=(12, 3)).astype(float)  # rows that are equal already, zeros of both signs
    X[rng.random(X.shape) < 0.2] *= -0.0
    y = rng.integers(0, 2, size=(12, 2) if several else 12).astype(float)
    times = rng.integers(1, 5, size=12)
    rows = rng.permutation(np.repeat(np.arange(12), times))
    kind = sparse.csc_array if is_sparse else np.asarray
    one, other = distinct(kind(X), y, times.astype(float)), distinct(kind(X[rows]), y[rows], np.ones(len(rows)))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(*(np.asarray(x.toarray() if sparse.issparse(x) else x) for x in (a, b)))
    table = one[0].toarray() if is_sparse else one[0]
    whole = np.column_stack([table, one[1]])
    assert len(np.unique(whole, axis=0)) == len(whole) == len(np.unique(np.column_stack([X, y]), axis=0))
    assert one[2].sum() == times.sum()


def test_survival_times_are_told_apart_by_all_of_their_fields() -> None:
    y = spred.survival_target([True, False, True, True], [1.0, 1.0, 1.0, 2.0])
    _, times, weight = distinct(np.zeros((4, 1)), y, np.ones(4))
    assert sorted(zip(times["time"].tolist(), times["event"].tolist(), weight.tolist(), strict=True)) == [
        (1.0, False, 1.0),
        (1.0, True, 2.0),
        (2.0, True, 1.0),
    ]


@pytest.mark.parametrize(
    ("kind", "start"),
    [("numbers", "dense"), ("huber", "auto"), ("counts", "sparse"), ("classes", "sparse"), ("times", "sparse")],
)
def test_a_network_is_the_same_to_the_bit(kind: str, start: str) -> None:
    """Weights, repeats and another order are the same data: every choice on the way is the same too."""
    rng = np.random.default_rng(1)
    X, weight = rng.normal(size=(30, 4)), rng.integers(0, 4, size=30)
    signal = X[:, 0] + 0.3 * rng.normal(size=30)
    options = {"hidden": 3, "n_alphas": 3, "eps": 0.3, "start": start}
    model, y = {
        "numbers": (spred.NetworkRegressor(**options), signal),
        "huber": (spred.NetworkRegressor(loss="huber", **options), signal),
        "counts": (spred.NetworkRegressor(loss="poisson", **options), np.round(np.exp(signal))),
        "classes": (spred.NetworkClassifier(**options), np.digitize(signal, [-0.5, 0.5])),
        "times": (spred.NetworkCox(**options), spred.survival_target(np.arange(30) % 3 > 0, np.exp(-signal))),
    }[kind]
    part, rows = np.arange(30) % 2, np.repeat(np.arange(30), weight)
    mixed = shuffle(np.arange(30), random_state=0)

    def fitted(taken: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, ...]:
        folds = [(np.flatnonzero(part[taken] == k), np.flatnonzero(part[taken] != k)) for k in (0, 1)]
        found = model.set_params(cv=folds).fit(X[taken], y[taken], sample_weight=weight)
        return found.predict(X), found.mean_slopes_, np.array(found.alpha_)

    repeated, weighted = fitted(rows, None), fitted(mixed, weight[mixed].astype(float))
    for a, b in zip(repeated, weighted, strict=True):
        np.testing.assert_array_equal(a, b)
