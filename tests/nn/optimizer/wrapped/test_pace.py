"""Optimisers are told apart by their steps, and each gets sparse at the learning rate that trains the dense model."""

import warnings

import pytest
import torch
from torch import nn

from spred.errors import InputError, SpredWarning
from spred.nn.finalize import finalize
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.optimizer.wrapped.pace import divides_gradients, pace_of, rate_scale
from spred.nn.penalties import L1, prunable_weights


class Sign(torch.optim.Optimizer):
    """Moves each weight by the learning rate against the sign of its averaged gradient (Lion)."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    mean = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                    p.add_((0.9 * mean + 0.1 * p.grad).sign(), alpha=-group["lr"])
                    mean.lerp_(p.grad, 0.01)


class Plain(Sign):
    """Gradient descent by another name."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.add_(p.grad, alpha=-group["lr"])


class Cubic(Sign):
    """Steps that grow with the cube of the gradient."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.add_(p.grad**3, alpha=-group["lr"])


def of(make):
    return make([nn.Parameter(torch.ones(3, 2))], lr=0.01)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (torch.optim.SGD, "linear"),
        (torch.optim.ASGD, "linear"),
        (torch.optim.LBFGS, "curvature"),
        (torch.optim.Adadelta, "absolute"),
        (torch.optim.Rprop, "absolute"),
        (Sign, "absolute"),
        (Plain, "linear"),
        pytest.param(
            getattr(torch.optim, "Adafactor", None),
            "relative",
            marks=pytest.mark.skipif(not hasattr(torch.optim, "Adafactor"), reason="this torch has none"),
        ),
        pytest.param(
            getattr(torch.optim, "Muon", None),
            "absolute",
            marks=pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has none"),
        ),
    ],
)
def test_paces_are_told_apart_without_a_trace(make, expected):
    base = of(make)
    before, state = base.param_groups[0]["params"][0].detach().clone(), torch.get_rng_state()
    options = dict(base.param_groups[0])
    assert pace_of(base) == expected
    assert torch.equal(base.param_groups[0]["params"][0].detach(), before)
    assert not base.state
    assert base.param_groups[0] == options
    assert torch.equal(torch.get_rng_state(), state)


def test_what_is_not_known_is_said():
    with pytest.warns(SpredWarning, match=r"how Cubic moves weights is not known: .* power 3\.00 of the gradient"):
        assert pace_of(of(Cubic)) == "unknown"
    with pytest.warns(SpredWarning, match="cannot be tried on a small matrix"):
        assert pace_of(of(lambda params, lr: Fails(params, lr=lr))) == "unknown"


class Fails(Sign):
    """Needs what a small matrix has not."""

    def step(self, closure=None):
        raise KeyError("hessian")


def test_auto_divides_for_linear_steps_and_scales_the_rates_of_others():
    bases = [of(make) for make in (torch.optim.SGD, torch.optim.ASGD, torch.optim.Adam, torch.optim.LBFGS)]
    sgd, _, adam, lbfgs = bases
    paces = [pace_of(base) for base in bases]
    divided = [divides_gradients("auto", pace) for pace in paces]
    assert divided == [True, True, False, False]
    assert [rate_scale(b, "auto", p) is not None for b, p in zip(bases, paces, strict=True)] == [
        False,
        False,
        True,
        False,
    ]
    assert divides_gradients(True, "unknown")
    assert not divides_gradients("auto", "unknown")
    assert rate_scale(adam, True, "absolute") is not None
    assert not divides_gradients(True, "absolute")
    assert not divides_gradients(False, "linear")
    assert rate_scale(adam, False, "absolute") is None
    with pytest.raises(InputError, match="plain gradients"):
        divides_gradients(True, pace_of(lbfgs))
    with pytest.raises(InputError, match="'auto'"):
        divides_gradients("on", pace_of(sgd))


class Around(Sign):
    """Lets another optimiser step, which shares its groups."""

    def __init__(self, params, lr):
        super().__init__(params, lr)
        self.inner = torch.optim.Adam(list(params), lr=lr)
        self.inner.param_groups = self.param_groups
        for group in self.param_groups:
            group |= {key: value for key, value in self.inner.defaults.items() if key not in group}

    def step(self, closure=None):
        return self.inner.step(closure)


def test_an_optimiser_around_another_leaves_no_trace_and_steps_on_factors():
    model = nn.Linear(3, 2)
    opt = SpredOptimizer(Around(list(model.parameters()), lr=0.01), L1(model.weight, 1e-3))
    assert not opt.base.inner.state
    model(torch.ones(1, 3)).sum().backward()
    opt.step()
    assert {id(p) for p in opt.base.inner.state} == {id(p) for g in opt.factor_groups for p in g["params"]}


TRAINED = {
    "SGD": (lambda params: torch.optim.SGD(params, lr=0.2, momentum=0.9), 0.1),
    "Adam": (lambda params: torch.optim.Adam(params, lr=0.01), 0.15),
    "ASGD": (lambda params: torch.optim.ASGD(params, lr=1.0), 0.15),
    "Adadelta": (lambda params: torch.optim.Adadelta(params, lr=1.0), 0.25),
    "Adafactor": (lambda params: torch.optim.Adafactor(params, lr=0.1, weight_decay=0.0), 0.25),
    "Sign": (lambda params: Sign(params, lr=2e-3), 0.25),
    "Plain": (lambda params: Plain(params, lr=0.5), 0.25),
}


@pytest.mark.filterwarnings("ignore:the decay budget")
@pytest.mark.filterwarnings("ignore:Adafactor keeps")
@pytest.mark.parametrize("name", TRAINED)
def test_each_optimiser_gets_sparse_at_the_rate_that_trains(name):
    make, most = TRAINED[name]
    torch.manual_seed(0)
    x = torch.randn(256, 20)
    y = (x[:, 0] - x[:, 1] > 0).long()
    model = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opt = SpredOptimizer(make(model.parameters()), L1(prunable_weights(model), 8e-3))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 400)
    for _ in range(400):
        opt.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        opt.step()
        schedule.step()
    assert finalize(model, opt).density < most
    assert float((model(x).argmax(dim=1) == y).float().mean()) > 0.95
