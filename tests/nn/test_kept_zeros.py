"""Zeros that are there at the start stay zero, a tensor of zeros trains, in both forms and for every kind of groups."""

import warnings

import pytest
import torch
from tiny_network import X, Y, net, train
from torch import nn

from spred.core.partition import SINGLES, Axes
from spred.errors import SpredWarning
from spred.nn.finalize import finalize
from spred.nn.joined import join_tensors
from spred.nn.kept_zeros import first_split, groups_within, scale_in_use, zeros_to_keep
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.parametrize import parametrize, penalty, remove_parametrizations
from spred.nn.penalties import L1, GroupL1, prunable_weights

KINDS = {
    "single": lambda w: L1(w, 1e-3),
    "depth 3": lambda w: L1(w, 1e-4, depth=3),
    "rows": lambda w: GroupL1(w, 1e-3, dim=0),
    "columns": lambda w: GroupL1(w, 1e-3, dim=1),
    "labels": lambda w: GroupL1(w, 1e-3, groups=torch.arange(w.numel()).reshape(w.shape) % 7),
}

BASES = {
    "SGD": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    "Adam": lambda params: torch.optim.Adam(params, lr=0.01),
    "Adafactor": lambda params: torch.optim.Adafactor(params, lr=0.1),
    "Muon": lambda params: torch.optim.Muon([p for p in params if p.ndim == 2], lr=0.01, weight_decay=0.0),
}


def masked(shape_seed=0):
    """A network, half of whose first weights are exactly zero, and one row of them as a whole."""
    model = net()
    with torch.no_grad():
        keep = torch.rand(model[0].weight.shape, generator=torch.Generator().manual_seed(shape_seed)) > 0.5
        keep[1] = False
        model[0].weight.mul_(keep)
    return model, ~keep


@pytest.mark.filterwarnings("ignore:Adafactor keeps")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_mask_stays_a_mask_when_a_model_is_wrapped(kind, base, compiled, monkeypatch):
    if not hasattr(torch.optim, base) or (base, kind) == ("Muon", "labels"):
        pytest.skip("this torch has no such optimiser, or it takes matrices only")
    monkeypatch.setattr(torch, "compile", lambda program: program)  # what is compiled, without the seconds
    model, zeros = masked()
    with pytest.warns(SpredWarning, match=f"{int(zeros.sum())} of 30 penalised weights are exactly zero and stay"):
        opt = SpredOptimizer(BASES[base](list(model.parameters())), KINDS[kind](model[0].weight), compile=compiled)
    before = model[0].weight.detach().clone()
    train(model, opt, 250 if base == "SGD" and not compiled else 25)  # past a regrowth
    assert not model[0].weight[zeros].any()
    assert (model[0].weight != before)[~zeros].all()
    state = opt.state_dict()
    again = net()
    again.load_state_dict(model.state_dict())
    with pytest.warns(SpredWarning, match="stay zero"):
        other = SpredOptimizer(BASES[base](list(again.parameters())), KINDS[kind](again[0].weight))
    other.load_state_dict(state)
    train(again, other, 3)
    assert not again[0].weight[zeros].any()


def test_zeros_can_be_given_back_to_training():
    model, zeros = masked()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opt = SpredOptimizer(BASES["SGD"](model.parameters()), KINDS["rows"](model[0].weight), keep_zeros=False)
    train(model, opt, 2)
    assert model[0].weight[zeros].any()


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_tensor_of_zeros_trains(kind, balanced):
    model = net()
    nn.init.zeros_(model[2].weight)  # the second factor of a low-rank adapter
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opt = SpredOptimizer(BASES["SGD"](model.parameters()), KINDS[kind](model[2].weight), balanced=balanced)
    train(model, opt, 2)
    assert model[2].weight.all()


def test_joined_tensors_of_zeros_train_and_their_dead_groups_stay():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4, bias=False), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
    parts = [model[0].weight, model[1].weight, model[1].bias]
    with warnings.catch_warnings():  # the biases of a batch norm begin as zeros
        warnings.simplefilter("error")
        opt = SpredOptimizer(BASES["SGD"](model.parameters()), GroupL1(parts, 1e-3, join=True))
    train(model, opt, 3)
    assert model[1].bias.all()
    with torch.no_grad():
        for part in parts:
            part[2] = 0.0
        model[0].weight[0, 3] = 0.0
    with pytest.warns(SpredWarning, match="9 of 32"):
        opt = SpredOptimizer(BASES["Adam"](model.parameters()), GroupL1(parts, 1e-3, join=True))
    train(model, opt, 20)
    assert not any(part[2].any() for part in parts)
    assert model[0].weight[0, 3] == 0.0
    assert model[1].bias[[0, 1, 3]].all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_parametrised_form_keeps_them_too(kind):
    model, zeros = masked()
    with pytest.warns(SpredWarning, match="stay zero"):
        parametrize(model, KINDS[kind](model[0].weight))
    opt = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(5):
        opt.zero_grad()
        (nn.functional.mse_loss(model(X), Y) + penalty(model)).backward()
        opt.step()
    remove_parametrizations(model)
    assert not model[0].weight[zeros].any()
    assert model[0].weight[~zeros].all()
    again = net()
    with torch.no_grad():
        again[0].weight.mul_(~zeros)
    parametrize(again, KINDS[kind](again[0].weight), keep_zeros=False)
    opt = torch.optim.SGD(again.parameters(), lr=0.1)
    nn.functional.mse_loss(again(X), Y).backward()
    opt.step()
    assert again[0].weight[zeros].any()


@pytest.mark.filterwarnings("ignore:the decay budget")
def test_a_finalized_model_that_is_wrapped_anew_keeps_its_zeros():
    model = net()
    opt = SpredOptimizer(BASES["SGD"](model.parameters()), L1(prunable_weights(model), 5e-3))
    train(model, opt, 300)
    finalize(model, opt)
    zeros = [w == 0 for w in prunable_weights(model)]
    assert sum(int(z.sum()) for z in zeros) > 5
    with pytest.warns(SpredWarning, match="stay zero"):
        opt = SpredOptimizer(BASES["Adam"](model.parameters()), L1(prunable_weights(model), 1e-4))
    train(model, opt, 250)
    assert not any(w[z].any() for w, z in zip(prunable_weights(model), zeros, strict=True))


def test_a_mask_written_into_live_groups_holds_until_values_are_written():
    model = net()
    opt = SpredOptimizer(BASES["Adam"](model.parameters()), GroupL1(model[0].weight, 1e-3))
    train(model, opt, 3)
    with torch.no_grad():
        model[0].weight[0, :2] = 0.0
    train(model, opt, 5)
    assert not model[0].weight[0, :2].any()
    with torch.no_grad():
        model[0].weight[0, 0] = 0.1
    train(model, opt, 5)
    assert model[0].weight[0, 0] != 0
    assert model[0].weight[0, 1] == 0


def test_which_zeros_count():
    half, empty = torch.tensor([[0.0, 1.0], [0.0, 0.0]]), torch.zeros(2)
    assert zeros_to_keep(join_tensors([empty], (0,), None), Axes((0,))).any().item() is False
    place = join_tensors([half, empty], (0, 0), None)
    mask = zeros_to_keep(place, Axes((0,)))
    assert mask.tolist() == [[True, False, False], [True, True, True]]
    assert groups_within(mask, Axes((0,))).flatten().tolist() == [False, True]


def test_the_typical_norm_is_that_of_what_is_left():
    value = torch.tensor([0.0, 0.0, 0.0, 2.0])
    absent = value == 0
    assert scale_in_use(value, SINGLES, absent) == pytest.approx(2.0)
    gate, full = first_split(value, 2, SINGLES, absent, 2.0, balanced=False)
    assert gate[:3].tolist() == full[:3].tolist() == [0.0] * 3
    assert float(gate[3] * full[3]) == 2.0


def test_a_zero_that_chance_made_trains_without_a_word() -> None:
    """A uniform start in single precision has one zero in 2²⁴ weights; warnings are errors here."""
    weight = nn.Parameter(torch.full((1000, 1200), 0.1))
    with torch.no_grad():
        weight[0, 0] = 0.0
    opt = SpredOptimizer(torch.optim.SGD([weight], lr=0.1), L1(weight, alpha=1e-6))
    weight.sum().neg().backward()
    opt.step()
    assert weight[0, 0] != 0
