"""The metric changes the speed and not the stationary points; small weights learn at the dense learning rate."""

import pytest
import torch
from torch import nn

from spred.core.factors import decay, merge, pull_back
from spred.errors import InputError
from spred.nn.factored import factorise
from spred.nn.groups import L1, GroupL1, targets
from spred.nn.inspect import inspect
from spred.nn.metric import saturation, speed, wants_metric
from spred.nn.optimizer import SpredOptimizer

KINDS = {
    "single": lambda w, depth: L1(w, 0.1, depth=depth),
    "rows": lambda w, depth: GroupL1(w, 0.1, dim=0, weight="sqrt", depth=depth),
    "columns": lambda w, depth: GroupL1(w, 0.1, dim=1, depth=depth),
    "labels": lambda w, depth: GroupL1(w, 0.1, groups=torch.arange(20).reshape(4, 5) % 3, weight="sqrt", depth=depth),
}


def entry_of(kind, depth):
    """A tensor away from balance, with a gradient."""
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(4, 5, dtype=torch.float64))
    entry = factorise(targets(KINDS[kind](weight, depth))[0], balanced=False)
    with torch.no_grad():
        for factor in entry.factors:
            factor.mul_(1 + 0.5 * torch.rand_like(factor))
    weight.grad = torch.randn_like(weight)
    return entry


@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_core_divided_by_one_positive_number_per_group(kind, depth):
    entry = entry_of(kind, depth)
    penalty = entry.target.penalty
    of_loss = pull_back(entry.place.grad(), entry.factors, entry.partition)
    of_penalty = decay(entry.factors, penalty.alpha, entry.target.weights, entry.partition)
    plain = [a + b for a, b in zip(of_loss, of_penalty, strict=True)]
    divisor = speed(entry.factors, entry.partition) + saturation(entry.scale, depth)
    assert divisor.min() > 0
    for _ in range(2):  # the second time into the same buffers
        entry.take_gradient(metric=False)
        for factor, grad in zip(entry.factors, plain, strict=True):
            torch.testing.assert_close(factor.grad, grad)
        entry.take_gradient(metric=True)
        for factor, grad in zip(entry.factors[:-1], plain, strict=False):
            torch.testing.assert_close(factor.grad, grad / divisor)
        full = entry.factors[-1]
        torch.testing.assert_close(full.grad, plain[-1] / entry.partition.spread(divisor, full))


@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_speed_bounds_the_step_of_the_product(kind, depth):
    entry = entry_of(kind, depth)
    grad, factors, partition = entry.place.grad(), entry.factors, entry.partition
    steps = pull_back(grad, factors, partition)
    tiny = 1e-7
    moved = merge(tuple(f - tiny * s for f, s in zip(factors, steps, strict=True)), partition)
    measured = (merge(factors, partition) - moved).detach() / tiny
    bound = partition.spread(speed(factors, partition), grad).detach()
    if kind == "single":
        torch.testing.assert_close(measured, bound * grad, rtol=1e-4, atol=1e-5)
    sizes = [partition.gather(x * x).sqrt() for x in (measured, bound * grad)]
    assert (sizes[0] <= sizes[1] * (1 + 1e-4)).all()


def test_a_balanced_group_of_the_natural_norm_is_at_half_speed():
    for depth in (2, 3, 4):
        factors = (torch.tensor([0.3 ** (1 / depth)], dtype=torch.float64),) * depth
        partition = targets(L1(nn.Parameter(torch.ones(1)), 0.1))[0].partition
        assert float(speed(factors, partition)) == pytest.approx(saturation(0.3, depth))


def test_auto_is_for_sgd_only():
    params = [nn.Parameter(torch.ones(2))]
    sgd, adam, lbfgs = torch.optim.SGD(params), torch.optim.Adam(params), torch.optim.LBFGS(params)
    assert [wants_metric(base, "auto") for base in (sgd, adam, lbfgs)] == [True, False, False]
    assert wants_metric(adam, True)
    assert not wants_metric(sgd, False)
    with pytest.raises(InputError, match="plain gradients"):
        wants_metric(lbfgs, True)
    with pytest.raises(InputError, match="'auto'"):
        wants_metric(sgd, "on")


@pytest.mark.parametrize("kind", ["single", "columns"])
@pytest.mark.parametrize("depth", [2, 3])
def test_the_dense_learning_rate_is_enough_with_the_metric_and_not_without(kind, depth):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 5, generator=generator, dtype=torch.float64)
    y = x[:, :2] @ torch.randn(2, 4, generator=generator, dtype=torch.float64) * 0.02
    rows = []
    for metric in (True, False):
        torch.manual_seed(1)
        model = nn.Linear(5, 4, bias=False).double()
        with torch.no_grad():
            model.weight.mul_(0.02)
        penalty = KINDS[kind](model.weight, depth)
        penalty.alpha = 1e-3 if depth == 2 else 1e-5
        opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.3), penalty, metric=metric)
        for _ in range(500):
            opt.zero_grad()
            (0.5 * (model(x) - y).square().sum(dim=1).mean()).backward()
            opt.step()
        report = inspect(model, opt, [(x, y)], lambda out, t: 0.5 * (out - t).square().sum(dim=1).mean())
        rows.append(report.rows[0])
    assert rows[0].residual < 0.3 * rows[1].residual
    assert rows[0].budget > 3 * rows[1].budget
