"""Exact zeros, by the rule that the docstring states, in the tensor, the factors and the moments."""

import pytest
import torch
from torch import nn

from spred.core.partition import Axes
from spred.core.penalties import Penalty
from spred.errors import InputError, SpredWarning, StateError
from spred.nn.finalize import finalize
from spred.nn.inspect import inspect
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.parametrize import parametrize, remove_parametrizations
from spred.nn.penalties import L1, GroupL1, prunable_weights
from spred.nn.threshold import at_zero

pytestmark = pytest.mark.filterwarnings("ignore:the decay budget")

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
Y = X[:, :2] - X[:, 2:4]


def net():
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))


def trained(kind, n_steps=1000, alpha=0.02, **options):
    model = net()
    base = torch.optim.Adam(model.parameters(), lr=0.005)
    opt = SpredOptimizer(base, kind(prunable_weights(model), alpha, **options))
    train(model, opt, n_steps)
    return model, opt


def train(model, opt, n_steps):
    for _ in range(n_steps):
        opt.zero_grad()
        nn.functional.mse_loss(model(X), Y).backward()
        opt.step()


def test_the_rule_asks_size_and_gradient():
    v = torch.tensor([0.005, 0.005, 0.02, 1.0])
    penalty = Penalty(0.1)
    assert at_zero(v, None, penalty, 0.01).tolist() == [True, True, False, False]
    grad = torch.tensor([0.0, -0.1, 0.0, -0.1])  # the second and the last are held by the loss
    assert at_zero(v, grad, penalty, 0.01).tolist() == [True, False, False, False]
    grad = torch.tensor([0.0, 0.0, 0.15, 0.0])  # the third is pushed inward by the loss as well
    assert at_zero(v, grad, penalty, 0.01).tolist() == [True, True, True, False]
    groups = Penalty(0.1, partition=Axes((0,)), weights=torch.tensor([[1.0], [2.0]]))
    rows = torch.tensor([[0.009, 0.009], [0.009, 0.009]])
    assert at_zero(rows, None, groups, 0.01).tolist() == [[False], [True]]


@pytest.mark.parametrize("options", [{}, {"depth": 3}])
@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_zeros_are_exact_everywhere_and_the_outputs_stay(kind, options):
    model, opt = trained(kind, **options)
    before = model(X)
    undecided = inspect(model, opt, [(X, Y)], nn.functional.mse_loss).undecided
    record = finalize(model, opt, [(X, Y)], nn.functional.mse_loss)
    assert record.zeroed > 0
    assert 0 < record.density < 1
    assert undecided <= sum(row.nonzeros for row in record.rows)
    assert record.density == sum(row.nonzeros for row in record.rows) / 64
    assert (model(X) - before).abs().max() < 0.05
    for entry, row in zip(opt.factored, record.rows, strict=True):
        assert torch.count_nonzero(entry.place.value()) == row.nonzeros
        assert torch.equal(entry.product(), entry.place.value())
        gate, full = entry.factors[0], entry.factors[-1]
        dead = entry.partition.spread(gate == 0, full)
        assert torch.equal(dead, entry.place.value() == 0) or kind is GroupL1
        assert torch.count_nonzero(full[dead]) == 0
        assert torch.count_nonzero(opt.base.state[full]["exp_avg"][dead]) == 0


def test_zeros_stay_when_training_goes_on():
    model, opt = trained(L1)
    finalize(model, opt)
    zeros = [w == 0 for w in prunable_weights(model)]
    train(model, opt, 20)
    for w, zero in zip(prunable_weights(model), zeros, strict=True):
        assert torch.count_nonzero(w[zero]) == 0
        assert torch.count_nonzero(w) > 0


def test_whole_groups_go_together():
    model, opt = trained(GroupL1, alpha=0.1, dim=1)
    finalize(model, opt, [(X, Y)], nn.functional.mse_loss)
    alive = torch.count_nonzero(model[0].weight, dim=0)
    assert set(alive.tolist()) == {0, 8}
    assert alive[4:].sum() == 0  # the two inputs that the target does not use


def test_the_threshold_can_be_given():
    model, opt = trained(L1, n_steps=1)
    assert finalize(model, opt, threshold=0.0).zeroed == 0
    record = finalize(model, opt, threshold=0.1)
    assert all(row.threshold == 0.1 for row in record.rows)
    assert all(w[w != 0].abs().min() > 0.1 for w in prunable_weights(model))


def test_weights_written_before_are_taken_over():
    model, opt = trained(L1, n_steps=5)
    with torch.no_grad():
        model[0].weight.fill_(0.5)
    finalize(model, opt)
    torch.testing.assert_close(model[0].weight.detach(), torch.full((8, 6), 0.5))


def test_parametrised_weights_are_finalized_too():
    model = net()
    parametrize(model, L1(prunable_weights(model), 0.02))
    record = finalize(model, threshold=0.1)
    remove_parametrizations(model)
    assert record.zeroed > 0
    assert sum(int(torch.count_nonzero(w)) for w in prunable_weights(model)) == sum(row.nonzeros for row in record.rows)


def test_the_table_is_readable():
    model, opt = trained(L1, n_steps=5)
    lines = str(finalize(model, opt)).splitlines()
    assert lines[0].split() == ["tensor", "weights", "set", "to", "zero", "nonzero", "threshold"]
    assert lines[1].split()[:2] == ["0.weight", "48"]
    assert lines[-1].startswith("density of the penalised weights: ")


def test_wrong_calls_are_refused_in_a_sentence():
    model, opt = trained(L1, n_steps=1)
    with pytest.raises(StateError, match="nothing is penalised"):
        finalize(net())
    with pytest.raises(InputError, match="threshold is -1"):
        finalize(model, opt, threshold=-1)
    with pytest.raises(InputError, match="needs a loss_fn"):
        finalize(model, opt, [(X, Y)])


def test_a_run_that_was_too_short_is_said_by_name():
    model, opt = trained(L1, n_steps=3)
    with pytest.warns(SpredWarning, match=r"decay budget of 0\.weight, 2\.weight is below 1.*train longer"):
        finalize(model, opt)
    assert inspect(model, opt).rows[0].notes == ("B is small: train longer",)


@pytest.mark.filterwarnings("error")
def test_no_warning_without_alpha_or_after_a_long_run():
    model, opt = trained(L1, n_steps=3, alpha=0.0)
    finalize(model, opt)
    model, opt = trained(L1, alpha=0.05)
    assert min(opt.decay_budget().values()) > 1.0
    finalize(model, opt)


def test_at_alpha_zero_the_weights_that_are_left_are_refitted_and_the_zeros_stay():
    model, opt = trained(L1, n_steps=2000, alpha=0.05)
    finalize(model, opt)
    zeros = model[0].weight == 0
    before = nn.functional.mse_loss(model(X), Y)
    opt.penalties[0].alpha = 0.0
    train(model, opt, 1000)
    assert zeros.any()
    assert torch.equal(model[0].weight == 0, zeros)
    assert nn.functional.mse_loss(model(X), Y) < 0.5 * before
