"""A model is exported in evaluation mode, and its modes are as before."""

import pytest
import torch
from torch import nn

from spred.errors import InputError
from spred.nn.pruning.export import evaluating, exported, unwrapped
from spred.nn.pruning.macs import MACs
from spred.nn.pruning.shrink import shrink


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_modes_come_back_module_by_module():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.BatchNorm1d(4)).train()
    model[2].eval()
    for training in (False, True):
        with evaluating(model, training=training):
            assert {module.training for module in model.modules()} == {training}
        assert [module.training for module in model.modules()] == [True, True, True, False]


def test_modes_come_back_after_an_error_too():
    model = nn.Sequential(Branching()).train()
    with pytest.raises(InputError, match=r"torch\.export cannot follow the model.*: .*; do this"):
        exported(model, (torch.ones(2),), hint="; do this")
    assert model.training


def test_the_graph_is_that_of_evaluation():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train()
    graph = exported(model, (torch.ones(2, 4),)).graph
    (norm,) = [node for node in graph.nodes if "batch_norm" in str(node.target)]
    assert norm.args[5] is False


@pytest.mark.parametrize(
    "wrap",
    [
        nn.DataParallel,
        torch.optim.swa_utils.AveragedModel,
        lambda model: torch.compile(model, backend="eager"),
        lambda model: nn.DataParallel(torch.compile(model, backend="eager")),
    ],
)
def test_wrappers_are_taken_off(wrap):
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).eval()
    with torch.no_grad():
        model[0].weight[2:] = 0.0
        model[0].bias[2:] = 0.0
    wrapped = wrap(model)
    assert type(unwrapped(wrapped)) is nn.Sequential
    small, x = shrink(wrapped, torch.ones(1, 4)), torch.randn(3, 4)
    assert small[0].out_features == 2
    torch.testing.assert_close(small(x), model(x))
    assert MACs(wrapped, torch.ones(1, 4)).total == 36.0


def test_what_the_model_itself_raises_is_not_torchs_fault():
    class Broken(nn.Module):
        def forward(self, x):
            raise KeyError("hidden")

    with pytest.raises(KeyError, match="hidden") as caught:
        exported(Broken(), (torch.ones(2),))
    assert caught.value.__notes__[0].startswith("raised in the model, called with the example")
