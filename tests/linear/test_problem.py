"""A problem is checked once, keeps no function that cannot be written down, and pickles."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from problems import PROBLEMS
from scipy import sparse

from spred.core.losses import LOSSES
from spred.core.partition import norms
from spred.errors import InputError
from spred.linear.path import solve_of
from spred.linear.problem import Problem, ProblemOptions, check_finite, make_problem
from spred.linear.solvers.outer import Limits, full_gradient

OF_EACH_LOSS = [next(name for name in PROBLEMS if PROBLEMS[name].loss == loss) for loss in LOSSES]


def variants(name: str) -> dict[str, Problem]:
    """The problem of a row, plain, with an offset or with contrasts, and with a sparse matrix."""
    row = PROBLEMS[name]
    dense = row.X.toarray() if sparse.issparse(row.X) else row.X
    offset = np.linspace(-0.5, 0.5, len(row.y))
    found = {
        "dense": make_problem(dense, row.y, loss=row.loss, row_sparse=False),
        "sparse": make_problem(sparse.csc_array(dense), row.y, loss=row.loss),
        "groups": make_problem(dense, row.y, loss=row.loss, feature_groups=np.arange(dense.shape[1]) // 2),
    }
    if row.data_term.takes_offset:
        found["offset"] = make_problem(dense, row.y, loss=row.loss, offset=offset)
    return found


@pytest.mark.parametrize("name", OF_EACH_LOSS)
def test_an_unpickled_problem_has_the_same_solution_to_the_bit(name: str) -> None:
    for variant, problem in variants(name).items():
        again = pickle.loads(pickle.dumps(problem))
        ours, theirs = (solve_of(each, 0.1, Limits()) for each in (problem, again))
        np.testing.assert_array_equal(ours.coef, theirs.coef, err_msg=variant)
        np.testing.assert_array_equal(ours.intercept, theirs.intercept, err_msg=variant)
        assert ours.certificate == theirs.certificate, variant


def test_contrasts_and_offsets_are_what_was_pickled() -> None:
    assert variants("multinomial-tall")["sparse"].basis is not None
    assert variants("multinomial-tall")["dense"].basis is None
    assert variants("logistic-tall")["offset"].loss.offset is not None
    assert variants("squared-tall")["offset"].loss is LOSSES["squared"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("squared-tall", {}),
        ("multinomial-tall", {}),
        ("multinomial-tall", {"row_sparse": False}),
        ("squared-tall", {"feature_groups": np.arange(12) // 5}),
        ("multinomial-tall", {"feature_groups": np.arange(8) // 3}),
    ],
)
def test_group_norms_are_cores(name: str, options: dict) -> None:
    row = PROBLEMS[name]
    problem = make_problem(row.X, row.y, loss=row.loss, **options)
    v = np.random.default_rng(0).standard_normal((problem.design.p, problem.n_outputs))
    np.testing.assert_allclose(problem.groups.norms(v), norms(v, problem.groups.partition).reshape(-1), rtol=1e-14)


@pytest.mark.parametrize(
    "options", [{}, {"feature_groups": np.arange(12) // 3, "within_ratio": 0.4}, {"positive": True}]
)
def test_the_excess_at_zero_is_the_kkt_residual(options: dict) -> None:
    row = PROBLEMS["squared-tall"]
    problem = make_problem(row.X, row.y, loss="squared", l1_ratio=0.7, **options)
    zero = np.zeros((12, 1))
    grad, penalty = full_gradient(problem, problem.eta(zero, np.zeros(1))), problem.penalty(0.3)
    excess = np.maximum(problem.excess_at_zero(grad, 0.3 * 0.7), 0.0)
    np.testing.assert_allclose(excess, penalty.kkt_residual(zero, grad).reshape(-1), atol=1e-14)
    assert excess.any()


def test_a_ridge_is_a_problem_too() -> None:
    row = PROBLEMS["logistic-tall"]
    problem = make_problem(row.X, row.y, loss="logistic", l1_ratio=0)
    assert problem.penalty(0.5).value(np.full((10, 1), 2.0)) == pytest.approx(0.5 * 0.5 * 10 * 4)
    for ratio in (-0.1, 1.5, np.nan):
        with pytest.raises(InputError, match="from 0 \\(a ridge\\) to 1"):
            make_problem(row.X, row.y, loss="logistic", l1_ratio=ratio)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positive": np.zeros(3, dtype=bool)}, "positive is neither True nor False nor a boolean for each of the 12"),
        ({"within_ratio": 0.5}, "within_ratio is for groups of features"),
        ({"feature_groups": [0, 1]}, "feature_groups has shape"),
        ({"penalty_weights": -np.ones(12)}, "penalty_weights must be finite and not negative"),
        ({"sample_weight": [1.0]}, "sample_weight has shape"),
        ({"l1_ratio": [0.5, 1.0]}, "give one number here"),
        ({"loss": "squard"}, "did you mean 'squared'"),
    ],
)
def test_the_first_thing_that_is_wrong_is_one_sentence(options: dict, message: str) -> None:
    row = PROBLEMS["squared-tall"]
    with pytest.raises(InputError) as caught:
        make_problem(row.X, row.y, **({"loss": "squared"} | options))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_option_that_is_not_there_is_a_type_error() -> None:
    assert ProblemOptions(loss="squared").l1_ratio == 1.0
    with pytest.raises(TypeError, match="standardise"):
        make_problem(np.eye(3), np.ones(3), loss="squared", standardise=True)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csc_array])
def test_a_column_that_is_not_finite_is_named(kind: type) -> None:
    X = np.eye(4)
    X[2, 1] = np.nan
    with pytest.raises(InputError, match="NaN or infinity in column 'b'"):
        check_finite(kind(X), ["a", "b", "c", "d"])
    with pytest.raises(InputError, match="NaN or infinity in column 1"):
        make_problem(kind(X), np.ones(4), loss="squared")
    check_finite(kind(np.eye(4)))
