"""Smaller models have the outputs of the larger ones, and are as small as the zeros allow."""

import copy

import pytest
import torch
from torch import nn

from spred.errors import InputError, StateError
from spred.nn.parametrize import parametrize
from spred.nn.penalties import L1, prunable_weights
from spred.nn.pruning.shrink import shrink


class Residual(nn.Module):
    """Two convolutions and a way around them, as in a ResNet."""

    def __init__(self, n_in, n_out, stride=1):
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out)
        self.second, self.norm2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out)
        self.around = nn.Identity()
        if n_in != n_out:
            self.around = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x):
        y = self.norm2(self.second(torch.relu(self.norm1(self.first(x)))))
        return torch.relu(y + self.around(x))


class PackedAttention(nn.Module):
    """Self-attention as in small ViT implementations."""

    def __init__(self, width, num_heads, by_head=False):
        super().__init__()
        self.num_heads, self.by_head = num_heads, by_head
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, t, c = x.shape
        if self.by_head:
            q, k, v = self.qkv(x).reshape(n, t, self.num_heads, 3, -1).permute(3, 0, 2, 1, 4)
        else:
            q, k, v = self.qkv(x).reshape(n, t, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.proj(attended.transpose(1, 2).reshape(n, t, c))


class TorchAttention(nn.Module):
    def __init__(self, width, num_heads):
        super().__init__()
        self.inner = nn.MultiheadAttention(width, num_heads, batch_first=True)

    def forward(self, x):
        return self.inner(x, x, x)[0]


class ViT(nn.Module):
    """Patches, a class token, positions, two blocks, a head."""

    def __init__(self, attention):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.token, self.places = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 5, 16))
        self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(4))
        self.attention = nn.ModuleList(attention(16, 4) for _ in range(2))
        self.mlps = nn.ModuleList(nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16)) for _ in range(2))
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.places
        for k in range(2):
            x = x + self.attention[k](self.norms[2 * k](x))
            x = x + self.mlps[k](self.norms[2 * k + 1](x))
        return self.head(x[:, 0])


def lenet300():
    return nn.Sequential(nn.Linear(784, 300), nn.Tanh(), nn.Linear(300, 100), nn.Sigmoid(), nn.Linear(100, 10))


def lenet5():
    convolutions = [nn.Conv2d(1, 20, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU()]
    return nn.Sequential(
        *convolutions, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10)
    )


def resnet():
    stem = (nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    blocks = (Residual(8, 8), Residual(8, 16, 2), Residual(16, 16))
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


def separable():
    pointwise = (nn.Conv2d(3, 12, 1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1, groups=12), nn.Hardswish())
    return nn.Sequential(*pointwise, nn.Conv2d(12, 6, 1), nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(), nn.Linear(96, 4))


NETWORKS = {
    "LeNet-300-100": (lenet300, (784,)),
    "LeNet-5": (lenet5, (1, 28, 28)),
    "ResNet": (resnet, (3, 16, 16)),
    "separable": (separable, (3, 8, 8)),
    "ViT": (lambda: ViT(TorchAttention), (3, 8, 8)),
    "ViT, packed": (lambda: ViT(PackedAttention), (3, 8, 8)),
    "ViT, packed by head": (lambda: ViT(lambda *a: PackedAttention(*a, by_head=True)), (3, 8, 8)),
}


def example(shape, n=3):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(1))


def size(model):
    return sum(p.numel() for p in model.parameters())


@torch.no_grad()
def made_sparse(model, kept=0.5):
    """Zero rows, columns and single weights at random; biases and norms get values far from their first ones."""
    torch.manual_seed(3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    for p in model.parameters():
        if p.ndim > 1 and p.shape[0] > 1:
            for dim in (0, 1):
                shape = [1] * p.ndim
                shape[dim] = -1
                p.mul_((torch.rand(p.shape[dim]) < kept).float().view(shape))
            p.mul_(torch.rand_like(p) < 0.8)
        else:
            p.add_(torch.randn_like(p))
    return model.eval()


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


@pytest.mark.parametrize("name", NETWORKS)
def test_without_zeros_nothing_changes(name):
    make, shape = NETWORKS[name]
    model = make().eval()
    small = shrink(model, example(shape))
    assert size(small) == size(model)
    assert torch.equal(small(example(shape)), model(example(shape)))


@torch.no_grad()
def test_dead_rows_and_dead_columns_go_and_constants_move_into_the_bias():
    model = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 6, bias=False), nn.Tanh(), nn.Linear(6, 2))
    model[0].weight[:3].zero_()  # three constants
    model[2].weight[:, 3].zero_()  # one that nobody reads
    model[2].weight[4:].zero_()  # two constants that are zero
    small = shrink(model, torch.randn(2, 4))
    assert [tuple(small[k].weight.shape) for k in (0, 2, 4)] == [(4, 4), (4, 4), (2, 4)]
    assert small[2].bias is not None
    assert [small[0].out_features, small[2].in_features, small[2].out_features] == [4, 4, 4]
    assert small[0].weight.requires_grad


@torch.no_grad()
def test_what_depends_on_dead_neurons_alone_dies_too():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].weight[2:].zero_()
    model[2].weight[3:, :2].zero_()  # reads constants only
    small = shrink(model, torch.randn(2, 4))
    assert [tuple(small[k].weight.shape) for k in (0, 2, 4)] == [(2, 4), (3, 2), (2, 3)]


@torch.no_grad()
def test_through_padding_one_constant_filter_carries_the_others():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Softplus(), nn.Conv2d(8, 4, 3, padding=1)).eval()
    model[0].weight[2:].zero_()  # six constants, none of them zero
    small = shrink(model, example((3, 6, 6)))
    assert small[0].out_channels == small[2].in_channels == 3
    assert torch.allclose(small(example((3, 5, 5))), model(example((3, 5, 5))), atol=1e-6)
    model[0].bias[2:] = -1e3  # all of them zero
    assert shrink(model, example((3, 6, 6)))[0].out_channels == 2


@torch.no_grad()
def test_a_residual_channel_goes_only_when_all_its_members_are_dead():
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
def test_a_filter_whose_batch_norm_gain_is_zero_is_dead():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 3))
    model[1].weight[:5].zero_()
    small = shrink(model, example((3, 6, 6)))
    assert [small[0].out_channels, small[1].num_features, len(small[1].running_var), small[3].in_channels] == [3] * 4


@pytest.mark.parametrize("attention", [TorchAttention, PackedAttention])
@torch.no_grad()
def test_heads_without_values_or_without_hearers_go(attention):
    torch.manual_seed(0)
    model = attention(12, 4).eval()
    packed, out = (
        (model.inner.in_proj_weight, model.inner.out_proj.weight)
        if attention is TorchAttention
        else (model.qkv.weight, model.proj.weight)
    )
    packed[24:27].zero_()  # the values of the first head
    out[:, 9:].zero_()  # the last head's share
    for bias in (p for p in model.parameters() if p.ndim == 1):
        bias.normal_()
    small = shrink(model, example((5, 12)))
    inner = small.inner if attention is TorchAttention else small
    assert inner.num_heads == 2
    assert inner.q.out_features == inner.out.in_features == 6
    assert torch.allclose(small(example((7, 12))), model(example((7, 12))), atol=1e-5)


@pytest.mark.parametrize("batch_first", [True, False])
@torch.no_grad()
def test_masks_reach_the_heads_that_are_left(batch_first):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(12, 4, 32, batch_first=batch_first).eval()
    layer.self_attn.in_proj_weight[24:30].zero_()
    layer.linear1.weight[8:].zero_()
    x = torch.randn(5, 5, 12)
    masks = {
        "src_mask": nn.Transformer.generate_square_subsequent_mask(5),
        "src_key_padding_mask": torch.tensor([[0.0, 0.0, 0.0, float("-inf"), 0.0]] * 5),
    }
    small = shrink(layer, {"src": x, **masks})
    assert small.self_attn.num_heads == 2
    assert small.linear1.out_features == 8
    assert torch.allclose(small(x, **masks), layer(x, **masks), atol=1e-5)
    assert torch.allclose(small(x), layer(x), atol=1e-5)


@torch.no_grad()
def test_attention_that_only_looks_packed_is_left_alone():
    class Causal(PackedAttention):
        def forward(self, x):
            q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
            attended = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.proj(attended.transpose(1, 2).flatten(2))

    model = Causal(12, 4).eval()
    model.proj.weight[:, :6].zero_()
    assert size(shrink(model, example((5, 12)))) == size(model)


@torch.no_grad()
def test_tied_and_unknown_things_keep_their_channels():
    tied = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    tied[2].weight = tied[0].weight
    tied[0].weight[:3].zero_()
    assert size(shrink(tied, torch.randn(2, 6))) == size(tied)
    normed = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 2))
    normed[0].weight[:3].zero_()
    assert size(shrink(normed, torch.randn(2, 6))) == size(normed)


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
    with pytest.raises(StateError, match=r"spred\.fold"):
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
