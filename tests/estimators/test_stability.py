"""Stability selection: fair halves, and features found at the error promised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import Lasso
from sklearn.utils.estimator_checks import parametrize_with_checks

import spred
from spred.errors import InputError
from spred.estimators.stability import complementary_halves
from spred.runtime.tasks import Store, tracked

FEW = {"n_pairs": 10}


def data(n: int = 100, p: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X, X[:, :4] @ [1.0, -1.0, 1.0, -1.0] + rng.normal(size=n)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # some checks have separable classes
@parametrize_with_checks([spred.StabilitySelection(spred.SparseRegressor(), n_pairs=2)])
def test_scikit_learn_contract(estimator: object, check: object) -> None:
    check(estimator)  # every check asserts inside


# --- what it finds ----------------------------------------------------------------------------------------


def test_the_true_features_and_no_others() -> None:
    X, y = data()
    stable = spred.StabilitySelection(spred.SparseRegressor()).fit(X, y)
    assert stable.get_support(indices=True).tolist() == [0, 1, 2, 3]
    assert stable.selection_frequency_[:4].min() > 0.9
    assert 0.5 <= stable.threshold_ <= 1
    assert stable.pfer_ <= 1
    assert stable.transform(X).shape == (100, 4)


def test_noise_lets_at_most_pfer_features_in_on_average() -> None:
    rng = np.random.default_rng(0)
    found = [
        spred.StabilitySelection(spred.SparseRegressor(), random_state=seed, **FEW)
        .fit(rng.normal(size=(50, 150)), rng.normal(size=50))
        .get_support()
        .sum()
        for seed in range(8)
    ]
    assert np.mean(found) <= 1


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classes_and_names(n_classes: int) -> None:
    X, y = data(n=120)
    label = pd.qcut(y, n_classes, labels=["low", "mid", "high"][:n_classes]).astype(str)
    table = pd.DataFrame(X, columns=[f"g{j}" for j in range(300)])
    stable = spred.StabilitySelection(spred.SparseClassifier(class_weight="balanced"), **FEW).fit(table, label)
    assert set(stable.get_feature_names_out()) <= {f"g{j}" for j in range(4)}
    assert stable.get_support().sum() >= 2


def test_survival_times() -> None:
    X, y = data(n=120, p=60)
    rng = np.random.default_rng(3)
    time, censored = np.exp(-y) * rng.exponential(size=120), rng.exponential(size=120) * 3
    target = spred.survival_target(time < censored, np.minimum(time, censored))
    stable = spred.StabilitySelection(spred.SparseCox(), **FEW).fit(X, target)
    assert set(stable.get_support(indices=True)) <= {0, 1, 2, 3}
    assert stable.get_support().sum() >= 2


def test_free_columns_are_adjusted_for_and_not_selected() -> None:
    X, y = data()
    X = np.column_stack([X, y + np.random.default_rng(9).normal(size=100)])
    weights = np.r_[np.ones(300), 0.0]
    stable = spred.StabilitySelection(spred.SparseRegressor(penalty_weights=weights), **FEW).fit(X, y)
    assert stable.selection_frequency_[300] == 0
    assert stable.selection_frequency_[:300].max() > 0


def test_each_half_selects_q_features() -> None:
    X, y = data()
    stable = spred.StabilitySelection(spred.SparseRegressor(), n_selected=7, **FEW).fit(X, y)
    assert stable.n_selected_ == 7
    assert stable.selection_frequency_.sum() == pytest.approx(7)


def test_the_worst_case_needs_a_higher_threshold_and_fewer_features() -> None:
    X, y = data()
    worst = spred.StabilitySelection(spred.SparseRegressor(), bound="worst-case", **FEW).fit(X, y)
    concave = spred.StabilitySelection(spred.SparseRegressor(), **FEW).fit(X, y)
    assert 1 < worst.n_selected_ < concave.n_selected_
    assert worst.threshold_ >= 0.55
    assert worst.pfer_ <= 1


def test_the_same_seed_gives_the_same_frequencies_on_any_number_of_cores() -> None:
    X, y = data(p=50)
    one = spred.StabilitySelection(spred.SparseRegressor(), **FEW).fit(X, y)
    calls: list[tuple[int, int]] = []
    with tracked(on_done=lambda done, total: calls.append((done, total))):
        two = clone(one).set_params(n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(one.selection_frequency_, two.selection_frequency_)
    assert calls == [(i, 20) for i in range(1, 21)]


# --- halves -----------------------------------------------------------------------------------------------


def test_halves_are_disjoint_and_equal() -> None:
    halves = list(complementary_halves(None, 21, 5, None, 0))
    for a, b in zip(halves[::2], halves[1::2], strict=True):
        assert len(a) == len(b) == 10
        assert not set(a) & set(b)
    assert len({tuple(half) for half in halves}) == 10


def test_classes_are_shared_and_groups_stay_whole() -> None:
    groups = np.repeat(np.arange(20), 2)
    classes = np.tile([0, 1], 20)
    classes[:8] = 2
    for half in complementary_halves(classes, 40, 10, groups, 0):
        assert set(np.bincount(groups[half])) <= {0, 2}
        assert np.bincount(classes[half]).tolist() == [8, 8, 4]


# --- which bound -----------------------------------------------------------------------------------------------


def test_the_worst_case_needs_a_higher_threshold() -> None:
    X, y = data()
    one, other = (
        spred.StabilitySelection(spred.SparseRegressor(), n_selected=12, bound=bound, **FEW).fit(X, y)
        for bound in ("r-concave", "worst-case")
    )
    np.testing.assert_array_equal(one.selection_frequency_, other.selection_frequency_)
    assert one.threshold_ < other.threshold_


# --- sentences --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"estimator": Lasso()}, "Lasso has no path of alphas; give an estimator of spred"),
        ({"pfer": 0}, "pfer is 0"),
        ({"n_pairs": 0}, "n_pairs is 0"),
        ({"bound": "rconcave"}, "did you mean 'r-concave'"),
        ({"n_selected": 301}, "between 1 and the 300 features"),
        ({"n_selected": 200}, "no threshold keeps PFER at 1"),
    ],
)
def test_bad_options_are_sentences(options: dict[str, object], sentence: str) -> None:
    X, y = data()
    with pytest.raises(InputError, match=sentence):
        spred.StabilitySelection(**{"estimator": spred.SparseRegressor(), **FEW, **options}).fit(X, y)


def test_too_small_a_class_is_a_sentence() -> None:
    X = data()[0]
    with pytest.raises(InputError, match="too few samples"):
        spred.StabilitySelection(spred.SparseClassifier(), **FEW).fit(X, np.arange(100) == 3)


# --- decoys, and finished work ----------------------------------------------------------------------------


def test_decoys_estimate_the_false_fraction() -> None:
    X, y = data()
    plain = spred.StabilitySelection(spred.SparseRegressor(), **FEW).fit(X, y)
    found = spred.StabilitySelection(spred.SparseRegressor(), decoys=True, **FEW).fit(X, y)
    assert (plain.fdp_, plain.decoy_frequency_) == (None, None)
    assert found.selection_frequency_.shape == found.decoy_frequency_.shape == (X.shape[1],)
    n_found, n_decoys = found.get_support().sum(), (found.decoy_frequency_ >= found.threshold_).sum()
    assert n_found > 0
    assert found.n_decoys_ == n_decoys
    assert found.fdp_ == pytest.approx(min(1.0, n_decoys / n_found))
    assert found.fdp_safe_ == pytest.approx(min(1.0, (n_decoys + 1) / n_found))


def test_the_false_fraction_is_right_on_average() -> None:
    true, estimated = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(60, 150))
        y = X[:, :3].sum(axis=1) + 2 * rng.normal(size=60)
        loose = spred.StabilitySelection(
            spred.SparseRegressor(), pfer=10.0, n_selected=30, n_pairs=10, decoys=True, random_state=seed
        ).fit(X, y)
        found = loose.get_support(indices=True)
        true.append(float((found >= 3).mean()) if len(found) else 0.0)
        estimated.append(loose.fdp_)
    error = np.std(np.subtract(true, estimated), ddof=1) / np.sqrt(len(true))
    assert 0.05 < np.mean(true) < 0.95  # else there would be nothing to estimate
    assert abs(np.mean(true) - np.mean(estimated)) < 3 * error
    assert error < 0.15


def test_decoys_of_noise_are_as_frequent_as_its_features() -> None:
    means = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(80, 150)), rng.normal(size=80)
        found = spred.StabilitySelection(spred.SparseRegressor(), decoys=True, random_state=seed, **FEW).fit(X, y)
        means.append((found.selection_frequency_.mean(), found.decoy_frequency_.mean()))
        assert found.fdp_safe_ >= 0.5 or not found.get_support().any()
    real, decoy = np.mean(means, axis=0)
    assert 0.6 < real / decoy < 1.6  # in one draw they differ: the samples are what they are


def test_decoys_of_sparse_data_and_free_features() -> None:
    X, y = data(n=60)
    weights = np.r_[np.ones(X.shape[1] - 1), 0.0]
    model = spred.SparseRegressor(penalty_weights=weights)
    dense = spred.StabilitySelection(model, decoys=True, **FEW).fit(X, y)
    thin = spred.StabilitySelection(model, decoys=True, **FEW).fit(sparse.csc_array(X), y)
    np.testing.assert_allclose(dense.selection_frequency_, thin.selection_frequency_)
    assert dense.decoy_frequency_[-1] == 0
    grouped = spred.SparseRegressor(feature_groups=np.arange(X.shape[1]) // 2)
    with pytest.raises(InputError, match="decoys of feature groups"):
        spred.StabilitySelection(grouped, decoys=True, **FEW).fit(X, y)


def test_finished_halves_are_taken_from_the_store(tmp_path: Path) -> None:
    X, y = data(n=60)
    selection = spred.StabilitySelection(spred.SparseRegressor(), **FEW)
    with tracked(store=Store(tmp_path)):
        first = selection.fit(X, y).selection_frequency_
    (stage,) = tmp_path.iterdir()
    (stage / "3.npz").unlink()
    done: list[tuple[int, int]] = []
    with tracked(on_done=lambda *call: done.append(call), store=Store(tmp_path)):
        again = selection.fit(X, y).selection_frequency_
    np.testing.assert_array_equal(first, again)
    total = 2 * FEW["n_pairs"]
    assert done == [(total - 1, total), (total, total)]
    with tracked(store=Store(tmp_path)):
        selection.fit(X, -y)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_network_selects_by_the_gates_that_open_first() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 30))
    y = np.where(X[:, 3] - X[:, 7] + 0.3 * rng.normal(size=80) > 0, "a", "b")
    network = spred.NetworkClassifier(hidden=3)
    stable = spred.StabilitySelection(network, n_pairs=5, n_selected=2).fit(X, y)
    assert stable.get_support(indices=True).tolist() == [3, 7]
    linear = spred.StabilitySelection(spred.SparseClassifier(), n_pairs=5, n_selected=2).fit(X, y)
    assert np.corrcoef(stable.selection_frequency_, linear.selection_frequency_)[0, 1] > 0.9
