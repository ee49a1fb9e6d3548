"""The records of a compression run: what training found, what was chosen, what was measured of it.

``training`` and ``study`` make them; ``export`` and ``report`` draw and write them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Layer:
    """One penalised tensor of a model.

    Attributes:
        name: its name in the model, as in ``state_dict``.
        shape: its shape.
        weights: how many weights it has.
        nonzero: how many of them are not exactly zero.
    """

    name: str
    shape: tuple[int, ...]
    weights: int
    nonzero: int

    @property
    def density(self) -> float:
        """Return the fraction of weights that are not zero."""
        return self.nonzero / self.weights


@dataclass(frozen=True)
class Magnitudes:
    """Norms of weights (or groups) when zeros were made, over the threshold of their tensor.

    Attributes:
        zeroed: counts of those that were set to zero, in the bins of :func:`spred.nn.threshold.histogram`.
        kept: counts of the others.
        thresholds: the smallest and the largest threshold of a tensor, in units of the weights.
    """

    zeroed: tuple[int, ...]
    kept: tuple[int, ...]
    thresholds: tuple[float, float]


@dataclass(frozen=True)
class Point:
    """One model of the frontier: trained, its zeros made exact, and refitted.

    Attributes:
        method: row of :data:`spred.compress.training.methods.METHODS`, or ``"dense"``.
        seed: seed of its training.
        alpha: strength of the penalty; 0 where there is none.
        density: fraction of the penalised weights that are not zero.
        compression: penalised weights over nonzero ones.
        validation: accuracy on validation data, between 0 and 1.
        test: accuracy on test data; None but for the model that each method chose, and for dense.
        layers: its penalised tensors.
        seconds: time to train it.
        state_file: path of its ``state_dict`` as safetensors, as long as the work folder of the run is there.
        magnitudes: the norms that :func:`spred.finalize` decided by; None for methods that do without.
    """

    method: str
    seed: int
    alpha: float
    density: float
    compression: float
    validation: float
    test: float | None
    layers: tuple[Layer, ...]
    seconds: float
    state_file: str
    magnitudes: Magnitudes | None = None


@dataclass(frozen=True)
class Curve:
    """The training curve of one stage, epoch by epoch.

    Attributes:
        stage: for instance ``"dense"`` or ``"spred, seed 0, alpha 0.0001"``.
        epochs: 1, 2, …
        loss: mean loss of each epoch, without the penalty.
        validation: validation accuracy after each epoch.
    """

    stage: str
    epochs: tuple[int, ...]
    loss: tuple[float, ...]
    validation: tuple[float, ...]


@dataclass(frozen=True)
class Sizes:
    """What was measured of one model; None where it was not.

    Attributes:
        parameters: numbers in its parameters.
        nonzero: those that are not exactly zero.
        effective_parameters: those that are not zero after channels, heads and branches of zeros are removed.
        multiply_adds: MACs of one input.
        bytes_dense: size on disk as dense safetensors.
        bytes_sparse: size on disk with indices.
        bytes_onnx: size on disk as ONNX.
        latency_ms: median time of one batch in ONNX Runtime.
    """

    parameters: int
    nonzero: int
    effective_parameters: int
    multiply_adds: int
    bytes_dense: int | None = None
    bytes_sparse: int | None = None
    bytes_onnx: int | None = None
    latency_ms: float | None = None


@dataclass(frozen=True)
class Speed:
    """How much faster the shrunk model is than the dense one, in runs taken in turn.

    Attributes:
        batch: inputs in a run.
        runs: how many runs each model had.
        dense_ms: median time of the dense model, in milliseconds.
        shrunk_ms: the same of the shrunk one.
        ratio: median of dense time over shrunk time, pair by pair.
        low: lower quartile of that ratio.
        high: its upper quartile.
    """

    batch: int
    runs: int
    dense_ms: float
    shrunk_ms: float
    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class Outcome:
    """What ``spred compress`` found.

    Attributes:
        recipe: the settings, as in the recipe, defaults filled in.
        points: every model of the frontier, ``dense`` and the peers of ``compare`` among them.
        chosen: the smallest model of spred whose validation accuracy is good enough.
        dense: the model without a penalty.
        curves: of every stage of training.
        sizes: of the models ``"dense"``, ``"sparse"`` and ``"shrunk"``.
        speeds: dense against shrunk in ONNX Runtime, one row for each size of batch.
        checks: largest difference of outputs between a model and what its files give back, by file.
        files: what was written, by name.
        notes: what a reader should know, a sentence each.
        machine: processor, cores, versions.
        seconds: time of the whole run.
    """

    recipe: Mapping[str, Any]
    points: tuple[Point, ...]
    chosen: Point
    dense: Point
    curves: tuple[Curve, ...]
    sizes: Mapping[str, Sizes] = field(default_factory=dict)
    speeds: tuple[Speed, ...] = ()
    checks: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
