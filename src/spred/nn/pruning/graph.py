"""A model's graph, traced channel by channel: labels and constants of every activation.

``torch.export`` writes a model as a list of basic operations; :func:`trace` follows it. Each operation is in one of the
tables below, or it keeps all channels that enter it: what is not known is left alone.

This is written here, and not with torch-pruning. Its graph says which tensors are pruned together, which is half of the
question; whether outputs stay equal depends on the constants, and so on every operation in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.fx.node import map_arg

from spred.nn.pruning.channels import (
    BATCH_NORMS,
    CONVOLUTIONS,
    Constant,
    Flow,
    Layer,
    Ties,
    Weighted,
    kernels,
    padded,
    weighted,
)

Operation = Any
"""A ``torch.fx.Node``, whose arguments are typed too widely to be of use."""

UNKNOWN = float("nan")

POINTWISE = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish"),
    *("sigmoid", "tanh", "hardsigmoid", "hardtanh", "softplus", "clamp", "clamp_min", "clamp_max"),
    *("dropout", "feature_dropout", "alpha_dropout", "neg", "abs", "square", "sqrt", "exp", "pow", "to"),
)
"""Each number of the result depends on the same number of the argument alone."""

BINARY = ("add", "sub", "mul", "div")
"""The same with two arguments."""

POOLS = tuple(f"{kind}{n}d" for n in (1, 2, 3) for kind in ("max_pool", "avg_pool", "adaptive_avg_pool"))
"""Each channel of the result depends on the same channel of the argument alone."""

MOVES = (
    *("view", "reshape", "flatten", "unflatten", "permute", "transpose", "squeeze", "unsqueeze", "contiguous"),
    *("clone", "detach", "alias", "select", "slice", "narrow", "expand", "cat", "stack"),
)
"""Numbers change their places and nothing else."""


def trace(program: torch.export.ExportedProgram, model: nn.Module) -> Trace:
    """Return what the graph says of a model's channels: its layers, and which labels go together.

    Args:
        program: what :func:`~spred.nn.pruning.export.exported` gave.
        model: the same model.
    """
    traced = Trace(program, model)
    for node in program.graph.nodes:
        if node.op == "placeholder":
            traced.start(node)
        elif node.op == "call_function":
            traced.follow(node)
        elif node.op == "output":
            traced.keep(node)
    return traced


class Trace:
    """What is known of a model's channels, operation by operation.

    Attributes:
        layers: the layers whose channels are known.
        ties: which labels go together.
        flows: what is known of the result of each operation.
    """

    def __init__(self, program: torch.export.ExportedProgram, model: nn.Module) -> None:
        signature = program.graph_signature
        self.names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        self.model = model
        self.n_owners = Counter(id(tensor) for _, tensor in model.named_parameters(remove_duplicate=False))
        self.flows: dict[Any, Flow] = {}
        self.layers: list[Layer] = []
        self.makers: dict[Any, Weighted] = {}  # of the results of linear layers and convolutions
        self.ties = Ties()

    def start(self, node: Operation) -> None:
        """Take in what a :class:`~spred.nn.pruning.channels.Constant` gives."""
        path = self.names.get(node.name, "").rpartition(".")[0]
        module = self.model.get_submodule(path)
        if isinstance(module, Constant):
            labels = self.ties.new(len(module.bias))
            self.layers.append(Layer(module, labels))
            self.flows[node] = Flow(0, labels, module.bias.detach().double().flatten().cpu())

    def follow(self, node: Operation) -> None:
        """Follow one operation, for instance ``aten.relu_.default``."""
        name = str(node.target).removeprefix("aten.").split(".")[0]
        rule = RULES.get(name.rstrip("_"))
        flow = None if rule is None else rule(self, node)
        if flow is None:
            self.keep(node)
            return
        self.flows[node] = flow
        if name.endswith("_"):  # in place: an operation that takes the argument later takes the result
            self.flows[node.args[0]] = flow

    def keep(self, node: Operation) -> None:
        """Keep all channels of what enters an operation."""
        for source in node.all_input_nodes:
            if source in self.flows:
                self.ties.keep(self.flows[source].labels)

    def owner(self, node: Operation) -> Weighted | None:
        """Return the module whose ``weight`` a node is, if no other module and no other operation uses it."""
        path, _, name = self.names.get(getattr(node, "name", ""), "").rpartition(".")
        if name != "weight" or len(node.users) > 1:
            return None
        module: Weighted = self.model.get_submodule(path)
        return module if self.n_owners[id(module.weight)] == 1 else None


def _matrix(traced: Trace, node: Operation) -> Flow | None:
    """Follow a linear layer or a convolution, which makes new channels."""
    source, weight = node.args[:2]
    module, inputs = traced.owner(weight), traced.flows.get(source)
    if not isinstance(module, (nn.Linear, *CONVOLUTIONS)):
        return None
    axis = len(_shape(node)) - 1 if isinstance(module, nn.Linear) else 1
    if getattr(module, "groups", 1) > 1:
        return _depthwise(traced, node, module, inputs) if inputs is not None and inputs.axis == 1 else None
    if inputs is not None and inputs.axis != axis:
        traced.keep(node)
        inputs = None
    labels = traced.ties.new(len(module.weight))
    traced.layers.append(Layer(module, labels, inputs))
    traced.makers[node] = module
    return Flow(axis, labels, _constant_outputs(module, inputs))


def _constant_outputs(module: Weighted, inputs: Flow | None) -> Tensor:
    """Return the outputs that depend on no input, NaN where they do."""
    reads, total = weighted(module), kernels(module).double().sum(dim=2)
    constants = torch.full((reads.shape[1],), UNKNOWN, dtype=torch.float64) if inputs is None else inputs.constants
    useless = constants.isnan() | (padded(module) & (constants != 0))
    values = total @ constants.where(~useless, 0.0) + _bias(module)
    return values.masked_fill(reads[:, useless].any(dim=1), UNKNOWN)


def _depthwise(traced: Trace, node: Operation, module: Weighted, inputs: Flow) -> Flow | None:
    """Follow a convolution of each channel by itself; other grouped convolutions keep their channels."""
    if not module.groups == module.in_channels == module.out_channels:
        return None
    traced.layers.append(Layer(module, inputs.labels, by_channel=True))
    traced.makers[node] = module
    total = kernels(module).double().sum(dim=(1, 2))
    constants = inputs.constants
    if padded(module):
        constants = constants.masked_fill(constants != 0, UNKNOWN)
    zero = ~weighted(module).flatten()
    return replace(inputs, constants=(constants * total).masked_fill(zero, 0.0) + _bias(module))


def _batch_norm(traced: Trace, node: Operation) -> Flow | None:
    """Follow a batch norm in evaluation mode: each channel gets a factor and an offset."""
    source, weight, training = node.args[0], node.args[1], node.args[5]
    inputs, module = traced.flows.get(source), traced.owner(weight)
    if inputs is None or inputs.axis != 1 or training or not isinstance(module, BATCH_NORMS):
        return None
    maker = traced.makers.get(source) if len(source.users) == 1 else None
    traced.layers.append(Layer(module, inputs.labels, by_channel=True, normalises=maker))
    gain, mean, var = (
        getattr(module, name).detach().double().cpu() for name in ("weight", "running_mean", "running_var")
    )
    scaled = (inputs.constants - mean) * gain / (var + module.eps).sqrt()
    return replace(inputs, constants=scaled.masked_fill(gain == 0, 0.0) + _bias(module))


def _pointwise(traced: Trace, node: Operation) -> Flow | None:
    """Follow an operation on each number: on constants it is done."""
    flow = traced.flows.get(node.args[0])
    if flow is None or len(node.all_input_nodes) > 1:
        return None
    values = node.target(flow.constants.clone(), *node.args[1:], **node.kwargs).double()
    return replace(flow, constants=values.masked_fill(flow.constants.isnan(), UNKNOWN))


def _binary(traced: Trace, node: Operation) -> Flow | None:
    """Follow a sum or a product: channels of two activations are tied, pair by pair."""
    left, right = node.args[:2]
    flows = [traced.flows[side] for side in (left, right) if isinstance(side, Node) and side in traced.flows]
    if not flows:
        return None
    first = left if isinstance(left, Node) and left in traced.flows else right
    axis, n = flows[0].axis - len(_shape(first)), len(flows[0].labels)
    here = replace(flows[0], axis=len(_shape(node)) + axis)
    if _shape(node)[axis] != n:
        return None
    if len(flows) == 2:
        if flows[1].axis - len(_shape(right)) != axis or len(flows[1].labels) != n:
            return None
        traced.ties.join(flows[0].labels, flows[1].labels)
        values = node.target(flows[0].constants, flows[1].constants, **node.kwargs)
        return replace(here, constants=values)
    other = right if first is left else left
    if not isinstance(other, Node):
        return replace(here, constants=node.target(here.constants, other, **node.kwargs))
    shape = _shape(other)
    if len(shape) >= -axis and shape[axis] != 1:
        return None
    return replace(here, constants=torch.full_like(here.constants, UNKNOWN))


def _pool(traced: Trace, node: Operation) -> Flow | None:
    """Follow a pooling operation; zeros around an average change constants."""
    flow = traced.flows.get(node.args[0])
    if flow is None or flow.axis != 1 or len(_shape(node)) < 3:
        return None
    mixes = "avg_pool" in str(node.target) and "adaptive" not in str(node.target) and len(node.args) > 3
    return replace(flow, constants=flow.constants.masked_fill(flow.constants != 0, UNKNOWN)) if mixes else flow


def _mean(traced: Trace, node: Operation) -> Flow | None:
    """Follow an average over other axes than that of the channels."""
    flow = traced.flows.get(node.args[0])
    dims = node.args[1] if len(node.args) > 1 else None
    if flow is None or not dims:
        return None
    n_axes = len(_shape(node.args[0]))
    averaged = {dim % n_axes for dim in dims}
    if flow.axis in averaged:
        return None
    keeps = len(_shape(node)) == n_axes
    return flow if keeps else replace(flow, axis=flow.axis - sum(dim < flow.axis for dim in averaged))


def _move(traced: Trace, node: Operation) -> Flow | None:
    """Follow numbers to new places: apply the operation to the positions of the channels."""
    sources = node.all_input_nodes
    if not sources or any(source not in traced.flows for source in sources):
        return None
    flows = [traced.flows[source] for source in sources]
    firsts = torch.tensor([0, *(len(flow.labels) for flow in flows)]).cumsum(0).tolist()
    positions = {
        source: _along(torch.arange(first, first + len(flow.labels)), flow.axis, _shape(source))
        for source, flow, first in zip(sources, flows, firsts, strict=False)
    }
    args, kwargs = map_arg((node.args, node.kwargs), positions.__getitem__)
    moved = node.target(*args, **kwargs)
    axis = _axis_of(moved)
    if axis is None:
        return None
    where = _profile(moved, axis)
    labels, constants = (torch.cat([getattr(flow, key) for flow in flows]) for key in ("labels", "constants"))
    return Flow(axis, labels[where], constants[where])


def _axis_of(positions: Tensor) -> int | None:
    """Return the axis along which positions change; None if there are several."""
    for axis in reversed(range(positions.ndim)):
        if torch.equal(_along(_profile(positions, axis), axis, tuple(positions.shape)), positions):
            return axis
    return None


def _profile(positions: Tensor, axis: int) -> Tensor:
    """Return the positions along one axis, at the first place of all others."""
    return positions.movedim(axis, 0).flatten(start_dim=1)[:, 0] if positions.ndim > 1 else positions


def _along(vector: Tensor, axis: int, shape: tuple[int, ...]) -> Tensor:
    """Return ``vector`` laid along one axis, the same everywhere else."""
    return vector.reshape([-1 if k == axis else 1 for k in range(len(shape))]).expand(shape).contiguous()


def _bias(module: Weighted) -> Tensor | float:
    return 0.0 if module.bias is None else module.bias.detach().double().cpu()


def _shape(node: Operation) -> tuple[int, ...]:
    return tuple(node.meta["val"].shape)


Rule = Callable[[Trace, Operation], Flow | None]

RULES: dict[str, Rule] = {
    **dict.fromkeys(["linear", "conv1d", "conv2d", "conv3d"], _matrix),
    "batch_norm": _batch_norm,
    **dict.fromkeys(POINTWISE, _pointwise),
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(POOLS, _pool),
    "mean": _mean,
    **dict.fromkeys(MOVES, _move),
}
"""What to do with each operation; the rest keeps its channels."""
