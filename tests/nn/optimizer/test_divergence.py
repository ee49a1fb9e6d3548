"""Divergence and collapse are reported by name, with a remedy."""

import math

import pytest
import torch
from torch import nn

from spred.errors import SpredWarning, StateError
from spred.nn.optimizer.divergence import EVERY
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import L1, prunable_weights


def make(alpha, lr, named=True):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    params = model.named_parameters() if named else model.parameters()
    return model, SpredOptimizer(torch.optim.SGD(params, lr=lr), L1(prunable_weights(model), alpha), regrow=False)


def train(model, opt, n_steps):
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(1))
    for _ in range(n_steps):
        opt.zero_grad()
        model(x).square().mean().backward()
        opt.step()


@pytest.mark.parametrize(("named", "called"), [(True, "2.weight"), (False, r"penalised tensor 1 of shape \(2, 4\)")])
def test_divergence_names_the_tensor_and_the_remedy(named, called):
    model, opt = make(1e-3, 0.1, named)
    train(model, opt, EVERY - 1)
    model[2].weight.grad[0, 0] = math.inf
    with pytest.raises(StateError, match=f"the gradient of {called} is not finite.*lower the learning rate"):
        opt.step()


def test_collapse_is_reported_once_and_training_goes_on():
    model, opt = make(1.0, 0.1)
    with pytest.warns(SpredWarning, match="has collapsed.*alpha .now 1") as caught:
        train(model, opt, 4 * EVERY)
    assert sorted(str(w.message).split()[0] for w in caught) == ["0.weight", "2.weight"]


def test_a_healthy_run_is_silent(recwarn):
    model, opt = make(1e-4, 0.1)
    train(model, opt, 2 * EVERY)
    assert not [w for w in recwarn if issubclass(w.category, SpredWarning)]
