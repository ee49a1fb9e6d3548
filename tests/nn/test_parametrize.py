"""The form by autograd, and that the optimiser takes the same steps."""

import sys

import pytest
import torch
from torch import nn

from spred.errors import InputError, StateError
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.parametrize import parametrize, penalty, products, remove_parametrizations
from spred.nn.penalties import L1, GroupL1, prunable_weights

X = torch.randn(32, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
Y = torch.randn(32, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def net():
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2)).double()


OPTIMISERS = {
    "sgd with momentum": lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9),
    "adam": lambda params: torch.optim.Adam(params, lr=0.01),
    "adamw without decay": lambda params: torch.optim.AdamW(params, lr=0.01, weight_decay=0.0),
    "rmsprop": lambda params: torch.optim.RMSprop(params, lr=0.003),
    "nadam": lambda params: torch.optim.NAdam(params, lr=0.01),
    "adagrad": lambda params: torch.optim.Adagrad(params, lr=0.05, initial_accumulator_value=0.1),
}

PENALTIES = {
    "l1": lambda model, depth: L1(prunable_weights(model), 0.02, depth=depth),
    "columns": lambda model, depth: GroupL1(model[0].weight, 0.02, dim=1, group_weight="sqrt", depth=depth),
    "labels": lambda model, depth: GroupL1(
        model[0].weight, 0.02, groups=torch.arange(30).reshape(5, 6) % 7, depth=depth
    ),
    "both": lambda model, depth: [L1(model[2].weight, 0.01, depth=depth), GroupL1(model[0].weight, 0.02)],
}


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("kind", PENALTIES)
@pytest.mark.parametrize("name", OPTIMISERS)
def test_both_forms_take_the_same_steps(name, kind, depth):
    plain, written = net(), net()
    fast = SpredOptimizer(OPTIMISERS[name](plain.parameters()), PENALTIES[kind](plain, depth), precondition=False)
    parametrize(written, PENALTIES[kind](written, depth))
    slow = OPTIMISERS[name](written.parameters())
    start = plain[0].weight.detach().clone()
    for _ in range(25):
        fast.zero_grad()
        slow.zero_grad()
        nn.functional.mse_loss(plain(X), Y).backward()
        (nn.functional.mse_loss(written(X), Y) + penalty(written)).backward()
        fast.step()
        slow.step()
        for a, b in ((plain[0], written[0]), (plain[2], written[2])):
            torch.testing.assert_close(a.weight, b.weight, rtol=1e-6, atol=1e-6)
            torch.testing.assert_close(a.bias, b.bias, rtol=1e-6, atol=1e-6)
    assert (plain[0].weight - start).abs().max() > 0.01
    torch.testing.assert_close(fast.penalty(), penalty(written).detach())


def test_parametrize_keeps_the_outputs_and_removing_leaves_a_plain_model():
    model = net()
    before = model(X)
    assert parametrize(model, L1(prunable_weights(model), 0.1)) is model
    assert len(list(products(model))) == 2
    torch.testing.assert_close(model(X), before)
    assert remove_parametrizations(model) is model
    assert sorted(name for name, _ in model.named_parameters()) == [
        "0.bias",
        "0.weight",
        "2.bias",
        "2.weight",
    ]
    assert type(model[0]) is nn.Linear
    torch.testing.assert_close(model(X), before)


def test_a_balanced_split_pays_exactly_the_penalty():
    model = net()
    target = 0.1 * sum(w.abs().sum() for w in prunable_weights(model))
    parametrize(model, L1(prunable_weights(model), 0.1), balanced=True)
    torch.testing.assert_close(penalty(model), target)


def test_half_precision_keeps_single_precision_factors():
    model = nn.Linear(4, 3).bfloat16()
    parametrize(model, L1(model.weight, 0.1))
    assert model.weight.dtype == torch.bfloat16
    assert {p.dtype for name, p in model.named_parameters() if "weight" in name} == {torch.float32}
    penalty(model).backward()


def test_attention_works_under_parametrize():
    model = nn.MultiheadAttention(6, 3, batch_first=True)
    x = torch.randn(2, 4, 6)
    before = model(x, x, x)[0]
    parametrize(model, GroupL1(model.in_proj_weight, 0.1, heads=model))
    torch.testing.assert_close(model(x, x, x)[0], before)


def test_wrong_calls_are_refused_in_a_sentence():
    model = net()
    with pytest.raises(StateError, match="no factors"):
        penalty(model)
    with pytest.raises(StateError, match="no factors to remove"):
        remove_parametrizations(model)
    with pytest.raises(InputError, match=r"\(5, 6\) is not in the model"):
        parametrize(net(), L1(model[0].weight, 0.1))


def test_tied_weights_are_refused_because_the_tie_would_break():
    model = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 6))
    model[1].weight = model[0].weight
    with pytest.raises(InputError, match=r"shared by 2 modules.*SpredOptimizer"):
        parametrize(model, L1(model[0].weight, 0.1))


def test_a_penalty_without_a_gradient_is_an_error(monkeypatch):
    layer = nn.Linear(3, 1)
    parametrize(layer, L1(layer.weight, 0.1))
    assert penalty(layer).requires_grad
    with torch.no_grad():
        penalty(layer)
    here = sys.modules["spred.nn.parametrize"]
    monkeypatch.setattr(here, "quadratic_penalty", lambda *args: torch.zeros(()))  # as an old array-api-compat does
    with pytest.raises(StateError, match=r"no gradient.*upgrade it"):
        penalty(layer)
