"""Group labels of attention follow the module: what is in a head's group is what that head computes with."""

import pytest
import torch
from torch import nn

from spred.errors import InputError
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.packing import attention_layout
from spred.nn.penalties import GroupL1, targets

WIDTH, HEADS = 12, 4


class Packed(nn.Module):
    """Attention with one layer for queries, keys and values, in the two orders that people use."""

    def __init__(self, by_head=False, scale=None):
        super().__init__()
        self.num_heads, self.by_head, self.scale = HEADS, by_head, scale
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def attended(self, x):
        b, n, c = x.shape
        if self.by_head:
            q, k, v = self.qkv(x).reshape(b, n, self.num_heads, 3, -1).permute(3, 0, 2, 1, 4)
        else:
            q, k, v = self.qkv(x).reshape(b, n, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        out = nn.functional.scaled_dot_product_attention(q, k, v, scale=self.scale)
        return out.transpose(1, 2).reshape(b, n, c)

    def forward(self, x):
        return self.proj(self.attended(x))


class Shared(nn.Module):
    """Attention whose heads of queries share keys and values in pairs."""

    def __init__(self):
        super().__init__()
        self.num_heads, self.num_key_value_heads = HEADS, HEADS // 2
        self.q_proj, self.o_proj = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.k_proj, self.v_proj = nn.Linear(WIDTH, WIDTH // 2), nn.Linear(WIDTH, WIDTH // 2)

    def attended(self, x):
        b, n, c = x.shape
        q = self.q_proj(x).reshape(b, n, HEADS, -1).transpose(1, 2)
        k, v = (layer(x).reshape(b, n, HEADS // 2, -1).transpose(1, 2) for layer in (self.k_proj, self.v_proj))
        out = nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        return out.transpose(1, 2).reshape(b, n, c)


class OfTorch(nn.MultiheadAttention):
    """``nn.MultiheadAttention``, and what it attends to before the output projection."""

    def __init__(self):
        super().__init__(WIDTH, HEADS, batch_first=True)
        nn.init.normal_(self.in_proj_bias)

    def attended(self, x):
        weight, bias = self.out_proj.weight, self.out_proj.bias
        self.out_proj.weight = nn.Parameter(torch.eye(WIDTH))
        self.out_proj.bias = nn.Parameter(torch.zeros(WIDTH))
        out = self(x, x, x)[0]
        self.out_proj.weight, self.out_proj.bias = weight, bias
        return out


MODULES = {
    "torch": (OfTorch, lambda m: [m.in_proj_weight, m.in_proj_bias, m.out_proj.weight], HEADS),
    "packed": (Packed, lambda m: [m.qkv.weight, m.qkv.bias, m.proj.weight], HEADS),
    "packed by head": (lambda: Packed(by_head=True), lambda m: [m.qkv.weight, m.qkv.bias, m.proj.weight], HEADS),
    "shared keys": (
        Shared,
        lambda m: (
            [p for layer in (m.q_proj, m.k_proj, m.v_proj) for p in (layer.weight, layer.bias)] + [m.o_proj.weight]
        ),
        HEADS // 2,
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_group_is_what_its_head_computes_with(name):
    make, parts, n_heads = MODULES[name]
    torch.manual_seed(0)
    module = make()
    *inside, out = parts(module)
    dims = (*(0,) * len(inside), 1)
    place = GroupL1([*inside, out], 0.1, dim=dims, heads=module, join=True).places()[0]
    x = torch.randn(2, 5, WIDTH)
    for head in range(n_heads):
        attended = module.attended(x)[..., head * WIDTH // n_heads : (head + 1) * WIDTH // n_heads]
        grads = torch.autograd.grad((attended * torch.randn_like(attended)).sum(), inside)
        used = [grad.flatten(1).abs().amax(dim=1) if grad.ndim > 1 else grad.abs() for grad in grads]
        mask = torch.zeros_like(place.value())
        mask[head] = 1.0
        of_head = place.parts(mask)
        for weight, rows, grad in zip(inside, of_head[:-1], used, strict=True):
            rows = rows.reshape(len(weight), -1)[:, 0].bool()
            assert not (grad[~rows] > 1e-6).any()
            if weight.ndim > 1:
                assert (grad[rows] > 1e-6).all()
        columns = of_head[-1][0].bool().nonzero().flatten().tolist()
        assert columns == list(range(head * WIDTH // n_heads, (head + 1) * WIDTH // n_heads))


def test_a_single_tensor_is_cut_in_the_same_way():
    module = nn.MultiheadAttention(WIDTH, HEADS)
    labels = torch.arange(WIDTH).repeat_interleave(1) // (WIDTH // HEADS)
    for tensor in (module.in_proj_weight, module.in_proj_bias):
        (target,) = targets(GroupL1(tensor, 0.1, heads=module))
        assert target.partition.labels.reshape(3 * WIDTH, -1)[:, 0].tolist() == labels.repeat(3).tolist()


def test_a_head_becomes_zero_with_its_biases():
    torch.manual_seed(0)
    module = OfTorch()
    opt = SpredOptimizer(
        torch.optim.SGD(module.parameters(), lr=0.1),
        GroupL1(
            [module.in_proj_weight, module.in_proj_bias, module.out_proj.weight],
            0.1,
            dim=(0, 0, 1),
            heads=module,
            join=True,
        ),
    )
    opt.zero_groups(opt.factored[0], torch.tensor([[False], [True], [False], [False]]))
    rows = torch.arange(3, 6)
    for part in range(3):
        assert not module.in_proj_weight[part * WIDTH + rows].any()
        assert not module.in_proj_bias[part * WIDTH + rows].any()
    assert not module.out_proj.weight[:, rows].any()
    assert module.in_proj_bias.count_nonzero() == 3 * (WIDTH - 3)
    x = torch.randn(1, 5, WIDTH)
    assert not module.attended(x)[..., rows].any()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda m: GroupL1(m.qkv.weight, 0.1, heads=HEADS), "may be packed .* a shape does not tell"),
        (
            lambda m: GroupL1([m.qkv.bias, m.proj.weight], 0.1, dim=(0, 1), heads=HEADS, join=True),
            r"axes of \[12, 36\] for 4 heads, so some are packed",
        ),
        (lambda m: GroupL1(m.proj.bias, 0.1, heads=m), r"how proj\.bias of Packed is packed cannot be known"),
        (lambda m: GroupL1(nn.Linear(4, 4).weight, 0.1, heads=m), r"tensor 0 of shape \(4, 4\) is not of the Packed"),
        (lambda m: GroupL1(m.qkv.weight, 0.1, heads=m.qkv), "a Linear without a number of heads"),
        (lambda m: GroupL1(m.qkv.weight, 0.1, heads=m, packed=3), "leave out packed="),
    ],
)
def test_what_cannot_be_known_is_refused(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make(Packed())


class Mixed(Packed):
    """Attention whose heads see one another."""

    def attended(self, x):
        return super().attended(x).cumsum(dim=-1)


def test_attention_of_another_kind_is_refused_and_can_be_told():
    scaled = Packed(scale=1.0)
    assert attention_layout(scaled, [scaled.qkv.weight]) == (HEADS, (3,))
    module = Mixed()
    with pytest.raises(InputError, match=r"how qkv\.weight of Mixed is packed cannot be known"):
        attention_layout(module, [module.qkv.weight])
    (target,) = targets(GroupL1(module.qkv.weight, 0.1, heads=HEADS, packed=3))
    (plain,) = targets(GroupL1(module.qkv.weight, 0.1, heads=HEADS, packed=1))
    assert target.partition.labels[:, 0].tolist() == (torch.arange(3 * WIDTH) % WIDTH // 3).tolist()
    assert plain.partition.labels[:, 0].tolist() == (torch.arange(3 * WIDTH) // 9).tolist()
