"""The compiled loops, each against the NumPy code or the linear algebra that says what it should give."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from spred.core.losses import LOSSES, with_offset
from spred.linear.kernels import columns as column_kernels
from spred.linear.kernels import factor, losses, newton, screening

RNG = np.random.default_rng(0)
Y = {
    "squared": RNG.standard_normal(50),
    "logistic": RNG.integers(0, 2, 50) * 1.0,
    "poisson": RNG.poisson(2.0, 50) * 1.0,
}
S = RNG.dirichlet(np.ones(50))


@pytest.mark.parametrize("name", losses.CODES)
@pytest.mark.parametrize("size", [0.1, 3.0, 40.0])
def test_losses_are_those_of_core(name: str, size: float) -> None:
    code, loss, y = losses.CODES[name], LOSSES[name], Y[name]
    eta = size * RNG.standard_normal(50)
    theta, bend = np.empty(50), np.empty(50)
    losses.slopes(code, eta, y, S, theta, bend)
    assert losses.loss_value(code, eta, y, S) == pytest.approx(float(loss.value(eta, y, S)), rel=1e-13)
    np.testing.assert_allclose(theta, loss.gradient(eta, y, S), rtol=1e-13, atol=1e-18)
    np.testing.assert_allclose(bend, loss.curvature(eta, y, S), rtol=1e-12, atol=1e-17)


def test_exp_and_log1p_are_those_of_the_library_to_two_units_in_the_last_place() -> None:
    x = np.append(np.linspace(-708.0, 709.0, 20_001), [0.0, 1e-300, -1e-9])
    u = np.append(np.linspace(0.0, 1.0, 20_001)[1:], np.geomspace(1e-300, 1e-2, 1000))
    np.testing.assert_allclose([losses.exp(value) for value in x], np.exp(x), rtol=5e-16)
    np.testing.assert_allclose([losses.log1p(value) for value in u], np.log1p(u), rtol=5e-16)
    assert losses.log1p(0.0) == 0.0
    assert 0.0 < losses.exp(-1e4) < 1e-300
    assert np.isnan(losses.exp(np.nan))


@pytest.mark.parametrize("name", losses.CODES)
def test_conjugates_are_those_of_core_with_and_without_an_offset(name: str) -> None:
    code, loss, y = losses.CODES[name], LOSSES[name], Y[name]
    theta, offset = 0.9 * loss.gradient(RNG.standard_normal(50), y, S), RNG.standard_normal(50)
    assert losses.conjugate(code, theta, y, S, 0 * y) == pytest.approx(float(loss.conjugate(theta, y, S)), rel=1e-12)
    moved = with_offset(loss, offset)
    assert losses.conjugate(code, theta, y, S, offset) == pytest.approx(float(moved.conjugate(theta, y, S)), rel=1e-12)
    if name != "squared":
        outside = theta + 2.0 * S * (1.0 if name == "logistic" else -10.0)
        assert losses.conjugate(code, outside, y, S, offset) == np.inf


@pytest.mark.parametrize("name", losses.CODES)
@pytest.mark.parametrize("start", [0.0, 30.0, -30.0])
def test_the_best_constant_makes_the_slopes_sum_to_zero(name: str, start: float) -> None:
    eta = start + RNG.standard_normal(50)
    moved, theta, bend = eta.copy(), np.empty(50), np.empty(50)
    change = losses.centre(losses.CODES[name], moved, Y[name], S, theta, bend)
    np.testing.assert_allclose(moved, eta + change, atol=1e-12)
    assert abs(theta.sum()) <= 1e-14 * np.abs(theta).sum()


def hessian(columns: np.ndarray, order: np.ndarray, bend: np.ndarray, ridge: np.ndarray, intercept: bool) -> np.ndarray:
    rows = columns[order]
    if intercept:
        rows = rows - (rows @ bend / bend.sum())[:, None]
    return (rows * bend) @ rows.T + np.diag(ridge[order])


def packed(columns: np.ndarray, intercept: bool) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Sparse columns in a matrix of more, in the kernels' form, and the same written out."""
    many = np.zeros((40, 30))
    feature = np.arange(12)[::-1] * 2 + 3
    many[:, feature] = np.where(np.abs(columns.T) > 0.8, columns.T, 0.0)
    X = sparse.csc_array(many)
    scale, mean = RNG.random(12) + 0.5, many[:, feature].mean(axis=0) if intercept else np.zeros(12)
    return ((many[:, feature] - mean) / scale).T.copy(), (X.data, X.indices, X.indptr, feature, scale, mean)


@pytest.mark.parametrize("form", ["written out", "packed"])
@pytest.mark.parametrize("intercept", [True, False])
def test_the_factor_is_that_of_the_hessian_however_it_came_about(intercept: bool, form: str) -> None:
    columns, bend, ridge = RNG.standard_normal((12, 40)), RNG.random(40) / 40, RNG.random(12)
    given = columns
    if form == "packed":
        columns, given = packed(columns, intercept)
    L, order, scratch = np.zeros((12, 12)), np.zeros(12, dtype=np.int64), np.empty((2, 40))
    work = np.arange(12)
    k = factor.build(given, work, work < 7, ridge, bend, intercept, L, order)
    for active in (work < 9, work % 2 == 0, work != 5, work == 3):
        k = factor.synchronise(given, active, work, ridge, bend, intercept, L, order, k, scratch)
        assert sorted(order[:k]) == np.flatnonzero(active).tolist()
        lower = np.tril(L[:k, :k])
        np.testing.assert_allclose(
            lower @ lower.T, hessian(columns, order[:k], bend, ridge, intercept), rtol=1e-7, atol=1e-12
        )
        right, d = RNG.standard_normal(k), np.empty(k)
        factor.solve(L, k, right, d)
        np.testing.assert_allclose(lower @ (lower.T @ d), right, atol=1e-10)


def test_packed_columns_move_the_predictor_as_written_out_ones_do() -> None:
    columns, given = packed(RNG.standard_normal((12, 40)), True)
    change, eta = np.where(np.arange(12) % 3, RNG.standard_normal(12), 0.0), RNG.standard_normal(40)
    work, moved = np.flatnonzero(change), eta.copy()
    column_kernels.push(given, work, change, moved)
    np.testing.assert_allclose(moved, eta + change @ columns, atol=1e-12)
    column_kernels.push(columns, work, -change, moved)
    np.testing.assert_allclose(moved, eta, atol=1e-12)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("positive", [False, True])
def test_the_model_is_minimised_over_its_coordinates(seed: int, positive: bool) -> None:
    """At the end the coordinates that stayed are at rest, those that left are zero, and no sign is one's own making."""
    rng = np.random.default_rng(seed)
    k = 9
    columns, bend = rng.standard_normal((k, 30)), np.full(30, 1 / 30)
    lam = np.where(np.arange(k) == 0, 0.0, 0.2)
    x = np.where(rng.random(k) < 0.5, rng.standard_normal(k), 0.0)
    x = np.where((lam > 0) & positive, np.abs(x), x)
    c = rng.standard_normal(k)
    L, order, ridge = np.zeros((k, k)), np.zeros(k, dtype=np.int64), np.zeros(k)
    H = hessian(columns, np.arange(k), bend, ridge, False)
    pull = c - H @ x
    leaving = (pull if positive else np.abs(pull)) > lam
    count = factor.build(columns, np.arange(k), (x != 0) | (lam == 0) | leaving, ridge, bend, False, L, order)

    def objective(v: np.ndarray) -> float:
        return 0.5 * v @ H @ v - c @ v + lam @ np.abs(v)

    v = x.copy()
    left = newton.minimise_model(v, H @ x - c, lam, np.full(k, positive) & (lam > 0), L, order, count)
    stayed, g = order[:left], H @ v - c
    assert objective(v) <= objective(x) + 1e-12
    assert left > 0
    assert (v[np.setdiff1d(np.arange(k), stayed)] == 0).all()
    np.testing.assert_allclose((g + lam * np.sign(v))[stayed], 0.0, atol=1e-7)
    if positive:
        assert (v[lam > 0] >= 0).all()


@pytest.mark.parametrize("least", [0.0, 0.3, 2.0])
def test_a_stop_begins_with_the_support_free_features_and_the_strongest_that_the_level_lets_in(least: float) -> None:
    rng = np.random.default_rng(4)
    p, positions = 900, rng.permutation(900)[:300]
    values, weights, positive = rng.standard_normal(p), rng.uniform(0.5, 2.0, p), rng.random(p) < 0.2
    position = np.full(p, -1)
    position[positions] = np.arange(300)
    x = np.where(rng.random(300) < 0.1, 1.0, 0.0)
    weights[positions[:3]] = 0.0
    omega, lam, ridge = weights[positions], np.empty(300), np.empty(300)
    seen = rng.permutation(p)[:700]
    work, missing = screening.expect(values, weights, positive, seen, least, x, position, omega, 0.5, 0.25, lam, ridge)
    excess = np.where(positive, -values, np.abs(values)) - least * weights
    pulled = seen[excess[seen] > 0]
    room = max(screening.FEW, np.count_nonzero(x))
    must = np.flatnonzero((x != 0) | (omega == 0))
    assert np.isin(must, work).all()
    assert np.isin(np.setdiff1d(positions[work], positions[must]), pulled).all()
    assert (position[missing] < 0).all()
    assert np.isin(missing, pulled).all()
    joining = np.append(missing, np.setdiff1d(positions[work], positions[must]))
    assert len(joining) <= room
    strongest = pulled[np.argsort(-excess[pulled])][: 85 * room // 100]  # room may be left, though little
    assert np.isin(strongest, np.append(joining, positions[must])).all()
    np.testing.assert_array_equal(lam, 0.5 * omega)
    np.testing.assert_array_equal(ridge, 0.25 * omega)
