"""Models as files that other programs read: safetensors and ONNX, each loaded back and compared before it counts."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spred.compress.export.measure import answer
from spred.compress.export.safetensors import read_tensors, write_tensors
from spred.compress.export.shrunk import load_shrunk, save_shrunk
from spred.compress.export.sparse import load_sparse, save_sparse
from spred.errors import InputError, StateError
from spred.runtime.extras import extra

TOLERANCE = 1e-4
"""Largest difference of outputs that a file may bring, as a part of the largest output (and of 1). Other kernels round
differently; tighter, and ONNX Runtime's float32 is refused, looser, and a wrong file may pass (tests of folder)."""


def save_onnx(model: nn.Module, example: Tensor, path: Path) -> None:
    """Write a model as ONNX: input ``input``, output ``output``, any number of inputs in a batch.

    Args:
        model: a model of one tensor that gives one tensor; it is taken in evaluation mode.
        example: inputs ``(n, …)``.
        path: the file.

    Raises:
        InputError: PyTorch cannot write the model.
    """
    extra("onnxscript")
    model = deepcopy(model).cpu().eval().requires_grad_(requires_grad=False)
    example = example.detach().cpu()
    inputs = (
        torch.cat([example, example])[:2] if len(example) < 2 else example[:2]
    )  # a batch of 1 would be taken as fixed
    with _quiet():
        try:
            program = torch.onnx.export(
                model,
                (inputs,),
                dynamo=True,
                verbose=False,
                input_names=["input"],
                output_names=["output"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
        except Exception as err:  # the exporter raises many kinds, few of them public
            reason = str(err).strip().split("\n")[0]
            raise InputError(f"PyTorch cannot write the model as ONNX: {reason}; leave ONNX out of the export") from err
    if program is None:
        raise StateError("torch.onnx.export returned nothing")
    for node in program.model.graph.all_nodes():  # where in whose Python files each node came from
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
    program.save(str(path), external_data=False)


def difference(outputs: Tensor, expected: Tensor, name: str) -> float:
    """Return the largest difference of outputs, as a part of the largest output (and of 1).

    Raises:
        StateError: it is more than :data:`TOLERANCE`, so the file ``name`` does not hold the model.
    """
    if outputs.shape != expected.shape:
        raise StateError(f"{name}: gives outputs of shape {tuple(outputs.shape)}, the model {tuple(expected.shape)}")
    found = float((outputs - expected).abs().max() / max(1.0, float(expected.abs().max())))
    if not found <= TOLERANCE:
        raise StateError(
            f"{name}: loaded back, its outputs differ from the model's by {found:.1e}, above {TOLERANCE:g}"
        )
    return found


@torch.no_grad()
def export_states(
    model: nn.Module, small: nn.Module, inputs: Tensor, folder: Path, origin: Mapping[str, Any] | None = None
) -> dict[str, float]:
    """Write a finished model and its shrunk form as safetensors, load every file back and compare the outputs.

    Args:
        model: the finished model, with exact zeros, on the CPU and in evaluation mode.
        small: :func:`spred.shrink` of it.
        inputs: images as the model gets them, ``(n, …)``, to compare the outputs on.
        folder: gets ``model.safetensors``, ``model.sparse.safetensors``, ``shrunk.safetensors`` and ``shrunk.json``.
        origin: how the plain model is made (:func:`spred.compress.export.shrunk.save_shrunk`).

    Returns:
        The largest difference of outputs by file.

    Raises:
        StateError: a file does not give the outputs of the model.
    """
    dense, sparse, shrunk = "model.safetensors", "model.sparse.safetensors", "shrunk.safetensors"
    write_tensors(model.state_dict(), folder / dense)
    save_sparse(model.state_dict(), folder / sparse)
    save_shrunk(small, model, folder, origin)
    blank, expected = _blank(model), model(inputs)
    states = {dense: read_tensors(folder / dense)[0], sparse: load_sparse(folder / sparse)}
    checks = {}
    for name, state in states.items():
        loaded = deepcopy(blank)
        loaded.load_state_dict(state, strict=True)
        checks[name] = difference(loaded(inputs), expected, name)
    checks[shrunk] = difference(load_shrunk(folder, blank)(inputs), expected, shrunk)
    return checks


@torch.no_grad()
def export_onnx(small: nn.Module, model: nn.Module, inputs: Tensor, path: Path) -> float:
    """Write ``small`` as ONNX, and return how far its outputs in ONNX Runtime are from those of ``model`` at most.

    Raises:
        InputError: PyTorch cannot write the model.
        StateError: the file does not give the outputs of the model.
    """
    save_onnx(small, inputs, path)
    return difference(answer(path, inputs), model(inputs), path.name)


def _blank(model: nn.Module) -> nn.Module:
    """Return a copy with all weights at zero, so that its outputs come from a file."""
    blank = deepcopy(model)
    for tensor in blank.state_dict().values():
        tensor.zero_()
    return blank


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's log and warnings."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
