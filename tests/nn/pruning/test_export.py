"""A model is exported in evaluation mode, and its modes are as before."""

import pytest
import torch
from torch import nn

from spred.errors import InputError
from spred.nn.pruning.export import evaluating, exported


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
