"""Branches that add a constant: a block of a ResNet whose last gain is zero, an MLP whose last weights are.

Where two activations are added and one of them is the same whatever the input, the layer that makes it becomes a
:class:`~spred.nn.pruning.channels.Constant`. Layers that no output depends on any more become ``nn.Identity``: the
model's code still calls them, and they compute nothing.
"""

from __future__ import annotations

from torch import fx, nn

from spred.nn.pruning.channels import BATCH_NORMS, CONVOLUTIONS, Constant, Weighted
from spred.nn.pruning.graph import Operation, Trace

ADDED = ("add", "sub")
"""Operations in which one side can be a constant for each channel, however long its other axes are."""

UNCHANGED = ("dropout", "feature_dropout", "alpha_dropout", "contiguous", "clone", "alias")
"""Operations that do nothing in evaluation mode."""

LAYERS = (nn.Linear, *CONVOLUTIONS, *BATCH_NORMS)
"""What can be exchanged: modules of exactly these types, which are called with one tensor."""


def drop_branches(traced: Trace, graph: fx.Graph) -> bool:
    """Exchange the modules of branches that add a constant, in place; return whether there are any."""
    ends = {end: axes for node in graph.nodes if (end := _constant_side(traced, node)) for axes in [_n_axes(node)]}
    if not ends:
        return False
    used = _used(graph, set(ends))
    for node in graph.nodes:
        module = _layer(traced, node)
        if module is None:
            continue
        if node in ends:
            flow = traced.flows[node]
            values = flow.constants.to(module.weight).reshape(-1, *[1] * (ends[node] - 1 - flow.axis))
            _exchange(traced.model, module, Constant(values))
        elif node not in used:
            _exchange(traced.model, module, nn.Identity())
    return True


def _constant_side(traced: Trace, node: Operation) -> Operation | None:
    """Return the layer whose result is one side of a sum and a constant, if the other side is not."""
    if _name(node) not in ADDED or len(node.all_input_nodes) != 2:
        return None
    sides = node.args[:2]
    flows = [traced.flows.get(side) for side in sides]
    if len({tuple(side.meta["val"].shape) for side in sides}) > 1:
        return None
    fixed = [flow is not None and not bool(flow.constants.isnan().any()) for flow in flows]
    if sum(fixed) != 1:
        return None
    end = sides[fixed.index(True)]
    while _name(end) in UNCHANGED and len(end.users) == 1:
        end = end.args[0]
    return end if len(end.users) == 1 and _layer(traced, end) is not None else None


def _used(graph: fx.Graph, ends: set[Operation]) -> set[Operation]:
    """Return the operations that reach an output other than through ``ends``."""
    used: set[Operation] = set()
    waiting = [node for node in graph.nodes if node.op == "output"]
    while waiting:
        node = waiting.pop()
        if node not in used:
            used.add(node)
            waiting += [] if node in ends else node.all_input_nodes
    return used


def _layer(traced: Trace, node: Operation) -> Weighted | None:
    """Return the module that an operation belongs to, if it can be exchanged."""
    if node.op != "call_function" or len(node.args) < 2 or not isinstance(node.args[1], fx.Node):
        return None
    module = traced.owner(node.args[1])
    return module if type(module) in LAYERS else None


def _exchange(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    path, _, attribute = next(name for name, module in model.named_modules() if module is old).rpartition(".")
    setattr(model.get_submodule(path), attribute, new.train(old.training))


def _n_axes(node: Operation) -> int:
    return len(node.meta["val"].shape)


def _name(node: Operation) -> str:
    """Return the name of an operation, ``add`` for ``aten.add_.Tensor``."""
    return str(node.target).removeprefix("aten.").split(".")[0].rstrip("_")
