"""What can be asked of a solution and of a path: coefficients, predictions, figures."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from problems import PROBLEMS, Problem
from scipy import sparse

import spred
from spred.core.losses import LOSSES, huber
from spred.errors import InputError
from spred.linear.path import solve_of
from spred.linear.problem import make_problem
from spred.linear.solvers.outer import Limits

NAMES = [
    "squared-wide",
    "huber-tall",
    "logistic-tall",
    "logistic-sparse",
    "poisson-tall",
    "multinomial-tall",
    "cox-wide",
]


def path_of(problem: Problem) -> spred.RegularizationPath:
    return spred.path(problem.X, problem.y, loss=problem.loss, n_alphas=5, eps=0.1)


def dense(problem: Problem) -> np.ndarray:
    return problem.X.toarray() if sparse.issparse(problem.X) else problem.X


@pytest.mark.parametrize("name", NAMES)
def test_predictions_are_the_inverse_link_of_the_linear_predictor(name: str) -> None:
    problem = PROBLEMS[name]
    path, X = path_of(problem), dense(problem)
    eta, mean = path.linear_predictor(problem.X), path.predict(problem.X)
    assert eta.shape == mean.shape == (len(path.alphas), *problem.predictor_shape)
    for a, coef in enumerate(path.coefs):
        expected = X @ coef.T + path.intercepts[a]
        np.testing.assert_allclose(eta[a], expected, atol=1e-12)
        np.testing.assert_allclose(mean[a], LOSSES[problem.loss].mean(expected), atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_solution_predicts_as_its_path_does(name: str) -> None:
    problem = PROBLEMS[name]
    path = path_of(problem)
    solution = spred.solve(problem.X, problem.y, loss=problem.loss, alpha=path.alphas[-1])
    assert solution.loss == path.loss == problem.loss
    np.testing.assert_allclose(solution.predict(problem.X), path.predict(problem.X)[-1], atol=1e-4)
    np.testing.assert_allclose(solution.linear_predictor(problem.X), path.linear_predictor(problem.X)[-1], atol=1e-4)


def test_probabilities_sum_to_one_and_counts_to_the_counts() -> None:
    classes = PROBLEMS["multinomial-tall"]
    np.testing.assert_allclose(path_of(classes).predict(classes.X).sum(axis=2), 1.0)
    counts = PROBLEMS["poisson-tall"]
    np.testing.assert_allclose(path_of(counts).predict(counts.X).sum(axis=1), counts.y.sum(), rtol=1e-6)


def test_an_offset_is_added_to_the_linear_predictor() -> None:
    problem = PROBLEMS["poisson-tall"]
    offset = np.linspace(-1.0, 1.0, len(problem.y))
    path = spred.path(problem.X, problem.y, loss="poisson", offset=offset, n_alphas=3)
    np.testing.assert_allclose(path.predict(problem.X, offset=offset).sum(axis=1), problem.y.sum(), rtol=1e-6)
    plain = path.linear_predictor(problem.X)
    np.testing.assert_array_equal(path.linear_predictor(problem.X, offset=offset), plain + offset)


def test_what_cannot_be_predicted_gets_one_sentence() -> None:
    problem = PROBLEMS["multinomial-tall"]
    path = path_of(problem)
    with pytest.raises(InputError, match="the model 8 features"):
        path.predict(problem.X[:, :3])
    with pytest.raises(InputError, match="one for each class"):
        path.predict(problem.X, offset=np.zeros(len(problem.y)))
    one = PROBLEMS["squared-tall"]
    with pytest.raises(InputError, match="offset has shape"):
        path_of(one).predict(one.X, offset=[1.0])


def test_a_loss_that_is_not_in_the_table_has_a_linear_predictor_alone() -> None:
    from dataclasses import replace

    problem = PROBLEMS["squared-tall"]
    mine = solve_of(make_problem(problem.X, problem.y, loss=replace(huber(2.0), name="mine")), 0.1, Limits())
    assert mine.linear_predictor(problem.X).shape == (60,)
    with pytest.raises(InputError, match="'mine' is not in the table"):
        mine.predict(problem.X)


@pytest.mark.parametrize("name", ["squared-wide", "multinomial-tall"])
def test_a_plot_has_a_line_for_each_feature_in_use(name: str) -> None:
    path = path_of(PROBLEMS[name])
    axes = path.plot().axes[0]
    assert len(axes.get_lines()) == len(path.features)
    assert axes.get_ylabel() == ("coefficient" if name == "squared-wide" else "norm of coefficients")
    np.testing.assert_array_equal(axes.get_lines()[0].get_xdata(), path.alphas)


def test_a_plot_names_the_largest_and_marks_the_chosen_alpha() -> None:
    problem = PROBLEMS["squared-tall"]
    path = path_of(problem)
    axes = path.plot(names=[f"gene{j}" for j in range(12)], chosen=path.alphas[2]).axes[0]
    assert len(axes.get_lines()) == len(path.features) + 1
    largest = path.features[np.argmax(np.abs(path.values[2]))]
    assert f"gene{largest}" in [text.get_text() for text in axes.texts]
    with pytest.raises(InputError, match="names has 1 entries, and the path 12 features"):
        path.plot(names=["one"])


def test_a_path_without_features_can_be_drawn() -> None:
    X = np.random.default_rng(0).normal(size=(10, 3))
    assert spred.path(X, np.full(10, 4.0), n_alphas=3).plot().axes


def test_records_are_frozen_and_pickle() -> None:
    problem = PROBLEMS["multinomial-tall"]
    path = path_of(problem)
    again = pickle.loads(pickle.dumps(path))
    np.testing.assert_array_equal(again.predict(problem.X), path.predict(problem.X))
    with pytest.raises(AttributeError):
        path.loss = "squared"  # type: ignore[misc]


def test_the_dense_coefficients_are_those_of_the_features_in_use() -> None:
    path = path_of(PROBLEMS["multinomial-tall"])
    assert path.coefs.shape == (len(path.alphas), 3, 8)
    np.testing.assert_array_equal(path.coefs[..., path.features], path.values)
    assert not np.delete(path.coefs, path.features, axis=-1).any()
    np.testing.assert_array_equal(path.gaps, [c.gap for c in path.certificates])
    np.testing.assert_array_equal(path.kkts, [c.kkt for c in path.certificates])
    np.testing.assert_array_equal(path.objectives, [c.primal for c in path.certificates])


def frame(columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), columns=["a", "b", "c"])[columns]


def test_columns_of_a_data_frame_are_those_of_the_fit() -> None:
    X, y = frame(["a", "b", "c"]), np.arange(20.0)
    path, solution = spred.path(X, y, n_alphas=3), spred.solve(X, y, alpha=0.1)
    assert path.feature_names.tolist() == solution.feature_names.tolist() == ["a", "b", "c"]
    for model in (path, solution):
        np.testing.assert_array_equal(model.predict(X), model.predict(X.to_numpy()))
        with pytest.raises(InputError, match="column 0 of X is 'c', and was 'a' in the fit"):
            model.predict(frame(["c", "b", "a"]))
        with pytest.raises(InputError, match="3 features; give the same columns"):
            model.predict(frame(["a", "b"]))
    assert spred.path(X.to_numpy(), y, n_alphas=3).feature_names is None


def test_samples_to_predict_are_finite_numbers() -> None:
    X, y = frame(["a", "b", "c"]), np.arange(20.0)
    path = spred.path(X, y, n_alphas=3)
    with pytest.raises(InputError, match="NaN or infinity in column 'b'"):
        path.predict(X.assign(b=np.nan))
    with pytest.raises(InputError, match="cannot be read as numbers"):
        path.predict(X.assign(b="high"))
