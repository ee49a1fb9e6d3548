"""Attention heads of zeros are removed from their projections.

With zero values a head's output is the values' bias, whatever it attends to, because attention weights sum to one;
with zeros in its columns of the output projection nothing depends on it. Both can be removed, and the bias goes into
the output's. Two kinds of modules are known: ``nn.MultiheadAttention``, and self-attention written with one packed
``qkv`` layer. The second kind is recognised by its parts, and only if :class:`Attention` with the same weights gives
the same outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

OUTPUTS = ("proj", "out_proj", "out", "to_out")
"""What the output projection beside a ``qkv`` layer is called."""

LAYOUTS = ((0, 1), (1, 0))
"""How the rows of a packed ``qkv`` layer run: all queries, keys, values; or head by head."""


RTOL, ATOL = 1e-4, 1e-5
"""Differences of outputs up to which a packed layout counts as the module's own: rounding of float32, far below what
another layout gives. Tighter, and rounding keeps a head; looser, and a wrong layout might pass (tests of heads)."""

Pair = tuple[Tensor, Tensor | None]
"""Weight and bias."""


@dataclass(frozen=True, eq=False)
class Projections:
    """The weights of attention: queries, keys, values ``(H·D, C)``, output ``(C, H·D)``; biases or None.

    ``dropout``, ``batch_first`` and ``alone`` are as in :class:`Attention`.
    """

    q: Pair
    k: Pair
    v: Pair
    out: Pair
    n_heads: int
    dropout: float = 0.0
    batch_first: bool = True
    alone: bool = True

    def needed(self) -> Tensor:
        """Return which heads have values that the output projection uses (bool); at least one."""
        shape = (self.n_heads, len(self.v[0]) // self.n_heads)
        values = self.v[0].reshape(*shape, -1).flatten(start_dim=1).any(dim=1)
        used = self.out[0].reshape(-1, *shape).movedim(1, 0).flatten(start_dim=1).any(dim=1)
        needed = values & used
        needed[0] |= ~needed.any()
        return needed

    def only(self, kept: Tensor) -> Projections:
        """Return the weights of some heads; the constant outputs of the others are in the bias."""
        rows = kept.repeat_interleave(len(self.v[0]) // self.n_heads)
        weight, bias = self.out
        if self.v[1] is not None:
            constant = weight[:, ~rows].double() @ self.v[1][~rows].double()
            bias = (constant if bias is None else bias.double() + constant).to(weight.dtype)
        q, k, v = (_rows(pair, rows) for pair in (self.q, self.k, self.v))
        return replace(self, q=q, k=k, v=v, out=(weight[:, rows], bias), n_heads=int(kept.sum()))


class Attention(nn.Module):
    """Attention whose heads need not fill the width of the model.

    It is called like ``nn.MultiheadAttention`` and returns a pair as that does, but None for the attention weights. If
    ``alone``, it is called with one tensor ``(batch, tokens, width)`` and returns one.
    """

    in_proj_bias = None  # nn.TransformerEncoderLayer looks here whether its own kernel can be used
    _qkv_same_embed_dim = False  # and nn.TransformerEncoder here

    def __init__(self, weights: Projections) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (_linear(*pair) for pair in (weights.q, weights.k, weights.v, weights.out))
        self.num_heads = weights.n_heads
        self.dropout, self.batch_first, self.alone = weights.dropout, weights.batch_first, weights.alone

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = False,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> Any:
        """Return the attended values; arguments as in ``nn.MultiheadAttention``."""
        inputs = [query, query if key is None else key, query if value is None else value]
        if not self.batch_first and query.ndim == 3:
            inputs = [tensor.transpose(0, 1) for tensor in inputs]
        q, k, v = (
            project(tensor).unflatten(-1, (self.num_heads, -1)).transpose(-3, -2)
            for project, tensor in zip((self.q, self.k, self.v), inputs, strict=True)
        )
        mask = _joined(attn_mask, key_padding_mask, q.dtype)
        dropout = self.dropout if self.training else 0.0
        attended = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        out = self.out(attended.transpose(-3, -2).flatten(start_dim=-2))
        if self.alone:
            return out
        return (out if self.batch_first or query.ndim < 3 else out.transpose(0, 1)), None


def shrink_heads(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> nn.Module:
    """Replace the attention modules of ``model`` that have heads of zeros, in place; return the model.

    Args:
        model: a model in evaluation mode.
        args: what it is called with, and ``kwargs``.
    """
    packed = {name: module for name, module in model.named_modules() if _is_packed(module)}
    calls = _calls(model, packed, args, kwargs) if packed else {}
    for name, module in list(model.named_modules()):
        weights = None
        if isinstance(module, nn.MultiheadAttention):
            weights = _of_torch(module)
        elif name in calls:
            weights = _of_packed(module, calls[name])
        if weights is None or bool((needed := weights.needed()).all()):
            continue
        small = Attention(weights.only(needed)).train(module.training)
        if not name:
            return small
        path, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(path), attribute, small)
    return model


def _of_torch(module: nn.MultiheadAttention) -> Projections | None:
    if module.bias_k is not None or module.add_zero_attn:
        return None
    if module.in_proj_weight is not None:
        weights = module.in_proj_weight.chunk(3)
    else:
        weights = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
    biases = (None,) * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
    q, k, v = zip(weights, biases, strict=True)
    return Projections(
        q,
        k,
        v,
        (module.out_proj.weight, module.out_proj.bias),
        module.num_heads,
        dropout=module.dropout,
        batch_first=module.batch_first,
        alone=False,
    )


def _is_packed(module: nn.Module) -> bool:
    out = output_of(module)
    qkv, heads = getattr(module, "qkv", None), getattr(module, "num_heads", None)
    return (
        isinstance(qkv, nn.Linear)
        and isinstance(heads, int)
        and out is not None
        and qkv.out_features == 3 * out.in_features
        and out.in_features % heads == 0
    )


def output_of(module: nn.Module) -> nn.Linear | None:
    """Return the output projection beside a ``qkv`` layer; None if there is none."""
    found = (getattr(module, name, None) for name in OUTPUTS)
    return next((layer for layer in found if isinstance(layer, nn.Linear)), None)


def _of_packed(module: Any, call: tuple[Tensor, Tensor]) -> Projections | None:
    """Return the weights in the layout that gives the module's own outputs; None if none does."""
    out: Any = output_of(module)
    inputs, expected = call
    for layout in LAYOUTS:
        parts = (_unpacked(tensor, module.num_heads, layout) for tensor in (module.qkv.weight, module.qkv.bias))
        q, k, v = zip(*parts, strict=True)
        weights = Projections(q, k, v, (out.weight, out.bias), module.num_heads)
        same = Attention(weights).eval()(inputs)
        if same.shape == expected.shape and torch.allclose(same, expected, rtol=RTOL, atol=ATOL):
            return weights
    return None


def _unpacked(tensor: Tensor | None, heads: int, layout: tuple[int, int]) -> list[Tensor | None]:
    """Return queries, keys and values of a packed weight or bias, each head after head."""
    if tensor is None:
        return [None, None, None]
    sizes = (3, heads) if layout == (0, 1) else (heads, 3)
    whole = tensor.reshape(*sizes, -1, *tensor.shape[1:]).permute(*layout, *range(2, tensor.ndim + 2))
    return [part.flatten(end_dim=1) for part in whole]


def _calls(
    model: nn.Module, modules: dict[str, nn.Module], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return what modules are called with, and what they return, where both are one tensor."""
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def recorder(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
            if len(inputs) == 1 and not named and isinstance(inputs[0], Tensor) and isinstance(output, Tensor):
                found[name] = inputs[0], output

        return hook

    handles = [module.register_forward_hook(recorder(name), with_kwargs=True) for name, module in modules.items()]
    try:
        model(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _joined(mask: Tensor | None, padding: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """Return one additive mask; bool ones say where attention is forbidden."""
    masks = [mask, None if padding is None else padding[:, None, None, :]]
    added = [
        torch.zeros_like(one, dtype=dtype).masked_fill(one, float("-inf")) if one.dtype == torch.bool else one
        for one in masks
        if one is not None
    ]
    return sum(added[1:], added[0]) if added else None


def _rows(pair: Pair, rows: Tensor) -> Pair:
    weight, bias = pair
    return weight[rows], None if bias is None else bias[rows]


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """Return a layer of given weights, copied."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    return layer
