"""Folds that respect classes and groups, and rules that choose what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, KFold

from spred.errors import InputError
from spred.estimators.cross_validation import make_curve, make_folds


@given(seed=st.integers(0, 1000), n_alphas=st.integers(1, 12), n_folds=st.integers(1, 6))
def test_the_1se_alpha_is_never_below_the_min_alpha(seed: int, n_alphas: int, n_folds: int) -> None:
    rng = np.random.default_rng(seed)
    alphas = np.geomspace(1, 0.01, n_alphas)
    curve = make_curve(alphas, rng.random((n_alphas, n_folds)), np.arange(n_alphas), "1se")
    assert curve.alphas[curve.index_1se] >= curve.alphas[curve.index_min]
    assert curve.mean[curve.index_1se] <= curve.mean[curve.index_min] + curve.se[curve.index_min]
    assert curve.index == curve.index_1se


def test_an_integer_rule_takes_the_best_small_model() -> None:
    folds = np.array([[3.0], [1.0], [2.0], [0.5]])
    n_nonzero = np.array([0, 2, 2, 9])
    assert make_curve(np.array([4.0, 3.0, 2.0, 1.0]), folds, n_nonzero, 2).index == 1
    assert make_curve(np.array([4.0, 3.0, 2.0, 1.0]), folds, n_nonzero, 9).index == 3


def test_an_integer_rule_below_every_model_is_refused() -> None:
    with pytest.raises(InputError, match="at most 1 features"):
        make_curve(np.array([1.0]), np.array([[1.0]]), np.array([5]), 1)


def test_every_sample_is_held_out_once_and_classes_are_everywhere() -> None:
    y = np.repeat(["a", "b", "c"], [20, 7, 4])
    folds = make_folds(y, classes=True, cv=5)
    assert len(folds) == 4  # the smallest class has four samples
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(31))
    for train, test in folds:
        assert set(y[test]) == {"a", "b", "c"}
        assert not set(train) & set(test)


def test_groups_stay_whole_with_pairs_and_singles_mixed() -> None:
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 8, 9])
    y = np.array(["normal", "tumour"] * 7 + ["tumour", "normal", "tumour"])
    folds = make_folds(y, classes=True, groups=groups, cv=5)
    assert len(folds) >= 2
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
        assert len(set(y[train])) == 2


def test_a_splitter_is_taken_as_it_is() -> None:
    y = np.arange(6.0)
    folds = make_folds(y, classes=False, cv=KFold(3))
    assert [test.tolist() for _, test in folds] == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        (["a", "a", "a", "b"], {"classes": True}, "too few samples in the smallest class"),
        (["a", "b"] * 3, {"classes": True, "groups": np.zeros(6)}, "too few groups in the smallest class"),
        ([1.0, 2.0], {"classes": False, "cv": 1}, "cv is 1"),
        ([1.0, 2.0], {"classes": False, "groups": np.zeros(3)}, "groups has 3 entries"),
        (["a", "a", "b", "b"], {"classes": True, "cv": KFold(2)}, "lacks a class"),
    ],
)
def test_impossible_folds_get_one_sentence(y: list, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_folds(np.array(y), **options)


@given(seed=st.integers(0, 1000), n_folds=st.integers(2, 6), classes=st.booleans(), grouped=st.booleans())
def test_samples_without_weight_change_no_fold(seed: int, n_folds: int, classes: bool, grouped: bool) -> None:
    """An integer makes the folds of the samples that weigh something, as if the others were not there."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(0, 2, size=60) * rng.random(60)
    y, groups = rng.integers(0, 2, size=60), rng.integers(0, 20, size=60) if grouped else None
    kept = np.flatnonzero(weight > 0)
    found = make_folds(y, classes=classes, groups=groups, cv=n_folds, random_state=seed, weight=weight)
    alone = make_folds(
        y[kept], classes=classes, groups=None if groups is None else groups[kept], cv=n_folds, random_state=seed
    )
    for split, other in zip(found, alone, strict=True):
        for part, expected in zip(split, other, strict=True):
            np.testing.assert_array_equal(part, kept[expected])


@given(seed=st.integers(0, 1000), n_folds=st.integers(2, 10))
def test_no_fold_is_judged_by_samples_without_weight(seed: int, n_folds: int) -> None:
    weight = np.zeros(40)
    weight[np.random.default_rng(seed).choice(40, size=3, replace=False)] = 1.0
    weight[0] += 1.0
    splits = list(KFold(n_folds).split(weight))
    judged = [(train, test) for train, test in splits if weight[test].sum() > 0]
    if all(weight[train].sum() > 0 for train, _ in judged):
        found = make_folds(np.arange(40.0), classes=False, cv=KFold(n_folds), weight=weight)
        assert [test.tolist() for _, test in found] == [test.tolist() for _, test in judged]
    else:
        with pytest.raises(InputError, match="a training fold has no sample"):
            make_folds(np.arange(40.0), classes=False, cv=KFold(n_folds), weight=weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cv": [([0, 1, 2], [3])], "weight": np.array([1.0, 1, 1, 0, 1, 1])}, "no held-out fold"),
        ({"cv": [([0, 1, 2], [3])], "weight": np.array([0.0, 0, 0, 1, 1, 1])}, "a training fold has no sample"),
        ({"cv": [([0, 1, 2], [])]}, "no held-out fold"),
        ({"cv": [([0, 1], [6])]}, "no list of row numbers below 6"),
        ({"cv": [([0.5, 1], [2])]}, "no list of row numbers"),
        ({"cv": [3, 4]}, "no pair of rows|cv makes no folds"),
        ({"cv": "five"}, "cv makes no folds"),
        ({"cv": GroupKFold(2)}, "cv makes no folds"),
        ({"groups": ["a", "b", None, "a", "b", "c"]}, "no label at sample 2"),
        ({"groups": np.array(["a", 1, 2, "b", 3, "c"], dtype=object)}, "labels of several kinds"),
        ({"groups": np.zeros((6, 1))}, r"groups has shape \(6, 1\)"),
    ],
)
def test_folds_that_are_none_get_one_sentence(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make_folds(np.arange(6.0), classes=False, **options)
    assert "\n" not in str(caught.value)


def test_pairs_may_be_masks() -> None:
    mask = np.arange(6) < 4
    ((train, test),) = make_folds(np.arange(6.0), classes=False, cv=[(mask, ~mask)])
    assert (train.tolist(), test.tolist()) == ([0, 1, 2, 3], [4, 5])
