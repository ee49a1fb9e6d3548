"""What the network estimators share: folds, starts and ratios, weights, names, slopes, the refit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from problems import PROBLEMS
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ShuffleSplit

import spred
from spred.errors import InputError
from spred.runtime.tasks import tracked

SHORT = {"hidden": 5, "n_alphas": 5, "eps": 0.1, "cv": 3}


def three_classes() -> tuple[np.ndarray, np.ndarray]:
    problem = PROBLEMS["multinomial-wide"]
    return problem.X, np.array(["kidney", "liver", "colon"])[problem.y.astype(int)]


def test_random_state_reproduces_to_the_bit_and_in_parallel() -> None:
    X, y = three_classes()
    one = spred.NetworkClassifier(random_state=3, **SHORT).fit(X, y)
    again = clone(one).fit(X, y)
    parallel = clone(one).set_params(n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(one.predict_proba(X), again.predict_proba(X))
    np.testing.assert_array_equal(one.curve_.folds, again.curve_.folds)
    np.testing.assert_allclose(one.curve_.folds, parallel.curve_.folds, rtol=1e-6)


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
    with tracked(on_done=lambda *step: done.append(step)):
        model.fit(table, problem.y)
    assert model.transform(table).columns.tolist() == [names[j] for j in model.get_support(indices=True)]
    assert done == [(1, 2), (2, 2)]
    from_sparse = clone(model).fit(problem.X, problem.y)
    np.testing.assert_allclose(
        from_sparse.predict_proba(sparse.csr_array(problem.X)), model.predict_proba(table), atol=1e-6
    )


def test_an_unfinished_path_warns() -> None:
    problem = PROBLEMS["logistic-wide"]
    with pytest.warns(ConvergenceWarning, match="KKT residual") as caught:
        spred.NetworkClassifier(max_iter=1, **SHORT).fit(problem.X, problem.y)
    said = [str(warning.message) for warning in caught]
    assert any("of 5 alphas" in line and "above kkt_tol=0.001" in line for line in said)
    assert any("of 15 alphas" in line and "above cv_kkt_tol=0.03" in line for line in said)


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


def test_a_refit_predicts_and_is_what_the_folds_judge() -> None:
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
    with tracked(on_done=lambda *step: done.append(step)):
        model.fit(X, signal)
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
    with tracked(on_done=lambda *step: done.append(step)):
        model = spred.NetworkRegressor(hidden=5, alphas=[0.2], cv=[]).fit(problem.X, problem.y)
    assert done == [(1, 1)]
    assert (model.alpha_, model.kkt_ <= model.kkt_tol) == (0.2, True)
