"""``scripts/bench structured``: whole filters of ResNet-20, heads and neurons of a small ViT, beside other methods.

All start from the same dense model, are distilled from it, and get the same epochs, optimiser and refit. Of ResNet-20
spred is asked for a third of the multiply-adds (``penalty.cost``), in filters of which 16 become zero at once, as many
as the processor computes together; of the ViT for half the heads and neurons of each block. Magnitude pruning prunes
the same groups to the same fraction. torch-pruning's GroupNorm pruner trains with its regulariser, prunes globally
in 400 small steps to the multiply-adds that spred has left, widths multiples of 8, and trains on (Fang et al., CVPR
2023; the settings of its own benchmark on CIFAR-10). The dense model and the smaller one run in ONNX Runtime in turn,
one thread each.

Nothing was chosen by test images. Rows are kept as ``scripts/bench compress`` keeps them; ``--table`` prints them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import compress
import torch
from record import RESULTS
from torch import nn

from spred.compress import read_recipe
from spred.compress.export.measure import multiply_adds, parameters, speed
from spred.compress.export.onnx import save_onnx
from spred.compress.recipe import Recipe
from spred.compress.runner import prepare
from spred.compress.study import DENSE, Work, stage_name
from spred.compress.training.methods import Method, Strength
from spred.compress.training.trainer import accuracy
from spred.nn import shrink

FILE = "structured"

RECIPES: dict[str, dict[str, Any]] = {
    "resnet-20": compress.RECIPES["resnet-20"]
    | {
        "penalty": {"kind": "filters", "densities": [0.33], "cost": "multiply-adds", "multiple_of": 16},
        "train": compress.RECIPES["resnet-20"]["train"] | {"sparse_epochs": 5, "refit_epochs": 7},
    },
    "vit": {
        "data": compress.CIFAR,
        "penalty": {"kind": ["heads", "neurons"], "densities": [0.5], "uniform": True},
        "train": {"epochs": 12, "sparse_epochs": 11, "refit_epochs": 1, "optimizer": "adamw", "lr": 1e-3},
    },
}
"""Recipes by the name of their model."""

SMALLER = {"resnet-20": {"refit_lr": 0.05}, "vit": {}}
DISTILL = 0.5
"""How smaller models are trained, where not as the dense one; the refit was chosen on validation images."""

STRENGTHS: dict[str, dict[str, float]] = {
    "resnet-20": {"spred": 3e-4, "torch-pruning": 5e-4},
    "vit": {"spred": 1e-4},
}
"""The largest alpha of spred; the strength of torch-pruning's regulariser, as in its own benchmark."""

ROUND_TO = 8
"""Widths that torch-pruning leaves are multiples. It never takes all of a layer, and 16 is all of a third of them."""

STEPS = 400
"""Steps in which torch-pruning prunes."""

RUNS = {1: 300, 32: 60}
"""Timed runs by the number of images."""

COLUMNS = (
    f"{'method':14} {'strength':>8} {'MACs':>7} {'parameters':>11} {'validation':>11} {'test':>7}  faster at 1, 32"
)


class GroupNorm(Method):
    """The sparse stage of torch-pruning: its regulariser adds to the gradients."""

    def __init__(self, pruner: Any, model: nn.Module, strength: Strength, work: Work) -> None:
        super().__init__(model, [], strength, work.trainer.optimizer(work.recipe.train.lr), 0)
        self.pruner = pruner

    def before_step(self) -> None:
        """Regularise."""
        self.pruner.regularize(self.model)


def main(arguments: list[str]) -> None:
    """Train, measure, print, write ``results/structured.json`` after each model."""
    parser = argparse.ArgumentParser("scripts/bench structured")
    parser.add_argument("--models", nargs="*", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--methods", nargs="*", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="run nothing, print what is there")
    given = parser.parse_args(arguments)
    installed = [name for name in given.methods if name != "torch-pruning" or find_spec("torch_pruning") is not None]
    for seed in () if given.table else range(given.seeds):
        for model in given.models:
            run(model, seed, installed)
    for model in given.models:
        print(f"\n{model}\n{COLUMNS}")
        for row in compress.known(FILE)["rows"]:
            if row["model"] == model:
                show(row)


def run(model: str, seed: int, methods: Sequence[str]) -> None:
    """Train the models of a seed, from a dense one that ``scripts/bench compress`` may have kept."""
    kept = RESULTS / "compress-part.states"
    dense, point = prepare(recipe(model, seed, {"penalty": {"densities": [0.5]}}), kept).dense()
    weights = {"name": model, "weights": str(Path(point.state_file).resolve())}
    train = RECIPES[model]["train"] | SMALLER[model] | {"epochs": 0, "distill": DISTILL}
    work = prepare(recipe(model, seed, {"model": weights, "train": train}), kept)
    settings = compress.settings(work.recipe) | {"distill": DISTILL, "refit_lr": work.recipe.train.refit_lr}
    common = {"measure": "structured", "model": model, "seed": seed, "settings": settings}
    asked = [name for name in methods if name != "torch-pruning" or name in STRENGTHS[model]]
    compress.forget(FILE, common, [DENSE, *asked])
    print(f"\n{model}\n{COLUMNS}", flush=True)
    compress.keep(FILE, common | measured(work, dense, dense, DENSE))
    with tempfile.TemporaryDirectory() as scratch:
        dense_file = Path(scratch) / "dense.onnx"
        save_onnx(dense.cpu().eval(), batch(work), dense_file)
        for name in asked:
            small = METHODS[name](work, dense)
            timed = {"speed": [asdict(one) for one in latencies(dense_file, small.cpu(), batch(work))]}
            compress.keep(FILE, common | measured(work, dense, small, name, timed))


def recipe(model: str, seed: int, changed: dict[str, Any]) -> Recipe:
    """Return the recipe of a model with some sections changed."""
    sections = {"model": {"name": model}, "seed": seed} | RECIPES[model] | changed
    return replace(read_recipe(sections), folder=str(compress.FOLDER))


def goal(model: str, seed: int, fraction: float) -> float:
    """Return the fraction of multiply-adds that spred has left in this seed; ``fraction`` if it has not run."""
    wanted = (model, "spred", seed)
    done = [row for row in compress.known(FILE)["rows"] if (row["model"], row["method"], row["seed"]) == wanted]
    return 1 / done[-1]["macs_ratio"] if done else fraction


def ours(name: str, work: Work, dense: nn.Module) -> nn.Module:
    """Return the shrunk model of one of the methods of ``spred compress``."""
    penalty = work.recipe.penalty
    alpha = STRENGTHS[work.recipe.model.name]["spred"] if name == "spred" else None
    point = work.one(name, Strength(alpha, penalty.densities[0]), dense)
    return shrink(work.load(point).cpu(), work.example.cpu(), multiple=penalty.multiple_of)


def by_torch_pruning(work: Work, dense: nn.Module) -> nn.Module:
    """Return torch-pruning's model, with no more multiply-adds than spred's."""
    import torch_pruning

    section, trainer, name = work.recipe.train, work.trainer, work.recipe.model.name
    strength, model, teacher = Strength(STRENGTHS[name]["torch-pruning"]), deepcopy(dense), dense.eval()
    pruner = torch_pruning.pruner.GroupNormPruner(
        model,
        work.example[:1],
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        reg=strength.alpha,
        global_pruning=True,
        pruning_ratio=1.0,
        iterative_steps=STEPS,
        round_to=ROUND_TO,
        ignored_layers=[model[-1]],
    )
    stage = stage_name("torch-pruning", strength)
    pruning = GroupNorm(pruner, model, strength, work)
    trainer.fit(stage, model, pruning, section.sparse_epochs, lr=section.lr, teacher=teacher)
    fraction = goal(name, work.recipe.seed, work.recipe.penalty.densities[0])
    allowed = fraction * multiply_adds(dense, work.example)
    for _ in range(STEPS):
        if multiply_adds(model, work.example) <= allowed:
            break
        pruner.step()
    plain = Method(model, [], Strength(), trainer.optimizer(trainer.refit_lr), 0)
    trainer.fit(f"{stage}, refit", model, plain, section.refit_epochs, lr=trainer.refit_lr, teacher=teacher)
    return model.cpu()


METHODS: dict[str, Callable[[Work, nn.Module], nn.Module]] = {
    **{name: partial(ours, name) for name in ("spred", "one-shot", "gradual")},
    "torch-pruning": by_torch_pruning,
}


def measured(
    work: Work, dense: nn.Module, small: nn.Module, method: str, timed: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return and print the figures of a model, with those of its time."""
    images, example = work.trainer.images, work.example.cpu()
    score = partial(accuracy, small.to(work.trainer.device), images)
    row = {
        "method": method,
        "asked": STRENGTHS[work.recipe.model.name].get(method, 0.0),
        "macs_ratio": multiply_adds(dense, example) / multiply_adds(small, example),
        "parameters": parameters(dense)[0] / parameters(small)[0],
        "widths": widths(small),
        "validation": score(images.validation),
        "test": score(images.test),
    } | (timed or {})
    show(row)
    return row


def widths(model: nn.Module) -> dict[str, int]:
    """Return what is left of each layer: channels, neurons, heads."""
    found = {}
    for name, module in model.named_modules():
        for size in ("out_channels", "out_features", "num_heads"):
            if isinstance(getattr(module, size, None), int):
                found[name] = getattr(module, size)
    return found


def batch(work: Work) -> torch.Tensor:
    """Return 32 images."""
    return work.example.cpu().repeat(2, 1, 1, 1)[:32]


def latencies(dense_file: Path, small: nn.Module, images: torch.Tensor) -> list[Any]:
    """Time both in ONNX Runtime, one image and all at once."""
    small_file = dense_file.with_name("small.onnx")
    save_onnx(small.eval(), images, small_file)
    return [speed(dense_file, small_file, images[:n], runs=RUNS[n]) for n in RUNS]


def show(row: dict[str, Any]) -> None:
    """Print a row."""
    faster = ", ".join(f"{one['ratio']:.2f}×" for one in row.get("speed", []))
    print(
        f"{row['method']:14} {row['asked']:8.2g} ÷{row['macs_ratio']:6.2f} ÷{row['parameters']:10.2f} "
        f"{100 * row['validation']:11.2f} {100 * row['test']:7.2f}  {faster}",
        flush=True,
    )
