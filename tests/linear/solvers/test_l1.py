"""The compiled path solver against the plain one: the same objectives, supports and certificates, alpha by alpha."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from problems import PROBLEMS
from scipy import sparse

from spred.core.certificate import certify
from spred.core.losses import LOSSES
from spred.linear.problem import Problem, make_problem
from spred.linear.results import Status
from spred.linear.solvers.l1 import Compiled
from spred.linear.solvers.newton import Newton, null_state
from spred.linear.solvers.outer import Limits, Outcome
from spred.linear.solvers.presolve import reduced

ROWS = [name for name in sorted(PROBLEMS) if name.split("-")[0] in ("squared", "logistic", "poisson")]

VARIANTS: dict[str, Callable[[int, int], dict[str, object]]] = {
    "plain": lambda n, p: {},
    "no intercept": lambda n, p: {"fit_intercept": False},
    "standardised": lambda n, p: {"standardize": True},
    "elastic net": lambda n, p: {"l1_ratio": 0.6},
    "weights": lambda n, p: {"penalty_weights": np.r_[0.0, np.linspace(0.5, 2.0, p - 2), 0.0]},
    "positive": lambda n, p: {"positive": np.arange(p) % 2 == 0},
    "offset": lambda n, p: {"offset": np.sin(np.arange(n))},
    "samples": lambda n, p: {"sample_weight": np.arange(n) % 3.0},
    "all": lambda n, p: {
        "standardize": True,
        "l1_ratio": 0.8,
        "penalty_weights": np.r_[0.0, np.ones(p - 1)],
        "positive": np.r_[False, np.ones(p - 1, dtype=bool)],
        "offset": np.cos(np.arange(n)),
        "sample_weight": 1.0 + np.arange(n) % 2,
    },
}


def problem_of(name: str, variant: str = "plain") -> Problem:
    row = PROBLEMS[name]
    return reduced(make_problem(row.X, row.y, loss=row.loss, **VARIANTS[variant](*row.X.shape))).problem


def solved(solver: type, problem: Problem, limits: Limits, fractions: np.ndarray) -> list[Outcome]:
    null = null_state(problem, limits)
    objective = float(problem.loss.value(null.eta, problem.y, problem.s))
    path = solver(problem, null, objective)
    return [path.advance(float(fraction * null.alpha), limits) for fraction in fractions]


def eta_of(problem: Problem, outcome: Outcome) -> np.ndarray:
    return problem.eta(outcome.model.dense(problem.design.p), outcome.model.b)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ROWS)
def test_both_solvers_reach_the_same_solution(name: str, variant: str) -> None:
    limits, fractions = Limits(1e-10), np.geomspace(0.9, 0.02, 12)
    problem = problem_of(name, variant)
    assert Compiled.needs(problem) is None
    fast, slow = (solved(solver, problem_of(name, variant), limits, fractions) for solver in (Compiled, Newton))
    for ours, reference in zip(fast, slow, strict=True):
        assert ours.status is reference.status is Status.CONVERGED
        scale = max(abs(reference.certificate.primal), 1e-3)
        assert abs(ours.certificate.primal - reference.certificate.primal) <= 1e-9 * scale
        np.testing.assert_allclose(eta_of(problem, ours), eta_of(problem, reference), atol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ROWS)
def test_the_certificate_is_that_of_a_pass_over_all_features(name: str, variant: str) -> None:
    """The primal from the coefficients as handed out, the gap and the KKT residual from every column."""
    problem, limits = problem_of(name, variant), Limits(1e-8)
    null = null_state(problem, limits)
    unit = float(problem.loss.value(null.eta, problem.y, problem.s))
    solver, design = Compiled(problem, null, unit), problem.design
    free = [design.columns(np.flatnonzero(problem.groups.weights == 0))]
    if problem.fit_intercept:
        free.append(np.ones((design.n, 1)))
    for fraction in (0.5, 0.1):
        alpha = fraction * null.alpha
        ours = solver.advance(alpha, limits)
        slow = certify(
            problem.loss,
            problem.penalty(alpha),
            ours.model.dense(problem.design.p),
            eta_of(problem, ours),
            problem.y,
            problem.s,
            correlate=lambda theta: design.correlate(theta[:, None]),
            free=np.column_stack(free),
            null_objective=unit,
        )
        assert ours.certificate.primal == pytest.approx(slow.primal, rel=1e-12)
        assert slow.gap <= 1e-8
        assert ours.certificate.dual <= slow.primal + 1e-14
        assert ours.certificate.gap == pytest.approx(slow.gap, abs=1e-10)
        assert ours.certificate.kkt == pytest.approx(slow.kkt, abs=1e-9)


def test_a_loss_of_ones_own_under_a_known_name_is_left_to_the_plain_solver() -> None:
    row = PROBLEMS["logistic-tall"]
    own = replace(LOSSES["logistic"], value=lambda eta, y, s: 2.0 * LOSSES["logistic"].value(eta, y, s))
    assert Compiled.needs(make_problem(row.X, row.y, loss=own)) is not None
    grouped = make_problem(row.X, row.y, loss="logistic", feature_groups=np.arange(10) // 2)
    assert Compiled.needs(grouped) is not None


@pytest.mark.parametrize("layout", ["float32", "rows first", "sparse"])
def test_every_layout_gives_the_same(layout: str) -> None:
    rng = np.random.default_rng(0)
    X = np.where(rng.random((60, 300)) < 0.3, rng.standard_normal((60, 300)), 0.0).astype(np.float32)
    y = (X[:, 0] - X[:, 1] + 0.3 * rng.standard_normal(60) > 0).astype(float)
    given = {
        "float32": X,
        "rows first": np.ascontiguousarray(X, dtype=np.float64),
        "sparse": sparse.csc_array(X.astype(np.float64)),
    }[layout]
    limits, fractions = Limits(1e-11), np.geomspace(0.9, 0.05, 8)
    ours = solved(Compiled, make_problem(given, y, loss="logistic"), limits, fractions)
    reference = solved(Newton, make_problem(X.astype(np.float64), y, loss="logistic"), limits, fractions)
    for a, b in zip(ours, reference, strict=True):
        np.testing.assert_allclose(a.model.dense(300), b.model.dense(300), atol=1e-6)


def test_a_memory_map_is_read_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spred.linear.design.COPIED", 0)  # as large matrices are treated
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 100)).astype(np.float32)
    X.tofile(tmp_path / "X")
    given = np.memmap(tmp_path / "X", dtype=np.float32, mode="r", shape=X.shape)
    problem = make_problem(given, X[:, 0] - X[:, 1], loss="squared")
    assert not problem.design.X.flags.writeable
    assert np.shares_memory(problem.design.X, given)
    for outcome in solved(Compiled, problem, Limits(1e-9), np.geomspace(0.9, 0.05, 8)):
        assert outcome.status is Status.CONVERGED


def test_a_saturated_fit_with_duplicates_stays_certified() -> None:
    """More active columns than samples would be needed, every column there twice: supports fill up and no further."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((20, 60))
    X = np.column_stack([X, X])
    y = rng.standard_normal(20)
    for outcome in solved(
        Compiled, reduced(make_problem(X, y, loss="squared")).problem, Limits(1e-9), np.geomspace(0.9, 1e-4, 30)
    ):
        assert outcome.status is Status.CONVERGED
        assert np.count_nonzero(outcome.model.v) <= 20


def test_it_stops_by_iterations_and_by_time_and_says_so() -> None:
    problem = problem_of("logistic-wide")
    few = solved(Compiled, problem, Limits(1e-12, max_iter=1), np.array([0.05]))[0]
    assert few.status is Status.ITERATIONS
    assert few.n_iter == 1
    assert few.certificate.gap > 1e-12
    late = solved(Compiled, problem, Limits(1e-12, deadline=time.perf_counter() - 1.0), np.array([0.05]))[0]
    assert late.status is Status.TIME
    assert np.isfinite(late.certificate.gap)


@pytest.mark.parametrize("variant", ["plain", "weights"])
@pytest.mark.parametrize("name", ["squared-wide", "logistic-wide", "poisson-sparse"])
def test_an_alpha_that_comes_twice_has_the_same_answer_and_its_own_certificate(name: str, variant: str) -> None:
    fractions = np.repeat(np.geomspace(1.5, 0.02, 8), 2)
    outcomes = solved(Compiled, problem_of(name, variant), Limits(1e-9), fractions)
    for first, second in zip(outcomes[::2], outcomes[1::2], strict=True):
        assert second.certificate.gap <= 1e-9
        assert second.certificate.kkt <= 1e-6
        p = 1 + max(first.model.support.max(initial=0), second.model.support.max(initial=0))
        np.testing.assert_allclose(second.model.dense(p), first.model.dense(p), atol=1e-6)


HARD: dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
    "near duplicates": lambda rng, X: np.hstack([X, X + 1e-7 * rng.standard_normal(X.shape)]),
    "triplets": lambda rng, X: np.repeat(X, 3, axis=1),
    "scales": lambda rng, X: X * 10.0 ** rng.uniform(-4, 4, X.shape[1]),
    "rare": lambda rng, X: (X > 1.2).astype(float),
    "low rank and far off": lambda rng, X: X[:, :3] @ rng.standard_normal((3, 40)) + 1e-3 * X[:, :40] + 100.0,
}


@pytest.mark.parametrize("loss", ["squared", "logistic", "poisson"])
@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize("seed", range(3))
def test_hard_designs_are_certified_too(kind: str, loss: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 15 + 20 * seed
    X = HARD[kind](rng, rng.standard_normal((n, 50)))
    eta = 3.0 * X[:, 0] / (np.abs(X[:, 0]).max() + 1e-9)
    y = {
        "squared": eta + rng.standard_normal(n),
        "logistic": np.r_[0.0, 1.0, (eta + rng.logistic(size=n) > 0)[2:]],
        "poisson": 1.0 + rng.poisson(np.exp(np.clip(eta, -3, 3))),
    }[loss]
    problem = reduced(make_problem(X, y, loss=loss)).problem
    for outcome in solved(Compiled, problem, Limits(1e-9), np.geomspace(1.0, 1e-3, 30)):
        assert outcome.status is Status.CONVERGED


def test_a_free_column_that_separates_the_classes_is_followed_far_but_not_over_the_edge() -> None:
    """Its best coefficient is infinite: the objective's lowest value is approached, the steps stay finite."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((40, 30))
    y = (X[:, 1] + rng.logistic(size=40) > 0).astype(float)
    X[:, 0] = np.where(y > 0, rng.random(40) < 0.3, 0.0)
    problem = make_problem(X, y, loss="logistic", penalty_weights=np.r_[0.0, np.ones(29)])
    for outcome in solved(Compiled, problem, Limits(1e-9), np.geomspace(0.9, 0.01, 30)):
        assert outcome.status is Status.CONVERGED
        assert 5.0 < outcome.model.dense(30)[0, 0] < 1e4
