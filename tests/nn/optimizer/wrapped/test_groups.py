"""One list of groups for the base and for the optimiser around it; factors are there for the time of a step."""

import pytest
import torch
from tiny_network import adam, net, train
from torch import nn

from spred.errors import StateError
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import L1, prunable_weights

SCHEDULES = {
    "cosine": lambda opt: torch.optim.lr_scheduler.CosineAnnealingLR(opt, 6),
    "lambda": lambda opt: torch.optim.lr_scheduler.LambdaLR(opt, lambda step: 0.5**step),
    "one cycle": lambda opt: torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.1, total_steps=12),
    "restarts": lambda opt: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, 3),
    "warm-up, then cosine": lambda opt: torch.optim.lr_scheduler.SequentialLR(
        opt,
        [
            torch.optim.lr_scheduler.LinearLR(opt, 0.1, total_iters=2),
            torch.optim.lr_scheduler.CosineAnnealingLR(opt, 4),
        ],
        milestones=[2],
    ),
}

BASES = {
    "SGD": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    "Adam": lambda params: torch.optim.Adam(params, lr=0.02),
    "NAdam": lambda params: torch.optim.NAdam(params, lr=0.02),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("base", BASES)
def test_a_schedule_made_before_wrapping_is_the_one_made_after(base, schedule):
    def run(early):
        model = net()
        inner = BASES[base](model.parameters())
        made = SCHEDULES[schedule](inner) if early else None
        opt = SpredOptimizer(inner, L1(prunable_weights(model), 0.01))
        made = made or SCHEDULES[schedule](opt)
        for _ in range(6):
            train(model, opt, 1)
            made.step()
        return [group["lr"] for group in opt.param_groups], list(model.parameters())

    (early_rates, early), (late_rates, late) = run(True), run(False)
    assert early_rates == late_rates
    assert all(torch.equal(a, b) for a, b in zip(early, late, strict=True))


def test_a_plateau_of_the_base_reaches_the_factors():
    model = net()
    inner = torch.optim.SGD(model.parameters(), lr=0.1)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(inner, patience=0)
    opt = SpredOptimizer(inner, L1(prunable_weights(model), 0.01))
    for _ in range(2):
        train(model, opt, 1)
        plateau.step(1.0)
    train(model, opt, 1)
    assert [group["lr"] for group in opt.factor_groups] == [pytest.approx(0.01)] * len(opt.factor_groups)


def test_the_base_shows_the_models_tensors_and_refuses_steps_of_its_own():
    model = net()
    inner = adam(model)
    opt = SpredOptimizer(inner, L1(prunable_weights(model), 0.01))
    assert inner.param_groups is opt.param_groups
    assert [id(p) for p in inner.param_groups[0]["params"]] == [id(p) for p in model.parameters()]
    with pytest.raises(StateError, match=r"Adam is wrapped.*step the SpredOptimizer"):
        inner.step()
    with pytest.raises(StateError, match="wrapped already"):
        SpredOptimizer(inner, L1(prunable_weights(model), 0.01))
    inner.load_state_dict(adam(net()).state_dict())
    with pytest.raises(StateError, match="load states into the SpredOptimizer"):
        train(model, opt, 1)


def test_a_group_added_to_the_base_is_trained():
    model, more = net(), nn.Linear(2, 2)
    inner = adam(model)
    opt = SpredOptimizer(inner, L1(prunable_weights(model), 0.01))
    inner.add_param_group({"params": list(more.parameters()), "lr": 0.5})
    before = more.weight.detach().clone()
    train(nn.Sequential(model, more), opt, 2)
    assert not torch.equal(more.weight, before)
    assert opt.factor_groups[-1]["lr"] == 0.5


def test_a_closure_sees_the_models_own_tensors():
    model = net()
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(prunable_weights(model), 0.01))
    seen = []

    def closure():
        seen.append([id(p) for p in opt.param_groups[0]["params"]])
        opt.zero_grad()
        loss = model(torch.ones(2, 6)).square().mean()
        loss.backward()
        return loss

    opt.step(closure)
    assert seen == [[id(p) for p in model.parameters()]]


class Counting(torch.optim.SGD):
    """Counts its steps in its groups, as schedule-free optimisers do, and halves its own rate."""

    def step(self, closure=None):
        super().step(closure)
        for group in self.param_groups:
            group["k"] = group.get("k", 0) + 1
            group["lr"] = group["lr"] / 2


def test_what_a_base_changes_in_its_groups_comes_back():
    model = net()
    opt = SpredOptimizer(Counting(model.parameters(), lr=0.8), L1(prunable_weights(model), 0.01))
    train(model, opt, 3)
    assert opt.param_groups[0]["k"] == 3
    assert opt.param_groups[0]["lr"] == pytest.approx(0.1)
    assert {group["k"] for group in opt.factor_groups} == {3}
    opt.param_groups[0]["lr"] = 0.4
    train(model, opt, 1)
    assert [group["lr"] for group in opt.factor_groups] == [pytest.approx(0.2)] * len(opt.factor_groups)


def test_learning_rates_that_are_tensors_follow_in_place_changes():
    model = net()
    opt = SpredOptimizer(torch.optim.Adam(model.parameters(), lr=torch.tensor(0.02)), L1(prunable_weights(model), 0.01))
    train(model, opt, 1)
    before = [float(group["lr"]) for group in opt.factor_groups]
    opt.param_groups[0]["lr"].mul_(0.5)
    train(model, opt, 1)
    assert [float(group["lr"]) for group in opt.factor_groups] == pytest.approx([rate / 2 for rate in before])
