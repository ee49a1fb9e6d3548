"""From a recipe's ``[penalty]`` to penalties on a model: which tensors, and which of their weights are one group.

Filters and neurons are found in the model's graph, as :func:`spred.shrink` finds them: channels that a residual sum
ties together are one group with all layers that write to them. So what training sets to zero can be removed afterwards.
Channels that cannot be removed (the outputs, for one) are not penalised.

A batch norm takes the scale from the weights before it. A penalty on them would shrink all filters for nothing, and
their sizes say little; so where every layer of a group has a batch norm, its gains and biases are penalised alone, and
the weights follow where these are zero (the scaling factors of Liu et al., ICCV 2017, as groups). They go on
learning until then, and a filter whose gain is zero still has a gradient by which it can regrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spred.compress import results as record
from spred.compress.recipe import PenaltySection
from spred.errors import InputError
from spred.nn import L1, GroupL1, prunable_weights
from spred.nn.joined import join_tensors
from spred.nn.packing import attention_layout
from spred.nn.pruning.channels import CONVOLUTIONS, Layer
from spred.nn.pruning.export import exported
from spred.nn.pruning.graph import trace
from spred.nn.pruning.heads import OUTPUTS
from spred.nn.pruning.macs import Kept, MACs
from spred.nn.sharding import count

LARGEST_ALPHA = 5e-4
"""How strong the penalty may become on the way to a density, where the recipe does not say. Larger is better where
little is left, worse at mild densities in short runs; chosen on validation images
(``scripts/bench compress --quick``)."""

COST_EXPONENT = 0.25
"""Groups pay by this power of the multiply-adds of their weights. At 1/2 and above the first layers of a ResNet, which
work at many pixels, become zero before the density of the rest is reached; at 0 costs do not count at all
(``scripts/bench structured``)."""

BLOCKS = ("*.body", "*.attention", "*.mlp")
"""What blocks are called in the built-in models: modules whose output is added to their input."""


@dataclass(frozen=True)
class Bundle:
    """Tensors of a model that are penalised as one.

    Attributes:
        names: their names in the model.
        dims: the axis of each along which its groups run; empty where every weight is alone.
        heads: the number of heads that the axes are cut into; None for a group of each index.
        packed: for heads, the parts that each axis is packed in (:mod:`spred.nn.packing`).
        together: how many indices become zero at once.
        followers: names of tensors that are not penalised, and zero wherever, along their first axis, all of it is.
    """

    names: tuple[str, ...]
    dims: tuple[int, ...] = ()
    heads: int | None = None
    together: int = 1
    followers: tuple[str, ...] = ()
    packed: tuple[int, ...] | None = None


class Found(NamedTuple):
    """Tensors of a model that a bundle can be made of, the axis of each, heads, and tensors that follow."""

    tensors: Sequence[Tensor]
    dims: tuple[int, ...] = ()
    heads: int | None = None
    followers: Sequence[Tensor] = ()
    packed: tuple[int, ...] | None = None


Asked = Callable[[nn.Module], bool]
"""Whether the recipe names a module."""


def find(model: nn.Module, section: PenaltySection, example: Tensor) -> list[Bundle]:
    """Return what a recipe penalises in ``model``.

    Args:
        model: on any device.
        section: kinds, and names of modules.
        example: one image as the model sees it, ``(1, channels, height, width)``; the graph is read with it.

    Raises:
        InputError: nothing in the model is of that kind, or no module has such a name.
    """
    modules = {id(module): name for name, module in model.named_modules()}
    tensors = {id(parameter): name for name, parameter in model.named_parameters()}
    bundles = []
    for kind in section.kind:
        patterns = section.modules or (BLOCKS if kind == "blocks" else ("*",))

        def asked(module: nn.Module, patterns: tuple[str, ...] = patterns) -> bool:
            return any(fnmatch(modules[id(module)], pattern) for pattern in patterns)

        for found in KINDS[kind](model, example, asked):
            if found.tensors:
                channels = bool(found.dims) and found.heads is None
                fits = channels and found.tensors[0].shape[found.dims[0]] % section.multiple_of == 0
                names, followers = (tuple(tensors[id(t)] for t in some) for some in (found.tensors, found.followers))
                together = section.multiple_of if fits else 1
                bundles.append(Bundle(names, found.dims, found.heads, together, followers, found.packed))
    if not bundles:
        where = f" in the modules {list(section.modules)}" if section.modules else ""
        raise InputError(f"the model has no {' or '.join(section.kind)} to penalise{where}; see penalty.kind")
    return bundles


def penalties(
    model: nn.Module,
    bundles: Sequence[Bundle],
    depth: int = 2,
    alpha: float = LARGEST_ALPHA,
    cost: MACs | None = None,
    *,
    apart: bool = False,
) -> list[L1]:
    """Return the penalties on the tensors of ``model``; groups are weighted by the root of their size, and by cost.

    Args:
        model: the model.
        bundles: its tensors, of :func:`find`.
        depth: number of factors.
        alpha: strength of all penalties.
        cost: multiply-adds of the model; groups pay by the :data:`COST_EXPONENT` power of what their weights cost. All
            pay alike without it.
        apart: make a penalty for each tensor of what has no groups, and not one for all of them.

    Where several channels become zero together, the channels are ranked by their norms: the largest are one group, then
    the next.
    """
    tensors = dict(model.named_parameters())
    found: list[L1] = []
    for bundle in bundles:
        parts = [tensors[name] for name in bundle.names]
        if bundle.dims:
            groups = _ranked(parts, bundle.dims, bundle.together) if bundle.together > 1 else None
            where: dict[str, Any] = {"dim": bundle.dims, "heads": bundle.heads, "groups": groups, "join": True}
            where["packed"] = bundle.packed
            found.append(
                GroupL1(parts, alpha, **where, group_weight="sqrt", depth=depth, penalty_weight=_price(parts, cost))
            )
        else:
            found += [L1(some, alpha, depth=depth) for some in ([[part] for part in parts] if apart else [parts])]
    return found


def _ranked(parts: Sequence[Tensor], dims: Sequence[int], size: int) -> Tensor:
    """Return a group for each index along the axes: the ``size`` largest in norm are the first, and so on."""
    falling: Tensor = join_tensors(parts, dims, None).value().norm(dim=1).argsort(descending=True, stable=True)
    return falling.argsort() // size


def _price(parts: Sequence[Tensor], cost: MACs | None) -> float:
    """Return the factor that a bundle's groups pay: a power of the mean cost over its matrices, or batch norms."""
    priced = [part for part in parts if part.ndim > 1] or parts
    if cost is None:
        return 1.0
    total = sum(cost.relative_macs(part) * part.numel() for part in priced)
    return float(float(total / sum(part.numel() for part in priced)) ** COST_EXPONENT)


class WeightCount:
    """Weights as a cost, those of followers too: they become zero with the values that they follow.

    Args:
        model: the model that is trained.
        bundles: of it.
        graph: tells whether outputs still depend on inputs; None if it cannot tell of these bundles.
    """

    def __init__(self, model: nn.Module, bundles: Sequence[Bundle], graph: MACs | None = None) -> None:
        self._graph = graph
        tensors = dict(model.named_parameters())
        self._sizes = {
            id(tensors[bundle.names[0]]): sum(tensors[name].numel() for name in (*bundle.names, *bundle.followers))
            for bundle in bundles
            if bundle.followers
        }

    def share(self, kept: Kept) -> float:
        """Return the fraction of weights that are kept."""
        sizes = [self._sizes.get(id(place.tensors[0]), mask.numel()) for place, mask in kept]
        left = sum(n * count(mask) / mask.numel() for n, (_, mask) in zip(sizes, kept, strict=True))
        return left / sum(sizes)

    def severed(self, kept: Kept) -> bool:
        """Return whether an output depends on no input any more: only the graph tells."""
        return self._graph is not None and self._graph.severed(kept)


@torch.no_grad()
def zero_followers(model: nn.Module, bundles: Sequence[Bundle]) -> None:
    """Set the followers of a bundle to zero wherever all of its penalised tensors are zero, in place."""
    tensors = dict(model.named_parameters())
    for bundle in bundles:
        if bundle.followers:
            zero = torch.stack([tensors[name] == 0 for name in bundle.names]).all(dim=0)
            for name in bundle.followers:
                tensors[name][zero] = 0.0


def layers(model: nn.Module, names: Sequence[str]) -> tuple[record.Layer, ...]:
    """Return how many weights of the named tensors are left."""
    tensors = dict(model.named_parameters())
    shapes = {name: tuple(tensors[name].shape) for name in names}
    counts = {name: int(torch.count_nonzero(tensors[name].detach())) for name in names}
    return tuple(record.Layer(name, shapes[name], prod(shapes[name]), counts[name]) for name in names)


def _weights(model: nn.Module, example: Tensor, asked: Asked) -> Iterator[Found]:
    """Give all weights, each alone."""
    inside = {id(p) for module in model.modules() if asked(module) for p in module.parameters()}
    yield Found([weight for weight in prunable_weights(model) if id(weight) in inside])


def _filters(model: nn.Module, example: Tensor, asked: Asked) -> Iterator[Found]:
    """Give the filters of each convolution, tied ones together."""
    return _channels(model, example, asked, CONVOLUTIONS)


def _neurons(model: nn.Module, example: Tensor, asked: Asked) -> Iterator[Found]:
    """Give the neurons of each linear layer, tied ones together."""
    return _channels(model, example, asked, (nn.Linear,))


def _channels(model: nn.Module, example: Tensor, asked: Asked, makers: tuple[type[nn.Module], ...]) -> Iterator[Found]:
    traced = trace(exported(model, (example,)), model)
    roots = traced.ties.roots()
    kept = set(roots[traced.ties.kept()].tolist())
    together: dict[tuple[int, ...], list[Layer]] = {}
    for layer in traced.layers:
        together.setdefault(tuple(roots[layer.labels].tolist()), []).append(layer)
    for labels, tied in together.items():
        modules = [layer.module for layer in tied]
        if kept.isdisjoint(labels) and isinstance(modules[0], makers) and any(map(asked, modules)):
            norms = {layer.module: layer.normalises for layer in tied if layer.normalises is not None}
            scaled = set(modules) == {*norms, *norms.values()} and all(_trained(norm) for norm in norms)
            tensors = [p for module in (norms if scaled else modules) for p in _trained(module)]
            followers = [p for module in norms.values() for p in _trained(module)] if scaled else []
            yield Found(tensors, (0,) * len(tensors), followers=followers)


def _trained(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters(recurse=False) if parameter.requires_grad]


def _heads(model: nn.Module, example: Tensor, asked: Asked) -> Iterator[Found]:
    """Give the heads of each attention: queries, keys and values with their columns of the output projection."""
    for module in filter(asked, model.modules()):
        heads, packed = getattr(module, "num_heads", None), getattr(module, "qkv", None)
        if isinstance(module, nn.MultiheadAttention):
            inputs = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
            tensors = [p for name in inputs if (p := getattr(module, name)) is not None]
            tensors.append(module.out_proj.weight)
            layout = attention_layout(module, tensors)
            yield Found(tensors, (*(0,) * (len(tensors) - 1), 1), layout[0], packed=layout[1])
        elif isinstance(packed, nn.Linear) and isinstance(heads, int):
            output: Any = next(getattr(module, name) for name in OUTPUTS if hasattr(module, name))
            layout = attention_layout(module, [packed.weight, output.weight])
            yield Found([packed.weight, output.weight], (0, 1), layout[0], packed=layout[1])


def _blocks(model: nn.Module, example: Tensor, asked: Asked) -> Iterator[Found]:
    """Give each block as one group of everything in it."""
    for module in filter(asked, model.modules()):
        tensors = [p for p in module.parameters() if p.requires_grad]
        yield Found(tensors, (0,) * len(tensors), 1)


KINDS: dict[str, Callable[[nn.Module, Tensor, Asked], Iterator[Found]]] = {
    "weights": _weights,
    "filters": _filters,
    "neurons": _neurons,
    "heads": _heads,
    "blocks": _blocks,
}
"""What recipes can penalise: how each kind is found in a model."""
