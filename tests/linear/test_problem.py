"""A problem is checked once, keeps no function that cannot be written down, and pickles."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from problems import PROBLEMS
from scipy import sparse

import spred
from spred.core.losses import LOSSES
from spred.core.partition import norms
from spred.errors import InputError
from spred.linear.path import solve_of
from spred.linear.problem import Problem, ProblemOptions, check_finite, make_problem
from spred.linear.solvers.outer import Limits, full_gradient
from spred.linear.solvers.path_solver import PathSolver

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


GOOD = np.arange(20.0).reshape(10, 2) ** 1.5


@pytest.mark.parametrize(
    ("X", "y", "options", "message"),
    [
        (GOOD + 1j, None, {}, "X holds complex numbers"),
        (sparse.csr_array(GOOD + 1j), None, {}, "X holds complex numbers"),
        (GOOD, np.arange(10) * 1j, {}, "y holds complex numbers"),
        (GOOD.astype("M8[s]"), None, {}, "X holds dates or times"),
        (np.array([[np.datetime64("2020"), 1.0]] * 10, dtype=object), None, {}, "X holds dates or times"),
        (pd.DataFrame({"age": GOOD[:, 0], "seen": pd.date_range("2020", periods=10)}), None, {}, "column 'seen' of X"),
        (pd.DataFrame({"stay": pd.to_timedelta(GOOD[:, 0], unit="D")}), None, {}, "column 'stay' of X holds dates"),
        (pd.DataFrame({"month": pd.period_range("2020", periods=10, freq="M")}), None, {}, "column 'month' of X"),
        (GOOD, pd.date_range("2020", periods=10), {}, "y holds dates or times"),
        (GOOD, None, {"alpha": None}, "alpha is None; give one positive number"),
        (GOOD, None, {"alpha": [0.1]}, r"alpha is \[0.1\]; give one positive number"),
        (GOOD, None, {"sample_weight": ["a"] * 10}, "sample_weight cannot be read as numbers"),
        (GOOD, None, {"offset": np.arange(10) * 1j}, "offset holds complex numbers"),
        (GOOD * 1e152, None, {}, "beyond the range of float64"),
        (GOOD * 1e-200, None, {}, "beyond the range of float64"),
        (GOOD * [1.0, 1e-200], None, {"standardize": True}, "beyond the range of float64"),
        (GOOD, np.arange(10) * 1e152, {}, "y is of size"),
        (GOOD, np.arange(10) * 1e-152, {"loss": "huber"}, "y is of size"),
    ],
)
def test_what_is_no_real_number_or_has_no_place_is_refused_in_a_sentence(X, y, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        spred.solve(X, np.arange(10.0) if y is None else y, **({"alpha": 0.1} | options))
    assert "\n" not in str(caught.value)


def test_a_sparse_matrix_that_contradicts_itself_is_refused() -> None:
    X = sparse.csc_array(GOOD)
    X.indices[3] = 99
    with pytest.raises(InputError, match="sparse matrix that contradicts itself"):
        spred.solve(X, np.arange(10.0), alpha=0.1)


@pytest.mark.parametrize("form", ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"])
def test_every_sparse_format_is_taken(form: str) -> None:
    X, y = sparse.csr_array(GOOD), np.arange(10.0)
    found = spred.solve(X.asformat(form), y, alpha=0.1)
    np.testing.assert_array_equal(found.coef, spred.solve(X, y, alpha=0.1).coef)
    np.testing.assert_allclose(found.predict(X.asformat(form)), found.predict(GOOD))


def test_entries_that_come_twice_are_added() -> None:
    twice = sparse.csc_array((np.ones(5), [0, 0, 1, 2, 4], [0, 3, 5]), shape=(10, 2))
    sparse_one, dense = (spred.solve(X, np.arange(10.0), alpha=0.01) for X in (twice, twice.toarray()))
    np.testing.assert_allclose(sparse_one.coef, dense.coef, atol=1e-12)


@pytest.mark.parametrize("weight", [2, 1e-320, 1e308, np.full(10, 1e308), np.full(10, 1e-9)])
def test_one_weight_is_for_all_and_of_any_size(weight: object) -> None:
    found = spred.solve(GOOD, np.arange(10.0), alpha=0.1, sample_weight=weight)
    np.testing.assert_allclose(found.coef, spred.solve(GOOD, np.arange(10.0), alpha=0.1).coef, atol=1e-9)


@pytest.mark.parametrize("loss", ["squared", "huber", "logistic", "poisson", "multinomial", "cox"])
@pytest.mark.parametrize("row_sparse", [True, False])
def test_units_of_free_columns_do_not_matter(loss: str, row_sparse: bool) -> None:
    rng = np.random.default_rng(3)
    X, omega = rng.standard_normal((60, 7)), np.r_[np.zeros(4), np.ones(3)]
    eta = X[:, :4] @ rng.standard_normal(4) * 0.5
    y = {
        "squared": lambda: eta + rng.standard_normal(60),
        "huber": lambda: eta + rng.standard_t(2.0, 60),
        "logistic": lambda: (eta + rng.logistic(size=60) > 0).astype(float),
        "poisson": lambda: rng.poisson(np.exp(eta)).astype(float),
        "multinomial": lambda: np.digitize(eta + rng.logistic(size=60), [-1.0, 1.0]).astype(float),
        "cox": lambda: spred.survival_target(rng.random(60) < 0.7, rng.exponential(np.exp(-eta))),
    }[loss]()
    unit = np.r_[10.0 ** np.array([-6.0, -2.0, 3.0, 6.0]), np.ones(3)]
    options = {"loss": loss, "alpha": 0.03, "penalty_weights": omega, "row_sparse": row_sparse}
    one, other = (spred.solve(Z, y, **options) for Z in (X, X * unit))
    assert other.status is spred.Status.CONVERGED
    assert other.certificate.primal == pytest.approx(one.certificate.primal, rel=1e-9)
    np.testing.assert_allclose(other.coef * unit, one.coef, atol=1e-5)


def test_the_shift_that_softmax_does_not_see_stays_where_it_is() -> None:
    """Entries penalised alone, at alphas so small that the classes are nearly separated."""
    rng = np.random.default_rng(0)
    for trial in range(4):
        X = rng.standard_normal((25, 12))
        y = np.r_[0.0, 1.0, 2.0, 3.0, np.argmax(X[4:] @ rng.standard_normal((12, 4)), axis=1)]
        problem = make_problem(X, y, loss="multinomial", row_sparse=False)
        solver = PathSolver(problem, Limits())
        for outcome in solver.along([(solver.top * 0.3**step, Limits()) for step in range(1, 8)]):
            assert outcome.certificate.gap <= 1e-9, trial
            assert outcome.certificate.kkt <= 1e-6
            assert np.abs(outcome.model.b).max() < 100.0
