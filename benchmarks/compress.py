"""``scripts/bench compress``: accuracy against compression of spred and its peers in one run, at equal epochs.

Every method starts from the same dense model, or from the same first weights (LeNet-5), and gets the same epochs,
optimiser and refit (``spred.compress``). spred, one-shot and gradual pruning are asked for densities; plain L1 and PAT
have a grid of alphas that spans them. All settings are tuned on validation images; the rows have the test accuracies of
all models, and the table compares them at equal compression.

Each model's row is written when it is finished, and takes the place of its own former one alone. A run that was stopped
goes on. ``--quick`` has fewer images and epochs, for a ranking in minutes; ``--table`` prints what is there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from frontier import Rows, line
from record import RESULTS, machine, read, write

from spred.compress import Point, read_recipe
from spred.compress.data.dataset import augment, shuffled
from spred.compress.recipe import Recipe
from spred.compress.runner import prepare
from spred.compress.study import Work
from spred.compress.training.methods import METHODS, Strength, available
from spred.errors import StateError

FOLDER = Path(os.environ.get("SPRED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "images"

MNIST = {"train": "mnist-train.parquet", "test": "mnist-test.parquet", "validation": 1 / 12}
CIFAR = {"train": "cifar10-train.parquet", "test": "cifar10-test.parquet", "flip": True, "crop": 4}
LONG = {"epochs": 30, "sparse_epochs": 30, "refit_epochs": 10}
FRESH = {"epochs": 20, "sparse_epochs": 39, "refit_epochs": 1, "refit_lr": 0.001, "start": "initial"}
"""Sparse from the first weights, 40 epochs in all; the dense model is for comparison alone."""

RECIPES: dict[str, dict[str, Any]] = {
    "lenet-300-100": {"data": MNIST, "penalty": {"densities": [0.04, 0.02, 0.01]}, "train": LONG},
    "lenet-5": {
        "data": MNIST,
        "penalty": {"densities": [0.004, 0.01]},
        "train": FRESH | {"lr": 0.03, "precision": "bfloat16"},
    },
    "resnet-20": {
        "data": CIFAR,
        "penalty": {"densities": [0.1, 0.05, 0.02], "largest_alpha": [1e-4, 1e-4, 5e-4]},
        "train": {"epochs": 12, "sparse_epochs": 9, "refit_epochs": 3, "weight_decay": 5e-4, "precision": "bfloat16"},
    },
}
"""Recipes by the name of their model."""

QUICK = {
    "lenet-300-100": ({"limit": 10_000}, {"epochs": 6, "sparse_epochs": 12, "refit_epochs": 4, "batch_size": 64}),
    "lenet-5": (
        {"limit": 5_000},
        {"epochs": 5, "sparse_epochs": 8, "refit_epochs": 2, "batch_size": 32, "refit_lr": 0.01, "start": "dense"},
    ),
    "resnet-20": ({"limit": 5_000}, {"epochs": 3, "sparse_epochs": 3, "refit_epochs": 1, "batch_size": 64}),
}
"""What ``--quick`` changes: data, training."""

ALPHAS: dict[str, dict[str, tuple[float, ...]]] = {
    "lenet-300-100": {"pat": (4e-5, 1e-4, 2e-4, 4e-4), "subgradient": (5e-5, 2e-4, 6e-4, 1.5e-3)},
    "lenet-5": {"pat": (3e-4, 1.5e-4, 6e-5), "subgradient": (6e-4, 2e-4)},
    "resnet-20": {"pat": (6e-5, 1.2e-4, 2.4e-4, 4.8e-4, 9.6e-4), "subgradient": (3e-5, 1e-4, 3e-4)},
}
"""The strengths of the peers that have an alpha, by model."""

QUICK_ALPHAS: dict[str, dict[str, tuple[float, ...]]] = {
    "lenet-300-100": {"pat": (1e-4, 3e-4, 6e-4, 1e-3), "subgradient": (3e-4, 1e-3, 3e-3)},
    "lenet-5": {"pat": (1e-4, 3e-4, 6e-4, 1e-3), "subgradient": (3e-4, 1e-3, 3e-3)},
    "resnet-20": {"pat": (3e-4, 1e-3, 3e-3), "subgradient": (3e-4, 1e-3, 3e-3)},
}
"""The same for ``--quick``, whose runs have fewer steps."""

COLUMNS = (
    f"{'method':12} seed {'alpha':>8} {'density':>8} {'compression':>12} {'validation':>11} {'test':>7} {'seconds':>8}"
)


def main(arguments: list[str]) -> None:
    """Run what the command line asks for, and write ``results/compress.json`` (``compress-quick.json``)."""
    installed = [name for name in METHODS if available(name)]
    parser = argparse.ArgumentParser("scripts/bench compress")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--models", nargs="*", choices=list(RECIPES))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--methods", nargs="*", choices=installed, default=installed, help="all that are installed")
    parser.add_argument("--keep-states", action="store_true", help="for a later run of other methods on the same code")
    parser.add_argument("--resume", action="store_true", help="train only what the file lacks; for unchanged methods")
    parser.add_argument("--table", action="store_true", help="run nothing, print what is there")
    given = parser.parse_args(arguments)
    file = "compress-quick" if given.quick else "compress"
    models = given.models or (["lenet-300-100", "lenet-5"] if given.quick else list(RECIPES))
    if not given.table:
        states = RESULTS / f"{file}-part.states"
        for model in models:
            for seed in range(given.seeds):
                run(file, recipe(model, seed, quick=given.quick), given.methods, states, resume=given.resume)
        if not given.keep_states:
            shutil.rmtree(states)
    for model in given.models or RECIPES:
        table(model, [row for row in known(file)["rows"] if row["model"] == model])


def run(file: str, asked: Recipe, methods: Sequence[str], states: Path, *, resume: bool = False) -> None:
    """Train what is asked for, a model at a time; print and keep the row of each.

    With ``resume``, what has a row is not trained again, but for the dense model, from which the others start.
    """
    work = prepare(replace(asked, compare=tuple(name for name in methods if name != "spred")), states)
    common = {"model": asked.model.name, "seed": asked.seed, "settings": settings(asked)}
    forget(file, common, [*methods, "dense"])
    print(f"\n{common['model']}: {common['settings']}\n{COLUMNS}", flush=True)
    keep(file, common | loading(work))
    dense, point = work.dense()
    keep(file, common | figures(work, point) | {"asked": 1.0})
    done = {_identity(row) for row in known(file)["rows"]} if resume else set()
    for name, strength in strengths(asked, methods):
        asked_for = {"measure": "frontier", "method": name, "asked": strength.density or strength.alpha}
        if _identity(common | asked_for) in done:
            continue
        try:
            point = work.one(name, strength, dense)
        except StateError as err:
            print(f"{name}, {strength}: {err}", flush=True)
        else:
            keep(file, common | figures(work, point) | asked_for)


def strengths(asked: Recipe, methods: Sequence[str]) -> Iterator[tuple[str, Strength]]:
    """Give the models to train: the first strength of each method, then the second, and so on."""
    densities = asked.penalty.densities
    limits = {"spred": asked.penalty.limits()}
    grids = [
        [Strength(alpha) for alpha in asked.peers.alphas(name)]
        or [Strength(*one) for one in zip(limits.get(name, [None] * len(densities)), densities, strict=True)]
        for name in methods
    ]
    for ranked in zip_longest(*grids):
        yield from ((name, one) for name, one in zip(methods, ranked, strict=True) if one is not None)


def recipe(model: str, seed: int, *, quick: bool) -> Recipe:
    """Return the recipe of a run."""
    peers = (QUICK_ALPHAS if quick else ALPHAS)[model]
    sections = deepcopy(RECIPES[model]) | {"model": {"name": model}, "peers": peers, "seed": seed}
    if quick:
        data, train = QUICK[model]
        sections |= {"data": sections["data"] | data, "train": sections["train"] | train}
    return replace(read_recipe(sections), folder=str(FOLDER))


def settings(asked: Recipe) -> dict[str, Any]:
    """Return what a reader has to know of a recipe."""
    names = ("epochs", "sparse_epochs", "refit_epochs", "batch_size", "lr", "weight_decay", "precision")
    names += ("refit_lr", "start") if asked.train.start == "initial" else ()
    return {name: getattr(asked.train, name) for name in names} | {"limit": asked.data.limit}


def figures(work: Work, point: Point) -> dict[str, Any]:
    """Print and return the figures of a model."""
    point = work.tested(point)
    print(
        f"{point.method:12} {point.seed:4} {point.alpha:8.2g} {point.density:8.4f} {point.compression:11.1f}× "
        f"{100 * point.validation:11.2f} {100 * (point.test or 0.0):7.2f} {point.seconds:8.0f}",
        flush=True,
    )
    names = ("method", "alpha", "density", "compression", "validation", "test", "seconds")
    return {"measure": "frontier"} | {name: getattr(point, name) for name in names}


def loading(work: Work, n_batches: int = 20) -> dict[str, Any]:
    """Time the making of a batch (indexing, augmentation, scaling) beside a forward and backward pass of the model."""
    images, asked, model = work.trainer.images, work.recipe, deepcopy(work.model)
    generator = torch.Generator().manual_seed(0)
    batches = list(shuffled(len(images.train), asked.train.batch_size, generator))[:n_batches]
    seconds = [0.0, 0.0]
    for index in batches:
        began = time.process_time()
        part = images.train.rows(index)
        inputs = images.scale(augment(part.images, asked.data, generator))
        made = time.process_time()
        work.trainer.loss(model, inputs, part.labels).backward()
        seconds = [seconds[0] + made - began, seconds[1] + time.process_time() - made]
    batch_ms, step_ms = (1000 * one / len(batches) for one in seconds)
    print(f"a batch takes {batch_ms:.2f} ms to make, and {step_ms:.2f} ms to train on", flush=True)
    return {"measure": "loading", "method": "dense", "asked": 1.0, "batch_ms": batch_ms, "step_ms": step_ms}


def known(file: str) -> dict[str, Any]:
    """Return what the results file holds: the machine that each model was run on, and the rows."""
    there = (RESULTS / f"{file}.json").exists()
    return read(file) if there else {"machines": {}, "rows": []}


def forget(file: str, common: dict[str, Any], methods: Sequence[str]) -> None:
    """Take out the rows of these methods that were made with other settings, and name the machine anew."""
    content = known(file)
    content["rows"] = [row for row in content["rows"] if row["method"] not in methods or not _outdated(row, common)]
    content["machines"][common["model"]] = machine()
    write(file, content)


def keep(file: str, row: dict[str, Any]) -> None:
    """Write a row in the place of its former one."""
    content = known(file)
    rows = [other for other in content["rows"] if _identity(other) != _identity(row)]
    write(file, content | {"rows": [*rows, row]})


def _identity(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("measure", "model", "method", "seed", "asked"))


def _outdated(row: dict[str, Any], common: dict[str, Any]) -> bool:
    same = (row["model"], row["seed"]) == (common["model"], common["seed"])
    return same and row["settings"] != common["settings"]


def table(model: str, rows: Rows) -> None:
    """Print the test accuracy of each method at the densities compared, mean over seeds and standard error."""
    ratios = [1 / density for density in RECIPES[model]["penalty"]["densities"]]
    runs = [row for row in rows if row["measure"] == "frontier" and row["density"] > 0]
    if not runs:
        return
    print(f"\n{model + ', test at':20}" + "".join(f"{ratio:>14g}×" for ratio in ratios))
    for name in ("dense", *METHODS):
        mine = [row for row in runs if row["method"] == name]
        if mine:
            print(line(name, mine, ratios))
