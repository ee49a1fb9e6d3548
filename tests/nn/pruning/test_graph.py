"""Labels and constants of every activation, as the operations of the graph give them."""

import torch
from pruning_networks import size
from torch import nn

from spred.nn.pruning.export import exported
from spred.nn.pruning.graph import trace
from spred.nn.pruning.shrink import shrink


def traced(model, *shape):
    return trace(exported(model, (torch.randn(2, *shape),)), model)


@torch.no_grad()
def test_constants_are_what_the_network_computes():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 2)
    )
    model[0].weight[1:3].zero_()
    model[1].running_mean.normal_()
    model[1].bias.fill_(0.5)
    found = traced(model.eval(), 3, 6, 6)
    (end,) = [layer for layer in found.layers if layer.module is model[5]]
    expected = model[:5](torch.randn(7, 3, 6, 6)).double()
    constant = torch.arange(16) // 4  # the filter of each flattened pixel
    is_constant = (constant == 1) | (constant == 2)
    assert torch.equal(~end.inputs.constants.isnan(), is_constant)
    torch.testing.assert_close(end.inputs.constants[is_constant], expected[0, is_constant])
    assert len(set(end.inputs.labels.tolist())) == 4  # the pixels of a filter have its label


def test_the_sides_of_a_sum_are_tied_and_outputs_are_kept():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.head = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.one(x) + self.two(x))

    model = Sum()
    found = traced(model, 3)
    one, two, head = (
        next(each for each in found.layers if each.module is m) for m in (model.one, model.two, model.head)
    )
    roots = found.ties.roots()
    assert torch.equal(roots[one.labels], roots[two.labels])
    assert set(head.labels.tolist()) <= set(found.ties.kept().tolist())
    assert set(one.labels.tolist()).isdisjoint(found.ties.kept().tolist())


@torch.no_grad()
def test_tied_and_unknown_things_keep_their_channels():
    tied = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    tied[2].weight = tied[0].weight
    tied[0].weight[:3].zero_()
    assert size(shrink(tied, torch.randn(2, 6))) == size(tied)
    normed = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 2))
    normed[0].weight[:3].zero_()
    assert size(shrink(normed, torch.randn(2, 6))) == size(normed)
