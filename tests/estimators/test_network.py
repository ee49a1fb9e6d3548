"""The network estimators keep scikit-learn's contract, find what they should, and repeat to the bit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from problems import PROBLEMS
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ShuffleSplit
from sklearn.utils.estimator_checks import parametrize_with_checks

import spred
from spred.errors import InputError

QUICK = {"hidden": 2, "n_alphas": 2, "eps": 0.5, "cv": 2}


@parametrize_with_checks([spred.NetworkRegressor(**QUICK), spred.NetworkClassifier(**QUICK)])
def test_scikit_learn_contract(estimator: object, check: object) -> None:
    check(estimator)  # every check asserts inside


SHORT = {"hidden": 5, "n_alphas": 5, "eps": 0.1, "cv": 3}


def three_classes() -> tuple[np.ndarray, np.ndarray]:
    problem = PROBLEMS["multinomial-wide"]
    return problem.X, np.array(["kidney", "liver", "colon"])[problem.y.astype(int)]


def test_string_classes_probabilities_and_decisions_agree() -> None:
    X, y = three_classes()
    model = spred.NetworkClassifier(rule="min", **SHORT).fit(X, y)
    probabilities = model.predict_proba(X)
    assert model.classes_.tolist() == ["colon", "kidney", "liver"]
    assert model.decision_function(X).shape == (len(X), 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(X))
    assert model.score(X, y) > 0.6


def test_gates_support_and_entry_agree() -> None:
    X, y = three_classes()
    model = spred.NetworkClassifier(rule="min", **SHORT).fit(X, y)
    np.testing.assert_array_equal(model.feature_importances_ > 0, model.get_support())
    assert (model.entry_alphas_[model.get_support()] >= model.alpha_).all()
    first = np.flatnonzero(model.path_.n_nonzero)[0]
    np.testing.assert_array_equal(
        np.flatnonzero(model.entry_alphas_ == model.path_.alphas[first]), model.path_.inputs[first]
    )
    assert model.transform(X).shape == (len(X), model.get_support().sum())
    assert model.kkt_ <= model.kkt_tol


def test_random_state_reproduces_to_the_bit_and_in_parallel() -> None:
    X, y = three_classes()
    one = spred.NetworkClassifier(random_state=3, **SHORT).fit(X, y)
    again = clone(one).fit(X, y)
    parallel = clone(one).set_params(n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(one.predict_proba(X), again.predict_proba(X))
    np.testing.assert_array_equal(one.curve_.folds, again.curve_.folds)
    np.testing.assert_allclose(one.curve_.folds, parallel.curve_.folds, rtol=1e-6)


def test_numbers_are_predicted_in_their_own_units() -> None:
    problem = PROBLEMS["squared-wide"]
    model = spred.NetworkRegressor(rule="min", **SHORT).fit(problem.X, problem.y)
    scaled = clone(model).fit(problem.X, 1000.0 * problem.y + 5e4)
    np.testing.assert_allclose(scaled.predict(problem.X), 1000.0 * model.predict(problem.X) + 5e4, rtol=1e-4)
    np.testing.assert_allclose(scaled.curve_.mean, 1e6 * model.curve_.mean, rtol=0.1)  # folds are solved roughly
    np.testing.assert_array_equal(scaled.get_support(), model.get_support())


def test_several_outputs_share_their_gates() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 15))
    Y = np.column_stack([X[:, 2] + X[:, 5], 3.0 * X[:, 2] - X[:, 9]]) + 0.1 * rng.standard_normal((80, 2))
    model = spred.NetworkRegressor(rule="min", **SHORT).fit(X, Y)
    assert model.predict(X).shape == (80, 2)
    assert {2, 5, 9} <= set(model.get_support(indices=True))
    assert model.score(X, Y) > 0.8
    with pytest.raises(InputError, match="one column of y"):
        spred.NetworkRegressor(loss="huber", **SHORT).fit(X, Y)


@pytest.mark.parametrize("loss", ["huber", "poisson"])
def test_other_losses_of_numbers(loss: str) -> None:
    problem = PROBLEMS[f"{loss}-tall"]
    model = spred.NetworkRegressor(loss=loss, rule="min", **SHORT).fit(problem.X, problem.y)
    assert model.path_.converged
    assert model.curve_.mean.min() < model.curve_.mean[0]
    assert loss != "poisson" or model.predict(problem.X).min() > 0


def test_free_inputs_are_always_in_use_and_linear() -> None:
    problem = PROBLEMS["squared-tall"]
    free = np.r_[0.0, np.ones(problem.X.shape[1] - 1)]
    model = spred.NetworkRegressor(penalty_weights=free, alphas=[1e6], cv=2).fit(problem.X, problem.y)
    assert model.get_support(indices=True).tolist() == [0]
    assert np.isinf(model.entry_alphas_[0])
    line = np.linalg.lstsq(np.column_stack([np.ones(len(problem.y)), problem.X[:, 0]]), problem.y, rcond=None)[0]
    np.testing.assert_allclose(model.predict(problem.X), line[0] + line[1] * problem.X[:, 0], atol=1e-6)


def test_mean_slopes_are_those_of_small_changes() -> None:
    X, y = three_classes()
    model = spred.NetworkClassifier(rule="min", **SHORT).fit(X, y)
    assert model.mean_slopes_.shape == (3, X.shape[1])
    np.testing.assert_array_equal(model.mean_slopes_.any(axis=0), model.get_support())
    for j in model.get_support(indices=True)[:3]:
        step = np.zeros(X.shape[1])
        step[j] = 1e-5
        change = (model.decision_function(X + step) - model.decision_function(X - step)) / 2e-5
        np.testing.assert_allclose(model.mean_slopes_[:, j], change.mean(axis=0), atol=1e-7)


def test_a_sample_of_weight_two_is_the_row_twice() -> None:
    problem = PROBLEMS["logistic-wide"]
    half = np.arange(len(problem.y)) < 20
    split = [(np.flatnonzero(half), np.flatnonzero(~half))]
    twice = np.concatenate([np.arange(40), np.arange(10)])
    again = [(np.flatnonzero(half[twice]), np.flatnonzero(~half[twice]))]
    weight = np.where(np.arange(40) < 10, 2.0, 1.0)
    model = spred.NetworkClassifier(**(SHORT | {"cv": split})).fit(problem.X, problem.y, sample_weight=weight)
    rows = spred.NetworkClassifier(**(SHORT | {"cv": again})).fit(problem.X[twice], problem.y[twice])
    np.testing.assert_allclose(model.predict_proba(problem.X), rows.predict_proba(problem.X), atol=1e-3)
    with pytest.raises(InputError, match="not all zero"):
        clone(model).fit(problem.X, problem.y, sample_weight=np.zeros(40))


def test_names_sparse_data_and_a_validation_part() -> None:
    problem = PROBLEMS["logistic-sparse"]
    names = [f"gene {j}" for j in range(problem.X.shape[1])]
    part = ShuffleSplit(1, test_size=0.25, random_state=0)
    table = pd.DataFrame(problem.X.toarray(), columns=names)
    done: list[tuple[int, int]] = []
    model = spred.NetworkClassifier(rule="min", **(SHORT | {"cv": part})).set_output(transform="pandas")
    model.fit(table, problem.y, on_path=lambda *step: done.append(step))
    assert model.transform(table).columns.tolist() == [names[j] for j in model.get_support(indices=True)]
    assert done == [(1, 2), (2, 2)]
    from_sparse = clone(model).fit(problem.X, problem.y)
    np.testing.assert_allclose(
        from_sparse.predict_proba(sparse.csr_array(problem.X)), model.predict_proba(table), atol=1e-6
    )


def test_classes_can_be_balanced() -> None:
    problem = PROBLEMS["logistic-tall"]
    y = problem.y.astype(int)
    few = np.concatenate([np.flatnonzero(y == 0)[:8], np.flatnonzero(y == 1)])
    plain, balanced = (
        spred.NetworkClassifier(rule="min", class_weight=w, **SHORT).fit(problem.X[few], y[few])
        for w in (None, "balanced")
    )
    assert balanced.predict_proba(problem.X)[:, 0].mean() > plain.predict_proba(problem.X)[:, 0].mean()


def test_an_unfinished_path_warns() -> None:
    problem = PROBLEMS["logistic-wide"]
    with pytest.warns(ConvergenceWarning, match="KKT residual"):
        spred.NetworkClassifier(max_iter=1, **SHORT).fit(problem.X, problem.y)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"start": "dence"}, "did you mean 'dense'"),
        ({"rule": "1sd"}, "rule"),
        ({"activation": "tahn"}, "did you mean 'tanh'"),
        ({"hidden": 0}, "width of each hidden layer"),
        ({"l1_ratio": 0.0}, "l1_ratio is 0.0"),
        ({"l1_ratio": []}, "l1_ratio is empty"),
    ],
)
def test_options_out_of_range_are_refused(option: dict, message: str) -> None:
    problem = PROBLEMS["squared-tall"]
    with pytest.raises(InputError, match=message):
        spred.NetworkRegressor(**(SHORT | option)).fit(problem.X, problem.y)


def test_a_second_fit_predicts_and_is_what_the_folds_judge() -> None:
    problem = PROBLEMS["logistic-wide"]
    plain, again = (
        spred.NetworkClassifier(refit=refit, rule=lambda curve: len(curve.alphas) - 1, **SHORT).fit(
            problem.X, problem.y
        )
        for refit in (False, True)
    )
    np.testing.assert_array_equal(plain.path_.kkts, again.path_.kkts)
    assert (again.curve_.folds[1:] != plain.curve_.folds[1:]).all()
    assert again.network_.network is again.path_.refits[-1]
    assert again.get_support(indices=True).tolist() == again.path_.inputs[-1].tolist()
    assert again.path_.refit_residuals.max() <= again.kkt_tol
    assert np.abs(again.decision_function(problem.X)).max() > np.abs(plain.decision_function(problem.X)).max()


def test_a_function_of_the_curve_chooses() -> None:
    X, y = three_classes()
    model = spred.NetworkClassifier(rule=lambda curve: len(curve.alphas) - 2, **SHORT).fit(X, y)
    assert model.alpha_ == model.path_.alphas[-2]
    assert model.network_.inputs.tolist() == model.path_.inputs[-2].tolist()


def test_of_several_ratios_the_one_of_the_lowest_held_out_deviance_is_kept() -> None:
    """Twelve inputs say the same with noise of their own: an average of all predicts best."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=120)
    X = np.hstack([signal[:, None] + 2.0 * rng.normal(size=(120, 12)), rng.normal(size=(120, 8))])
    ratios, done = [1.0, 0.1], []
    model = spred.NetworkRegressor(l1_ratio=ratios, rule="min", **SHORT)
    model.fit(X, signal, on_path=lambda *seen: done.append(seen))
    alone = [spred.NetworkRegressor(l1_ratio=ratio, rule="min", **SHORT).fit(X, signal) for ratio in ratios]
    lowest = [each.curve_.mean.min() for each in alone]
    assert lowest[1] < lowest[0]
    assert (model.l1_ratio_, model.path_.l1_ratio) == (0.1, 0.1)
    np.testing.assert_array_equal(model.curve_.folds, alone[1].curve_.folds)
    np.testing.assert_array_equal(model.predict(X), alone[1].predict(X))
    assert done[-1] == (2 * (SHORT["cv"] + 1),) * 2


def test_stability_selection_takes_one_ratio() -> None:
    problem = PROBLEMS["squared-wide"]
    base = spred.NetworkRegressor(hidden=5, l1_ratio=[1.0, 0.5])
    with pytest.raises(InputError, match="give one number here"):
        spred.StabilitySelection(base, n_pairs=2).fit(problem.X, problem.y)


def test_folds_choose_among_ratios_at_one_alpha() -> None:
    problem = PROBLEMS["squared-wide"]
    settings = {"hidden": 5, "alphas": [0.2], "cv": 3}
    model = spred.NetworkRegressor(l1_ratio=[0.2, 1.0], **settings).fit(problem.X, problem.y)
    means = [
        float(spred.NetworkRegressor(l1_ratio=[ratio, ratio], **settings).fit(problem.X, problem.y).curve_.mean[0])
        for ratio in (0.2, 1.0)
    ]
    assert model.curve_.mean[0] == min(means) > 0
    assert model.l1_ratio_ == (0.2, 1.0)[int(np.argmin(means))]


def test_one_alpha_needs_no_folds() -> None:
    problem = PROBLEMS["squared-wide"]
    done = []
    model = spred.NetworkRegressor(hidden=5, alphas=[0.2], cv=[]).fit(
        problem.X, problem.y, on_path=lambda *seen: done.append(seen)
    )
    assert done == [(1, 1)]
    assert (model.alpha_, model.kkt_ <= model.kkt_tol) == (0.2, True)


def survival() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 20))
    risk = 1.5 * X[:, 3] - 1.5 * X[:, 7]
    return X, spred.survival_target(event=np.arange(150) % 4 > 0, time=rng.exponential(np.exp(-risk)))


def test_survival_times_are_ranked_by_the_inputs_that_matter() -> None:
    X, y = survival()
    model = spred.NetworkCox(hidden=5, n_alphas=8, cv=3, rule=2).fit(X, y)
    assert model.get_support(indices=True).tolist() == [3, 7]
    assert model.kkt_ <= model.kkt_tol
    assert model.mean_slopes_[0, 3] > 0 > model.mean_slopes_[0, 7]
    assert model.score(X, y) > 0.75
    linear = spred.SparseCox(alpha=model.alpha_ / np.sqrt(2)).fit(X, y)
    assert np.corrcoef(model.predict(X), linear.predict(X))[0, 1] > 0.95


def test_a_fold_of_survival_is_judged_by_what_it_adds() -> None:
    X, y = survival()
    train, test = np.arange(100), np.arange(100, 150)
    options = {"hidden": 3, "alphas": [0.3, 0.1]}
    model = spred.NetworkCox(cv=[(train, test)], **options).fit(X, y)
    inner = spred.NetworkCox(cv=2, kkt_tol=1e-2, rule=lambda curve: 1, **options).fit(X[train], y[train])
    risk = inner.predict(X)

    def total(rows: np.ndarray) -> float:
        """The negative log partial likelihood, written out."""
        times, events, own = y["time"][rows], y["event"][rows], risk[rows]
        at_risk = [np.log(np.exp(own[times >= t]).sum()) for t in times]
        return float(np.sum(events * (np.array(at_risk) - own)))

    added = 2.0 * (total(np.arange(150)) - total(train)) / len(test)
    assert model.curve_.mean[1] == pytest.approx(added, rel=0.01)


def test_few_events_and_names_are_no_trouble() -> None:
    X, y = survival()
    y["event"][5:] = False
    table = pd.DataFrame(X, columns=[f"gene {j}" for j in range(20)])
    model = spred.NetworkCox(hidden=2, n_alphas=3, eps=0.5, cv=3).fit(table, y)
    assert model.feature_names_in_.tolist()[:2] == ["gene 0", "gene 1"]
    with pytest.raises(InputError, match="use 'breslow' or 'efron'"):
        spred.NetworkCox(ties="exact").fit(X, y)
