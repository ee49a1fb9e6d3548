"""Pretrained weights: read without pickle's power to run code, and held against the model before they go in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spred.compress.export.safetensors import read_tensors
from spred.errors import FileError, did_you_mean, first_line, where

FLOATS = (
    *(torch.float32, torch.float64, torch.float16, torch.bfloat16),
    *(torch.float8_e4m3fn, torch.float8_e5m2),
)
"""Kinds of real numbers that torch turns into those of a model; it has others that it only stores."""


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load pretrained weights into ``model``: a ``.safetensors`` file, or what ``torch.save(state_dict)`` wrote.

    Raises:
        FileError: the file cannot be read, or its tensors are not those of the model.
    """
    path = Path(path)
    state = read_tensors(path)[0] if path.suffix == ".safetensors" else _torch_state(path)
    with where(str(path)):
        wrong = differences(model, state)
        if wrong:
            raise FileError(f"these are not weights of this model: {wrong[0]} ({len(wrong)} such differences)")
        for name, tensor in state.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor.double()).all()):
                raise FileError(f"{name!r} has values that are not finite; nothing can be trained from them")
        model.load_state_dict(state)


def differences(model: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Return in what a ``state_dict`` is not that of ``model``: names, shapes, kinds of numbers; a text for each.

    >>> differences(nn.Linear(2, 1, bias=False), {"wieght": torch.ones(1, 2)})
    ["it lacks 'weight'", "the model has no 'wieght'; did you mean 'weight'?"]
    """
    own = {name: tensor for name, tensor in model.state_dict().items() if isinstance(tensor, Tensor)}
    wrong = [f"it lacks {name!r}" for name in own if name not in state]
    wrong += [f"the model has no {name!r}{did_you_mean(name, own)}" for name in state if name not in own]
    for name in [name for name in own if name in state]:
        mine, given = own[name], state[name]
        if mine.shape != given.shape:
            wrong.append(f"{name!r} has shape {tuple(given.shape)} and not {tuple(mine.shape)}")
        elif mine.dtype != given.dtype and not (mine.is_floating_point() and given.dtype in FLOATS):
            wrong.append(f"{name!r} has numbers of {given.dtype} and not {mine.dtype}")
    return wrong


def _torch_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file of ``torch.save``."""
    with where(str(path)):
        try:
            state: Any = torch.load(path, map_location="cpu", weights_only=True)
        except OSError as err:
            raise FileError(f"cannot be read: {err.strerror or err}") from err
        except Exception as err:  # torch has many kinds for a broken file
            raise FileError(f"cannot be read as weights: {first_line(err)}") from err
        if not isinstance(state, Mapping):
            raise FileError(f"holds a {type(state).__name__}, and not the state_dict of a model")
        for name, tensor in state.items():
            if not (isinstance(name, str) and isinstance(tensor, Tensor)):
                raise FileError(
                    f"holds {name!r}: {type(tensor).__name__}, which is no tensor; save model.state_dict() alone"
                )
        return dict(state)
