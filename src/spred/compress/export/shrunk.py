"""A shrunk model as a table of its changed modules and a file of weights, from which it is built without pickle.

A shrunk model is the plain model with narrower modules, with :class:`~spred.nn.pruning.heads.Attention` where
attention lost heads, and with constants in the place of branches. So a short table of the modules that changed is
enough.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spred.compress.export.safetensors import read_tensors, write_tensors
from spred.compress.models.zoo import Facts, build
from spred.errors import FileError, InputError
from spred.nn.pruning.channels import BATCH_NORMS, CONVOLUTIONS, Constant
from spred.nn.pruning.heads import Attention, Projections
from spred.runtime.folder import write_json

SIZES = ("in_features", "out_features", "in_channels", "out_channels", "groups", "num_features")
"""What :func:`spred.shrink` changes of a module, beside its tensors."""

HEADS = ("num_heads", "dropout", "batch_first", "alone")
"""Attributes of an :class:`~spred.nn.pruning.heads.Attention` beside its tensors."""

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


def resized(plain: nn.Module, table: Mapping[str, Mapping[str, Any]], state: Mapping[str, Tensor]) -> nn.Module:
    """Return a copy of ``plain`` with the sizes of a table and the weights of a ``state_dict`` that has them.

    Raises:
        InputError: the table or the weights are those of another model.
    """
    model = deepcopy(plain)
    for name, entry in table.items():
        new = _replacement(name, entry, state)
        if new is not None:
            model = _with(model, name, new)
            continue
        try:
            module = model.get_submodule(name)
        except AttributeError as err:
            raise InputError(f"the model has no module {name!r}; give the model that was shrunk") from err
        for key, value in entry.items():
            setattr(module, key, value)
    _take_shapes(model, state)
    try:
        model.load_state_dict(dict(state), strict=True)
    except RuntimeError as err:
        raise InputError(f"the weights are those of another model: {str(err).splitlines()[-1].strip()}") from err
    return model


def save_shrunk(small: nn.Module, plain: nn.Module, folder: Path, origin: Mapping[str, Any] | None = None) -> None:
    """Write ``shrunk.safetensors`` and ``shrunk.json`` into a folder.

    ``origin`` says how the plain model is made: the arguments of :func:`spred.compress.models.zoo.build`.
    """
    write_json(folder / TABLE, {"origin": origin, "modules": changes(small, plain)})
    write_tensors(small.state_dict(), folder / WEIGHTS)


def load_shrunk(folder: str | Path, model: nn.Module | None = None) -> nn.Module:
    """Return the shrunk model of a results folder, in evaluation mode.

    Args:
        folder: what ``spred compress`` wrote.
        model: the plain model that was compressed, with any weights; it is not changed. If left out, it is made as the
            recipe made it; a function of yours is then looked for on the import path and in the working directory.

    Raises:
        FileError: the folder lacks the files, or they cannot be read.
        InputError: ``model`` is another one, or is needed.
    """
    folder = Path(folder)
    try:
        table = json.loads((folder / TABLE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise FileError(f"{folder}: holds no shrunk model ({err}); give a folder that spred compress wrote") from err
    state, _ = read_tensors(folder / WEIGHTS)
    if model is None:
        if table["origin"] is None:
            raise InputError(f"{folder}: does not say how its model is made; give the plain model")
        model = build(table["origin"]["name"], table["origin"]["arguments"], _facts(**table["origin"]["facts"]))
    return resized(model, table["modules"], state).eval()


def _facts(channels: int, size: tuple[int, int], n_classes: int) -> Facts:
    return Facts(channels, (size[0], size[1]), n_classes)


def _take_shapes(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give the modules empty tensors of the new shapes, and biases where constants went into them."""
    for prefix, module in model.named_modules():
        if not isinstance(module, (nn.Linear, *CONVOLUTIONS, *BATCH_NORMS)):
            continue
        for key in ("weight", "bias", "running_mean", "running_var"):
            tensor, old = state.get(f"{prefix}.{key}" if prefix else key), getattr(module, key, None)
            if tensor is None or (old is not None and old.shape == tensor.shape):
                continue
            empty = torch.empty_like(tensor)
            setattr(module, key, empty if key.startswith("running") else nn.Parameter(empty))


def _replacement(name: str, entry: Mapping[str, Any], state: Mapping[str, Tensor]) -> nn.Module | None:
    """Return the module that stands in the place of another; None if the module is there and narrower."""
    if "num_heads" in entry:
        return _attention(f"{name}." if name else "", entry, state)
    if "constant" in entry:
        return Constant(state.get(f"{name}.bias", torch.empty(0)).clone())
    return nn.Identity() if "removed" in entry else None


def _attention(prefix: str, entry: Mapping[str, Any], state: Mapping[str, Tensor]) -> Attention:
    """Return attention with these weights; a projection that is a constant has none, and gets its own entry."""
    q, k, v, out = (
        (state.get(f"{prefix}{part}.weight", torch.empty(1, 1)), state.get(f"{prefix}{part}.bias"))
        for part in ("q", "k", "v", "out")
    )
    rest = {key: entry[key] for key in HEADS if key != "num_heads"}
    return Attention(Projections(q, k, v, out, entry["num_heads"], **rest))


def _with(model: nn.Module, name: str, module: nn.Module) -> nn.Module:
    """Return the model with one module in the place of another."""
    if not name:
        return module
    path, _, attribute = name.rpartition(".")
    try:
        setattr(model.get_submodule(path), attribute, module)
    except AttributeError as err:
        raise InputError(f"the model has no module {path!r}; give the model that was shrunk") from err
    return model
