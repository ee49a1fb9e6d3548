"""A tensor and its factors: their gradients, writes from outside, masks, decay budget, tensors of every kind."""

import math

import pytest
import torch
from tiny_network import X, Y, adam, net, train
from torch import nn

from spred.errors import InputError
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import L1, GroupL1, prunable_weights


def moments_of(opt):
    return [opt.base.state[factor] for entry in opt.factored for factor in entry.factors]


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_gradients_of_factors_live_in_the_same_memory_at_every_step(kind, depth):
    model = net()
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), kind(prunable_weights(model), 0.01, depth=depth))
    seen = []
    opt.base.register_step_pre_hook(
        lambda base, *_: seen.append([f.grad.data_ptr() for entry in opt.factored for f in entry.factors])
    )
    train(model, opt, 3)
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][depth - 1 :: depth] == [
        entry.place.tensors[0].data_ptr() for entry in opt.factored
    ]  # shared with the tensors
    assert all(entry.factors[-1].grad is None for entry in opt.factored)  # and not any more after the step


@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_a_loaded_model_is_noticed(kind):
    model, other = net(), net()
    train(other, torch.optim.SGD(other.parameters(), lr=0.1), 20)
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.0), kind(prunable_weights(model), 0.01))
    train(model, opt, 3)
    model.load_state_dict(other.state_dict())
    train(model, opt, 1)
    torch.testing.assert_close(model[0].weight, other[0].weight)


def test_a_write_that_torch_does_not_count_is_taken_over_by_resplit():
    model = net()
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(prunable_weights(model), 0.01))
    train(model, opt, 1)
    model[0].weight.data[0] = 0.0
    opt.resplit()
    train(model, opt, 3)
    assert torch.count_nonzero(model[0].weight[0]) == 0


@pytest.mark.parametrize("memory", ["rows", "channels last"])
def test_a_step_notices_an_average_written_through_data(memory):
    torch.manual_seed(0)
    model, inputs = nn.Linear(300, 20), torch.zeros(4, 300)  # more weights than a step compares
    if memory == "channels last":
        model, inputs = nn.Conv2d(30, 20, 3).to(memory_format=torch.channels_last), torch.zeros(4, 30, 5, 5)
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(prunable_weights(model), 0.0))
    for _ in range(2):
        average = 0.5 * model.weight.detach() + 0.1
        model.weight.data.copy_(average)
        opt.zero_grad()
        model(inputs).square().mean().backward()  # no gradient in the weights: the step keeps what was written
        opt.step()
        torch.testing.assert_close(model.weight.detach(), average)


@pytest.mark.parametrize("name", ["SGD", "Adam", "Adagrad", "RMSprop", "LBFGS"])
def test_a_mask_stays_a_mask(name):
    options = {"SGD": {"momentum": 0.9}}.get(name, {})
    model = net()
    opt = SpredOptimizer(
        getattr(torch.optim, name)(model.parameters(), lr=0.01, **options), L1(prunable_weights(model), 1e-3)
    )

    def closure():
        opt.zero_grad()
        loss = nn.functional.mse_loss(model(X), Y)
        loss.backward()
        return loss

    for _ in range(5):
        opt.step(closure)
    mask = torch.rand_like(model[0].weight) < 0.5
    with torch.no_grad():
        model[0].weight.masked_fill_(mask, 0.0)
    kept = model[0].weight[~mask].detach().clone()
    for _ in range(5):
        opt.step(closure)
    assert torch.count_nonzero(model[0].weight[mask]) == 0
    assert not torch.equal(model[0].weight[~mask], kept)


def test_a_group_mask_zeroes_the_whole_group_and_its_moments():
    model = net()
    opt = SpredOptimizer(adam(model), GroupL1(model[0].weight, 1e-3, dim=1))
    train(model, opt, 5)
    with torch.no_grad():
        model[0].weight[:, 2] = 0.0
    train(model, opt, 5)
    assert torch.count_nonzero(model[0].weight[:, 2]) == 0
    assert torch.count_nonzero(model[0].weight) == 25
    for moments in moments_of(opt):
        assert torch.count_nonzero(moments["exp_avg"][:, 2]) == 0
        assert torch.count_nonzero(moments["exp_avg"]) > 0


def test_what_was_not_written_keeps_its_factors_and_moments():
    model = net()
    opt = SpredOptimizer(adam(model), L1(model[0].weight, 1e-3))
    train(model, opt, 5)
    gate, full = (factor.detach().clone() for factor in opt.factored[0].factors)
    moment = moments_of(opt)[0]["exp_avg"].clone()
    with torch.no_grad():
        model[0].weight[0] *= 1.1
    opt.resplit()
    assert torch.equal(opt.factored[0].factors[0], gate)
    assert torch.equal(opt.factored[0].factors[1][1:], full[1:])
    assert torch.equal(moments_of(opt)[0]["exp_avg"], moment)


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_a_weight_at_zero_can_be_written_away_from_it_at_a_sound_scale(kind, depth):
    model = net()
    opt = SpredOptimizer(adam(model), kind(prunable_weights(model), 1e-3, depth=depth))
    with torch.no_grad():
        old = model[0].weight.clone()
        model[0].weight.zero_()
    train(model, opt, 2)
    assert torch.count_nonzero(model[0].weight) == 0
    with torch.no_grad():
        model[0].weight.copy_(old)
    opt.resplit()
    torch.testing.assert_close(opt.factored[0].product(), old)
    assert all(factor.abs().max() < 10 for factor in opt.factored[0].factors)
    train(model, opt, 2)
    assert not torch.equal(model[0].weight, old)


def test_decay_budget_of_sgd_is_the_sum_of_its_steps():
    model = nn.Linear(6, 2, bias=False)
    opt = SpredOptimizer(
        torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.5), L1(model.weight, 0.1), precondition=False
    )
    assert opt.decay_budget()[model.weight] == 0.0
    train(model, opt, 1000)
    assert opt.decay_budget()[model.weight] == pytest.approx(1000 * 0.01 * 0.1 / (1 - 0.5), rel=0.02)


def test_decay_budget_goes_on_over_a_mask_and_is_unknown_after_a_balanced_split():
    model = nn.Linear(6, 2, bias=False)
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.01), L1(model.weight, 0.1), precondition=False)
    train(model, opt, 500)
    with torch.no_grad():
        model.weight[0] = 0.0
    train(model, opt, 500)
    assert opt.decay_budget()[model.weight] == pytest.approx(1000 * 0.01 * 0.1, rel=0.02)
    balanced = SpredOptimizer(
        torch.optim.SGD(model.parameters(), lr=0.01), L1(model.weight, 0.1), balanced=True, keep_zeros=False
    )
    assert math.isnan(balanced.decay_budget()[model.weight])


def test_tied_weights_stay_tied():
    model = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 6))
    model[1].weight = model[0].weight
    opt = SpredOptimizer(adam(model), L1(prunable_weights(model), 0.01))
    train(model, opt, 3, torch.arange(6), torch.eye(6))
    assert model[1].weight is model[0].weight
    assert len(opt.factored) == 1


def test_frozen_tensors_and_those_without_gradient_do_not_move():
    model = net()
    opt = SpredOptimizer(
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), L1([model[0].weight, model[2].weight], 0.5)
    )
    model[0].weight.requires_grad_(False)
    before = [w.detach().clone() for w in (model[0].weight, model[2].weight)]
    train(model, opt, 2)
    assert torch.equal(model[0].weight, before[0])
    assert not torch.equal(model[2].weight, before[1])
    now = model[2].weight.detach().clone()
    opt.zero_grad()
    opt.step()
    assert torch.equal(model[2].weight, now)


@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_bfloat16_parameters_have_float32_factors(kind):
    model = net(torch.bfloat16)
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=1e-3), kind(prunable_weights(model), 0.01))
    assert {factor.dtype for entry in opt.factored for factor in entry.factors} == {torch.float32}
    train(model, opt, 200, X.bfloat16(), Y.bfloat16())
    exact = net()
    train(exact, SpredOptimizer(torch.optim.SGD(exact.parameters(), lr=1e-3), kind(prunable_weights(exact), 0.01)), 200)
    assert model[0].weight.dtype == torch.bfloat16
    # Steps of 1e-3 vanish in bfloat16's eight bits; the factors keep them.
    assert (model[0].weight.float() - exact[0].weight).abs().max() < 5e-3


def test_a_tensor_of_zeros_can_leave_zero():
    model = nn.Linear(6, 2)
    nn.init.zeros_(model.weight)
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(model.weight, 1e-3))
    train(model, opt, 20)
    assert torch.count_nonzero(model.weight) == 12


def test_sparse_gradients_are_refused():
    model = nn.Embedding(6, 4, sparse=True)
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(model.weight, 0.1))
    model(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(InputError, match="sparse=False"):
        opt.step()
