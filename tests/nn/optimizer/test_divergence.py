"""Divergence and collapse are reported by name, with a remedy."""

import math

import pytest
import torch
from torch import nn

from spred.errors import SpredWarning, StateError
from spred.nn.finalize import finalize
from spred.nn.optimizer.divergence import EVERY
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.parametrize import parametrize
from spred.nn.penalties import L1, GroupL1, prunable_weights


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


BASES = {
    "SGD": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    "Adam": lambda params: torch.optim.Adam(params, lr=0.01),
    "LBFGS": lambda params: torch.optim.LBFGS(params, max_iter=3),
}


@pytest.mark.parametrize("kind", [L1, GroupL1])
@pytest.mark.parametrize("name", BASES)
def test_a_loss_that_is_no_number_stops_at_once_and_leaves_the_weights(name, kind):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    opt = SpredOptimizer(BASES[name](model.parameters()), kind(prunable_weights(model), 1e-3))
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(1))
    factor = 1.0

    def closure():
        opt.zero_grad()
        loss = factor * model(x).square().mean()
        loss.backward()
        return loss

    for _ in range(3):
        opt.step(closure)
    before, state = [w.detach().clone() for w in prunable_weights(model)], opt.state_dict()
    factor = math.nan
    with pytest.raises(
        StateError, match=r"(diverged at step 4.*weights are still those before)|not finite after step 4"
    ):
        opt.step(closure)
    assert all(torch.equal(a, b) for a, b in zip(before, prunable_weights(model), strict=True))
    assert opt.state_dict()["n_steps"] == state["n_steps"]
    factor = 1.0
    opt.step(closure)


def test_a_broken_run_is_neither_saved_nor_finalized():
    model, opt = make(1e-3, 0.1)
    train(model, opt, 2)
    with torch.no_grad():
        model[2].weight[0, 0] = math.inf
    with pytest.raises(StateError, match=r"2\.weight has diverged.*after step 2"):
        opt.state_dict()
    with pytest.raises(StateError, match=r"2\.weight has diverged"):
        finalize(model, opt)


@pytest.mark.filterwarnings("ignore:the decay budget")
def test_finalize_refuses_gradients_and_factors_that_are_not_finite():
    model, opt = make(1e-3, 0.1)
    bad = [(torch.full((4, 3), math.nan), torch.zeros(4, 2))]
    with pytest.raises(StateError, match=r"the gradient of 0\.weight over the loader is not finite"):
        finalize(model, opt, bad, nn.functional.mse_loss)
    other = nn.Sequential(nn.Linear(3, 2))
    parametrize(other, L1(other[0].weight, 1e-3))
    with torch.no_grad():
        other[0].parametrizations.weight.original0[0, 0] = math.nan
    with pytest.raises(StateError, match=r"0\.weight has weights that are not finite"):
        finalize(other)


def test_large_gradients_that_are_finite_pass():
    model, opt = make(1e-3, 1e-30)
    for p in model.parameters():
        p.grad = torch.full_like(p, 3e38)  # their sum overflows
    opt.step()
