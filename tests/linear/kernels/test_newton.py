"""Newton's method on a working set, its line search, and when a Hessian is made anew."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_records import gradient_of, iterate_of

from spred.core.losses import LOSSES
from spred.linear.kernels import newton
from spred.linear.kernels.losses import CODES, LOGISTIC
from spred.linear.kernels.state import set_penalty

RNG = np.random.default_rng(0)
N, M = 60, 8


def problem(name: str) -> tuple[np.ndarray, np.ndarray]:
    columns = RNG.standard_normal((M, N))
    eta = columns[0] - columns[1]
    y = {"squared": eta, "logistic": eta + RNG.logistic(size=N) > 0, "poisson": RNG.poisson(np.exp(eta))}[name]
    return columns, y.astype(np.float64)


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("intercept", [True, False])
def test_a_round_ends_where_the_kkt_residuals_are_small_and_reports_what_lies_outside(
    name: str, intercept: bool
) -> None:
    columns, y = problem(name)
    s, eta, x = np.full(N, 1 / N), np.zeros(N), np.zeros(M)
    iterate = iterate_of(columns, s, x=x, y=y, eta=eta, code=CODES[name], intercept=intercept)
    work, level, tol = np.array([0, 1, 2]), 0.02, 1e-10
    moved, _, violation, evaluated, outside, excess, beyond = newton.refine(
        iterate, work, np.empty(0), 0.0, level, 0.01, level, tol, 50
    )
    assert violation <= tol
    b = float((eta - x @ columns)[0])
    np.testing.assert_allclose(eta, x @ columns + b, atol=1e-12)
    assert (abs(b) > 1e-9) == intercept
    assert moved == pytest.approx(b, abs=1e-12)
    g = columns @ LOSSES[name].gradient(eta, y, s)
    kkt = np.where(x != 0, np.abs(g + 0.01 * x + level * np.sign(x)), np.maximum(np.abs(g) - level, 0.0))
    np.testing.assert_allclose(kkt[work], 0.0, atol=1e-9)
    assert np.isin(work, evaluated).all()
    np.testing.assert_array_equal(np.sort(outside), np.setdiff1d(np.flatnonzero(np.abs(g) > level), work))
    np.testing.assert_allclose(excess, np.abs(g)[outside] - level, atol=1e-12)
    assert beyond == pytest.approx(max(excess, default=0.0), abs=1e-15)


def test_the_line_search_halves_a_step_that_goes_too_far_and_gives_up_uphill() -> None:
    columns, y = problem("logistic")
    s, eta, x = np.full(N, 1 / N), np.zeros(N), np.zeros(M)
    iterate = iterate_of(columns, s, x=x, y=y, eta=eta, code=LOGISTIC)
    _, g = gradient_of(iterate)
    g[:] = columns @ LOSSES["logistic"].gradient(eta, y, s)
    set_penalty(iterate, 1e-3, 0.0)

    def objective(x: np.ndarray) -> float:
        return float(LOSSES["logistic"].value(x @ columns, y, s)) + 1e-3 * np.abs(x).sum()

    before, trial = objective(x), -300.0 * g
    step, moved = newton.line_search(iterate, np.arange(M), trial)
    assert 0 < step < 1
    assert moved == 0.0
    np.testing.assert_allclose(x, step * trial)
    np.testing.assert_allclose(eta, x @ columns, atol=1e-12)
    assert objective(x) < before
    g[:] = columns @ LOSSES["logistic"].gradient(eta, y, s)
    here = x.copy()
    assert newton.line_search(iterate, np.arange(M), x + 10.0 * g) == (0.0, 0.0)
    np.testing.assert_array_equal(x, here)


def test_extrapolation_neither_enters_nor_changes_a_sign() -> None:
    x, last = np.array([2.0, 1.0, 1.0, 0.0, 5.0]), np.array([1.0, 0.0, 3.0, 1.0])
    np.testing.assert_array_equal(newton.extrapolate(x, last, 1.0), [3.0, 1.0, 1.0, 0.0, 5.0])


@pytest.mark.parametrize(
    ("x", "g", "lam", "positive", "expected"),
    [
        (0.0, 0.3, 0.0, False, 0.3),
        (2.0, -0.5, 0.2, False, 0.3),
        (0.0, -0.5, 0.2, False, 0.3),
        (0.0, 0.5, 0.2, True, -0.7),
        (0.0, 0.1, 0.2, False, -0.1),
    ],
)
def test_the_residual_of_a_coordinate(x: float, g: float, lam: float, positive: bool, expected: float) -> None:
    assert newton.residual(x, g, lam, positive) == pytest.approx(expected)


def test_a_hessian_is_made_anew_where_that_costs_less_than_the_steps_it_spares() -> None:
    def worth(rate: float, k: int, n: int = 100) -> bool:
        return bool(newton._worth_building(n, k, k, 1e-3, 1e-9, rate))

    assert not worth(0.0, 10), "nothing is known of the old one yet"
    assert not worth(0.001, 10), "two steps are left, which a fresh one takes too"
    assert worth(0.5, 10)
    assert worth(0.95, 3000), "too slow whatever it costs"
    assert not worth(0.05, 3000), "thousands of coordinates are dear to factorise"
    assert worth(0.05, 300)
