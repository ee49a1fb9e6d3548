"""Cox's estimators: the engine's solutions, honest folds, a score that counts pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from problems import PROBLEMS
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import spred
from spred.core.losses.cox import cox_value
from spred.core.risk_sets import risk_sets
from spred.errors import InputError
from spred.estimators.metrics import concordance

QUICK = {"n_alphas": 8, "eps": 0.05, "cv": 3}


@pytest.mark.parametrize(
    ("name", "ties"), [("cox-wide", "breslow"), ("cox-tall", "breslow"), ("cox-efron-tall", "efron")]
)
def test_it_is_the_engines_solution_in_original_units(name: str, ties: str) -> None:
    problem = PROBLEMS[name]
    X = problem.X * np.linspace(1, 50, problem.X.shape[1]) + 10.0
    model = spred.SparseCox(alpha=0.05, ties=ties).fit(X, problem.y)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    solution = spred.solve(scaled, problem.y, loss=problem.loss, alpha=0.05)
    np.testing.assert_allclose(model.coef_, solution.coef / X.std(axis=0), atol=1e-7)
    assert model.certificate_.gap <= 1e-9
    assert model.get_support().tolist() == (solution.coef != 0).tolist()
    np.testing.assert_allclose(model.predict(X), X @ model.coef_)


def test_it_keeps_names_weights_and_parameters() -> None:
    problem = PROBLEMS["cox-wide"]
    table = pd.DataFrame(problem.X, columns=[f"gene {j}" for j in range(80)])
    model = spred.SparseCox(alpha=0.1).set_output(transform="pandas").fit(table, problem.y)
    assert model.transform(table).columns.tolist() == table.columns[model.get_support()].tolist()
    times = np.arange(50) % 2 + 1
    twice = np.repeat(np.arange(50), times)
    weighted = clone(model).fit(problem.X, problem.y, sample_weight=times)
    doubled = clone(model).fit(problem.X[twice], problem.y[twice])
    np.testing.assert_allclose(weighted.coef_, doubled.coef_, atol=1e-6)


def test_cross_validation_finds_the_signal_and_says_how_well() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 60))
    time, end = rng.exponential(np.exp(-1.5 * X[:, 4] + 1.5 * X[:, 9])), rng.exponential(3.0, size=120)
    y = spred.survival_target(time <= end, np.minimum(time, end))
    model = spred.SparseCoxCV(**QUICK).fit(X, y)
    assert {4, 9} <= set(model.get_support(indices=True))
    assert model.alpha_ >= model.curve_.alphas[model.curve_.index_min]
    assert model.score(X, y) > 0.75
    assert model.curve_.mean[model.curve_.index_min] < model.curve_.mean[0]
    np.testing.assert_array_equal(clone(model).set_params(n_jobs=2).fit(X, y).alpha_, model.alpha_)


def test_a_fold_is_judged_by_what_it_adds_to_the_deviance() -> None:
    problem = PROBLEMS["cox-wide"]
    half = np.arange(50) < 25
    split = [(np.flatnonzero(half), np.flatnonzero(~half)), (np.flatnonzero(~half), np.flatnonzero(half))]
    model = spred.SparseCoxCV(cv=split, n_alphas=4, cv_tol=1e-10).fit(problem.X, problem.y)
    sets = risk_sets(problem.y["time"], problem.y["event"])
    for f, (train, test) in enumerate(split):
        inner = risk_sets(problem.y["time"][train], problem.y["event"][train])
        for a, alpha in enumerate(model.path_.alphas):
            fitted = spred.SparseCox(alpha=alpha).fit(problem.X[train], problem.y[train])
            eta = fitted.predict(problem.X)
            whole = 50 * cox_value(eta, sets, np.full(50, 1 / 50))
            part = 25 * cox_value(eta[train], inner, np.full(25, 1 / 25))
            assert model.curve_.folds[a, f] == pytest.approx(2 * (whole - part) / len(test), rel=1e-5)


def test_it_works_in_searches_and_nested_folds() -> None:
    problem = PROBLEMS["cox-tall"]
    search = GridSearchCV(spred.SparseCox(), {"alpha": [0.01, 10.0]}, cv=3).fit(problem.X, problem.y)
    assert search.best_params_["alpha"] == 0.01
    outcome = spred.nested_cv(spred.SparseCoxCV(**QUICK), problem.X, problem.y, cv=3)
    scores = outcome.score(lambda y, risk: concordance(y["event"], y["time"], risk))
    assert scores.mean() > 0.6


def test_few_events_do_not_stop_the_folds() -> None:
    problem = PROBLEMS["cox-wide"]
    y = problem.y.copy()
    y["event"][:] = True  # nobody is censored, so folds cannot be stratified by it
    assert spred.SparseCoxCV(**QUICK).fit(problem.X, y).path_.converged


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ties": "exact"}, "ties is 'exact'"),
        ({"y": np.arange(50.0)}, "spred.survival_target"),
        ({"y": PROBLEMS["cox-wide"].y[:9]}, "X has 50 samples"),
    ],
)
def test_bad_input_gets_one_sentence(change: dict, message: str) -> None:
    problem = PROBLEMS["cox-wide"]
    y = change.pop("y", problem.y)
    with pytest.raises(InputError, match=message):
        spred.SparseCox(**change).fit(problem.X, y)


def test_groups_with_zeros_inside_and_signs_that_are_known() -> None:
    problem = PROBLEMS["cox-wide"]
    groups = np.arange(80) // 5
    model = spred.SparseCox(alpha=0.05, feature_groups=groups, within_ratio=0.5, positive=True)
    model.fit(problem.X, problem.y)
    assert model.certificate_.gap <= 1e-9
    assert model.coef_.min() == 0 < model.coef_.max()
    shares = model.get_support().reshape(-1, 5).mean(axis=1)
    assert ((shares > 0) & (shares < 1)).any()


def test_an_offset_is_a_feature_whose_coefficient_is_known() -> None:
    problem = PROBLEMS["cox-wide"]
    whole = spred.SparseCox(alpha=0.05, standardize=False).fit(problem.X, problem.y)
    column = int(np.argmax(np.abs(whole.coef_)))
    others = np.arange(80) != column
    known = problem.X[:, column] * whole.coef_[column]
    rest = clone(whole).fit(problem.X[:, others], problem.y, offset=known)
    np.testing.assert_allclose(rest.coef_, whole.coef_[others], atol=1e-6)


def test_held_out_samples_keep_their_offsets() -> None:
    """An offset common to all samples changes no likelihood; one that carries the signal lowers the deviance."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 6))
    known = 2.0 * rng.standard_normal(90)
    y = spred.survival_target(np.ones(90, dtype=bool), rng.exponential(np.exp(-known)))
    plain, common, given = (
        spred.SparseCoxCV(**QUICK).fit(X, y, offset=offset).curve_ for offset in (None, np.full(90, 3.0), known)
    )
    np.testing.assert_allclose(common.mean, plain.mean, rtol=1e-4)
    assert given.mean.min() < 0.9 * plain.mean.min()
