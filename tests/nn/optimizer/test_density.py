"""The target density is reached, from any alpha, for all tensors together or one by one."""

import copy

import pytest
import torch
from torch import nn

from spred.errors import InputError, SpredWarning, StateError
from spred.nn.finalize import finalize
from spred.nn.optimizer.density import HOLD_START, groups_at_zero
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.optimizer.regrowth import prune_groups_, regrowable
from spred.nn.penalties import L1, GroupL1, prunable_weights
from spred.nn.pruning.macs import Weights

N_STEPS = 1500
X = torch.randn(512, 30, generator=torch.Generator().manual_seed(0))
Y = torch.tanh(X @ torch.randn(30, 4, generator=torch.Generator().manual_seed(1)))


def net():
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(30, 40), nn.Tanh(), nn.Linear(40, 4))


def train(model, opt, n_steps, in_all=N_STEPS):
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, in_all)
    generator = torch.Generator().manual_seed(3)
    for _ in range(n_steps):
        batch = torch.randint(len(X), (64,), generator=generator)
        opt.zero_grad()
        nn.functional.mse_loss(model(X[batch]), Y[batch]).backward()
        opt.step()
        schedule.step()


def sgd(model, lr=0.2):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


@pytest.mark.parametrize(("target", "alpha"), [(0.1, 1e-4), (0.1, 3e-3), (0.2, 3e-3)])
def test_one_target_for_all_is_reached_from_any_alpha(target, alpha):
    model = net()
    opt = SpredOptimizer(sgd(model), L1(prunable_weights(model), alpha), target_density=target, total_steps=N_STEPS)
    train(model, opt, N_STEPS)
    assert finalize(model, opt).density == pytest.approx(target, rel=0.1)
    assert opt.penalties[0].alpha <= alpha


def test_an_alpha_that_is_too_strong_falls_and_one_that_is_not_stays():
    for alpha, falls in [(3e-3, True), (1e-5, False)]:
        model = net()
        opt = SpredOptimizer(sgd(model), L1(prunable_weights(model), alpha), target_density=0.2, total_steps=N_STEPS)
        train(model, opt, N_STEPS)
        assert (opt.penalties[0].alpha < 0.5 * alpha) == falls


def test_alpha_comes_from_below_and_is_not_lowered_for_what_the_schedule_prunes():
    model = net()
    opt = SpredOptimizer(sgd(model), L1(prunable_weights(model), 1e-5), target_density=0.1, total_steps=N_STEPS)
    assert opt.penalties[0].alpha == pytest.approx(0.1 * 1e-5)
    train(model, opt, N_STEPS // 4)
    assert opt.penalties[0].alpha == 1e-5
    train(model, opt, N_STEPS // 4)
    controller = opt.density_control.controllers[0]
    assert controller.density() < 1.02 * controller.scheduled_density(0.5)  # far too weak to bring so many to zero
    assert opt.penalties[0].alpha == 1e-5


def test_zeros_are_exact_and_held_in_the_last_tenth():
    model = net()
    opt = SpredOptimizer(sgd(model), L1(prunable_weights(model), 1e-3), target_density=0.2, total_steps=N_STEPS)
    train(model, opt, int(HOLD_START * N_STEPS))
    zeros = [weight == 0 for weight in prunable_weights(model)]
    size = sum(mask.numel() for mask in zeros)
    assert sum(int(mask.sum()) for mask in zeros) == pytest.approx(0.8 * size, abs=0.005 * size)
    train(model, opt, N_STEPS - int(HOLD_START * N_STEPS))
    assert not any(weight[mask].any() for weight, mask in zip(prunable_weights(model), zeros, strict=True))


def test_the_end_is_stationary_on_the_support_for_the_alpha_that_is_reported():
    torch.manual_seed(0)
    model, n_steps = nn.Linear(30, 4), 3000
    opt = SpredOptimizer(sgd(model, 0.1), L1(model.weight, 1e-2), target_density=0.2, total_steps=n_steps)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, n_steps)
    for _ in range(n_steps):
        opt.zero_grad()
        nn.functional.mse_loss(model(X), Y).backward()
        opt.step()
        schedule.step()
    grad = torch.autograd.grad(nn.functional.mse_loss(model(X), Y), model.weight)[0]
    alpha, on = opt.penalties[0].alpha, model.weight != 0
    assert int(on.sum()) == 24
    assert (grad + alpha * model.weight.sign())[on].abs().max() < 0.02 * alpha
    assert grad[~on].abs().max() > 2 * alpha  # the target keeps them at zero, and not the penalty


def test_what_goes_is_what_is_small_in_all_tensors_together():
    model = net()
    with torch.no_grad():
        model[2].weight.mul_(100.0)
    opt = SpredOptimizer(sgd(model), L1(prunable_weights(model), 1e-6), target_density=0.2, total_steps=100)
    sizes = torch.cat([weight.detach().abs().flatten() for weight in prunable_weights(model)])
    (first, _), (second, small) = [
        (entry, groups) for entry, groups in opt.density_control.controllers[0].to_prune(0.5)
    ]
    assert (first, second) == tuple(opt.factored)
    cut = sizes.kthvalue(sizes.numel() // 2).values
    assert torch.equal(small, (model[2].weight.abs() <= cut) & ~groups_at_zero(second))


def test_where_not_even_one_group_fits_the_largest_stays():
    model = net()
    penalty = GroupL1(model[0].weight, 1e-4, heads=2)
    opt = SpredOptimizer(sgd(model, 0.01), penalty, target_density=0.1, total_steps=100)
    train(model, opt, 100, 100)
    assert finalize(model, opt).density == 0.5


def test_what_is_pruned_is_at_zero_and_may_regrow():
    model = net()
    opt = SpredOptimizer(sgd(model), L1(prunable_weights(model), 1e-3), target_density=0.2, total_steps=100)
    entry = opt.factored[0]
    groups = torch.zeros_like(model[0].weight, dtype=torch.bool)
    groups[3] = True
    with torch.no_grad():
        prune_groups_(entry, groups)
        entry.write()
    assert 0 < model[0].weight[3].abs().max() < 1e-6
    mean = torch.ones_like(model[0].weight)
    assert torch.equal(regrowable(entry, mean), groups)


BASES = {
    "Adam": lambda model: torch.optim.Adam(model.parameters(), lr=0.01),
    "slow Adam": lambda model: torch.optim.Adam(model.parameters(), lr=0.002),
    "SGD": sgd,
}


@pytest.mark.parametrize("target", [0.1, 0.3])
@pytest.mark.parametrize("kind", ["single", "rows"])
@pytest.mark.parametrize("name", BASES)
def test_short_runs_adaptive_optimisers_and_rows_reach_it_too(name, kind, target):
    model, n_steps = net(), 400
    penalty = L1(prunable_weights(model), 1e-3) if kind == "single" else GroupL1(model[0].weight, 3e-3)
    opt = SpredOptimizer(BASES[name](model), penalty, target_density=target, total_steps=n_steps)
    train(model, opt, n_steps, n_steps)
    assert finalize(model, opt).density == pytest.approx(target, rel=0.1)
    assert 0 < penalty.alpha < 10


@pytest.mark.parametrize("target", [0.1, 0.3])
@pytest.mark.parametrize("kind", ["single", "rows"])
@pytest.mark.parametrize("name", ["Adam", "SGD"])
@pytest.mark.parametrize("depth", [3, 4])
def test_deeper_products_reach_it_too(depth, name, kind, target):
    model, n_steps = net(), 400
    penalty = (
        L1(prunable_weights(model), 1e-3, depth=depth)
        if kind == "single"
        else GroupL1(model[0].weight, 3e-3, depth=depth)
    )
    opt = SpredOptimizer(BASES[name](model), penalty, target_density=target, total_steps=n_steps)
    train(model, opt, n_steps, n_steps)
    assert finalize(model, opt).density == pytest.approx(target, rel=0.1)


def test_each_penalty_can_have_a_target_and_the_others_keep_their_alpha():
    model = net()
    penalties = [L1(model[0].weight, 1e-3, target_density=0.1), L1(model[2].weight, 1e-3)]
    opt = SpredOptimizer(sgd(model), penalties, total_steps=N_STEPS)
    train(model, opt, N_STEPS)
    first = finalize(model, opt).rows[0]
    assert first.nonzeros / first.size == pytest.approx(0.1, rel=0.1)
    assert penalties[1].alpha == 1e-3


def test_what_may_regrow_is_decided_on_the_weights_of_this_step(monkeypatch):
    model = net()
    opt = SpredOptimizer(sgd(model), L1(prunable_weights(model), 1e-2), target_density=0.2, total_steps=75)
    agreed, select = [], opt.density_control.select

    def checked(candidates, n_steps):
        agreed.append(all(torch.equal(entry.place.value(), entry.product()) for entry in opt.factored))
        return select(candidates, n_steps)

    monkeypatch.setattr(opt.density_control, "select", checked)
    train(model, opt, 20)
    assert agreed
    assert all(agreed)


def test_density_is_what_finalize_leaves():
    model = net()
    opt = SpredOptimizer(sgd(model), L1(prunable_weights(model), 1e-2))
    train(model, opt, N_STEPS // 2)
    counted = Weights().share([(entry.target.place, ~groups_at_zero(entry)) for entry in opt.factored])
    assert counted < 0.9
    assert finalize(model, opt).density == counted


def test_resume_is_bit_for_bit():
    def make():
        model = net()
        return model, SpredOptimizer(sgd(model), L1(prunable_weights(model), 1e-3), target_density=0.2, total_steps=300)

    model, opt = make()
    train(model, opt, 150)
    saved = copy.deepcopy([model.state_dict(), opt.state_dict()])
    again, opt_again = make()
    again.load_state_dict(saved[0])
    opt_again.load_state_dict(saved[1])
    for m, o in ((model, opt), (again, opt_again)):
        train(m, o, 60)
    assert torch.equal(model[0].weight, again[0].weight)
    assert opt.penalties[0].alpha == opt_again.penalties[0].alpha


def test_wrong_targets_are_refused_in_a_sentence():
    model = net()
    with pytest.raises(InputError, match="between 0 and 1"):
        L1(prunable_weights(model), 1e-3, target_density=2.0)
    own = L1(prunable_weights(model), 1e-3, target_density=0.2)
    plain = L1(prunable_weights(model), 1e-3)
    for penalty, options, message in [
        (own, {}, "needs total_steps"),
        (plain, {"total_steps": 9}, "give them with it, or not at all"),
        (plain, {"target_density": 0.2}, "needs total_steps"),
        (own, {"target_density": 0.2, "total_steps": 9}, "one or the other"),
        (plain, {"target_density": 1.0, "total_steps": 9}, "between 0 and 1"),
        (L1(prunable_weights(model), 0.0), {"target_density": 0.2, "total_steps": 9}, "alpha above 0"),
    ]:
        with pytest.raises(InputError, match=message):
            SpredOptimizer(sgd(model), penalty, **options)


def test_a_state_without_the_target_is_refused():
    model = net()
    plain = SpredOptimizer(sgd(model), L1(prunable_weights(model), 1e-3))
    controlled = SpredOptimizer(sgd(model), L1(prunable_weights(model), 1e-3), target_density=0.1, total_steps=100)
    with pytest.raises(StateError, match="same target_density"):
        controlled.load_state_dict(plain.state_dict())


def test_a_penalty_that_a_target_has_switched_off_is_told_and_the_budget_is_no_nonsense():
    torch.manual_seed(0)
    x = torch.randn(128, 20)
    y = (x[:, 0] - x[:, 1] > 0).long()
    model = nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 2))
    parts = [model[0].weight, model[0].bias, model[1].weight, model[1].bias]
    penalties = [GroupL1(parts, 1e-2, join=True), L1(model[3].weight, 5e-3)]
    opt = SpredOptimizer(sgd(model), penalties, target_density=0.3, total_steps=300)

    def run():
        for _ in range(300):
            opt.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            opt.step()

    with pytest.warns(SpredWarning, match=r"switched off: alpha fell from 0\.01 to .*e-.*, from 0\.005") as heard:
        run()
    assert len([w for w in heard if w.category is SpredWarning]) == 1
    assert all(budget >= 0 for budget in opt.decay_budget().values())
