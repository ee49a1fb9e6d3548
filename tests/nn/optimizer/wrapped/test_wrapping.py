"""The base optimiser keeps its groups, options and names, with factors in the places of their tensors."""

import warnings

import pytest
import torch
from tiny_network import adam, net, train
from torch import nn

from spred.errors import InputError, SpredWarning, StateError
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import L1, prunable_weights


def test_the_model_stays_plain_and_groups_hold_its_own_tensors():
    model = net()
    opt = SpredOptimizer(adam(model), L1(prunable_weights(model), 0.01))
    assert isinstance(opt, torch.optim.Optimizer)
    held = [p for group in opt.param_groups for p in group["params"]]
    assert all(a is b for a, b in zip(held, model.parameters(), strict=True))
    inside = {id(p) for group in opt.factor_groups for p in group["params"]}
    assert not inside & {id(w) for w in prunable_weights(model)}
    assert {id(model[0].bias), id(model[2].bias)} <= inside
    assert "SpredOptimizer of Adam with L1(alpha=0.01, depth=2, 2 tensors)" in repr(opt)


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_schedulers_reach_every_group_of_the_base(decay):
    model = net()
    base = torch.optim.SGD(model.parameters(), lr=0.4, momentum=0.8, weight_decay=decay)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpredWarning)
        opt = SpredOptimizer(base, L1(prunable_weights(model), 0.01))
    assert len(opt.param_groups) == 1
    schedule = torch.optim.lr_scheduler.StepLR(opt, step_size=1, gamma=0.5)
    train(model, opt, 1)
    schedule.step()
    train(model, opt, 1)
    assert [group["lr"] for group in opt.factor_groups] == [0.2] * len(opt.factor_groups)
    assert opt.param_groups[0]["initial_lr"] == 0.4


def test_one_cycle_moves_momentum_too():
    model = net()
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), L1(prunable_weights(model), 0.01))
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.1, total_steps=10)
    train(model, opt, 1)
    schedule.step()
    train(model, opt, 1)
    assert {group["momentum"] for group in opt.factor_groups} == {opt.param_groups[0]["momentum"]}
    assert opt.param_groups[0]["momentum"] < 0.95


def test_new_groups_reach_the_base():
    model, more = net(), nn.Linear(2, 2)
    opt = SpredOptimizer(adam(model), L1(prunable_weights(model), 0.01))
    opt.add_param_group({"params": more.parameters(), "lr": 0.5})
    before = more.weight.detach().clone()
    train(nn.Sequential(model, more), opt, 1)
    assert not torch.equal(more.weight, before)
    assert opt.factor_groups[-1]["lr"] == 0.5


def test_named_parameters_stay_named():
    model = net()
    opt = SpredOptimizer(
        torch.optim.AdamW(model.named_parameters(), lr=0.01, weight_decay=0.0), L1(prunable_weights(model), 0.01)
    )
    train(model, opt, 2)
    names = [name for group in opt.factor_groups for name in group["param_names"]]
    assert sorted(names) == sorted(["0.bias", "2.bias", *(f"{k}.weight.factor{f}" for k in (0, 2) for f in (0, 1))])


def test_weight_decay_is_off_for_penalised_tensors_and_on_for_the_others():
    model = net()
    base = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.3)
    with pytest.warns(SpredWarning, match="weight_decay is switched off.*inside the objective") as caught:
        opt = SpredOptimizer(base, L1(prunable_weights(model), 0.0))
    assert len([w for w in caught if w.category is SpredWarning]) == 1
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    before = [p.detach().clone() for p in model.parameters()]
    opt.step()
    for old, new in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old if old.ndim == 2 else old * (1 - 0.01 * 0.3))
    opt.param_groups[0]["weight_decay"] = 0.9
    opt.step()
    torch.testing.assert_close(model[0].weight.detach(), before[0])


def test_no_warning_without_weight_decay_or_where_it_only_meets_others():
    model = net()
    groups = [{"params": prunable_weights(model), "weight_decay": 0.0}, {"params": [model[0].bias, model[2].bias]}]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        SpredOptimizer(torch.optim.AdamW(groups, lr=0.01), L1(prunable_weights(model), 0.01))
    assert not heard


def test_wrong_bases_are_refused_in_a_sentence():
    model = net()
    penalty = L1(prunable_weights(model), 0.1)
    with pytest.raises(InputError, match="give an instance"):
        SpredOptimizer(torch.optim.SGD, penalty)
    with pytest.raises(InputError, match="give an instance"):
        SpredOptimizer(SpredOptimizer(adam(model), penalty), penalty)
    with pytest.raises(InputError, match=r"\(5, 6\) is not in the optimiser"):
        SpredOptimizer(adam(net()), penalty)
    with pytest.raises(InputError, match="negate the loss"):
        SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1, maximize=True), penalty)
    used = adam(model)
    train(model, used, 2)
    with pytest.raises(StateError, match="already taken steps"):
        SpredOptimizer(used, penalty)
