"""The judge of the benchmarks, against brute force: its losses, its bounds, and the gap of a whole path."""

from __future__ import annotations

import numpy as np
import pytest
from objective import LOSSES, judge
from problem import Problem, load, save
from scipy import sparse
from scipy.optimize import approx_fprime, minimize
from tiny import N_FEATURES, N_SAMPLES, tiny
from works import WORKS

N, P = N_SAMPLES, N_FEATURES


def objective(problem: Problem, alpha: float, coef: np.ndarray) -> float:
    """The same, from the definition: coefficient by coefficient, event by event."""
    eta = problem.X @ coef.reshape(P, -1)
    groups = coef.reshape(P, -1) if problem.work != "group-lasso" else coef.reshape(-1, 2)
    return _data_term(problem, eta) + alpha * sum(np.sqrt((group**2).sum()) for group in groups)


def _data_term(problem: Problem, eta: np.ndarray) -> float:
    y, one = problem.y, eta[:, 0]
    if problem.work == "logistic":
        return float(np.mean(np.log1p(np.exp(one)) - y * one))
    if problem.work == "multinomial":
        return float(np.mean([np.log(np.exp(row).sum()) - row[int(k)] for row, k in zip(eta, y, strict=True)]))
    if problem.work == "cox":
        terms = [np.log(np.exp(one[y[:, 0] >= time]).sum()) - one[i] for i, (time, event) in enumerate(y) if event]
        return float(np.sum(terms) / N)
    return float(np.sum((y - one) ** 2) / (2 * N))


def minimum(problem: Problem, alpha: float) -> tuple[np.ndarray, float]:
    """Minimise with the penalty's kink rounded by 1e-10, from several starts."""

    def smooth(coef: np.ndarray) -> float:
        groups = coef.reshape(P, -1) if problem.work != "group-lasso" else coef.reshape(-1, 2)
        sizes = np.sqrt((groups**2).sum(axis=1) + 1e-10)
        return _data_term(problem, problem.X @ coef.reshape(P, -1)) + alpha * sizes.sum()

    starts = np.random.default_rng(1).standard_normal((3, P * problem.n_outputs))
    best = min(
        (minimize(smooth, start, method="BFGS", options={"gtol": 1e-9}) for start in starts), key=lambda r: r.fun
    )
    return best.x, objective(problem, alpha, best.x)


@pytest.mark.parametrize("work", WORKS)
def test_losses_are_their_definitions(work: str) -> None:
    problem, loss = tiny(work), LOSSES[WORKS[work].loss]
    eta = np.random.default_rng(2).standard_normal((N, problem.n_outputs))
    assert loss.value(eta, problem.y) == pytest.approx(_data_term(problem, eta))
    slope = approx_fprime(eta.ravel(), lambda flat: loss.value(flat.reshape(eta.shape), problem.y))
    np.testing.assert_allclose(loss.gradient(eta, problem.y).ravel(), slope, atol=1e-6)


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("scale", [1.0, 0.6])
def test_the_bound_is_minus_the_conjugate_or_below_it(work: str, scale: float) -> None:
    problem, loss = tiny(work), LOSSES[WORKS[work].loss]
    eta = np.random.default_rng(2).standard_normal((N, problem.n_outputs))
    theta = scale * loss.gradient(eta, problem.y)
    found = minimize(
        lambda flat: loss.value(flat.reshape(eta.shape), problem.y) - theta.ravel() @ flat, eta.ravel(), tol=1e-10
    )
    bound = loss.bound(eta, problem.y, scale)
    assert bound <= found.fun + 1e-7
    if work != "cox" or scale == 1.0:
        assert bound == pytest.approx(found.fun, abs=1e-6)


@pytest.mark.parametrize("work", WORKS)
def test_the_gap_bounds_what_is_left_and_closes_at_the_minimum(work: str) -> None:
    problem, loss = tiny(work), LOSSES[WORKS[work].loss]
    null = _data_term(problem, np.zeros((N, problem.n_outputs)))
    rng = np.random.default_rng(3)
    for alpha in problem.alphas[1:]:
        one = Problem(work, problem.X, problem.y, np.array([alpha]), problem.group_size)
        best, least = minimum(one, alpha)
        assert judge(one, loss, best[None]).gap < 1e-4
        for coef in (np.zeros(best.size), best + 0.1 * rng.standard_normal(best.size)):
            assert judge(one, loss, coef[None]).gap >= (objective(one, alpha, coef) - least) / null - 1e-9


@pytest.mark.parametrize("work", WORKS)
def test_the_first_alpha_has_no_feature(work: str) -> None:
    problem, loss = tiny(work), LOSSES[WORKS[work].loss]
    nothing = np.zeros((1, P * problem.n_outputs))
    first = judge(Problem(work, problem.X, problem.y, problem.alphas[:1], problem.group_size), loss, nothing)
    assert first.gap == pytest.approx(0.0, abs=1e-12)
    assert first.kkt == pytest.approx(0.0, abs=1e-12)
    later = judge(Problem(work, problem.X, problem.y, problem.alphas[1:2], problem.group_size), loss, nothing)
    assert later.kkt > 0.1


def test_a_path_is_as_bad_as_its_worst_alpha() -> None:
    problem, loss = tiny("lasso"), LOSSES["squared"]
    coefs = np.array([minimum(problem, alpha)[0] for alpha in problem.alphas])
    coefs[2] += 0.3
    alone = Problem("lasso", problem.X, problem.y, problem.alphas[2:3])
    assert judge(problem, loss, coefs).gap == pytest.approx(judge(alone, loss, coefs[2:3]).gap)
    coefs[1, 0] = np.nan
    assert judge(problem, loss, coefs).gap == np.inf


@pytest.mark.parametrize("work", ["cox", "group-lasso"])
@pytest.mark.parametrize("as_sparse", [False, True])
def test_a_problem_comes_back_from_its_folder(work: str, as_sparse: bool, tmp_path) -> None:
    problem = tiny(work, as_sparse=as_sparse)
    save(problem, tmp_path)
    back = load(tmp_path)
    dense = [X.toarray() if sparse.issparse(X) else X for X in (problem.X, back.X)]
    np.testing.assert_array_equal(*dense)
    np.testing.assert_array_equal(back.y, problem.y)
    np.testing.assert_array_equal(back.alphas, problem.alphas)
    assert (back.work, back.group_size, sparse.issparse(back.X)) == (work, problem.group_size, as_sparse)
