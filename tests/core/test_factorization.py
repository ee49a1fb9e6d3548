"""The identity: what the factors cost is what the penalty of their product says, and no split is cheaper."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import WORLDS, Case, alphas, arrays, cases, depths, nonzero, positive, send

from spred.core.factorization import decay, merge, natural_scale, pull_back, quadratic_penalty, split
from spred.core.partition import SINGLES, Axes, Labels, Partition, norms
from spred.core.penalties import Penalty
from spred.errors import InputError

balances = st.booleans()


def drawn_factors(data: st.DataObject, case: Case, depth: int, world: str) -> tuple:
    """Arbitrary factors whose product is ``case.v``: any nonzero gates, and the full factor they leave."""
    v, partition = case.sent(world)
    gates = [send(world, data.draw(arrays(case.gate_shape, nonzero))) for _ in range(depth - 1)]
    full = v
    for gate in gates:
        full = full / partition.spread(gate, v)
    return (*gates, full), partition


@pytest.mark.parametrize("world", WORLDS)
@given(case=cases(), depth=depths, balanced=balances)
def test_merge_undoes_split(world: str, case: Case, depth: int, balanced: bool) -> None:
    v, partition = case.sent(world)
    factors = split(v, depth=depth, partition=partition, balanced=balanced)
    assert len(factors) == depth
    assert all(gate.shape == case.gate_shape for gate in factors[:-1])
    np.testing.assert_allclose(merge(factors, partition), v, rtol=1e-13)


@pytest.mark.parametrize("world", WORLDS)
@given(case=cases(), depth=depths, alpha=alphas, data=st.data())
def test_balanced_split_costs_the_penalty(
    world: str, case: Case, depth: int, alpha: float, data: st.DataObject
) -> None:
    v, partition = case.sent(world)
    weights = send(world, data.draw(arrays(case.gate_shape, positive)))
    cost = quadratic_penalty(split(v, depth=depth, partition=partition, balanced=True), alpha, weights, partition)
    worth = Penalty(alpha, weights=weights, partition=partition, depth=depth).value(v)
    assert float(cost) == pytest.approx(float(worth), rel=1e-12)


@pytest.mark.parametrize("world", WORLDS)
@given(case=cases(), depth=depths, alpha=alphas, data=st.data())
def test_no_factors_of_the_same_product_cost_less(
    world: str, case: Case, depth: int, alpha: float, data: st.DataObject
) -> None:
    factors, partition = drawn_factors(data, case, depth, world)
    weights = send(world, data.draw(arrays(case.gate_shape, positive)))
    v = merge(factors, partition)
    cost = float(quadratic_penalty(factors, alpha, weights, partition))
    worth = float(Penalty(alpha, weights=weights, partition=partition, depth=depth).value(v))
    assert cost >= worth * (1.0 - 1e-12)


@given(case=cases(), depth=depths, data=st.data())
def test_pulled_back_gradient_is_autograds(case: Case, depth: int, data: st.DataObject) -> None:
    factors, partition = drawn_factors(data, case, depth, "torch")
    grad = send("torch", data.draw(arrays(case.v.shape)))
    leaves = [factor.clone().requires_grad_() for factor in factors]
    expected = torch.autograd.grad((merge(leaves, partition) * grad).sum(), leaves)
    pulled = pull_back(grad, factors, partition)
    in_numpy = pull_back(grad.numpy(), tuple(f.numpy() for f in factors), case.partition)
    for ours, numpys, autograds in zip(pulled, in_numpy, expected, strict=True):
        torch.testing.assert_close(ours, autograds, rtol=1e-12, atol=1e-10)
        np.testing.assert_allclose(numpys, autograds, rtol=1e-12, atol=1e-10)


@given(case=cases(), depth=depths, alpha=alphas, weighted=st.booleans(), data=st.data())
def test_decay_is_the_gradient_of_the_quadratic_penalty(
    case: Case, depth: int, alpha: float, weighted: bool, data: st.DataObject
) -> None:
    factors, partition = drawn_factors(data, case, depth, "torch")
    weights = send("torch", data.draw(arrays(case.gate_shape, positive))) if weighted else 1.0
    leaves = [factor.clone().requires_grad_() for factor in factors]
    expected = torch.autograd.grad(quadratic_penalty(leaves, alpha, weights, partition), leaves)
    for ours, autograds in zip(decay(factors, alpha, weights, partition), expected, strict=True):
        torch.testing.assert_close(ours, autograds, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("world", WORLDS)
def test_split_keeps_the_dtype_and_never_aliases(world: str, balanced: bool) -> None:
    v = send(world, np.array([[1.0, -2.0], [0.0, 0.0]], dtype=np.float32))
    factors = split(v, depth=3, partition=Axes((0,)), balanced=balanced)
    assert all(factor.dtype == v.dtype for factor in factors)
    factors[0][...] = 7.0
    assert float(factors[1].max()) != 7.0
    assert float(v.max()) == 1.0


def test_default_split_gives_every_gate_the_same_size() -> None:
    v = np.array([3.0, -4.0])
    gate, full = split(v)
    assert natural_scale(v) == pytest.approx(np.sqrt(12.5))
    np.testing.assert_allclose(gate, np.full(2, natural_scale(v) ** 0.5))
    np.testing.assert_allclose(full, v / gate)
    assert split(v, scale=4.0)[0].tolist() == [2.0, 2.0]


def test_zeros_take_their_scale_from_the_fan_in() -> None:
    assert natural_scale(np.zeros((3, 16))) == pytest.approx(0.25)
    assert natural_scale(np.zeros((3, 16)), Axes((0,))) == pytest.approx(1.0)
    assert natural_scale(np.zeros(0)) == 1.0


def test_factors_that_make_no_product_are_refused() -> None:
    with pytest.raises(InputError, match="depth is 1"):
        split(np.ones(2), depth=1)
    with pytest.raises(InputError, match=r"scale is 0\.0"):
        split(np.ones(2), scale=0.0)


# --- zero, and how it is left (docs/math.md, §3 and §6) --------------------------------------------------


def descend(target: np.ndarray, partition: Partition, *, balanced: bool, alpha: float = 1.0) -> np.ndarray:
    """Gradient descent on the factors of a tensor of zeros, for the data term ``½‖v − target‖²``."""
    factors = split(np.zeros_like(target), partition=partition, balanced=balanced)
    for _ in range(2000):
        slopes = pull_back(merge(factors, partition) - target, factors, partition)
        pulls = decay(factors, alpha, partition=partition)
        factors = tuple(f - 0.05 * (a + b) for f, a, b in zip(factors, slopes, pulls, strict=True))
    return merge(factors, partition)


PARTITIONS = {
    "singles": SINGLES,
    "rows": Axes((0,)),
    "labels": Labels(np.array([[0, 0, 0], [1, 1, 1]]), 2),
}


@pytest.mark.parametrize("partition", PARTITIONS.values(), ids=PARTITIONS)
def test_zeros_leave_zero_where_the_gradient_exceeds_alpha_and_return_where_it_does_not(
    partition: Partition,
) -> None:
    ones = np.ones((2, 3))
    unit = ones / partition.spread(norms(ones, partition), ones)
    target = np.array([[2.0], [-0.5]]) * unit  # groups of row 0 have gradient norm 2 > alpha, of row 1 0.5 < alpha
    v = descend(target, partition, balanced=False)
    np.testing.assert_allclose(v[0], target[0] / 2.0, rtol=1e-6)
    np.testing.assert_allclose(v[1], 0.0, atol=1e-12)


@pytest.mark.parametrize("partition", PARTITIONS.values(), ids=PARTITIONS)
def test_balanced_zeros_never_leave_zero(partition: Partition) -> None:
    assert not descend(np.full((2, 3), 9.0), partition, balanced=True).any()


@given(alpha=alphas, slope=st.floats(-5.0, 5.0))
def test_curvature_at_zero_is_alpha_plus_and_minus_the_slope(alpha: float, slope: float) -> None:
    def lifted(pair: torch.Tensor) -> torch.Tensor:
        factors = (pair[:1], pair[1:])
        return slope * merge(factors).sum() + quadratic_penalty(factors, alpha)

    hessian = torch.autograd.functional.hessian(lifted, torch.zeros(2, dtype=torch.float64))
    expected = sorted((alpha - slope, alpha + slope))
    np.testing.assert_allclose(torch.linalg.eigvalsh(hessian), expected, atol=1e-12)


@pytest.mark.parametrize("depth", [3, 4])
def test_deeper_zero_is_a_strict_minimum_whatever_the_slope(depth: int) -> None:
    def lifted(factors: torch.Tensor) -> torch.Tensor:
        pieces = tuple(factors[k : k + 1] for k in range(depth))
        return -100.0 * merge(pieces).sum() + quadratic_penalty(pieces, 0.1)

    hessian = torch.autograd.functional.hessian(lifted, torch.zeros(depth, dtype=torch.float64))
    np.testing.assert_allclose(torch.linalg.eigvalsh(hessian), 0.2 / depth)
