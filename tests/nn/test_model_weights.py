"""Batches of any form give the same mean gradients, and views name what a model uses."""

import pytest
import torch
from torch import nn

from spred.errors import InputError
from spred.nn.finalize import finalize
from spred.nn.inspect import inspect
from spred.nn.model_weights import batch_loss, views
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import L1, prunable_weights

X = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
Y = torch.randn(20, 2, generator=torch.Generator().manual_seed(1))
MSE = nn.functional.mse_loss


def of_batch(model, batch):
    return MSE(model(batch["x"]), batch["y"])


BATCHES = {
    "tuples": ([(X[:15], Y[:15]), (X[15:], Y[15:])], MSE),
    "lists": ([[X[:15], Y[:15]], [X[15:], Y[15:]]], MSE),
    "dicts": ([{"x": X[:15], "y": Y[:15], "id": "a"}, {"x": X[15:], "y": Y[15:], "id": "b"}], of_batch),
    "triples": ([(X, Y, torch.ones(20))], lambda model, batch: (MSE(model(batch[0]), batch[1]) * batch[2]).mean()),
}


@pytest.mark.filterwarnings("ignore:the decay budget")
@pytest.mark.parametrize("name", BATCHES)
def test_batches_of_any_form_are_read(name):
    loader, loss_fn = BATCHES[name]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(prunable_weights(model), 0.05))
    expected = inspect(model, opt, [(X, Y)], MSE)
    report = inspect(model, opt, loader, loss_fn)
    assert [row.residual for row in report.rows] == pytest.approx([row.residual for row in expected.rows], rel=1e-4)
    assert finalize(model, opt, loader, loss_fn, threshold=0.1).zeroed > 0


def test_a_batch_without_tensors_is_refused_in_a_sentence():
    with pytest.raises(InputError, match="of type str without tensors"):
        batch_loss(nn.Linear(2, 2), "text", of_batch)


def test_a_tied_weight_is_listed_once():
    model = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 6, bias=False))
    model[1].weight = model[0].weight
    assert [view.name for view in views(model)] == ["0.weight"]
