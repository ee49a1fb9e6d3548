"""Which channels can be removed: by zeros, by constants that move into a bias, by what is tied to them."""

import pytest
import torch
from pruning_networks import NETWORKS, Residual, example, made_sparse, size
from torch import nn

from spred.nn.pruning.channels import Ties
from spred.nn.pruning.shrink import shrink


def widths(model):
    layers = (nn.Linear, nn.Conv2d, nn.BatchNorm2d)
    return {name: len(module.weight) for name, module in model.named_modules() if isinstance(module, layers)}


@pytest.mark.parametrize("kept", [0.5, 0.1])
@pytest.mark.parametrize("name", [name for name in NETWORKS if not name.startswith("ViT")])
def test_widths_are_multiples_or_what_they_were(name, kept):
    make, shape = NETWORKS[name]
    model = made_sparse(make(), kept)
    small, least = shrink(model, example(shape), multiple=4), shrink(model, example(shape))
    rows = [(widths(model)[name], width, widths(least)[name]) for name, width in widths(small).items()]
    assert all(now % 4 == 0 or now == before for before, now, _ in rows)
    assert all(now < fewest + 4 for _, now, fewest in rows)
    assert any(now > fewest for _, now, fewest in rows)
    assert size(small) < size(model)
    other = example(shape, n=5)
    expected = model(other).detach()
    assert torch.allclose(small(other), expected, rtol=0, atol=1e-5 * max(1.0, float(expected.abs().max())))


@torch.no_grad()
def test_what_stays_for_the_width_alone_may_be_a_constant_or_unread():
    model = nn.Sequential(nn.Linear(4, 12), nn.Sigmoid(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 2))
    model[0].weight[1:4].zero_()  # constants
    model[2].weight[:, 4:10].zero_()  # unread
    model[4].weight[:, 5:].zero_()  # unread, and so what only they read
    model[2].weight[:5, 10:].zero_()
    small = shrink(model, torch.randn(2, 4), multiple=8)
    assert list(widths(small).values()) == [8, 8, 2]
    x = torch.randn(9, 4)
    assert torch.allclose(small(x), model(x), atol=1e-6)


@torch.no_grad()
def test_zero_rows_and_zero_columns_are_removed_and_constants_move_into_the_bias():
    model = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 6, bias=False), nn.Tanh(), nn.Linear(6, 2))
    model[0].weight[:3].zero_()  # three constants
    model[2].weight[:, 3].zero_()  # one that no layer reads
    model[2].weight[4:].zero_()  # two constants that are zero
    small = shrink(model, torch.randn(2, 4))
    assert [tuple(small[k].weight.shape) for k in (0, 2, 4)] == [(4, 4), (4, 4), (2, 4)]
    assert small[2].bias is not None
    assert [small[0].out_features, small[2].in_features, small[2].out_features] == [4, 4, 4]
    assert small[0].weight.requires_grad


@torch.no_grad()
def test_what_depends_on_removed_neurons_alone_is_removed_too():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].weight[2:].zero_()
    model[2].weight[3:, :2].zero_()  # reads constants only
    small = shrink(model, torch.randn(2, 4))
    assert [tuple(small[k].weight.shape) for k in (0, 2, 4)] == [(2, 4), (3, 2), (2, 3)]


@torch.no_grad()
def test_through_padding_one_constant_filter_stands_for_the_others():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Softplus(), nn.Conv2d(8, 4, 3, padding=1)).eval()
    model[0].weight[2:].zero_()  # six constants, none of them zero
    small = shrink(model, example((3, 6, 6)))
    assert small[0].out_channels == small[2].in_channels == 3
    assert torch.allclose(small(example((3, 5, 5))), model(example((3, 5, 5))), atol=1e-6)
    model[0].bias[2:] = -1e3  # all of them zero
    assert shrink(model, example((3, 6, 6)))[0].out_channels == 2


@torch.no_grad()
def test_a_residual_channel_is_removed_only_when_all_its_members_are_zero():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), Residual(8, 8), nn.Conv2d(8, 2, 1)
    )
    model[0].weight[:4].zero_()
    assert shrink(model, example((3, 6, 6)))[0].out_channels == 8
    model[2].second.weight[2:].zero_()
    small = shrink(model, example((3, 6, 6)))
    assert small[0].out_channels == small[2].second.out_channels == small[2].norm2.num_features == 6
    assert small[2].first.in_channels == small[3].in_channels == 6


@torch.no_grad()
def test_a_filter_whose_batch_norm_gain_is_zero_is_removed():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 3))
    model[1].weight[:5].zero_()
    small = shrink(model, example((3, 6, 6)))
    assert [small[0].out_channels, small[1].num_features, len(small[1].running_var), small[3].in_channels] == [3] * 4


def test_ties_are_transitive_and_kept_labels_are_listed():
    ties = Ties()
    first, second, third = ties.new(2), ties.new(2), ties.new(2)
    ties.join(first, second)
    ties.join(second, third.flip(0))
    roots = ties.roots()
    assert roots[0] == roots[2] == roots[5]
    assert roots[1] == roots[3] == roots[4] != roots[0]
    ties.keep(second[:1])
    assert ties.kept().tolist() == [2]
