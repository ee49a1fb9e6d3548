"""A checkpoint goes on bit for bit, needs no pickle, and is refused where it does not belong."""

import copy
import io
import pickle

import pytest
import torch
from tiny_network import X, Y, adam, net, train
from torch import nn

from spred.errors import StateError
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import L1, GroupL1, prunable_weights
from spred.nn.pruning.macs import MACs


def through_a_file(state):
    """Save and load without pickle."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def steps(model, opt, schedule, n):
    def closure():
        opt.zero_grad()
        loss = nn.functional.mse_loss(model(X), Y)
        loss.backward()
        return loss

    for _ in range(n):
        opt.step(closure)
        schedule.step()


@pytest.mark.parametrize("kind", [L1, GroupL1])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"momentum": 0.9}),
        ("AdamW", {"weight_decay": 0.1}),
        ("Adagrad", {}),
        ("LBFGS", {"max_iter": 4}),
    ],
)
@pytest.mark.filterwarnings("ignore::spred.errors.SpredWarning")
def test_resume_is_bit_for_bit_and_needs_no_pickle(name, options, kind):
    def make():
        model = net()
        opt = SpredOptimizer(
            getattr(torch.optim, name)(model.parameters(), lr=0.05, **options), kind(prunable_weights(model), 0.01)
        )
        return model, opt, torch.optim.lr_scheduler.StepLR(opt, 3, gamma=0.5)

    model, opt, schedule = make()
    steps(model, opt, schedule, 5)
    opt.penalties[0].alpha = 0.02
    saved = through_a_file([model.state_dict(), opt.state_dict(), schedule.state_dict()])
    steps(model, opt, schedule, 5)

    again, opt_again, schedule_again = make()
    for part, state in zip((again, opt_again, schedule_again), saved, strict=True):
        part.load_state_dict(state)
    assert opt_again.penalties[0].alpha == 0.02
    steps(again, opt_again, schedule_again, 5)
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert opt.decay_budget()[model[0].weight] == opt_again.decay_budget()[again[0].weight]


def test_a_state_of_another_model_is_refused():
    model = net()
    opt = SpredOptimizer(adam(model), L1(prunable_weights(model), 0.01))
    other = nn.Linear(3, 2)
    state = SpredOptimizer(adam(other), L1(other.weight, 0.01)).state_dict()
    with pytest.raises(StateError, match="same model with the same penalties"):
        opt.load_state_dict(state)
    with pytest.raises(StateError, match="lacks"):
        opt.load_state_dict(adam(model).state_dict())


def tampered():
    """Ways to damage a state, one for each part of it, and some of nobody's."""
    yield "no mapping", lambda s: [1, 2]
    for key in (
        "factors",
        "budgets",
        "scales",
        "peak_gradients",
        "alphas",
        "weights",
        "n_steps",
        "base",
        "controllers",
    ):
        yield f"{key} is none", lambda s, key=key: s | {key: None}
        yield f"{key} is text", lambda s, key=key: s | {key: "damaged"}
        yield f"{key} is lost", lambda s, key=key: {k: v for k, v in s.items() if k != key}
    for key in ("budgets", "scales", "peak_gradients", "weights", "factors"):
        yield f"{key} is short", lambda s, key=key: s | {key: s[key][:1]}
    yield "a factor is a number", lambda s: s | {"factors": [[1.0, 2.0], s["factors"][1]]}
    yield "a factor is NaN", lambda s: s | {"factors": [[f * float("nan") for f in fs] for fs in s["factors"]]}
    yield "a scale is zero", lambda s: s | {"scales": [0.0, 1.0]}
    yield "alpha is NaN", lambda s: s | {"alphas": [float("nan")]}
    yield "alpha is negative", lambda s: s | {"alphas": [-1.0]}
    yield "a moment has another shape", lambda s: s | {"base": with_moment(s["base"], torch.ones(7))}
    yield "moments of no tensor", lambda s: s | {"base": s["base"] | {"state": {99: {"exp_avg": torch.ones(2)}}}}
    yield "groups are lost", lambda s: s | {"base": s["base"] | {"param_groups": []}}
    yield "public groups are lost", lambda s: s | {"param_groups": []}
    yield "a step below zero", lambda s: s | {"n_steps": -3}


def with_moment(base, moment):
    return base | {"state": {key: value | {"exp_avg": moment} for key, value in base["state"].items()}}


@pytest.mark.parametrize("name", [name for name, _ in tampered()])
def test_a_damaged_state_is_refused_and_changes_nothing(name):
    damage = dict(tampered())[name]
    model = net()
    opt = SpredOptimizer(adam(model), L1(prunable_weights(model), 0.01))
    train(model, opt, 3)
    before = copy.deepcopy(opt.state_dict())
    with pytest.raises(StateError) as caught:
        opt.load_state_dict(damage(copy.deepcopy(before)))
    assert "\n" not in str(caught.value)
    after = opt.state_dict()
    pairs = [zip(x, y, strict=True) for x, y in zip(before["factors"], after["factors"], strict=True)]
    assert all(torch.equal(a, b) for pair in pairs for a, b in pair)
    train(model, opt, 2)


BASES = {
    "SGD": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    "Adam": lambda params: torch.optim.Adam(params, lr=0.01),
    "Adagrad": lambda params: torch.optim.Adagrad(params, lr=0.01),
    "LBFGS": lambda params: torch.optim.LBFGS(params, max_iter=3),
}
WAYS = {"deepcopy": copy.deepcopy, "pickle": lambda pair: pickle.loads(pickle.dumps(pair)), "torch.save": None}


def saved_whole(pair):
    buffer = io.BytesIO()
    torch.save(pair, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("early", [False, True])
def test_a_copy_of_the_whole_optimiser_goes_on_bit_for_bit(base, way, early):
    model = net()
    inner = BASES[base](model.parameters())
    schedule = torch.optim.lr_scheduler.ExponentialLR(inner, 0.9) if early else None
    target = {} if base == "LBFGS" else {"target_density": 0.5, "total_steps": 20}
    penalties = [L1(model[0].weight, 0.01), GroupL1(model[2].weight, 0.01)]
    cost = {"cost": MACs(model, X)} if base == "SGD" else {}
    opt = SpredOptimizer(inner, penalties, **target, **cost)
    schedule = schedule or torch.optim.lr_scheduler.ExponentialLR(opt, 0.9)
    steps(model, opt, schedule, 4)
    other, other_opt, other_schedule = (WAYS[way] or saved_whole)((model, opt, schedule))
    assert other_opt.base is not opt.base
    steps(model, opt, schedule, 8)
    steps(other, other_opt, other_schedule, 8)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert a is not b
        assert torch.equal(a, b)
    if base != "LBFGS":
        with pytest.raises(StateError, match="step the SpredOptimizer"):
            other_opt.base.step()


def test_a_copy_alone_has_tensors_of_its_own_and_works():
    model = net()
    opt = SpredOptimizer(adam(model), L1(prunable_weights(model), 0.01))
    train(model, opt, 2)
    before = model[0].weight.detach().clone()
    other = copy.deepcopy(opt)
    for group in other.param_groups:
        for p in group["params"]:
            p.grad = torch.ones_like(p)
    other.step()
    assert torch.equal(model[0].weight, before)
    assert not torch.equal(other.param_groups[0]["params"][0], before)
