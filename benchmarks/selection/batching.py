"""What a batch of folds would save: Gauss-Newton systems of all folds in one torch batch, beside one after another.

    scripts/bench selection-batching

Every fold follows its own path. At alphas along it the systems of the folds are then built and factorised: by the
engine one by one, and by torch with a leading dimension over folds, inputs padded with zeros to the most that a fold
has open. ``faster`` is the time of the first over that of the second. A batch runs until its slowest fold is done:
``waiting`` is its steps, the folds times the most of any, over those that the folds take. What batching gains in
this part of the work is ``faster / waiting``; below 1 it loses. Processor time of one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from record import machine, write
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

from selection.sets import Set, expression, xor
from spred.estimators.network_base import gated
from spred.gated import GatedProblem, NetworkPath, PathOptions, network_path
from spred.gated.network import sensitivities
from spred.gated.newton import Metric, Point, along_groups, jacobian, over_parameters, over_samples
from spred.linear.problem import make_problem

CASES: dict[str, tuple[Callable[[], Set], int, str, int]] = {
    "ALLAML": (lambda: expression("ALLAML"), 6, "sparse", 50),
    "xor": (lambda: xor(0, 1000), 5, "dense", 20),
}
"""Data, folds of equal size, start, alphas."""

DAMPING, TIMES, EVERY = 1e-3, 5, 4


def main(arguments: list[str]) -> None:
    """Measure the cases, print a line each, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(f"{'case':8} {'folds':>5} {'samples':>7} {'inputs':>6} {'faster':>7} {'waiting':>8} {'gain':>6}")
    with threadpool_limits(limits=1):
        rows = [measured(name, *CASES[name]) for name in CASES]
    write("selection-batching", {"machine": machine(), "rows": rows})


def measured(name: str, make: Callable[[], Set], n_folds: int, start: str, n_alphas: int) -> dict:
    """Follow the folds of one case, time their systems in both ways, print its line."""
    data = make()
    problems = [problem_of(data, train) for train, _ in KFold(n_folds, shuffle=True, random_state=0).split(data.X)]
    options = PathOptions(start=start, n_alphas=n_alphas, eps=0.02, kkt_tol=0.03)
    alphas = network_path(problems[0], options).alphas
    paths = [network_path(problem, options, alphas=alphas) for problem in problems]
    steps = np.array([path.n_iter for path in paths])
    shown = [i for i in range(0, len(alphas), EVERY) if all(len(path.inputs[i]) for path in paths)]
    systems = [[metric_of(*pair, i) for pair in zip(problems, paths, strict=True)] for i in shown]
    seconds = np.sum([seconds_of(metrics) for metrics in systems], axis=0)
    row = {
        "case": name,
        "folds": n_folds,
        "samples": problems[0].design.n,
        "inputs": int(max(path.n_nonzero.max() for path in paths)),
        "faster": float(seconds[0] / seconds[1]),
        "waiting": float(n_folds * steps.max(axis=0).sum() / steps.sum()),
    }
    row["gain"] = row["faster"] / row["waiting"]
    sizes = f"{name:8} {n_folds:5} {row['samples']:7} {row['inputs']:6}"
    print(f"{sizes} {row['faster']:7.2f} {row['waiting']:8.2f} {row['gain']:6.2f}", flush=True)
    return row


def problem_of(data: Set, train: np.ndarray) -> GatedProblem:
    """Return the engine's problem of two classes on some samples."""
    y = (data.y[train] == data.y.max()).astype(float)
    return gated(make_problem(data.X[train], y, loss="logistic", standardize=True), "tanh")


def metric_of(problem: GatedProblem, path: NetworkPath, index: int) -> Metric:
    """Return what a Gauss-Newton system is made of, at the network that a fold has reached at one alpha."""
    network, inputs = path.networks[index], path.inputs[index]
    X = problem.design.columns(inputs)
    at = problem.forward(network, X)
    point = Point(problem, network, X, np.arange(len(inputs)), at, sensitivities(network, at))
    return Metric(point, path.alphas[index] * path.weights[problem.labels[inputs]] / point.sizes, DAMPING)


def seconds_of(metrics: list[Metric]) -> tuple[float, float]:
    """Return seconds of the engine and of the batch, over samples or parameters as the engine decides."""
    sizes = [sum(part.size for part in metric.point.network.parts) for metric in metrics]
    few = max(sizes) <= metrics[0].point.at.eta.size
    engine, arrays, build, factorise = (
        (over_parameters, of_parameters(metrics), parameter_systems, torch.linalg.cholesky)
        if few
        else (over_samples, of_samples(metrics), sample_systems, torch.linalg.lu_factor)
    )
    alone = timed(lambda: [engine(metric) for metric in metrics])
    return alone, timed(lambda: factorise(build(*arrays)))


def timed(work: Callable[[], Any]) -> float:
    """Return the least processor time of some runs."""
    seconds = []
    for _ in range(TIMES):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def stacked(arrays: list[np.ndarray], axis: int) -> torch.Tensor:
    """Return arrays in one batch, padded with zeros along ``axis`` to the longest."""
    most = max(each.shape[axis] for each in arrays)
    pads = [[(0, most - each.shape[k] if k == axis else 0) for k in range(each.ndim)] for each in arrays]
    return torch.tensor(np.stack([np.pad(*pair) for pair in zip(arrays, pads, strict=True)]))


def curvature(metric: Metric) -> np.ndarray:
    """Return the curvature of the loss at each sample."""
    n = metric.point.at.eta.size
    return metric.point.problem.bend(metric.point.at.eta)(np.ones((n, 1)))[:, 0]


def of_samples(metrics: list[Metric]) -> list[torch.Tensor]:
    """Return the factors of the systems over samples, a batch of each; the output's weights come with the last."""
    points = [metric.point for metric in metrics]
    pinned = [point.at.hidden[-1] @ point.network.upper[-1][0] for point in points]
    return [
        stacked([point.X for point in points], 1),
        stacked([metric.rows for metric in metrics], 0),
        stacked([point.sensitive[0][:, 0] for point in points], 1),
        stacked([point.at.hidden[-1] for point in points], 1),
        stacked(pinned, 0),
        stacked([along_groups(point)[:, 0] for point in points], 1),
        stacked([metric.along for metric in metrics], 0),
        stacked([curvature(metric) for metric in metrics], 0),
    ]


def sample_systems(X: Any, rows: Any, slope: Any, top: Any, pinned: Any, radial: Any, along: Any, bend: Any) -> Any:
    """Return ``I + ΛK`` of every fold, of networks with one hidden layer and one output."""
    inputs = (X * rows[:, None]) @ X.mT
    K = (inputs + 1.0 / DAMPING) * (slope @ slope.mT) + inputs
    K += (1.0 + top @ top.mT - pinned[:, :, None] * pinned[:, None]) / DAMPING
    K += (radial * along[:, None]) @ radial.mT
    return torch.eye(K.shape[1], dtype=K.dtype) + bend[:, :, None] * K


def of_parameters(metrics: list[Metric]) -> list[torch.Tensor]:
    """Return what the systems over parameters are made of; their Jacobians are not counted."""
    J = [np.sqrt(curvature(metric))[:, None] * jacobian(metric.point) for metric in metrics]
    most = max(each.shape[1] for each in J)
    M = [np.eye(most) for _ in metrics]
    for each, metric in zip(M, metrics, strict=True):
        size = metric.matrix().shape[0]
        each[:size, :size] = metric.matrix()
    return [stacked(J, 1), torch.tensor(np.stack(M))]


def parameter_systems(J: torch.Tensor, M: torch.Tensor) -> torch.Tensor:
    """Return ``JᵀΛJ + M`` of every fold, the roots of Λ in J."""
    return J.mT @ J + M
