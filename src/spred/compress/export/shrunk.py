"""A shrunk model as a table of its changed modules and a file of weights, from which it is built without pickle.

A shrunk model is the plain model with narrower modules, with :class:`~spred.nn.pruning.heads.Attention` where
attention lost heads, and with constants in the place of branches. So a short table of the modules that changed is
enough. A file that somebody else has made runs no code: :mod:`spred.compress.export.shrunk_table` has the closed list
of what it may say, and sizes are followed on torch's ``meta`` device, which has no memory, before weights are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spred.compress.export.safetensors import read_tensors, write_tensors
from spred.compress.export.shrunk_table import HEADS, SIZES, Entry, Origin, parse, sizes_of
from spred.compress.models.weights import differences
from spred.compress.models.zoo import MODELS, build, check_fit
from spred.errors import FileError, InputError, where
from spred.nn.pruning.channels import BATCH_NORMS, CONVOLUTIONS, Constant
from spred.nn.pruning.heads import Attention, Projections
from spred.runtime.folder import read_json, write_json

WEIGHTS, TABLE = "shrunk.safetensors", "shrunk.json"


def changes(small: nn.Module, plain: nn.Module) -> dict[str, dict[str, Any]]:
    """Return the modules of ``small`` that differ from those of ``plain``, by name, and their sizes now.

    >>> plain = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> _ = nn.init.zeros_(plain[2].weight[:, 3:])
    >>> from spred.nn.pruning.shrink import shrink
    >>> changes(shrink(plain, torch.ones(1, 4)), plain)
    {'0': {'out_features': 3}, '2': {'in_features': 3}}
    """
    before = dict(plain.named_modules())
    found = {}
    for name, module in small.named_modules():
        if isinstance(module, Attention):
            found[name] = {key: getattr(module, key) for key in HEADS}
        elif isinstance(module, Constant):
            found[name] = {"constant": True}
        elif isinstance(module, nn.Identity) and type(before.get(name)) is not nn.Identity:
            found[name] = {"removed": True}
        elif name in before:
            now, was = ({key: getattr(one, key, None) for key in SIZES} for one in (module, before[name]))
            if now != was:
                found[name] = {key: value for key, value in now.items() if value != was[key]}
    return found


def resized(plain: nn.Module, table: Mapping[str, Entry], state: Mapping[str, Tensor]) -> nn.Module:
    """Return a copy of ``plain`` with the sizes of a table and the weights of a ``state_dict`` that has them.

    Raises:
        InputError: the table or the weights are those of another model.
    """
    model = _with_shapes(deepcopy(plain), table, state)
    model.load_state_dict(dict(state), strict=True)
    return model


def save_shrunk(small: nn.Module, plain: nn.Module, folder: Path, origin: Mapping[str, Any] | None = None) -> None:
    """Write ``shrunk.safetensors`` and ``shrunk.json`` into a folder.

    ``origin`` says how the plain model is made: the arguments of :func:`spred.compress.models.zoo.build`.
    """
    write_json(folder / TABLE, {"origin": origin, "modules": changes(small, plain)})
    write_tensors(small.state_dict(), folder / WEIGHTS)


def load_shrunk(folder: str | Path, model: nn.Module | None = None) -> nn.Module:
    """Return the shrunk model of a results folder, in evaluation mode. No code runs that the folder names.

    Args:
        folder: what ``spred compress`` wrote.
        model: the plain model that was compressed, with any weights; it is not changed. If left out, the folder's model
            has to be a built-in one, and is made as the recipe made it. A model of your own you make yourself: a file
            does not say which function is called.

    Raises:
        FileError: the folder lacks the files, or they cannot be read or say what no such file says.
        InputError: ``model`` is another one, or is needed.
    """
    folder = Path(folder)
    if not (folder / TABLE).is_file():
        raise FileError(
            f"{folder}: holds no shrunk model ({TABLE} is missing); give a folder that spred compress wrote"
        )
    with where(str(folder / TABLE)):
        table = parse(read_json(folder / TABLE))
    state, _ = read_tensors(folder / WEIGHTS)
    with where(str(folder)):
        made = _built_in(table.origin, table.modules, state) if model is None else resized(model, table.modules, state)
    return made.eval()


def _built_in(origin: Origin | None, table: Mapping[str, Entry], state: Mapping[str, Tensor]) -> nn.Module:
    """Return a built-in model of these sizes and weights; nothing is allocated beside what the file holds."""
    if origin is None:
        raise InputError("does not say how its model is made; give the plain model: load_shrunk(folder, model)")
    if origin.name not in MODELS:
        raise InputError(
            f"its model is {origin.name!r}, which is not one of {list(MODELS)}, and a file does not say which function "
            "is called; make the plain model yourself and give it: load_shrunk(folder, model)"
        )
    with torch.device("meta"):
        model = build(origin.name, origin.arguments, origin.facts)
    model = _with_shapes(model, table, {name: tensor.to("meta") for name, tensor in state.items()})
    check_fit(model, origin.facts)
    kinds = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    own = {name: tensor.to(kinds[name]) for name, tensor in state.items()}
    model.load_state_dict(own, strict=True, assign=True)
    return model


def _with_shapes(model: nn.Module, table: Mapping[str, Entry], state: Mapping[str, Tensor]) -> nn.Module:
    """Return ``model``, changed in place, with modules of the sizes of a table and of ``state``."""
    touched = set(table)
    for name, entry in table.items():
        new = _replacement(name, entry, state)
        if new is None:
            _resize(name, _module(model, name), entry)
            continue
        model = _with(model, name, new)
        touched |= {f"{name}.{child}" if name else child for child, _ in new.named_children()}
    touched |= _take_shapes(model, state)
    wrong = differences(model, state)
    if wrong:
        raise InputError(f"the weights are those of another model: {wrong[0]} ({len(wrong)} such differences)")
    for name in sorted(touched):
        _check_sizes(name, _module(model, name))
    return model


def _take_shapes(model: nn.Module, state: Mapping[str, Tensor]) -> set[str]:
    """Give modules empty tensors of the new shapes, and biases where constants went into them; return their names."""
    taken = set()
    for prefix, module in model.named_modules():
        if not sizes_of(module):
            continue
        for key in ("weight", "bias", "running_mean", "running_var"):
            tensor, old = state.get(f"{prefix}.{key}" if prefix else key), getattr(module, key, None)
            if tensor is None or (old is not None and old.shape == tensor.shape):
                continue
            if not tensor.is_floating_point():
                raise InputError(f"{prefix!r} has a {key} of {tensor.dtype}, and no real numbers")
            like = module.weight if old is None else old
            empty = torch.empty_like(tensor, dtype=None if like is None else like.dtype)
            setattr(module, key, empty if key.startswith("running") else nn.Parameter(empty))
            taken.add(prefix)
    return taken


def _resize(name: str, module: nn.Module, entry: Entry) -> None:
    """Give a module the sizes of an entry: those that its kind has, and no other attribute."""
    for key, value in entry.items():
        if key not in sizes_of(module):
            raise InputError(f"module {name!r} is a {type(module).__name__}, which has no {key} to change")
        setattr(module, key, value)


def _check_sizes(name: str, module: nn.Module) -> None:
    """Raise unless the sizes of a module are those of its tensors."""
    shape: tuple[int, ...]
    if isinstance(module, nn.Linear):
        rows, shape = module.out_features, (module.out_features, module.in_features)
    elif isinstance(module, CONVOLUTIONS):
        groups = module.groups
        if groups < 1 or module.in_channels % groups or module.out_channels % groups:
            raise InputError(f"module {name!r} has {groups} groups, into which its channels cannot be divided")
        rows, shape = module.out_channels, (module.out_channels, module.in_channels // groups, *module.kernel_size)
    elif isinstance(module, BATCH_NORMS):
        rows, shape = module.num_features, (module.num_features,)
    else:
        return
    shapes = {"weight": shape, "bias": (rows,), "running_mean": (rows,), "running_var": (rows,)}
    for key, expected in shapes.items():
        tensor = getattr(module, key, None)
        if isinstance(tensor, Tensor) and tuple(tensor.shape) != expected:
            raise InputError(f"module {name!r} has a {key} of shape {tuple(tensor.shape)} and not {expected}")


def _replacement(name: str, entry: Entry, state: Mapping[str, Tensor]) -> nn.Module | None:
    """Return the module that stands in the place of another; None if the module is there and narrower."""
    if "num_heads" in entry:
        return _attention(name, entry, state)
    if "constant" in entry:
        values = state.get(f"{name}.bias" if name else "bias", torch.empty(0))
        if not values.is_floating_point():
            raise InputError(f"the constant {name!r} is of {values.dtype}, and no real numbers")
        return Constant(values.clone())
    return nn.Identity() if "removed" in entry else None


def _attention(name: str, entry: Entry, state: Mapping[str, Tensor]) -> Attention:
    """Return attention with these weights; a projection that is a constant has none, and gets its own entry."""
    prefix, heads = f"{name}." if name else "", entry["num_heads"]
    weights = {part: state.get(f"{prefix}{part}.weight") for part in ("q", "k", "v", "out")}
    for part, weight in weights.items():
        if weight is not None and (weight.ndim != 2 or not weight.is_floating_point()):
            raise InputError(f"attention {name!r} has for {part!r} no matrix of real numbers")
        if weight is not None and weight.shape[int(part == "out")] % heads:
            raise InputError(f"attention {name!r} has {heads} heads, into which {part!r} cannot be divided")
    q, k, v, out = (
        (torch.empty(1, 1) if weight is None else weight, state.get(f"{prefix}{part}.bias"))
        for part, weight in weights.items()
    )
    rest = {key: entry[key] for key in HEADS if key != "num_heads"}
    return Attention(Projections(q, k, v, out, heads, **rest))


def _module(model: nn.Module, name: str) -> nn.Module:
    """Return the module of a name."""
    try:
        return model.get_submodule(name)
    except AttributeError as err:
        raise InputError(f"the model has no module {name!r}; give the model that was shrunk") from err


def _with(model: nn.Module, name: str, module: nn.Module) -> nn.Module:
    """Return the model with one module in the place of another, which has to be there."""
    _module(model, name)
    if not name:
        return module
    path, _, attribute = name.rpartition(".")
    setattr(_module(model, path), attribute, module)
    return model
