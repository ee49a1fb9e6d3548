"""Moving averages and other copies of a model get the zeros that it got."""

import copy

import pytest
import torch
from tiny_network import net, train
from torch import nn

from spred.errors import InputError
from spred.nn.copies import bare, counterparts
from spred.nn.finalize import finalize
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.parametrize import parametrize
from spred.nn.penalties import L1, prunable_weights

COPIES = {
    "an average": lambda model: torch.optim.swa_utils.AveragedModel(model),
    "a copy": copy.deepcopy,
    "its state": lambda model: {f"module.{name}": t.clone() for name, t in model.state_dict().items()},
    "wrapped twice": lambda model: nn.ModuleDict({"module": nn.ModuleDict({"module": copy.deepcopy(model)})}),
}


def weights_of(made):
    named = made if isinstance(made, dict) else dict(made.named_parameters())
    return {bare(name): tensor for name, tensor in named.items()}


@pytest.mark.filterwarnings("ignore:the decay budget")
@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_gets_the_zeros_and_keeps_the_rest(kind):
    model = net()
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(prunable_weights(model), 1e-3))
    train(model, opt, 3)
    made = COPIES[kind](model)
    before = {name: tensor.detach().clone() for name, tensor in weights_of(made).items()}
    finalize(model, opt, also=[made], threshold=0.1)
    after = weights_of(made)
    for name, tensor in model.named_parameters():
        expected = before[name].masked_fill(tensor.detach() == 0, 0.0) if name.endswith("weight") else before[name]
        assert torch.equal(after[name].detach(), expected)
    assert 0 < int((model[0].weight == 0).sum()) < 30


def test_factors_of_a_parametrised_copy_become_zero_too():
    model = net()
    parametrize(model, L1(prunable_weights(model), 1e-3))
    made = copy.deepcopy(model)
    finalize(model, also=[made], threshold=0.1)
    assert torch.equal(made[0].weight == 0, model[0].weight == 0)
    assert int((made[0].weight == 0).sum()) > 0


def test_a_copy_of_another_model_is_refused_before_anything_changes():
    model = net()
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(prunable_weights(model), 1e-3))
    before = model[0].weight.detach().clone()
    for wrong, sentence in [
        (nn.Linear(3, 2), "has nothing where the model has 0.weight"),
        (nn.Sequential(nn.Linear(3, 2)), r"has shape \(2, 3\) where"),
        (7, "is a int"),
    ]:
        with pytest.raises(InputError, match=rf"also\[0\] {sentence}"):
            finalize(model, opt, also=[wrong], threshold=0.1)
    assert torch.equal(model[0].weight, before)


def test_counterparts_are_found_behind_the_names_of_wrappers():
    model = net()
    pairs = counterparts(model, [model[2].weight], [torch.optim.swa_utils.AveragedModel(model)])
    assert [tuple(t.shape) for pair in pairs for t in pair] == [(2, 5), (2, 5)]
