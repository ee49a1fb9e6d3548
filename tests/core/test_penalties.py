"""Penalties against their definitions: value, prox, dual norm, conjugate, KKT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import brentq, brute
from strategies import WORLDS, Case, alphas, arrays, cases, positive, send

from spred.core.factorization import split
from spred.core.partition import SINGLES, Axes, Labels, Partition, norms
from spred.core.penalties import Penalty, alpha_max
from spred.errors import InputError

ratios = st.sampled_from((1.0, 0.7, 0.2))


@st.composite
def penalised(draw: st.DrawFn) -> tuple[Case, Penalty]:
    """A tensor and a convex penalty on it, in NumPy."""
    case = draw(cases())
    weights = draw(st.one_of(st.just(1.0), arrays(case.gate_shape, positive)))
    within = draw(st.sampled_from((0.0, 0.0, 0.3, 0.9, 1.0)))
    bounded = draw(st.one_of(st.just(False), st.just(False), st.just(True), bools(case.v.shape)))
    penalty = Penalty(draw(alphas), draw(ratios), weights, case.partition, within_ratio=within, positive=bounded)
    return Case(admissible(penalty, case.v), case.partition), penalty


def bools(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.bool_, shape)


def admissible(penalty: Penalty, v: np.ndarray) -> np.ndarray:
    return np.where(penalty.positive, np.abs(v), v)


def in_torch(case: Case, penalty: Penalty) -> Penalty:
    moved = {
        name: send("torch", value)
        for name in ("weights", "positive")
        if isinstance(value := getattr(penalty, name), np.ndarray)
    }
    return replace(penalty, partition=case.sent("torch")[1], **moved)


def test_value_in_plain_words() -> None:
    v = np.array([[3.0, 4.0], [0.0, -2.0]])
    assert Penalty(0.5).value(v) == pytest.approx(0.5 * 9)
    assert Penalty(0.5, partition=Axes((0,))).value(v) == pytest.approx(0.5 * (5 + 2))
    assert Penalty(0.5, l1_ratio=0.2).value(v) == pytest.approx(0.5 * (0.2 * 9 + 0.4 * 29))
    assert Penalty(0.5, weights=np.array([[2.0], [0.0]]), partition=Axes((0,))).value(v) == pytest.approx(5.0)
    assert Penalty(1.0, depth=4).value(v) == pytest.approx(np.sqrt([3, 4, 2]).sum())


@given(drawn=penalised(), data=st.data())
def test_numpy_and_torch_agree(drawn: tuple[Case, Penalty], data: st.DataObject) -> None:
    case, here = drawn
    there, z = in_torch(case, here), data.draw(arrays(case.v.shape))
    v_t, z_t = send("torch", case.v), send("torch", z)
    for ours, theirs in (
        (here.value(case.v), there.value(v_t)),
        (here.prox(case.v, 0.3), there.prox(v_t, 0.3)),
        (here.dual_norm(z), there.dual_norm(z_t)),
        (here.conjugate(z), there.conjugate(z_t)),
        (here.kkt_residual(case.v, z), there.kkt_residual(v_t, z_t)),
        (here.prox_residual(case.v, z), there.prox_residual(v_t, z_t)),
    ):
        np.testing.assert_allclose(theirs.numpy(), ours, rtol=1e-12, atol=1e-12)


# --- prox ---------------------------------------------------------------------------------------------------


@given(drawn=penalised(), step=positive, data=st.data())
def test_prox_beats_every_other_point_by_the_strong_convexity(
    drawn: tuple[Case, Penalty], step: float, data: st.DataObject
) -> None:
    """The cost is 1-strongly convex: a point is its minimum if every z is worse by at least ½‖z − point‖²."""
    case, penalty = drawn

    def cost(z: np.ndarray) -> float:
        return 0.5 * np.sum((z - case.v) ** 2) + step * penalty.value(z)

    best = penalty.prox(case.v, step)
    for other in (data.draw(arrays(case.v.shape)), best * data.draw(positive), np.zeros_like(best)):
        z = admissible(penalty, other)
        assert cost(z) >= cost(best) + 0.5 * np.sum((z - best) ** 2) - 1e-9 * (1.0 + cost(z))


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
@pytest.mark.parametrize("partition", [SINGLES, Axes(())], ids=["singles", "one group"])
@pytest.mark.parametrize("v", [(2.0, -0.4), (0.3, 0.2), (-1.1, 1.7)])
def test_prox_against_a_grid(v: tuple[float, float], partition: Partition, l1_ratio: float) -> None:
    penalty, step, spacing = Penalty(0.8, l1_ratio, partition=partition), 0.7, 0.05

    def cost(z: np.ndarray) -> float:
        return 0.5 * np.sum((z - np.array(v)) ** 2) + step * penalty.value(z)

    grid = slice(-2.5, 2.5 + spacing / 2, spacing)
    nearest, lowest, *_ = brute(cost, (grid, grid), finish=None, full_output=True)
    best = penalty.prox(np.array(v), step)
    assert cost(best) <= lowest + 1e-12
    np.testing.assert_allclose(best, nearest, atol=spacing)


# --- dual norm and conjugate --------------------------------------------------------------------------------


@given(drawn=penalised(), data=st.data())
def test_dual_norm_is_the_largest_inner_product_on_the_unit_ball(
    drawn: tuple[Case, Penalty], data: st.DataObject
) -> None:
    case, penalty = drawn
    z = data.draw(arrays(case.v.shape))
    # The norm alone: the L1 part of Ω over alpha.
    unit = replace(penalty, alpha=penalty.l1_ratio, l1_ratio=1.0)
    dual = penalty.dual_norm(z)
    assert np.sum(z * case.v) <= dual * unit.value(case.v) + 1e-9
    # Reached by what is left of z in its worst group, when each entry has paid its part at that level.
    left = unit_left(replace(unit, alpha=dual * penalty.l1_ratio), z)
    gauge = norms(left, case.partition) - dual * penalty.l1_ratio * (1 - penalty.within_ratio) * (
        penalty.weights * np.ones(case.gate_shape)
    )
    worst = left * (case.partition.spread(gauge, z) == gauge.max())
    if worst.any():
        assert np.sum(z * worst) == pytest.approx(dual * unit.value(worst), rel=1e-6)


def unit_left(penalty: Penalty, z: np.ndarray) -> np.ndarray:
    """What a soft threshold of each entry leaves, nothing negative where there must not be."""
    left = np.sign(z) * np.maximum(np.abs(z) - penalty.alpha * penalty.within_ratio, 0.0)
    return np.where(np.asarray(penalty.positive) & (left < 0), 0.0, left)


@given(drawn=penalised(), data=st.data())
def test_a_penalty_at_its_dual_norm_is_where_the_conjugate_turns_infinite(
    drawn: tuple[Case, Penalty], data: st.DataObject
) -> None:
    case, penalty = drawn
    z = data.draw(arrays(case.v.shape))
    level = float(penalty.dual_norm(z)) * penalty.l1_ratio
    if level > 0:
        assert replace(penalty, alpha=level * (1 + 1e-9), l1_ratio=1.0).conjugate(z) == 0.0
        assert replace(penalty, alpha=level * (1 - 1e-9), l1_ratio=1.0).conjugate(z) == np.inf


@given(seed=st.integers(0, 10_000), kappa=st.floats(0.05, 0.95), weight=positive)
def test_the_dual_norm_of_a_sparse_group_against_bisection(seed: int, kappa: float, weight: float) -> None:
    z = np.random.default_rng(seed).standard_cauchy(6)

    def excess(t: float) -> float:
        return float(np.linalg.norm(np.maximum(np.abs(z) - kappa * t, 0.0))) - (1 - kappa) * weight * t

    root = brentq(excess, 0.0, np.abs(z).max() / kappa, xtol=1e-14, rtol=1e-14)
    penalty = Penalty(1.0, weights=np.array([weight]), partition=Labels(np.zeros(6, int), 1), within_ratio=kappa)
    assert penalty.dual_norm(z) == pytest.approx(root, rel=1e-12)


@given(drawn=penalised(), data=st.data())
def test_conjugate_obeys_fenchel_young(drawn: tuple[Case, Penalty], data: st.DataObject) -> None:
    case, penalty = drawn
    z = data.draw(arrays(case.v.shape))
    assert penalty.value(case.v) + penalty.conjugate(z) >= np.sum(z * case.v) - 1e-9


@given(drawn=penalised())
def test_conjugate_is_reached_at_a_subgradient(drawn: tuple[Case, Penalty]) -> None:
    case, penalty = drawn
    v, spread = case.v, case.partition.spread
    size = norms(v, case.partition)
    direction = v / spread(np.where(size > 0, size, 1.0), v)
    weights = spread(penalty.weights * np.ones_like(size), v)
    group, entry = (1.0 - penalty.within_ratio) * weights * direction, penalty.within_ratio * np.sign(v)
    z = penalty.alpha * (penalty.l1_ratio * (group + entry) + (1.0 - penalty.l1_ratio) * weights * v)
    z = np.where(np.asarray(penalty.positive) & (v == 0), -3.0, z)
    assert penalty.value(v) + penalty.conjugate(z) == pytest.approx(np.sum(z * v), rel=1e-9, abs=1e-9)


def test_conjugate_outside_the_dual_ball_is_infinite_without_a_ridge() -> None:
    z = np.array([0.5, -1.5])
    assert Penalty(1.5).conjugate(z) == 0.0
    assert Penalty(1.0).conjugate(z) == np.inf
    assert np.isfinite(Penalty(1.0, l1_ratio=0.5).conjugate(z))


@pytest.mark.parametrize("world", WORLDS)
def test_free_groups_do_not_count_in_the_dual(world: str) -> None:
    z, weights = send(world, np.array([9.0, 0.5])), send(world, np.array([0.0, 1.0]))
    penalty = Penalty(1.0, weights=weights)
    assert float(penalty.dual_norm(z)) == 0.5
    assert float(penalty.conjugate(z)) == 0.0
    assert penalty.prox(z).tolist() == [9.0, 0.0]
    assert penalty.kkt_residual(z * 0, z).tolist() == [9.0, 0.0]


# --- stationarity -------------------------------------------------------------------------------------------


def soft(t: np.ndarray, alpha: float) -> np.ndarray:
    return np.sign(t) * np.maximum(np.abs(t) - alpha, 0.0)


def block_soft(t: np.ndarray, alpha: float) -> np.ndarray:
    """Shrink the norm of each row by alpha."""
    size = np.linalg.norm(t, axis=1, keepdims=True)
    return t * np.maximum(1.0 - alpha / np.maximum(size, 1e-300), 0.0)


# With orthogonal columns (XᵀX = n I) the data term is ½‖v − t‖² plus a constant, t the least-squares
# coefficients, and the solutions have closed forms: (penalty, solution as a function of t).
CLOSED_FORMS = {
    "lasso": (Penalty(0.8), lambda t: soft(t, 0.8)),
    "elastic net": (Penalty(0.8, l1_ratio=0.25), lambda t: soft(t, 0.2) / 1.6),
    "weighted": (Penalty(0.8, weights=np.array([[2.0, 0.0]] * 3)), lambda t: soft(t, np.array([1.6, 0.0]))),
    "group lasso": (Penalty(0.8, partition=Axes((0,))), lambda t: block_soft(t, 0.8)),
    "sparse groups": (
        Penalty(0.8, partition=Axes((0,)), within_ratio=0.25),
        lambda t: block_soft(soft(t, 0.2), 0.6),
    ),
    "not negative": (Penalty(0.8, positive=True), lambda t: np.maximum(t - 0.8, 0.0)),
    "groups, one column not negative": (
        Penalty(0.8, partition=Axes((0,)), positive=np.array([[True, False]] * 3)),
        lambda t: block_soft(np.where([True, False], np.maximum(t, 0.0), t), 0.8),
    ),
    "labelled groups": (
        Penalty(0.8, partition=Labels(np.array([[0, 0], [1, 1], [2, 2]]), 3)),
        lambda t: block_soft(t, 0.8),
    ),
}


@pytest.mark.parametrize(("penalty", "solve"), CLOSED_FORMS.values(), ids=CLOSED_FORMS)
@given(t=arrays((3, 2), st.floats(-4.0, 4.0).filter(lambda x: abs(x) > 0.01)), data=st.data())
def test_residuals_are_zero_at_the_solution_and_positive_off_it(
    penalty: Penalty, solve: Callable, t: np.ndarray, data: st.DataObject
) -> None:
    rng = np.random.default_rng(0)
    X = np.sqrt(8) * np.linalg.qr(rng.standard_normal((8, 6)))[0]
    y = X @ t.ravel()

    def slope(v: np.ndarray) -> np.ndarray:
        return (X.T @ (X @ v.ravel() - y) / 8).reshape(v.shape)

    v = solve(t)
    assert penalty.kkt_residual(v, slope(v)).max() <= 1e-12
    for step in (0.3, 1.0, 2.0):
        assert penalty.prox_residual(v, slope(v), step).max() <= 1e-12
    off = admissible(penalty, v + data.draw(arrays(v.shape, st.sampled_from((-0.3, 0.2)))))
    assume(np.abs(off - v).max() > 0.1)
    assert penalty.kkt_residual(off, slope(off)).max() > 1e-3
    assert penalty.prox_residual(off, slope(off)).max() > 1e-3


def test_what_must_not_be_negative_costs_everything_if_it_is() -> None:
    assert Penalty(1.0, positive=True).value(np.array([1.0, -1e-300])) == np.inf
    assert Penalty(1.0, positive=np.array([True, False])).value(np.array([1.0, -2.0])) == 3.0


def test_prox_residual_is_continuous_at_zero_where_kkt_jumps() -> None:
    penalty, grad = Penalty(1.0), np.array([0.2])
    tiny = np.array([1e-12])
    assert penalty.kkt_residual(0 * tiny, grad) == 0.0
    assert penalty.kkt_residual(tiny, grad) == pytest.approx(1.2)
    assert penalty.prox_residual(tiny, grad) == pytest.approx(1e-12)


@pytest.mark.parametrize("world", WORLDS)
def test_kkt_residual_of_the_smallest_numbers_is_a_number(world: str) -> None:
    v = send(world, np.array([5e-324, -1e-310]))
    assert Penalty(1.0).kkt_residual(v, 0.0 * v).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("depth", [3, 4])
def test_depth_has_its_own_stationarity(depth: int) -> None:
    penalty, v = Penalty(0.6, depth=depth), np.array([0.5, -2.0, 0.0])
    pull = 0.6 * (2 / depth) * np.sign(v[:2]) * np.abs(v[:2]) ** (2 / depth - 1)
    grad = np.array([*-pull, 100.0])
    np.testing.assert_allclose(penalty.kkt_residual(v, grad), 0.0, atol=1e-12)
    assert penalty.kkt_residual(v, 2 * grad).max() > 0.1
    assert all(np.isfinite(f).all() for f in split(v, depth=depth, balanced=True))


def test_alpha_max_is_where_the_first_coefficient_enters() -> None:
    grad = np.array([0.3, -0.9, 0.5])
    top = alpha_max(grad, Penalty(1.0, l1_ratio=0.5))
    assert top == pytest.approx(1.8)
    assert not Penalty(top, l1_ratio=0.5).kkt_residual(0 * grad, grad).any()
    assert Penalty(0.99 * top, l1_ratio=0.5).kkt_residual(0 * grad, grad).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": -1.0}, "alpha is -1.0; give a finite number"),
        ({"alpha": np.nan}, "alpha is nan"),
        ({"alpha": 1.0, "l1_ratio": -0.1}, "l1_ratio is -0.1"),
        ({"alpha": 1.0, "l1_ratio": 0.5, "depth": 3}, "depth 3 has no elastic net"),
        ({"alpha": 1.0, "within_ratio": 1.5}, "within_ratio is 1.5"),
        ({"alpha": 1.0, "within_ratio": 0.5, "depth": 3}, "depth 3 has groups alone"),
        ({"alpha": 1.0, "positive": True, "depth": 4}, "depth 4 has groups alone"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Penalty(**settings)


def test_prox_of_a_deep_penalty_is_refused() -> None:
    with pytest.raises(InputError, match="prox is defined for depth 2"):
        Penalty(1.0, depth=3).prox(np.ones(1))
