"""What a user's own model, loader, loss or closure raises comes as it was raised, with a line that says where."""

import pytest
import torch
from tiny_network import X, Y, net
from torch import nn

from spred.errors import SpredError
from spred.nn.alpha_path import alpha_path
from spred.nn.finalize import finalize
from spred.nn.inspect import inspect
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import L1, prunable_weights
from spred.nn.pruning.macs import MACs
from spred.nn.pruning.shrink import shrink

MSE = nn.functional.mse_loss


class OwnError(Exception):
    """Nobody's but the user's."""


class Broken(nn.Sequential):
    def forward(self, x):
        raise OwnError("no such layer")


def broken_loss(out, target):
    raise OwnError("no such loss")


def broken_loader():
    yield X, Y
    raise OwnError("disk unplugged")


class BrokenDataset:
    def __iter__(self):
        raise OwnError("no such file")


def setup(model=None):
    model = net() if model is None else model
    return model, SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(prunable_weights(model), 1e-3))


def raise_own():
    raise OwnError("oops")


CALLS = {
    "inspect, the loader": (lambda: inspect(*setup(), broken_loader(), MSE), "in the loader, at batch 1"),
    "inspect, its start": (lambda: inspect(*setup(), BrokenDataset(), MSE), "before its first batch"),
    "finalize, the loss": (
        lambda: finalize(*setup(), [(X, Y)], broken_loss, threshold=0.0),
        "in batch 0 of the loader",
    ),
    "finalize, the model": (
        lambda: finalize(*setup(Broken(nn.Linear(6, 2))), [(X, Y)], MSE, threshold=0.0),
        "in batch 0 of the loader",
    ),
    "the closure": (lambda: setup()[1].step(raise_own), "in the closure given to step"),
    "shrink": (lambda: shrink(Broken(nn.Linear(6, 2)), X), "in the model, called with the example"),
    "MACs": (lambda: MACs(Broken(nn.Linear(6, 2)), X), "in the model, called with the example"),
    "a path": (lambda: next(alpha_path(*setup(), [0.1], raise_own)), "in train, at alpha 0.1"),
}


@pytest.mark.filterwarnings("ignore:the decay budget")
@pytest.mark.parametrize("call", CALLS)
def test_it_is_the_users_own_error_and_says_where(call):
    make, place = CALLS[call]
    with pytest.raises(OwnError) as caught:
        make()
    assert not isinstance(caught.value, SpredError)
    assert any(place in note for note in caught.value.__notes__)


def test_the_weights_are_those_before_a_closure_that_failed():
    model, opt = setup()
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(OwnError):
        opt.step(raise_own)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
