"""A branch that adds a constant is removed, and the outputs stay."""

import pytest
import torch
from torch import nn

from spred.nn.pruning.channels import Constant
from spred.nn.pruning.shrink import shrink


class Block(nn.Module):
    """A convolution's branch as in ResNet, with what comes before and behind it."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1))
        self.norm, self.head = nn.BatchNorm2d(8), nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x):
        x = self.stem(x).relu()
        return self.head((x + self.norm(self.body(x))).relu())


class Mixer(nn.Module):
    """Attention and an MLP, each added."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(12, 4, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Dropout(0.1), nn.Linear(24, 12), nn.Dropout(0.1))
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        x = x + self.attention(x, x, x)[0]
        return self.head(x + self.mlp(x))


def kinds(model):
    return [type(m).__name__ for m in model.modules() if not list(m.children())]


def same(small, model, *shape):
    x = torch.randn(*shape)
    return torch.allclose(small(x), model(x), atol=1e-5)


@pytest.mark.parametrize("kind", ["gain", "weights", "first weights", "zero altogether"])
@torch.no_grad()
def test_a_block_of_convolutions_goes_as_a_whole(kind):
    torch.manual_seed(0)
    model = Block().eval()
    for tensor in (model.norm.running_mean, model.norm.bias, model.body[3].bias):
        tensor.normal_()
    {"gain": model.norm, "weights": model.body[3], "zero altogether": model.norm}.get(
        kind, model.body[0]
    ).weight.zero_()
    if kind == "first weights":  # a constant that padding does not change
        model.body[0].bias.fill_(-1.0)
        model.body[1].bias.zero_()
    if kind == "zero altogether":
        model.norm.bias.zero_()
    small = shrink(model, torch.randn(2, 3, 6, 6))
    assert isinstance(small.norm, Constant)
    assert small.norm.bias.shape == (8, 1, 1)
    assert kinds(small.body) == ["Identity", "Identity", "ReLU", "Identity"]
    assert bool(small.norm.bias.any()) != (kind == "zero altogether")
    assert same(small, model, 3, 3, 7, 7)


@torch.no_grad()
def test_channels_around_it_can_still_be_cut():
    torch.manual_seed(0)
    model = Block().eval()
    model.norm.weight.zero_()
    model.norm.bias.normal_()
    model.head.weight[:, :5].zero_()
    small = shrink(model, torch.randn(2, 3, 6, 6))
    assert small.stem.out_channels == len(small.norm.bias) == small.head.in_channels == 3
    assert same(small, model, 3, 3, 7, 7)


@torch.no_grad()
def test_attention_and_mlp_that_give_a_constant_go():
    torch.manual_seed(0)
    model = Mixer().eval()
    model.attention.out_proj.weight.zero_()
    model.attention.out_proj.bias.normal_()
    model.mlp[3].weight.zero_()
    small = shrink(model, torch.randn(2, 5, 12))
    assert isinstance(small.attention.out, Constant)
    assert isinstance(small.mlp[3], Constant)
    assert isinstance(small.mlp[0], nn.Identity)
    assert sum(p.numel() for p in small.parameters()) == 2 * 12 + 13 * 3
    assert same(small, model, 3, 4, 12)


@torch.no_grad()
def test_what_is_read_elsewhere_stays():
    class Twice(Block):
        def forward(self, x):
            x = self.stem(x).relu()
            y = self.body(x)
            return self.head((x + self.norm(y)).relu()) + y.mean(dim=(1, 2, 3), keepdim=True)

    model = Twice().eval()
    model.norm.weight.zero_()
    small = shrink(model, torch.randn(2, 3, 6, 6))
    assert isinstance(small.norm, Constant)
    assert isinstance(small.body[3], nn.Conv2d)
    assert same(small, model, 3, 3, 7, 7)


@torch.no_grad()
def test_a_constant_that_is_not_added_to_something_stays_a_layer():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    model[2].weight.zero_()
    small = shrink(model, torch.randn(2, 4))
    assert kinds(small) == ["Linear", "ReLU", "Linear"]
