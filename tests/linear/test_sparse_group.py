"""The sparse-group Lasso in the engine: against oracles, peers, and its two ends."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import fista, null_gradient, objective
from problems import PROBLEMS, Problem

import spred
from spred.core.partition import Labels
from spred.core.penalties import Penalty, alpha_max
from spred.errors import InputError

NAMES = [name for name in sorted(PROBLEMS) if not name.startswith("multinomial")]


def groups_of(problem: Problem) -> np.ndarray:
    """Four features or so in each, not neighbours."""
    p = problem.X.shape[1]
    return np.arange(p) % max(p // 4, 1)


def penalty_for(problem: Problem, fraction: float, within: float, l1_ratio: float = 1.0) -> Penalty:
    groups = groups_of(problem)
    weights = np.sqrt(np.bincount(groups))
    unit = Penalty(1.0, l1_ratio, weights, Labels(groups, len(weights)), within_ratio=within)
    alpha = fraction * alpha_max(null_gradient(problem), unit)
    return Penalty(alpha, l1_ratio, weights, unit.partition, within_ratio=within)


def assert_optimal(problem: Problem, penalty: Penalty, solution: spred.Solution) -> None:
    reference = fista(problem, penalty, tol=1e-9).objective
    reached = objective(problem, penalty, solution.coef, np.asarray(solution.intercept))
    assert solution.status is spred.Status.CONVERGED
    assert solution.gap <= 1e-9
    assert solution.kkt <= 1e-6
    assert reached == pytest.approx(solution.certificate.primal, rel=1e-10)
    assert reached <= reference * (1 + 1e-9)


@pytest.mark.parametrize("within", [0.1, 0.9])
@pytest.mark.parametrize("name", NAMES)
def test_it_is_never_worse_than_fista(name: str, within: float) -> None:
    problem = PROBLEMS[name]
    penalty = penalty_for(problem, 0.1, within)
    solution = spred.solve(
        problem.X,
        problem.y,
        loss=problem.loss,
        alpha=penalty.alpha,
        feature_groups=groups_of(problem),
        within_ratio=within,
    )
    assert_optimal(problem, penalty, solution)


@pytest.mark.parametrize("name", ["squared-wide", "poisson-sparse", "logistic-wide", "cox-wide"])
def test_some_groups_are_out_and_others_are_in_with_zeros(name: str) -> None:
    problem = PROBLEMS[name]
    groups = groups_of(problem)
    penalty = penalty_for(problem, 0.3, 0.5)
    solution = spred.solve(
        problem.X, problem.y, loss=problem.loss, alpha=penalty.alpha, feature_groups=groups, within_ratio=0.5
    )
    used = np.array([(solution.coef[groups == g] != 0).mean() for g in np.unique(groups)])
    assert (used == 0).any()
    assert ((used > 0) & (used < 1)).any()


@pytest.mark.parametrize("name", ["squared-wide", "logistic-wide", "poisson-tall"])
def test_a_ridge_goes_with_it(name: str) -> None:
    problem = PROBLEMS[name]
    penalty = penalty_for(problem, 0.1, 0.5, l1_ratio=0.6)
    solution = spred.solve(
        problem.X,
        problem.y,
        loss=problem.loss,
        alpha=penalty.alpha,
        feature_groups=groups_of(problem),
        within_ratio=0.5,
        l1_ratio=0.6,
    )
    assert_optimal(problem, penalty, solution)


@pytest.mark.parametrize("name", ["squared-wide", "logistic-wide", "huber-wide", "cox-wide"])
def test_the_ends_are_the_group_lasso_and_the_lasso(name: str) -> None:
    problem = PROBLEMS[name]
    groups = groups_of(problem)
    given = {"loss": problem.loss, "n_alphas": 12, "eps": 0.05}
    grouped = spred.path(problem.X, problem.y, feature_groups=groups, within_ratio=1e-9, **given)
    ends = spred.path(problem.X, problem.y, feature_groups=groups, **given)
    np.testing.assert_allclose(grouped.objectives, ends.objectives, rtol=1e-7)
    single = spred.path(problem.X, problem.y, feature_groups=groups, within_ratio=1.0, **given)
    lasso = spred.path(problem.X, problem.y, **given)
    np.testing.assert_allclose(single.alphas, lasso.alphas, rtol=1e-12)
    np.testing.assert_allclose(single.objectives, lasso.objectives, rtol=1e-7)
    assert single.n_nonzero.tolist() == lasso.n_nonzero.tolist()


@pytest.mark.parametrize("within", [0.05, 0.5, 0.999])
@pytest.mark.parametrize("loss", ["squared", "logistic", "huber", "cox"])
def test_a_path_begins_at_its_largest_useful_alpha_and_is_certified(loss: str, within: float) -> None:
    problem = PROBLEMS[f"{loss}-wide"]
    path = spred.path(
        problem.X,
        problem.y,
        loss=loss,
        feature_groups=groups_of(problem),
        within_ratio=within,
        n_alphas=20,
        eps=0.05,
    )
    assert path.converged
    assert path.gaps.max() <= 1e-9
    assert path.n_nonzero[0] == 0 < path.n_nonzero[1]


@pytest.mark.parametrize("within", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(6))
def test_heavy_tails_and_more_coefficients_than_samples_converge(seed: int, within: float) -> None:
    """Huber's curvature all but vanishes at outliers: a start that raises the objective would not come back."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((60, 200))
    y = 2.0 + X[:, :12] @ rng.standard_normal(12) + rng.standard_t(1.0, size=60)
    path = spred.path(
        X, y, loss="huber", feature_groups=np.arange(200) // 4, within_ratio=within, n_alphas=20, eps=0.05
    )
    assert path.converged
    assert path.gaps.max() <= 1e-9
    assert path.kkts.max() <= 1e-7
    assert path.n_nonzero[-1] > 60


def test_it_goes_with_bounds_and_free_groups() -> None:
    problem = PROBLEMS["logistic-wide"]
    groups = groups_of(problem)
    weights = np.sqrt(np.bincount(groups))
    weights[3] = 0.0
    path = spred.path(
        problem.X,
        problem.y,
        loss="logistic",
        feature_groups=groups,
        within_ratio=0.4,
        penalty_weights=weights,
        positive=True,
        n_alphas=10,
        eps=0.1,
    )
    assert path.gaps.max() <= 1e-9
    assert (path.coefs[0, groups == 3] != 0).all()
    assert (path.coefs[0, groups == 3] < 0).any()
    assert path.coefs[:, groups != 3].min() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"within_ratio": 0.5}, "give feature_groups too"),
        ({"within_ratio": 1.5, "feature_groups": np.zeros(12)}, "within_ratio is 1.5"),
        ({"within_ratio": 0.5, "feature_groups": np.zeros(12), "loss": "multinomial"}, "one linear predictor"),
    ],
)
def test_what_has_no_meaning_gets_one_sentence(options: dict, message: str) -> None:
    X = PROBLEMS["squared-tall"].X
    with pytest.raises(InputError, match=message):
        spred.solve(X, np.arange(60) % 3, alpha=0.1, **options)
