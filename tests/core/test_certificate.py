"""The certificate on the table of problems: never too small anywhere, zero where an oracle has solved."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import Reference
from problems import PROBLEMS, Problem
from strategies import positive, sample, seeds, send

from spred.core.certificate import Certificate, certify, free_newton_step, relative_gap
from spred.core.losses import LOSSES, Loss
from spred.core.partition import SINGLES, Axes, Labels, Partition
from spred.core.penalties import Penalty, alpha_max
from spred.errors import InputError

every_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
KINDS = ("lasso", "elastic net", "ridge", "groups", "weighted", "sparse groups", "not negative")


def penalty_for(problem: Problem, kind: str) -> Penalty:
    """A penalty of each kind, at a tenth of the alpha that would remove everything."""
    p = problem.X.shape[1]
    partition: Partition = SINGLES
    if kind.endswith("groups"):  # rows of a multinomial's coefficients, pairs of neighbours otherwise
        partition = Axes((0,)) if problem.data_term.multi else Labels(np.arange(p) // 2, (p + 1) // 2)
    weights = np.broadcast_to(np.linspace(0.5, 2.0, p), problem.coef_shape[::-1]).T if kind == "weighted" else 1.0
    unit = Penalty(
        alpha=1.0,
        l1_ratio={"elastic net": 0.6, "ridge": 0.0}.get(kind, 1.0),
        weights=weights,
        partition=partition,
        within_ratio=0.4 if kind == "sparse groups" else 0.0,
        positive=kind == "not negative",
    )
    largest = Penalty(1.0) if kind == "ridge" else unit  # a ridge has no largest alpha of its own
    return replace(unit, alpha=0.1 * alpha_max(oracles.null_gradient(problem), largest))


@cache
def solved(problem: Problem, kind: str) -> Reference:
    return oracles.fista(problem, penalty_for(problem, kind))


@every_problem
@pytest.mark.parametrize("kind", KINDS)
def test_certificate_is_zero_at_the_solution(problem: Problem, kind: str) -> None:
    best = solved(problem, kind)
    found = oracles.judge(problem, penalty_for(problem, kind), best.coef, best.intercept)
    assert 0.0 <= found.gap <= 1e-9
    assert 0.0 <= found.kkt <= 1e-8
    assert found.primal == pytest.approx(best.objective, rel=1e-14)
    assert found.dual <= found.primal + 1e-14


@pytest.mark.parametrize("name", [n for n in PROBLEMS if PROBLEMS[n].loss in oracles.KNOWN_TO_SCIKIT_LEARN])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.6], ids=["lasso", "elastic net"])
def test_certificate_is_zero_at_the_solution_of_scikit_learn(name: str, l1_ratio: float) -> None:
    problem = PROBLEMS[name]
    kind = "lasso" if l1_ratio == 1.0 else "elastic net"
    penalty = penalty_for(problem, kind)
    theirs = oracles.scikit_learn(problem, penalty.alpha, l1_ratio)
    found = oracles.judge(problem, penalty, theirs.coef, theirs.intercept)
    assert 0.0 <= found.gap <= 1e-9
    assert found.kkt <= 1e-7
    assert theirs.objective == pytest.approx(solved(problem, kind).objective, rel=1e-11)


@every_problem
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15)
@given(seed=seeds, size=st.sampled_from((1e-3, 0.1, 1.0)))
def test_gap_bounds_the_suboptimality_of_any_point(problem: Problem, kind: str, seed: int, size: float) -> None:
    best, rng = solved(problem, kind), np.random.default_rng(seed)
    coef = best.coef + size * rng.standard_normal(best.coef.shape) * (rng.random(best.coef.shape) < 0.3)
    if kind == "not negative":
        coef = np.abs(coef)
    intercept = best.intercept + size * rng.standard_normal(best.intercept.shape)
    found = oracles.judge(problem, penalty_for(problem, kind), coef, intercept)
    excess = (found.primal - best.objective) / oracles.null_objective(problem)
    assert found.gap >= excess - 1e-10
    assert found.dual <= best.objective + 1e-10
    assert found.kkt > 0


@pytest.mark.parametrize("name", [n for n in PROBLEMS if PROBLEMS[n].data_term.intercept])
def test_kkt_sees_an_intercept_that_is_off(name: str) -> None:
    problem = PROBLEMS[name]
    penalty = Penalty(1.001 * alpha_max(oracles.null_gradient(problem), Penalty(1.0)))
    null = problem.data_term.null(problem.target, problem.weights)
    push = 1e-3 * np.arange(1, 1 + null.size).reshape(null.shape)  # a shift that softmax does not ignore
    coef, off = np.zeros(problem.coef_shape), null + push
    eta = oracles.predictor(problem, coef, off)
    imbalance = np.abs(problem.data_term.gradient(eta, problem.target, problem.weights).sum(axis=0)).max()
    assert oracles.judge(problem, penalty, coef, off).kkt >= 0.999 * imbalance / penalty.alpha > 0


@every_problem
def test_null_model_is_certified_above_alpha_max(problem: Problem) -> None:
    top = alpha_max(oracles.null_gradient(problem), Penalty(1.0))
    null = problem.data_term.null(problem.target, problem.weights)
    coef = np.zeros(problem.coef_shape)
    above = oracles.judge(problem, Penalty(1.001 * top), coef, null)
    below = oracles.judge(problem, Penalty(0.9 * top), coef, null)
    assert above.gap <= 1e-13
    assert above.kkt <= 1e-13
    assert below.gap > 1e-6
    assert below.kkt == pytest.approx(1 / 0.9 - 1)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@given(seed=seeds, spread=positive)
def test_projected_theta_is_orthogonal_to_the_free_columns(loss: Loss, seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    free = np.column_stack([np.ones(12), rng.standard_normal((12, 2))])
    eta, y, s = sample(loss, seed, n=12)
    eta = spread * eta / 3.0
    y = eta + 0.5 * y if loss.name == "huber" else y  # beyond its transition Huber's loss has no curvature to step on
    theta = loss.gradient(eta, y, s)
    shift = free_newton_step(loss, theta, eta, y, s, free)
    np.testing.assert_allclose(free.T @ (theta + shift), 0.0, atol=1e-9)
    there = free_newton_step(loss, *(send("torch", x) for x in (theta, eta, y, s, free)))
    np.testing.assert_allclose(there, shift, atol=1e-9)


def test_a_dual_point_that_cannot_be_projected_is_not_trusted() -> None:
    """Every residual beyond Huber's transition: no curvature, so only θ = 0 is known to be admissible."""
    loss, y, s = LOSSES["huber"], np.array([9.0, 9.0, -9.0]), np.full(3, 1 / 3)
    v, X = np.zeros(1), np.array([[1.0], [0.0], [1.0]])
    found = certify(
        loss,
        Penalty(1.0),
        v,
        X @ v,
        y,
        s,
        correlate=lambda theta: X.T @ theta,
        free=np.ones((3, 1)),
        null_objective=1.0,
    )
    assert found.dual == 0.0
    assert found.kkt > 0


def test_a_loss_without_a_conjugate_has_no_gap_and_one_without_a_curvature_no_projection() -> None:
    loss, X, y = LOSSES["squared"], np.eye(3), np.array([3.0, 0.0, 1.0])
    plain = Loss(name="plain", value=loss.value, gradient=loss.gradient, mean=loss.mean, null=loss.null)
    dual = replace(plain, conjugate=loss.conjugate)
    assert [plain.has_curvature, plain.has_conjugate, dual.has_curvature] == [False, False, False]
    given = Penalty(1.0), np.zeros(3), np.zeros(3), y, np.full(3, 1 / 3)
    rest = {"correlate": lambda theta: X.T @ theta, "free": np.ones((3, 1)), "null_objective": 1.0}
    assert certify(plain, *given, **rest).gap == np.inf
    assert certify(dual, *given, **rest).dual == 0.0
    with pytest.raises(InputError, match="no curvature"):
        plain.curvature(np.zeros(3), y, np.full(3, 1 / 3))


def bare(penalty: Penalty, v: np.ndarray, X: np.ndarray, y: np.ndarray, free: np.ndarray | None) -> Certificate:
    """The certificate of a squared problem without an intercept."""
    return certify(
        LOSSES["squared"],
        penalty,
        v,
        X @ v,
        y,
        np.full(len(y), 1 / len(y)),
        correlate=lambda theta: X.T @ theta,
        free=free,
        null_objective=0.5 * float(np.mean(y**2)),
    )


def test_without_free_columns_the_closed_form_is_certified() -> None:
    X = np.sqrt(6) * np.linalg.qr(np.random.default_rng(0).standard_normal((6, 4)))[0]
    t = np.array([2.0, -0.3, 0.8, -1.5])
    v = np.sign(t) * np.maximum(np.abs(t) - 0.5, 0.0)
    found = bare(Penalty(0.5), v, X, X @ t, None)
    assert found.gap <= 1e-14
    assert found.kkt <= 1e-14
    assert bare(Penalty(0.5), np.zeros(4), X, X @ t, None).kkt == pytest.approx(3.0)


def test_unpenalised_columns_are_certified_as_free() -> None:
    """Weight zero in the penalty goes with the column in ``free``: least squares is certified there."""
    X = np.sqrt(6) * np.linalg.qr(np.random.default_rng(0).standard_normal((6, 2)))[0]
    t = np.array([0.2, 2.0])
    penalty = Penalty(0.5, weights=np.array([0.0, 1.0]))
    assert bare(penalty, np.array([0.2, 1.5]), X, X @ t, X[:, :1]).gap <= 1e-14
    off = bare(penalty, np.array([0.0, 1.5]), X, X @ t, X[:, :1])
    assert off.kkt == pytest.approx(0.2 / 0.5)
    assert off.gap * 0.5 * np.mean((X @ t) ** 2) >= 0.5 * 0.2**2 - 1e-12


def test_without_a_penalty_the_kkt_residual_is_absolute() -> None:
    X, y = np.eye(3), np.array([3.0, 0.0, 0.0])
    found = bare(Penalty(0.0), np.zeros(3), X, y, None)
    assert found.kkt == pytest.approx(1.0)
    assert found.gap == pytest.approx(1.0)
    assert bare(Penalty(0.0), y, X, y, None).gap <= 1e-14


@pytest.mark.parametrize(
    ("primal", "dual", "unit", "gap"),
    [
        (1.0, 0.5, 2.0, 0.25),
        (1.0, 1.0 + 1e-15, 1.0, 1e-15),
        (1.0, 1.0 + 1e-9, 1.0, np.inf),
        (1e20, 1e20 + 1e12, 1e20, np.inf),
        (0.0, 1e-13, 0.0, 1e-13),
        (np.nan, 0.0, 1.0, np.inf),
        (1.0, -np.inf, 1.0, np.inf),
    ],
)
def test_a_dual_above_the_primal_by_more_than_rounding_bounds_nothing(
    primal: float, dual: float, unit: float, gap: float
) -> None:
    assert relative_gap(primal, dual, unit) == pytest.approx(gap, rel=0.2)


@pytest.mark.parametrize("loss", ["logistic", "poisson", "cox", "multinomial"])
def test_a_projection_does_not_depend_on_the_units_of_free_columns(loss: str) -> None:
    rng = np.random.default_rng(0)
    free, unit = rng.standard_normal((12, 3)), np.array([1e-9, 1.0, 1e9])
    eta, y, s = sample(LOSSES[loss], 0, n=12)
    theta = LOSSES[loss].gradient(eta, y, s)
    one, other = (free_newton_step(LOSSES[loss], theta, eta, y, s, Z) for Z in (free, free * unit))
    np.testing.assert_allclose(other, one, atol=1e-9)
