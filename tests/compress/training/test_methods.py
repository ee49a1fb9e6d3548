"""Each method does what its paper says, on single weights and on groups: judged by formulas written out here."""

from __future__ import annotations

from copy import deepcopy
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from spred import L1, GroupL1
from spred.compress.recipe import DEMO, TrainSection, read_recipe
from spred.compress.training.methods import METHODS, Method, Refit, Strength, available, with_peers
from spred.compress.training.trainer import make_optimizer
from spred.errors import InputError
from spred.nn import SpredOptimizer

N_STEPS = 100


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))


def single(model: nn.Sequential) -> list[L1]:
    return [L1([model[0].weight, model[2].weight], 1e-3)]


def rows(model: nn.Sequential) -> list[L1]:
    return [GroupL1([model[0].weight, model[0].bias], 1e-3, join=True)]


def make(name: str, model: nn.Module, listed: list[L1], strength: Strength, **train) -> Method:
    section = TrainSection(**train)
    return METHODS[name](model, listed, strength, lambda m, s: make_optimizer(m, s, section, 0.1), N_STEPS)


def train(model: nn.Module, method: Method, n_steps: int = N_STEPS, start: int = 0) -> None:
    generator = torch.Generator().manual_seed(1)
    for step in range(start, start + n_steps):
        x = torch.randn(32, 6, generator=generator)
        method.opt.zero_grad()
        nn.functional.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
        method.before_step()
        method.opt.step()
        method.after_step(step + 1)


def flat(model: nn.Sequential) -> np.ndarray:
    return np.concatenate([model[k].weight.detach().numpy().ravel() for k in (0, 2)])


def test_one_shot_keeps_the_largest_weights_and_no_others():
    model = network()
    before = flat(model)
    method = make("one-shot", model, single(model), Strength(None, 0.25))
    expected = np.abs(before) >= np.sort(np.abs(before))[-16]
    np.testing.assert_array_equal(flat(model) != 0, expected)
    train(model, method, 20)
    np.testing.assert_array_equal(flat(model) != 0, expected)


def test_one_shot_on_groups_goes_by_their_root_mean_square():
    model = network()
    joined = torch.cat([model[0].weight, model[0].bias[:, None]], dim=1).detach()
    largest = set(joined.square().mean(dim=1).argsort(descending=True)[:2].tolist())
    make("one-shot", model, rows(model), Strength(None, 0.25))
    left = {k for k in range(8) if model[0].weight[k].any()}
    assert left == largest
    assert {k for k in range(8) if model[0].bias[k] != 0} == largest


def test_gradual_pruning_follows_its_cubic_schedule_and_ends_at_the_target():
    model = network()
    method = make("gradual", model, single(model), Strength(None, 0.25))
    counts = []
    for step in range(N_STEPS):
        train(model, method, 1, start=step)
        counts.append(np.count_nonzero(flat(model)))
    assert counts[8] == 64
    assert all(a >= b for a, b in pairwise(counts))
    done = (45 - 10) / 70  # of the schedule after 45 steps
    assert counts[44] == pytest.approx(64 * (0.25 + 0.75 * (1 - done) ** 3), abs=1)
    assert counts[79:] == [16] * 21


def test_a_stopped_pruning_goes_on_alike():
    whole, parts = network(), network()
    method = make("gradual", whole, single(whole), Strength(None, 0.25))
    train(whole, method, 50)
    first = make("gradual", parts, single(parts), Strength(None, 0.25))
    train(parts, first, 50)
    again = network()
    again.load_state_dict(parts.state_dict())
    second = make("gradual", again, single(again), Strength(None, 0.25))
    second.opt.load_state_dict(deepcopy(first.opt.state_dict()))
    train(whole, method, 50, start=50)
    train(again, second, 50, start=50)
    np.testing.assert_array_equal(flat(whole), flat(again))


@pytest.mark.parametrize("penalise", [single, rows])
def test_the_subgradient_is_that_of_the_penalty(penalise):
    model = network()
    listed = penalise(model)
    method = make("subgradient", model, listed, Strength(0.3))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    method.before_step()
    copies = [p.detach().clone().requires_grad_() for p in listed[0].params]
    if penalise is single:
        value = sum(c.abs().sum() for c in copies)
    else:
        value = torch.cat([copies[0], copies[1][:, None]], dim=1).norm(dim=1).sum()
    expected = torch.autograd.grad(0.3 * value, copies)
    for parameter, grad in zip(listed[0].params, expected, strict=True):
        torch.testing.assert_close(parameter.grad, grad)


def test_the_subgradient_method_sets_to_zero_what_is_below_its_threshold():
    model = network()
    with torch.no_grad():
        model[0].weight[0] = 5e-4
    method = make("subgradient", model, single(model), Strength(0.1))
    method.finish()
    assert not model[0].weight[0].any()
    assert np.count_nonzero(flat(model)) == 64 - 6


def test_spred_takes_an_alpha_or_a_density():
    model = network()
    method = make("spred", model, single(model), Strength(0.05), weight_decay=1e-3)
    assert isinstance(method.opt, SpredOptimizer)
    assert method.opt.penalties[0].alpha == 0.05
    decays = {group["weight_decay"] for group in method.opt.param_groups}
    assert decays == {0.0, 1e-3}  # for the penalised tensors, and for the others
    train(model, method)
    found = method.finish()
    left = np.count_nonzero(flat(model))
    assert left < 64
    assert (sum(found.zeroed), sum(found.kept)) == (64 - left, left)
    to_density = make("spred", network_ := network(), single(network_), Strength(None, 0.25))
    train(network_, to_density)
    to_density.finish()
    assert np.count_nonzero(flat(network_)) == pytest.approx(16, abs=2)


@pytest.mark.parametrize("name", ["spred", "one-shot", "gradual"])
def test_a_uniform_density_is_that_of_each_penalty(name):
    model = network()
    with torch.no_grad():
        model[2].weight.mul_(10.0)  # all of them together, these would stay
    listed = [L1([model[k].weight], 1e-3) for k in (0, 2)]
    method = make(name, model, listed, Strength(1e-3 if name == "spred" else None, 0.25, uniform=True))
    train(model, method)
    method.finish()
    left = [np.count_nonzero(model[k].weight.detach()) for k in (0, 2)]
    assert left == pytest.approx([12, 4], abs=1)


def test_refitting_holds_the_zeros_and_moves_the_rest():
    model = network()
    with torch.no_grad():
        model[0].weight[:4] = 0.0
    before = flat(model)
    method = Refit(
        model, ["0.weight", "2.weight"], lambda m, s: make_optimizer(m, s, TrainSection(weight_decay=0.01), 0.1)
    )
    train(model, method, 10)
    np.testing.assert_array_equal(flat(model) == 0, before == 0)
    assert (flat(model) != before)[before != 0].all()


def test_pat_is_used_where_it_is_installed():
    assert available("pat") == (find_spec("torchao") is not None)
    assert available("gradual")
    recipe = with_peers(read_recipe(DEMO | {"penalty": {"densities": [0.1]}}))
    assert recipe.compare[:3] == ("one-shot", "gradual", "subgradient")
    assert ("pat" in recipe.compare) == available("pat")
    assert "pat" not in with_peers(read_recipe(DEMO)).compare  # its whole filters and neurons


@pytest.mark.skipif(not available("pat"), reason="torchao is not installed")
def test_pat_makes_zeros_and_refuses_groups():
    model = network()
    method = make("pat", model, single(model), Strength(0.02, 0.2), momentum=0.9)
    assert method.opt.param_groups[0]["reg_lambda"] == pytest.approx(0.2)
    train(model, method)
    assert 0 < np.count_nonzero(flat(model)) < 64
    with pytest.raises(InputError, match="single weights"):
        make("pat", model, rows(model), Strength(0.02, 0.2))
