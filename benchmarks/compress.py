"""``scripts/bench compress``: accuracy against compression of spred and its peers in one run, at equal epochs.

Every method starts from the same dense model and gets the same epochs, optimiser and refit (``spred.compress``).
One-shot and gradual pruning run at the densities that spred reached, plain L1 and PAT at its alphas. Settings are tuned
on validation images; the table has the test accuracies of all. A run that was stopped goes on.

``--quick`` has fewer images and epochs, for a ranking in minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from record import RESULTS, machine, write

from spred.compress import Point, read_recipe, with_peers
from spred.compress.data import augment, shuffled
from spred.compress.recipe import Recipe
from spred.compress.runner import prepare
from spred.compress.study import Work

FOLDER = Path(os.environ.get("SPRED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "images"

MNIST = {"train": "mnist-train.parquet", "test": "mnist-test.parquet", "validation": 1 / 12}
CIFAR = {"train": "cifar10-train.parquet", "test": "cifar10-test.parquet", "flip": True, "crop": 4}
LONG = {"epochs": 30, "sparse_epochs": 30, "refit_epochs": 10}

WORKS: dict[str, dict[str, Any]] = {
    "lenet-300-100": {"data": MNIST, "penalty": {"densities": [0.04, 0.02, 0.01]}, "train": LONG},
    "lenet-5": {"data": MNIST, "penalty": {"densities": [0.02, 0.01, 0.005]}, "train": LONG | {"lr": 0.03}},
    "resnet-20": {
        "data": CIFAR,
        "penalty": {"densities": [0.1, 0.05, 0.02]},
        "train": {"epochs": 12, "sparse_epochs": 9, "refit_epochs": 3, "weight_decay": 5e-4},
    },
}
"""Recipes by the name of their model."""

QUICK = {
    "lenet-300-100": ({"limit": 10_000}, {"epochs": 6, "sparse_epochs": 12, "refit_epochs": 4, "batch_size": 64}),
    "lenet-5": ({"limit": 5_000}, {"epochs": 5, "sparse_epochs": 8, "refit_epochs": 2, "batch_size": 32}),
    "resnet-20": ({"limit": 5_000}, {"epochs": 3, "sparse_epochs": 3, "refit_epochs": 1, "batch_size": 64}),
}
"""What ``--quick`` changes: data, training."""

HEADER = (
    f"{'method':12} seed {'alpha':>8} {'density':>8} {'compression':>12} {'validation':>11} {'test':>7} {'seconds':>8}"
)


def main(arguments: list[str]) -> None:
    """Run what the command line asks for, and write ``results/compress.json`` (``compress-quick.json``)."""
    parser = argparse.ArgumentParser("scripts/bench compress")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--models", nargs="*", choices=list(WORKS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--methods", nargs="*", help="peers to run; all that are installed if left out")
    given = parser.parse_args(arguments)
    models = given.models or (["lenet-300-100", "lenet-5"] if given.quick else list(WORKS))
    name = "compress-quick" if given.quick else "compress"
    work = RESULTS / f"{name}-part.states"
    rows = []
    for model in models:
        for seed in range(given.seeds):
            rows += one(model, seed, work, quick=given.quick, peers=given.methods)
    write(name, {"machine": machine(), "rows": rows})
    shutil.rmtree(work)


def one(model: str, seed: int, folder: Path, *, quick: bool, peers: list[str] | None) -> list[dict[str, Any]]:
    """Run one model with one seed; print and return its rows."""
    asked = recipe(model, seed, quick=quick, peers=peers)
    epochs = asked.train
    print(
        f"\n{model}: dense {epochs.epochs} epochs, then {epochs.sparse_epochs} + {epochs.refit_epochs} for each model"
    )
    work = prepare(asked, folder)
    times = loading(work)
    print(f"a batch takes {times['batch_ms']:.2f} ms to make, and {times['step_ms']:.2f} ms to learn from\n{HEADER}")
    points = work.study().outcome.points
    rows = [about(work.tested(point)) | {"model": model, "quick": quick} for point in points]
    for row in rows:
        print(
            f"{row['method']:12} {row['seed']:4} {row['alpha']:8.2g} {row['density']:8.4f} {row['compression']:11.1f}× "
            f"{100 * row['validation']:11.2f} {100 * row['test']:7.2f} {row['seconds']:8.0f}",
            flush=True,
        )
    return [*rows, times | {"model": model, "quick": quick}]


def recipe(model: str, seed: int, *, quick: bool, peers: list[str] | None) -> Recipe:
    """Return the recipe of a run."""
    table = deepcopy(WORKS[model]) | {"model": {"name": model}, "seed": seed}
    if quick:
        data, train = QUICK[model]
        table |= {"data": table["data"] | data, "train": table["train"] | train}
    asked = replace(read_recipe(table), folder=str(FOLDER))
    return with_peers(asked) if peers is None else replace(asked, compare=tuple(peers))


def about(point: Point) -> dict[str, Any]:
    """Return the figures of a model."""
    names = ("method", "seed", "alpha", "density", "compression", "validation", "test", "seconds")
    return {"measure": "frontier"} | {name: getattr(point, name) for name in names}


def loading(work: Work, n_batches: int = 20) -> dict[str, Any]:
    """Time what makes a batch (indexing, augmentation, scaling) beside a pass of the dense model and back."""
    images, asked, model = work.trainer.images, work.recipe, deepcopy(work.model)
    generator = torch.Generator().manual_seed(0)
    batches = list(shuffled(len(images.train), asked.train.batch_size, generator))[:n_batches]
    seconds = [0.0, 0.0]
    for index in batches:
        began = time.process_time()
        part = images.train.rows(index)
        inputs = images.scale(augment(part.images, asked.data, generator))
        made = time.process_time()
        torch.nn.functional.cross_entropy(model(inputs), part.labels).backward()
        seconds = [seconds[0] + made - began, seconds[1] + time.process_time() - made]
    batch_ms, step_ms = (1000 * one / len(batches) for one in seconds)
    return {"measure": "loading", "batch_ms": batch_ms, "step_ms": step_ms}
