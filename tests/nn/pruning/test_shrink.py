"""Smaller models have the outputs of the larger ones, and are as small as the zeros allow."""

import copy

import pytest
import torch
from pruning_networks import NETWORKS, example, made_sparse, size
from torch import nn

from spred.errors import InputError, StateError
from spred.nn.parametrize import parametrize
from spred.nn.penalties import L1, prunable_weights
from spred.nn.pruning.shrink import shrink


@pytest.mark.parametrize("kept", [0.8, 0.5, 0.1, 0.0])
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_stay_and_the_model_is_smaller(name, kept):
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    model = made_sparse(make(), kept)
    before = copy.deepcopy(model.state_dict())
    small = shrink(model, example(shape))
    other = example(shape, n=5)
    expected = model(other).detach()
    assert torch.allclose(small(other), expected, rtol=0, atol=1e-5 * max(1.0, float(expected.abs().max())))
    assert size(small) < size(model) * (0.5 + kept / 2)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_without_zeros_nothing_changes(name):
    make, shape = NETWORKS[name]
    model = make().eval()
    small = shrink(model, example(shape))
    assert size(small) == size(model)
    assert torch.equal(small(example(shape)), model(example(shape)))


def test_modes_and_shared_inputs_of_the_copy_are_those_of_the_model():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.Linear(4, 2)).train()
    model[1].eval()
    small = shrink(model, torch.randn(2, 4))
    assert small.training
    assert not small[1].training
    assert not {id(p) for p in small.parameters()} & {id(p) for p in model.parameters()}


def test_what_cannot_be_done_is_said_in_a_sentence():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(InputError, match="multiple is 0"):
        shrink(model, torch.randn(2, 4), multiple=0)
    parametrize(model, L1(prunable_weights(model), 0.1))
    with pytest.raises(StateError, match=r"spred\.remove_parametrizations"):
        shrink(model, torch.randn(2, 4))

    class Numbers(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(64, 2)

        def forward(self, x):
            return self.fc(self.conv(x).view(-1, 64))

    written = Numbers()
    with torch.no_grad():
        written.conv.weight[2:].zero_()
    with pytest.raises(InputError, match="sizes written in numbers"):
        shrink(written, torch.randn(3, 1, 6, 6))

    class Branching(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(InputError, match=r"torch\.export cannot follow"):
        shrink(Branching(), torch.randn(2))
