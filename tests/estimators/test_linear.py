"""The estimators keep scikit-learn's contract and the engine's exactness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from problems import PROBLEMS
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import spred
from spred.errors import InputError

QUICK = {"n_alphas": 10, "cv": 3}
ALL = [
    spred.SparseRegressor(),
    spred.SparseRegressor(loss="huber"),
    spred.SparseRegressor(loss="poisson"),
    spred.SparseClassifier(),
    spred.SparseRegressorCV(**QUICK),
    spred.SparseClassifierCV(**QUICK),
]


@pytest.mark.filterwarnings("ignore::spred.errors.ConvergenceWarning")  # classes that a check separates by design
@parametrize_with_checks(ALL)
def test_scikit_learn_contract(estimator: object, check: object) -> None:
    check(estimator)  # every check asserts inside


def three_classes() -> tuple[np.ndarray, np.ndarray]:
    problem = PROBLEMS["multinomial-wide"]
    return problem.X, np.array(["kidney", "liver", "colon"])[problem.y.astype(int)]


def test_the_regressor_is_the_lasso_in_original_units() -> None:
    problem = PROBLEMS["squared-wide"]
    X = problem.X * np.linspace(1, 50, problem.X.shape[1]) + 10.0
    ours = spred.SparseRegressor(alpha=0.1).fit(X, problem.y)
    theirs = make_pipeline(StandardScaler(), Lasso(alpha=0.1, tol=1e-14, max_iter=100_000)).fit(X, problem.y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-7)
    np.testing.assert_array_equal(ours.get_support(), theirs[-1].coef_ != 0)
    assert ours.certificate_.gap <= 1e-9


def test_string_classes_probabilities_and_decisions_agree() -> None:
    X, y = three_classes()
    model = spred.SparseClassifier(alpha=0.05).fit(X, y)
    probabilities = model.predict_proba(X)
    assert model.classes_.tolist() == ["colon", "kidney", "liver"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(X))
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), probabilities)
    np.testing.assert_array_equal(model.get_support(), model.coef_.any(axis=0))
    np.testing.assert_allclose(model.coef_.sum(axis=0), 0.0, atol=1e-7)
    assert model.intercept_.sum() == pytest.approx(0.0, abs=1e-12)


def test_two_classes_have_one_row() -> None:
    problem = PROBLEMS["logistic-wide"]
    model = spred.SparseClassifier(alpha=0.05).fit(problem.X, np.where(problem.y > 0, "yes", "no"))
    assert model.coef_.shape == (1, problem.X.shape[1])
    np.testing.assert_array_equal(model.predict(problem.X) == "yes", model.decision_function(problem.X) > 0)


def test_balanced_classes_weigh_the_same() -> None:
    problem = PROBLEMS["logistic-tall"]
    y = problem.y.astype(int)
    few = np.concatenate([np.flatnonzero(y == 0)[:6], np.flatnonzero(y == 1)])
    X, y = problem.X[few], y[few]
    balanced = spred.SparseClassifier(alpha=0.05, class_weight="balanced").fit(X, y)
    by_hand = spred.SparseClassifier(alpha=0.05).fit(X, y, sample_weight=(len(y) / 2 / np.bincount(y))[y])
    np.testing.assert_allclose(balanced.coef_, by_hand.coef_, atol=1e-9)
    plain = spred.SparseClassifier(alpha=0.05).fit(X, y)
    assert not np.allclose(balanced.coef_, plain.coef_, atol=1e-3)


def test_names_go_in_and_come_out() -> None:
    problem = PROBLEMS["squared-tall"]
    names = [f"gene {j}" for j in range(problem.X.shape[1])]
    table = pd.DataFrame(problem.X, columns=names)
    model = spred.SparseRegressor(alpha=0.3).set_output(transform="pandas").fit(table, problem.y)
    chosen = model.transform(table)
    assert chosen.columns.tolist() == [n for n, used in zip(names, model.get_support(), strict=True) if used]
    assert 0 < chosen.shape[1] < len(names)
    table.iloc[3, 2] = np.nan
    with pytest.raises(InputError, match="'gene 2'"):
        model.fit(table, problem.y)


def test_single_precision_is_kept_and_predicts_the_same() -> None:
    problem = PROBLEMS["squared-wide"]
    X = problem.X.astype(np.float32)
    single, double = (spred.SparseRegressor(alpha=0.1).fit(x, problem.y) for x in (X, X.astype(np.float64)))
    assert single.coef_.dtype == np.float64
    np.testing.assert_allclose(single.coef_, double.coef_, atol=1e-9)
    np.testing.assert_allclose(single.predict(X), double.predict(X.astype(np.float64)), atol=1e-9)


def test_huber_follows_the_units_of_y_and_not_its_outliers() -> None:
    problem = PROBLEMS["huber-tall"]
    model = spred.SparseRegressor(alpha=0.1, loss="huber").fit(problem.X, problem.y)
    scaled = spred.SparseRegressor(alpha=100.0, loss="huber").fit(problem.X, 1000.0 * problem.y)
    assert scaled.delta_ == pytest.approx(1000.0 * model.delta_)
    np.testing.assert_allclose(scaled.coef_, 1000.0 * model.coef_, rtol=1e-5, atol=1e-6)
    worse = problem.y.copy()
    worse[np.argmax(worse)] *= 1e6
    np.testing.assert_allclose(
        spred.SparseRegressor(alpha=0.1, loss="huber").fit(problem.X, worse).coef_, model.coef_, atol=1e-6
    )
    assert spred.SparseRegressor(loss="huber", delta=0.5).fit(problem.X, problem.y).delta_ == 0.5


def test_huber_takes_targets_that_are_mostly_equal() -> None:
    y = np.r_[np.zeros(50), np.arange(10.0)]
    model = spred.SparseRegressor(loss="huber").fit(PROBLEMS["huber-tall"].X, y)
    assert model.delta_ == pytest.approx(1.345 * y.std())


def test_poisson_predicts_expected_counts() -> None:
    problem = PROBLEMS["poisson-tall"]
    model = spred.SparseRegressorCV(loss="poisson", rule="min", **QUICK).fit(problem.X, problem.y)
    predicted = model.predict(problem.X)
    assert predicted.min() > 0
    assert predicted.mean() == pytest.approx(problem.y.mean())  # the score equation of the intercept
    assert model.curve_.mean[model.curve_.index] < model.curve_.mean[0]
    with pytest.raises(InputError, match="counts must not be negative"):
        spred.SparseRegressor(loss="poisson").fit(problem.X, -problem.y)


def test_an_unknown_loss_names_the_nearest() -> None:
    problem = PROBLEMS["squared-tall"]
    with pytest.raises(InputError, match="did you mean 'huber'"):
        spred.SparseRegressor(loss="hubber").fit(problem.X, problem.y)


def test_sparse_input_is_predicted_as_dense() -> None:
    problem = PROBLEMS["logistic-sparse"]
    model = spred.SparseClassifier(alpha=0.02).fit(problem.X, problem.y)
    np.testing.assert_allclose(
        model.predict_proba(sparse.csr_array(problem.X)), model.predict_proba(problem.X.toarray())
    )


def test_feature_groups_and_free_features_reach_the_engine() -> None:
    problem = PROBLEMS["squared-wide"]
    groups = np.arange(problem.X.shape[1]) // 3
    grouped = spred.SparseRegressor(alpha=0.1, feature_groups=groups).fit(problem.X, problem.y)
    assert all(len(set(grouped.get_support()[groups == g])) == 1 for g in np.unique(groups))
    free = np.r_[0.0, np.ones(problem.X.shape[1] - 1)]
    huge = spred.SparseRegressor(alpha=1e6, penalty_weights=free).fit(problem.X, problem.y)
    assert huge.get_support(indices=True).tolist() == [0]


def test_an_unfinished_fit_warns() -> None:
    problem = PROBLEMS["logistic-wide"]
    with pytest.warns(ConvergenceWarning, match="stopped by iterations at a relative duality gap"):
        spred.SparseClassifier(alpha=1e-4, max_iter=1).fit(problem.X, problem.y)


def test_one_class_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"one class only \('tumour'\)"):
        spred.SparseClassifier().fit(np.eye(3), ["tumour"] * 3)


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


# --- more than L1 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cv", [False, True])
def test_coefficients_are_kept_from_being_negative(cv: bool) -> None:
    problem = PROBLEMS["squared-wide"]
    model = spred.SparseRegressorCV(positive=True, rule="min", **QUICK) if cv else spred.SparseRegressor(positive=True)
    model.fit(problem.X, problem.y)
    assert model.coef_.min() == 0 < model.coef_.max()
    assert model.certificate_.gap <= 1e-9
    theirs = make_pipeline(
        StandardScaler(), Lasso(model.alpha_ if cv else 0.01, positive=True, tol=1e-13, max_iter=100_000)
    ).fit(problem.X, problem.y)
    np.testing.assert_allclose(model.predict(problem.X), theirs.predict(problem.X), atol=1e-5)


def test_a_sparse_group_has_zeros_inside() -> None:
    problem = PROBLEMS["logistic-wide"]
    groups = np.arange(problem.X.shape[1]) // 5
    given = {"alpha": 0.03, "feature_groups": groups}
    sparse_groups = spred.SparseClassifier(within_ratio=0.5, **given).fit(problem.X, problem.y)
    dense_groups = spred.SparseClassifier(**given).fit(problem.X, problem.y)
    shares = [model.get_support().reshape(-1, 5).mean(axis=1) for model in (sparse_groups, dense_groups)]
    assert ((shares[0] > 0) & (shares[0] < 1)).any()
    assert set(shares[1]) == {0.0, 1.0}
    assert sparse_groups.certificate_.gap <= 1e-9


@pytest.mark.parametrize("loss", ["squared", "huber", "poisson"])
def test_an_offset_is_known_in_fit_and_predict(loss: str) -> None:
    """What a column with a known coefficient adds is taken out of the fit and put back into the prediction."""
    problem = PROBLEMS["poisson-tall"]
    y = problem.y if loss == "poisson" else problem.y + 0.1 * np.arange(len(problem.y)) % 7
    known = np.linspace(-1.0, 1.0, len(y))
    plain, with_offset = (spred.SparseRegressor(0.02, loss=loss, delta=1.0) for _ in range(2))
    if loss == "poisson":
        with_offset.fit(problem.X, y, offset=known)
        assert with_offset.predict(problem.X, offset=known).sum() == pytest.approx(y.sum())
        np.testing.assert_allclose(
            with_offset.predict(problem.X, offset=known), with_offset.predict(problem.X) * np.exp(known)
        )
        return
    plain.fit(problem.X, y)
    with_offset.fit(problem.X, y + known, offset=known)
    np.testing.assert_allclose(with_offset.coef_, plain.coef_, atol=1e-8)
    np.testing.assert_allclose(with_offset.predict(problem.X, offset=known), plain.predict(problem.X) + known)


def test_hubers_transition_is_of_what_the_offset_leaves() -> None:
    problem = PROBLEMS["huber-tall"]
    known = 100.0 * np.arange(len(problem.y))
    moved = spred.SparseRegressor(loss="huber").fit(problem.X, problem.y + known, offset=known)
    assert moved.delta_ == pytest.approx(spred.SparseRegressor(loss="huber").fit(problem.X, problem.y).delta_)


def test_an_offset_of_two_classes_moves_the_decision() -> None:
    problem = PROBLEMS["logistic-tall"]
    known = np.linspace(-2.0, 2.0, len(problem.y))
    model = spred.SparseClassifier(0.02).fit(problem.X, problem.y, offset=known)
    eta = model.decision_function(problem.X, offset=known)
    np.testing.assert_allclose(eta, model.decision_function(problem.X) + known)
    np.testing.assert_array_equal(model.predict(problem.X, offset=known), (eta > 0).astype(float))
    np.testing.assert_allclose(np.exp(model.predict_log_proba(problem.X, offset=known))[:, 1], 1 / (1 + np.exp(-eta)))
    assert model.predict_proba(problem.X, offset=known)[:, 1].mean() == pytest.approx(problem.y.mean())
    X, y = three_classes()
    with pytest.raises(InputError, match="one linear predictor"):
        spred.SparseClassifier().fit(X, y).predict(X, offset=np.zeros(len(y)))


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


@pytest.mark.parametrize("weight", ["balancd", {0.0: 2.0, 7.0: 1.0}])
def test_class_weights_that_do_not_fit_are_refused(weight: str | dict) -> None:
    problem = PROBLEMS["logistic-tall"]
    with pytest.raises(InputError, match="class_weight does not fit"):
        spred.SparseClassifier(class_weight=weight).fit(problem.X, problem.y)


def test_a_bad_value_in_new_data_is_named_by_its_column() -> None:
    problem = PROBLEMS["squared-tall"]
    table = pd.DataFrame(problem.X, columns=[f"gene {j}" for j in range(12)])
    model = spred.SparseRegressor().fit(table, problem.y)
    table.iloc[0, 7] = np.inf
    with pytest.raises(InputError, match="'gene 7'"):
        model.predict(table)
