"""The results folder of a run: the models as files, tables for programs, and one page for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pandas as pd
import torch
from torch import Tensor, nn

from spred.compress.export.measure import multiply_adds, parameters, speed
from spred.compress.export.onnx import export_onnx, export_states
from spred.compress.export.safetensors import write_tensors
from spred.compress.models.zoo import Facts
from spred.compress.report.report import page
from spred.compress.results import Outcome, Point, Sizes, Speed
from spred.errors import InputError
from spred.nn.pruning.shrink import shrink
from spred.report.spreadsheet import write_csv
from spred.runtime.folder import write_json

BATCHES = (1, 32)
"""Sizes of the batches that are timed; the first is the latency of the table."""

RUNS, LEAST_RUNS = 200, 30
"""Timed pairs: so many images in all, and at least so many pairs. More pairs narrow the quartiles and take time."""

N_COMPARED = 16
"""Images on which the outputs of files are compared."""

FILES = {
    "model.safetensors": "the compressed model with its zeros; its state_dict loads strictly into the plain model",
    "model.sparse.safetensors": "the same without the zeros, for spred.compress.load_sparse",
    "shrunk.safetensors": "the model without its channels of zeros, for spred.compress.load_shrunk",
    "shrunk.json": "the sizes of its modules",
    "model.onnx": "the shrunk model for ONNX Runtime and other programs; any number of images in a batch",
    "frontier.csv": "every model of the run: method, density, accuracies",
    "metrics.json": "the figures of the chosen model, sizes, times, and how well the files give it back",
    "report.html": "this page",
}
"""What each file is."""


def write_models(
    outcome: Outcome,
    dense: nn.Module,
    sparse: nn.Module,
    example: Tensor,
    folder: Path,
    *,
    onnx: bool = True,
    multiple_of: int = 1,
) -> Outcome:
    """Shrink, export, check and measure the chosen model, and write everything but run.json into ``folder``.

    Where a model cannot be shrunk or written as ONNX, that file is left out, and a note says why: training is not lost.

    Args:
        outcome: what training found.
        dense: the dense model.
        sparse: the chosen one, with exact zeros.
        example: images as the models get them, ``(n, channels, height, width)``.
        folder: an empty folder.
        onnx: write ONNX, and time both models in ONNX Runtime.
        multiple_of: widths of the shrunk model are multiples of it.

    Returns:
        The outcome with sizes, speeds, checks, files and notes.

    Raises:
        StateError: a file does not give the outputs of its model.
        MissingPackageError: a package of the extra ``compress`` is not installed.
    """
    dense, sparse = (deepcopy(model).cpu().eval() for model in (dense, sparse))
    inputs, notes = _inputs(example.detach().cpu()), list(outcome.notes)
    small = _tried(lambda: shrink(sparse, inputs, multiple=multiple_of), notes)
    least = small if small is None or multiple_of == 1 else shrink(sparse, inputs)
    models = {"dense": dense, "sparse": sparse, "shrunk": sparse if small is None else small}
    effective = {"dense": parameters(dense)[1], "sparse": parameters(sparse if least is None else least)[1]}
    checks = export_states(sparse, models["shrunk"], inputs, folder, _origin(outcome, sparse, inputs))
    sizes = {name: _sizes(model, effective.get(name), inputs) for name, model in models.items()}
    speeds: tuple[Speed, ...] = ()
    with TemporaryDirectory() as scratch:
        write_tensors(dense.state_dict(), Path(scratch) / "model.safetensors")
        if onnx:
            check = _tried(lambda: export_onnx(models["shrunk"], sparse, inputs, folder / "model.onnx"), notes)
            if check is not None:
                checks["model.onnx"] = check
                export_onnx(dense, dense, inputs, Path(scratch) / "model.onnx")
                speeds = _speeds(Path(scratch) / "model.onnx", folder / "model.onnx", inputs)
        sizes = _with_files(sizes, Path(scratch), folder, speeds)
    outcome = replace(outcome, sizes=sizes, speeds=speeds, checks=checks, notes=tuple(notes))
    write_csv(folder / "frontier.csv", frontier(outcome))
    write_json(folder / "metrics.json", metrics(outcome))
    there = {name: what for name, what in FILES.items() if name == "report.html" or (folder / name).exists()}
    outcome = replace(outcome, files=there)
    (folder / "report.html").write_text(page(outcome), encoding="utf-8")
    return outcome


def frontier(outcome: Outcome) -> pd.DataFrame:
    """Return one row for each model of the run."""
    columns = ("method", "seed", "alpha", "density", "compression", "validation", "test", "seconds")
    rows = [{name: getattr(point, name) for name in columns} for point in outcome.points]
    return pd.DataFrame(rows, columns=columns).assign(chosen=[point == outcome.chosen for point in outcome.points])


def metrics(outcome: Outcome) -> dict[str, Any]:
    """Return the numbers of a run as they stand in metrics.json."""
    return {
        "chosen": _numbers(outcome.chosen),
        "dense": _numbers(outcome.dense),
        "sizes": {name: asdict(sizes) for name, sizes in outcome.sizes.items()},
        "speeds": [asdict(speed) for speed in outcome.speeds],
        "checks": dict(outcome.checks),
        "notes": list(outcome.notes),
        "machine": dict(outcome.machine),
        "seconds": round(outcome.seconds, 3),
    }


def _numbers(point: Point) -> dict[str, Any]:
    numbers = asdict(point)
    for key in ("state_file", "magnitudes"):
        del numbers[key]
    return numbers


Answer = TypeVar("Answer")


def _tried(make: Callable[[], Answer], notes: list[str]) -> Answer | None:
    """Return what ``make`` gives; where the model does not fit, add a note and return None."""
    try:
        return make()
    except InputError as err:
        notes.append(f"{str(err)[0].upper()}{str(err)[1:]}.")
        return None


def _inputs(example: Tensor) -> Tensor:
    """Return the example and noise around it: outputs are compared on more than one image."""
    missing = max(0, N_COMPARED - len(example))
    noise = torch.randn(missing, *example.shape[1:], generator=torch.Generator().manual_seed(0))
    return torch.cat([example[:N_COMPARED], example[:1] + noise])


def _origin(outcome: Outcome, model: nn.Module, inputs: Tensor) -> dict[str, Any] | None:
    """Return the arguments of :func:`spred.compress.models.zoo.build` that make the plain model; None if not known."""
    section = outcome.recipe.get("model")
    if not isinstance(section, Mapping) or "name" not in section:
        return None
    with torch.no_grad():
        n_classes = model(inputs[:1]).shape[1]
    facts = Facts(inputs.shape[1], (inputs.shape[2], inputs.shape[3]), n_classes)
    return {"name": section["name"], "arguments": dict(section.get("arguments") or {}), "facts": asdict(facts)}


def _sizes(model: nn.Module, effective: int | None, inputs: Tensor) -> Sizes:
    total, nonzero = parameters(model)
    return Sizes(total, nonzero, nonzero if effective is None else effective, multiply_adds(model, inputs))


def _with_files(sizes: Mapping[str, Sizes], scratch: Path, folder: Path, speeds: tuple[Speed, ...]) -> dict[str, Sizes]:
    """Return the sizes with those of the files that are there, and with the times of the smallest batch."""
    files = {
        "dense": (scratch / "model.safetensors", None, scratch / "model.onnx"),
        "sparse": (folder / "model.safetensors", folder / "model.sparse.safetensors", None),
        "shrunk": (folder / "shrunk.safetensors", None, folder / "model.onnx"),
    }
    times = {"dense": speeds[0].dense_ms, "shrunk": speeds[0].shrunk_ms} if speeds else {}
    found = {}
    for name, one in sizes.items():
        dense, sparse, onnx = (path.stat().st_size if path and path.exists() else None for path in files[name])
        found[name] = replace(one, bytes_dense=dense, bytes_sparse=sparse, bytes_onnx=onnx, latency_ms=times.get(name))
    return found


def _speeds(dense: Path, shrunk: Path, inputs: Tensor) -> tuple[Speed, ...]:
    times = -(-max(BATCHES) // len(inputs))
    images = torch.cat([inputs] * times)
    return tuple(speed(dense, shrunk, images[:batch], runs=RUNS // batch + LEAST_RUNS) for batch in BATCHES)
