"""Attention heads of zeros are removed, and attention with the heads that are left gives the same outputs."""

import pytest
import torch
from pruning_networks import PackedAttention, TorchAttention, example, size
from torch import nn

from spred.nn.pruning.shrink import shrink


@pytest.mark.parametrize("attention", [TorchAttention, PackedAttention])
@torch.no_grad()
def test_heads_without_values_or_unused_by_the_output_are_removed(attention):
    torch.manual_seed(0)
    model = attention(12, 4).eval()
    packed, out = (
        (model.inner.in_proj_weight, model.inner.out_proj.weight)
        if attention is TorchAttention
        else (model.qkv.weight, model.proj.weight)
    )
    packed[24:27].zero_()  # the values of the first head
    out[:, 9:].zero_()  # the last head's columns
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
