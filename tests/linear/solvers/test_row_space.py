"""A ridge in the row space of its data is the ridge that was asked, against Newton's method in all features."""

from __future__ import annotations

import numpy as np
import pytest
from problems import PROBLEMS
from scipy import sparse

from spred.linear.problem import Problem, make_problem
from spred.linear.solvers.newton import Newton, null_state
from spred.linear.solvers.outer import Limits, Outcome
from spred.linear.solvers.row_space import in_row_space

WIDE = [name for name in sorted(PROBLEMS) if len(PROBLEMS[name].y) < PROBLEMS[name].X.shape[1]]
LIMITS = Limits(1e-12)


def solved(problem: Problem, alpha: float) -> Outcome:
    null = null_state(problem, LIMITS)
    unit = float(problem.loss.value(null.eta, problem.y, problem.s))
    return Newton(problem, null, unit).advance(alpha, LIMITS)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"standardize": True},
        {"fit_intercept": False},
        {"penalty_weights": "some free"},
        {"feature_groups": "pairs"},
    ],
    ids=lambda options: next(iter(options), "plain"),
)
@pytest.mark.parametrize("name", WIDE)
def test_it_is_newtons_solution_in_all_features(name: str, options: dict) -> None:
    row = PROBLEMS[name]
    n, p = row.X.shape
    given = dict(options) | ({"fit_intercept": False} if row.loss == "squared" else {})  # presolve takes it out before
    if "penalty_weights" in given:
        given["penalty_weights"] = np.r_[0.0, 0.0, np.linspace(0.5, 3.0, p - 2)]
    if "feature_groups" in given:
        given["feature_groups"] = np.arange(p) // 2
    problem = make_problem(row.X, row.y, loss=row.loss, l1_ratio=0.0, **given)
    found = in_row_space(problem)
    assert found is not None
    smaller, rows = found
    assert smaller.design.p == n + (2 if "penalty_weights" in given else 0)
    quick, plain = solved(smaller, 0.1), solved(problem, 0.1)
    expanded = rows.expanded(quick.model)
    np.testing.assert_allclose(expanded.dense(p), plain.model.dense(p), atol=1e-7)
    np.testing.assert_allclose(expanded.b, plain.model.b, atol=1e-7)
    for a, b in zip(
        (quick.certificate.primal, quick.certificate.dual),
        (plain.certificate.primal, plain.certificate.dual),
        strict=True,
    ):
        assert a == pytest.approx(b, rel=1e-9)


def test_sparse_columns_are_taken_as_dense_ones_are() -> None:
    row = PROBLEMS["logistic-wide"]
    one, other = (
        in_row_space(make_problem(X, row.y, loss="logistic", l1_ratio=0.0)) for X in (sparse.csc_array(row.X), row.X)
    )
    np.testing.assert_allclose(one[0].design.X @ one[0].design.X.T, other[0].design.X @ other[0].design.X.T, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("logistic-wide", {"l1_ratio": 0.5}),
        ("logistic-wide", {"l1_ratio": 0.0, "positive": True}),
        ("logistic-tall", {"l1_ratio": 0.0}),
    ],
)
def test_other_problems_stay_as_they_are(name: str, options: dict) -> None:
    row = PROBLEMS[name]
    assert in_row_space(make_problem(row.X, row.y, loss="logistic", **options)) is None
