"""The linear estimators' ways to an alpha: one that is given, or the rule's choice on held-out folds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from problems import PROBLEMS
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso
from sklearn.model_selection import GridSearchCV, KFold

import spred
from spred.errors import InputError

QUICK = {"n_alphas": 10, "eps": 0.05, "cv": 3}


def three_classes() -> tuple[np.ndarray, np.ndarray]:
    problem = PROBLEMS["multinomial-wide"]
    return problem.X, np.array(["kidney", "liver", "colon"])[problem.y.astype(int)]


def test_an_unfinished_fit_warns() -> None:
    problem = PROBLEMS["logistic-wide"]
    with pytest.warns(ConvergenceWarning, match="stopped by iterations at a relative duality gap"):
        spred.SparseClassifier(alpha=1e-4, max_iter=1).fit(problem.X, problem.y)


def test_it_works_inside_a_grid_search() -> None:
    problem = PROBLEMS["squared-tall"]
    search = GridSearchCV(spred.SparseRegressor(), {"alpha": [0.01, 1.0]}, cv=3).fit(problem.X, problem.y)
    assert search.best_params_["alpha"] == 0.01


@pytest.mark.parametrize("rule", ["1se", "min", 3])
def test_the_rule_chooses_on_the_path(rule: str | int) -> None:
    X, y = three_classes()
    model = spred.SparseClassifierCV(rule=rule, **QUICK).fit(X, y)
    chosen = model.curve_.index
    assert model.alpha_ == model.path_.alphas[chosen]
    np.testing.assert_array_equal(model.coef_, model.path_.coefs[chosen])
    assert model.certificate_ == model.path_.certificates[chosen]
    assert model.certificate_.gap <= 1e-9
    if rule == 3:
        assert model.get_support().sum() <= 3


def test_the_fold_curve_is_what_fitting_by_hand_gives() -> None:
    problem = PROBLEMS["squared-wide"]
    half = np.arange(len(problem.y)) < 20
    split = [(np.flatnonzero(half), np.flatnonzero(~half)), (np.flatnonzero(~half), np.flatnonzero(half))]
    model = spred.SparseRegressorCV(cv=split, n_alphas=5, cv_tol=1e-10).fit(problem.X, problem.y)
    for f, (train, test) in enumerate(split):
        for a, alpha in enumerate(model.path_.alphas):
            by_hand = spred.SparseRegressor(alpha=alpha).fit(problem.X[train], problem.y[train])
            error = np.mean((problem.y[test] - by_hand.predict(problem.X[test])) ** 2)
            assert model.curve_.folds[a, f] == pytest.approx(error, rel=1e-5)


def test_of_several_ratios_the_one_with_the_best_curve_is_kept() -> None:
    rng = np.random.default_rng(3)
    X = np.repeat(rng.normal(size=(60, 8)), 5, axis=1) + 0.3 * rng.normal(size=(60, 40))  # blocks want some ridge
    y = np.where(X[:, :10].sum(axis=1) + 3 * rng.logistic(size=60) > 0, "case", "control")
    ratios = [1.0, 0.5, 0.1]
    alone = [spred.SparseClassifierCV(l1_ratio=ratio, rule="min", n_alphas=20).fit(X, y) for ratio in ratios]
    lowest = [model.curve_.mean.min() for model in alone]
    best = int(np.argmin(lowest))
    assert ratios[best] < 1.0  # else the test would not tell a choice from the first
    chosen = spred.SparseClassifierCV(l1_ratio=ratios, rule="min", n_alphas=20).fit(X, y)
    assert chosen.l1_ratio_ == ratios[best]
    assert chosen.alpha_ == alone[best].alpha_
    np.testing.assert_allclose(chosen.coef_, alone[best].coef_)


@pytest.mark.parametrize("given", [[], [0.5, 1.5], [[0.5]]])
def test_ratios_that_cannot_be_are_refused(given: list) -> None:
    with pytest.raises(InputError, match="l1_ratio is"):
        spred.SparseRegressorCV(l1_ratio=given).fit(np.eye(10), np.arange(10.0))
    with pytest.raises(InputError, match="l1_ratio is"):
        spred.SparseRegressor(l1_ratio=given).fit(np.eye(10), np.arange(10.0))


def test_cross_validation_repeats_with_the_seed_and_in_parallel() -> None:
    X, y = three_classes()
    one = spred.SparseClassifierCV(**QUICK, random_state=1).fit(X, y)
    again = clone(one).fit(X, y)
    parallel = clone(one).set_params(n_jobs=2).fit(X, y)
    other = clone(one).set_params(random_state=2).fit(X, y)
    np.testing.assert_array_equal(one.curve_.folds, again.curve_.folds)
    np.testing.assert_allclose(one.curve_.folds, parallel.curve_.folds, rtol=1e-9)
    assert not np.allclose(one.curve_.folds, other.curve_.folds)


def test_a_given_grid_is_kept_whole() -> None:
    problem = PROBLEMS["squared-tall"]
    model = spred.SparseRegressorCV(alphas=[1e-6, 0.1, 1e-8], cv=3).fit(problem.X, problem.y)
    assert model.path_.alphas.tolist() == [0.1, 1e-6, 1e-8]


def test_an_unknown_rule_is_refused() -> None:
    problem = PROBLEMS["squared-tall"]
    for rule in ("1sd", 0, 2.5, True):
        with pytest.raises(InputError, match="rule"):
            spred.SparseRegressorCV(rule=rule).fit(problem.X, problem.y)


@pytest.mark.parametrize("standardize", [True, False])
def test_the_path_and_the_curve_can_be_drawn(standardize: bool) -> None:
    X, y = three_classes()
    table = pd.DataFrame(X, columns=[f"gene {j}" for j in range(X.shape[1])])
    model = spred.SparseClassifierCV(standardize=standardize, rule="min", **QUICK).fit(table, y)
    path, curve = model.plot_path(), model.plot_curve()
    (axes,) = path.axes
    assert axes.get_ylabel() == ("standardised coefficient" if standardize else "coefficient")
    assert {text.get_text() for text in axes.texts} <= set(table.columns)
    assert len(axes.texts) > 0
    assert len(axes.lines) == 1 + model.path_.coefs.any(axis=(0, 1)).sum()  # one a feature, and the mark
    assert curve.axes[0].get_ylabel() == "held-out deviance per sample"


def test_features_without_names_are_numbered_in_the_plot() -> None:
    problem = PROBLEMS["squared-tall"]
    model = spred.SparseRegressorCV(**QUICK).fit(problem.X, problem.y)
    assert {text.get_text() for text in model.plot_path().axes[0].texts} <= {f"x{j}" for j in range(12)}


def test_held_out_samples_keep_their_offsets() -> None:
    problem = PROBLEMS["squared-wide"]
    known = 100.0 * np.arange(len(problem.y))
    plain = spred.SparseRegressorCV(**QUICK).fit(problem.X, problem.y)
    moved = spred.SparseRegressorCV(**QUICK).fit(problem.X, problem.y + known, offset=known)
    np.testing.assert_allclose(moved.curve_.folds, plain.curve_.folds, rtol=1e-6)
    np.testing.assert_allclose(moved.coef_, plain.coef_, atol=1e-8)


@pytest.mark.parametrize("estimator", [spred.SparseRegressor(), spred.SparseClassifier(0.02)])
def test_a_sample_weight_of_two_is_the_row_twice(estimator: object) -> None:
    problem = PROBLEMS["logistic-tall"]
    times = np.arange(len(problem.y)) % 3
    twice = np.repeat(np.arange(len(problem.y)), times)
    weighted = clone(estimator).fit(problem.X, problem.y, sample_weight=times)
    doubled = clone(estimator).fit(problem.X[twice], problem.y[twice])
    np.testing.assert_allclose(weighted.coef_, doubled.coef_, atol=1e-7)


def test_a_read_only_memory_map_is_read_where_it_lies(tmp_path: Path) -> None:
    problem = PROBLEMS["squared-wide"]
    np.save(tmp_path / "X.npy", problem.X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for model in (spred.SparseRegressor(0.1), spred.SparseRegressorCV(**QUICK)):
        fitted = clone(model).fit(mapped, problem.y)
        np.testing.assert_allclose(fitted.coef_, clone(model).fit(problem.X, problem.y).coef_, atol=1e-12)
        assert fitted.predict(mapped).shape == (len(problem.y),)


def test_groups_of_samples_stay_in_one_fold() -> None:
    """Every sample is there four times: only whole groups keep copies of the training part out of the test part."""
    rng = np.random.default_rng(0)
    X, y = np.tile(rng.standard_normal((15, 60)), (4, 1)), np.tile(rng.standard_normal(15), 4)
    honest = spred.SparseRegressorCV(rule="min", **QUICK).fit(X, y, groups=np.tile(np.arange(15), 4))
    leaky = spred.SparseRegressorCV(rule="min", **QUICK).fit(X, y)
    assert honest.curve_.mean.min() > 2 * leaky.curve_.mean.min()


def test_the_path_says_what_it_explains() -> None:
    problem = PROBLEMS["logistic-wide"]
    path = spred.SparseClassifierCV(**QUICK).fit(problem.X, problem.y).path_
    assert path.deviance_explained[0] == pytest.approx(0.0, abs=1e-9)
    assert (np.diff(path.deviance_explained) > 0).all()
    assert path.gaps.max() <= 1e-9
    assert path.n_nonzero.tolist() == [int((c != 0).sum()) for c in path.coefs]


def test_time_that_runs_out_is_said() -> None:
    problem = PROBLEMS["multinomial-wide"]
    with pytest.warns(ConvergenceWarning, match="stopped by time at a relative duality gap"):
        spred.SparseClassifier(1e-3, max_seconds=0.0).fit(problem.X, problem.y)
    with pytest.warns(ConvergenceWarning) as caught:
        model = spred.SparseClassifierCV(max_seconds=0.0, **QUICK).fit(problem.X, problem.y)
    said = [str(warning.message) for warning in caught]
    assert any("of 10 alphas" in line and "above tol=1e-09" in line for line in said)
    assert any("of 30 alphas" in line and "above cv_tol=0.0001" in line for line in said)
    assert not model.path_.converged


@pytest.mark.parametrize("estimator", [spred.SparseRegressor(), spred.SparseClassifierCV(**QUICK)])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": [0.0, 1.0]}, "inconsistent numbers of samples"),
        ({"sample_weight": np.ones(3)}, "sample_weight has shape"),
        ({"offset": np.ones(3)}, "offset has shape"),
        ({"positive": "yes"}, "positive is neither"),
        ({"within_ratio": 0.5}, "give feature_groups too"),
        ({"tol": 0.0}, "tol is 0.0"),
    ],
)
def test_bad_input_gets_one_sentence(estimator: object, change: dict, message: str) -> None:
    problem = PROBLEMS["logistic-tall"]
    model = clone(estimator)
    settings = {name: value for name, value in change.items() if name in model.get_params()}
    given = {name: value for name, value in change.items() if name not in model.get_params()}
    with pytest.raises(InputError, match=message) as caught:
        model.set_params(**settings).fit(problem.X, given.pop("y", problem.y), **given)
    assert "\n" not in str(caught.value)


def test_a_bad_value_in_new_data_is_named_by_its_column() -> None:
    problem = PROBLEMS["squared-tall"]
    table = pd.DataFrame(problem.X, columns=[f"gene {j}" for j in range(12)])
    model = spred.SparseRegressor().fit(table, problem.y)
    table.iloc[0, 7] = np.inf
    with pytest.raises(InputError, match="'gene 7'"):
        model.predict(table)


def data(n: int, p: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p))
    return X, X[:, :4] @ [1.0, -1.0, 1.0, -1.0] + rng.normal(size=n)


def test_scores_are_the_debiased_lasso() -> None:
    X, y = data(n=60, p=100)
    scores = spred.SparseRegressor()._selection_scores(X, y, None, 15, 0.15)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    alpha = 0.15 * np.abs(Z.T @ (y - y.mean())).max() / len(y)
    lasso = Lasso(alpha, tol=1e-10, max_iter=100_000).fit(Z, y)
    debiased = np.abs(lasso.coef_ + Z.T @ (y - lasso.predict(Z)) / len(y))
    np.testing.assert_allclose(scores, debiased, atol=2e-2)  # the path of a half is a rough one
    assert (np.argsort(-scores)[:4] == np.argsort(-debiased)[:4]).all()


def test_of_several_classes_the_scores_of_the_support_are_above_all_others() -> None:
    X, y = data(n=90, p=100)
    target = np.digitize(y, [-1.0, 1.0]).astype(float)
    weights = np.r_[np.ones(98), 2.0, 0.0]
    model = spred.SparseClassifier(penalty_weights=weights)
    model.classes_ = np.arange(3)
    scores = model._selection_scores(X, target, None, 15, 0.5)
    path = spred.path(X, target, loss="multinomial", penalty_weights=weights, standardize=True, n_alphas=15, eps=0.5)
    inside = path.coefs[-1].any(axis=0)
    size = np.linalg.norm(path.coefs[-1], axis=0) * X.std(axis=0)
    np.testing.assert_allclose(scores[inside][:-1], (size + path.alphas[-1])[inside][:-1], rtol=0.05)
    assert scores[~inside].max() < scores[inside][:-1].min()
    assert scores[~inside].min() > 0


def test_a_gradient_towards_negative_coefficients_is_no_score() -> None:
    X, y = data(n=60, p=20)
    scores = spred.SparseRegressor(positive=True)._selection_scores(X, y, None, 15, 0.15)
    assert (scores[[1, 3]] == 0).all()
    assert (scores[[0, 2]] > 0).all()


def test_a_fold_without_weight_is_not_a_perfect_one() -> None:
    """Folds of a splitter whose samples weigh nothing are left out; an integer makes none of them."""
    rng = np.random.default_rng(0)
    X, weight = rng.normal(size=(60, 4)), (np.arange(60) < 20).astype(float)
    y = X[:, 0] + rng.normal(size=60)
    model = spred.SparseRegressorCV(cv=KFold(6), n_alphas=5).fit(X, y, sample_weight=weight)
    assert model.curve_.folds.shape == (5, 2)
    assert model.curve_.folds.min() > 0
    whole = spred.SparseRegressorCV(**QUICK).fit(X, y, sample_weight=weight)
    alone = spred.SparseRegressorCV(**QUICK).fit(X[:20], y[:20])
    np.testing.assert_allclose(whole.curve_.folds, alone.curve_.folds)
    np.testing.assert_allclose(whole.coef_, alone.coef_)
