"""Size and speed of a model: parameters, multiply-adds, and time in ONNX Runtime beside another model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from spred.compress.results import Speed
from spred.errors import FileError, first_line, where
from spred.nn.pruning.export import evaluating
from spred.runtime.extras import extra

ONLY_FATAL = 4
"""Of ONNX Runtime's levels: what it prints of a damaged file is in the error."""

WARM_UP = 10
"""Runs of each model that are not timed: ONNX Runtime allocates its memory in the first ones."""


def parameters(model: nn.Module) -> tuple[int, int]:
    """Return how many numbers the parameters of a model have, and how many of them are not exactly zero.

    >>> layer = nn.Linear(3, 2)
    >>> _ = nn.init.zeros_(layer.bias)
    >>> parameters(layer)
    (8, 6)
    """
    tensors = list(model.parameters())
    return sum(p.numel() for p in tensors), sum(int(p.count_nonzero()) for p in tensors)


def multiply_adds(model: nn.Module, example: Tensor) -> int:
    """Return the MACs of one input: multiplications with an addition in linear layers, convolutions and attention.

    Every matrix product and convolution that PyTorch runs is counted, whether a module or a function asks for it, and
    zeros count like all numbers. Biases, norms and activations are left out, as is usual.

    Args:
        model: any model that is called with one tensor.
        example: inputs ``(n, …)``; the first is used.

    >>> multiply_adds(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 2)), torch.ones(1, 1, 4, 4))
    176
    """
    counter = FlopCounterMode(display=False)
    with evaluating(model), torch.no_grad(), _attention_counted(), counter:
        model(example[:1])
    return counter.get_total_flops() // 2  # it counts multiplication and addition apart


@contextmanager
def _attention_counted() -> Iterator[None]:
    """Let attention run as matrix products: its fused kernels are not counted."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def session(path: str | Path) -> Any:
    """Return an ``onnxruntime.InferenceSession`` on the CPU with one thread, for figures that can be compared.

    Raises:
        FileError: the file is missing or damaged, or names files that are not inside its folder.
    """
    runtime = extra("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = ONLY_FATAL
    with where(str(path)):
        if not Path(path).is_file():
            raise FileError("cannot be read: there is no such file")
        try:
            return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as err:  # its kinds are not public
            raise FileError(f"ONNX Runtime cannot read it: {first_line(err)}") from err


def answer(path: str | Path, inputs: Tensor) -> Tensor:
    """Return what an ONNX file of one input and one output gives.

    Raises:
        FileError: the file cannot be read, has more inputs or outputs, or does not take these inputs.
    """
    model = session(path)
    names = [one.name for one in model.get_inputs()]
    if len(names) != 1 or len(model.get_outputs()) != 1:
        raise FileError(f"{path}: has {len(names)} inputs and {len(model.get_outputs())} outputs, and needs one each")
    try:
        (outputs,) = model.run(None, {names[0]: inputs.detach().cpu().numpy()})
        return torch.from_numpy(outputs)
    except Exception as err:  # its kinds are not public; texts and lists are no tensors
        raise FileError(f"{path}: ONNX Runtime cannot run it on {tuple(inputs.shape)}: {first_line(err)}") from err


def speed(dense: str | Path, shrunk: str | Path, inputs: Tensor, *, runs: int = 100) -> Speed:
    """Time two ONNX files on the same inputs, in turn, one thread each.

    A run of the one is followed by a run of the other, so both see the same machine; which goes first changes from
    pair to pair. The ratio is taken pair by pair.

    Args:
        dense: the file of the dense model.
        shrunk: the file of the other.
        inputs: one batch ``(n, …)``.
        runs: pairs that are timed.
    """
    batch = inputs.detach().cpu().numpy()
    models = [session(path) for path in (dense, shrunk)]
    feeds = [{model.get_inputs()[0].name: batch} for model in models]
    times = np.empty((runs, 2))
    for run in range(-WARM_UP, runs):
        for k in (0, 1) if run % 2 else (1, 0):
            start = perf_counter()
            models[k].run(None, feeds[k])
            if run >= 0:
                times[run, k] = perf_counter() - start
    dense_ms, shrunk_ms = 1e3 * np.median(times, axis=0)
    low, ratio, high = np.quantile(times[:, 0] / times[:, 1], [0.25, 0.5, 0.75])
    return Speed(len(inputs), runs, float(dense_ms), float(shrunk_ms), float(ratio), float(low), float(high))
