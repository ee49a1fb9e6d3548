"""How attention lays out its heads in its weights: read from the module, because shapes cannot tell.

A weight three times as tall as wide may hold queries, keys and values one after the other, each of them head by head
(``nn.MultiheadAttention``, GPT-2), or head by head with the three of each together (Bloom), or be no attention at all.
A tensor is *packed* in k parts if an axis holds k runs, and each run all heads in turn; 1 is no packing.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from spred.errors import InputError
from spred.nn.pruning.export import evaluating
from spred.nn.pruning.heads import output_of

OUTPUTS = ("proj", "out_proj", "o_proj", "out", "to_out", "out_lin", "c_proj")
"""Layers that mix the heads: their columns belong to heads, and their bias to none."""

PARTS = {
    "in_proj_weight": 3,
    "in_proj_bias": 3,
    **dict.fromkeys(("q_proj_weight", "k_proj_weight", "v_proj_weight", "bias_k", "bias_v"), 1),
    **dict.fromkeys(("q_proj", "k_proj", "v_proj", "query", "key", "value", "q_lin", "k_lin", "v_lin"), 1),
    **dict.fromkeys(OUTPUTS, 1),
    "c_attn": 3,
}
"""Parts that the tensors of attention modules are packed in, by the name of the tensor or of its layer."""

HEADS = ("num_key_value_heads", "num_heads", "num_attention_heads", "n_heads", "n_head")
"""What modules call their number of heads; that of keys and values first."""

PROBED = "qkv"
"""A layer of this name may be packed in either way, and is tried."""

TOKENS = 5
"""Tokens of the input on which a packed layer is tried."""


def attention_layout(module: nn.Module, tensors: Sequence[Tensor]) -> tuple[int, tuple[int, ...]]:
    """Return the number of heads of an attention module, and the parts that each of its tensors is packed in.

    Where several heads of queries share keys and values, such a set of heads counts as one.

    Raises:
        InputError: the module has no number of heads, or a tensor that is not its own or whose packing is not known.

    >>> attention = nn.MultiheadAttention(8, 2)
    >>> attention_layout(attention, [attention.in_proj_weight, attention.in_proj_bias, attention.out_proj.weight])
    (2, (3, 3, 1))
    """
    kind = type(module).__name__
    heads = _number(module, HEADS)
    if heads is None:
        raise InputError(f"heads is a {kind} without a number of heads; give an attention module, or a number")
    names = {id(tensor): name for name, tensor in module.named_parameters()}
    packed = []
    for position, tensor in enumerate(tensors):
        name = names.get(id(tensor))
        if name is None:
            raise InputError(f"tensor {position} of shape {tuple(tensor.shape)} is not of the {kind} given as heads")
        parts = _parts(module, name)
        if parts is None:
            raise InputError(
                f"how {name} of {kind} is packed cannot be known; give heads as a number and packed=3 for queries, "
                "keys and values one after the other, packed=1 for head after head"
            )
        packed.append(parts)
    return heads, tuple(packed)


def check_unpacked(tensors: Sequence[Tensor], dims: Sequence[int], heads: int, *, joined: bool) -> None:
    """Refuse to cut tensors into so many heads where they may be packed, and nobody has said how.

    Raises:
        InputError: one is three times as long as wide, or joined ones differ in length.
    """
    advice = "give the attention module as heads=, or packed=, with 3 for queries, keys and values one after the other"
    lengths = {tensor.shape[dim] for tensor, dim in zip(tensors, dims, strict=True)}
    if heads > 1 and joined and len(lengths) > 1:
        raise InputError(
            f"the joined tensors have axes of {sorted(lengths)} for {heads} heads, so some are packed, and a shape "
            f"does not tell how; {advice}"
        )
    for tensor, dim in zip(tensors, dims, strict=True):
        if heads > 1 and tensor.ndim == 2 and tensor.shape[dim] == 3 * tensor.shape[1 - dim % 2]:
            raise InputError(
                f"a tensor of shape {tuple(tensor.shape)} may be packed queries, keys and values, and a shape does not "
                f"tell; {advice} and 1 for head after head"
            )


def _parts(module: nn.Module, name: str) -> int | None:
    """Return the parts that a tensor is packed in; None if that is not known."""
    first, _, rest = name.partition(".")
    if first == PROBED:
        return _tried(module)
    if first in OUTPUTS and rest.endswith("bias"):
        return None  # it belongs to no head
    return PARTS.get(first)


def _tried(module: nn.Module) -> int | None:
    """Return the parts that a ``qkv`` layer is packed in, as a copy with random weights uses it.

    What a head attends to is a run of inputs of the output projection, and depends on the head's own rows alone.
    """
    copy: Any = deepcopy(module).cpu().float()
    out, heads = output_of(copy), _number(copy, HEADS)
    if out is None or heads is None or copy.qkv.out_features != 3 * out.in_features or out.in_features % heads:
        return None
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter.shape[-1] ** 0.5)
    seen: list[Tensor] = []
    out.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    with evaluating(copy), torch.enable_grad():
        try:
            copy(torch.randn(2, TOKENS, copy.qkv.in_features, generator=generator))
        except Exception:  # it is called in another way: what it does is not known
            return None
    if len(seen) != 1 or seen[0].shape[-1] != out.in_features:
        return None
    rows = torch.arange(3 * out.in_features)
    size = out.in_features // heads
    labels = {3: rows % out.in_features // size, 1: rows // (3 * size)}
    used = torch.stack([_rows_used(seen[0][..., k * size : (k + 1) * size], copy.qkv.weight) for k in range(heads)])
    return next((n for n, of in labels.items() if torch.equal(used, of == torch.arange(heads)[:, None])), None)


def _rows_used(outputs: Tensor, weight: Tensor) -> Tensor:
    """Return which rows of a weight outputs depend on (bool)."""
    generator = torch.Generator().manual_seed(1)
    mixed = (outputs * torch.randn(outputs.shape, generator=generator)).sum()
    (grad,) = torch.autograd.grad(mixed, weight, retain_graph=True)
    sizes = grad.abs().amax(dim=1)
    return sizes > torch.finfo(sizes.dtype).eps * sizes.max()


def _number(module: nn.Module, names: Sequence[str]) -> int | None:
    """Return the first of some attributes that is a number, of a module or of its configuration."""
    found = [getattr(owner, name, None) for name in names for owner in (module, getattr(module, "config", None))]
    return next((value for value in found if isinstance(value, int)), None)
