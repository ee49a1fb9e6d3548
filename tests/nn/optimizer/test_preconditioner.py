"""Preconditioning changes the speed, not the stationary points; small weights learn at the dense learning rate."""

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from spred.core.factorization import decay, merge, pull_back
from spred.errors import StateError
from spred.nn.inspect import inspect
from spred.nn.optimizer import preconditioner as settings
from spred.nn.optimizer.factored import factorise
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.optimizer.preconditioner import damping_constant, learning_rate_scale, speed
from spred.nn.penalties import L1, GroupL1, prunable_weights, targets

KINDS = {
    "single": lambda w, depth: L1(w, 0.1, depth=depth),
    "rows": lambda w, depth: GroupL1(w, 0.1, dim=0, group_weight="sqrt", depth=depth),
    "columns": lambda w, depth: GroupL1(w, 0.1, dim=1, depth=depth),
    "labels": lambda w, depth: GroupL1(
        w, 0.1, groups=torch.arange(20).reshape(4, 5) % 3, group_weight="sqrt", depth=depth
    ),
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
@torch.no_grad()
def test_gradients_are_those_of_core_divided_by_one_positive_number_per_group(kind, depth):
    entry = entry_of(kind, depth)
    penalty = entry.target.penalty
    of_loss = pull_back(entry.place.grad(), entry.factors, entry.partition)
    of_penalty = decay(entry.factors, penalty.alpha, entry.target.weights, entry.partition)
    plain = [a + b for a, b in zip(of_loss, of_penalty, strict=True)]
    divisor = speed(entry.factors, entry.partition) + damping_constant(entry.scale, depth)
    assert divisor.min() > 0
    for _ in range(2):  # the second time into the same buffers
        entry.set_gradients(precondition=False)
        for factor, grad in zip(entry.factors, plain, strict=True):
            torch.testing.assert_close(factor.grad, grad)
        entry.set_gradients(precondition=True)
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


def test_a_balanced_group_of_a_fifth_of_the_natural_norm_is_at_half_speed_and_of_all_of_it_at_depth_3_and_4():
    for depth, norm in [(2, 0.2 * 0.3), (3, 0.3), (4, 0.3)]:
        factors = (torch.tensor([norm ** (1 / depth)], dtype=torch.float64),) * depth
        partition = targets(L1(nn.Parameter(torch.ones(1)), 0.1))[0].partition
        assert float(speed(factors, partition)) == pytest.approx(damping_constant(0.3, depth))


@pytest.mark.parametrize("name", ["Adam", "AdamW", "NAdam", "Adamax", "RMSprop", "Adagrad"])
@pytest.mark.parametrize("kind", [L1, GroupL1])
@pytest.mark.parametrize("depth", [2, 3, 4])
def test_the_first_adaptive_step_of_a_typical_weight_is_that_of_the_dense_model(name, kind, depth):
    options = {"weight_decay": 0.0} if name == "AdamW" else {}
    moved = []
    for sparse in (False, True):
        weight = nn.Parameter(torch.full((3, 4), -0.02, dtype=torch.float64))
        opt = getattr(torch.optim, name)([weight], lr=1e-6, **options)
        if sparse:
            opt = SpredOptimizer(opt, kind(weight, 1e-6, depth=depth), balanced=True)
        weight.sum().backward()
        opt.step()
        moved.append(weight.detach() + 0.02)
    torch.testing.assert_close(moved[1], moved[0], rtol=1e-3, atol=0.0)


def test_a_scaled_learning_rate_follows_the_public_one_and_leaves_the_others_alone():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    opt = SpredOptimizer(torch.optim.Adam(model.parameters(), lr=0.01), L1([model[0].weight, model[2].weight], 0.01))
    schedule = torch.optim.lr_scheduler.StepLR(opt, 1, gamma=0.5)
    for k in range(3):
        opt.zero_grad()
        model(torch.ones(1, 4)).sum().backward()
        opt.step()
        used = [group["lr"] for group in opt.factor_groups]
        assert opt.param_groups[0]["lr"] == 0.01 * 0.5**k == used[0]
        assert used[1:] == [used[0] * learning_rate_scale(entry.scale, 2) for entry in opt.factored]
        schedule.step()


@pytest.mark.parametrize(("name", "lr"), [("SGD", 0.3), ("Adam", 1e-4)])
@pytest.mark.parametrize("kind", ["single", "columns"])
@pytest.mark.parametrize("depth", [2, 3])
def test_the_dense_learning_rate_is_enough_with_preconditioning_and_not_without(kind, depth, name, lr):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 5, generator=generator, dtype=torch.float64)
    y = x[:, :2] @ torch.randn(2, 4, generator=generator, dtype=torch.float64) * 0.02
    rows = []
    for precondition in (True, False):
        torch.manual_seed(1)
        model = nn.Linear(5, 4, bias=False).double()
        with torch.no_grad():
            model.weight.mul_(0.02)
        penalty = KINDS[kind](model.weight, depth)
        penalty.alpha = 1e-3 if depth == 2 else 1e-5
        opt = SpredOptimizer(getattr(torch.optim, name)(model.parameters(), lr=lr), penalty, precondition=precondition)
        for _ in range(500):
            opt.zero_grad()
            (0.5 * (model(x) - y).square().sum(dim=1).mean()).backward()
            opt.step()
        report = inspect(model, opt, [(x, y)], lambda out, t: 0.5 * (out - t).square().sum(dim=1).mean())
        rows.append(report.rows[0])
    assert rows[0].residual < 0.3 * rows[1].residual
    if name == "SGD":  # under adaptive optimisers the budget is a hint
        assert rows[0].budget > 3 * rows[1].budget


def digits_by_sgd(lr):
    """Train on digits in noisy batches of 16 and return the accuracy on held-out ones."""
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32), torch.tensor(labels)
    x = (x - x.mean()) / x.std()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 200), nn.ReLU(), nn.Linear(200, 50), nn.ReLU(), nn.Linear(50, 10))
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9), L1(prunable_weights(model), 1e-3))
    for step in range(600):
        opt.param_groups[0]["lr"] = lr * (1 - step / 600)
        batch = torch.randint(1500, (16,))
        opt.zero_grad()
        nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
        opt.step()
    return float((model(x[1500:]).argmax(dim=1) == y[1500:]).float().mean())


def test_steep_gradients_do_not_throw_small_weights_to_and_fro(monkeypatch):
    for lr in (0.1, 0.2, 0.3):
        assert digits_by_sgd(lr) > 0.88
    monkeypatch.setattr(settings, "DAMPING_OF_STEP", 0.0)
    with pytest.raises(StateError, match="diverged"):
        digits_by_sgd(lr=0.2)


def test_the_peak_gradient_decays_and_a_checkpoint_remembers_it():
    layer = nn.Linear(3, 1, bias=False)
    opt = SpredOptimizer(torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.5), L1(layer.weight, 0.1))
    entry = opt.factored[0]
    for size, expected in [(4.0, 4.1), (1.0, 0.9 * 4.1), (float("inf"), 0.9**2 * 4.1)]:
        layer.weight.grad = torch.tensor([[0.0, -size, 0.5]])
        entry.measure_gradient()
        assert entry.peak_gradient == pytest.approx(expected)
    layer.weight.grad = torch.ones(1, 3)
    opt.step()
    assert entry.damping == pytest.approx(0.5 * 0.1 / (1 - 0.5) * entry.peak_gradient)
    assert damping_constant(entry.scale, 2) < entry.damping < damping_constant(entry.scale, 2, longest_step=9.0)
    again = nn.Linear(3, 1, bias=False)
    other = SpredOptimizer(torch.optim.SGD(again.parameters(), lr=0.1, momentum=0.5), L1(again.weight, 0.1))
    other.load_state_dict(opt.state_dict())
    assert other.factored[0].peak_gradient == entry.peak_gradient
