"""From a recipe to a results folder: check everything that can be checked, train, and hand over what came out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from spred.compress.data.dataset import load_images
from spred.compress.export.folder import write_models
from spred.compress.models.weights import load_weights
from spred.compress.models.zoo import Facts, build, check_fit
from spred.compress.recipe import Recipe, read_recipe
from spred.compress.results import Outcome
from spred.compress.study import Work
from spred.compress.training.checkpoints import Keep, seeded
from spred.compress.training.memory_format import arranged
from spred.compress.training.methods import available
from spred.compress.training.trainer import Epoch, Listener, Trainer
from spred.errors import InputError, where
from spred.runtime.extras import extra
from spred.runtime.folder import check_folder, results_folder, run_record
from spred.runtime.tasks import unfinished_work

ONNX = ("onnx", "onnxscript", "onnxruntime")


def silent(epoch: Epoch) -> None:
    """Report nothing of an epoch."""


def run(
    recipe: Recipe | Mapping[str, Any] | str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    listen: Listener = silent,
) -> Outcome:
    """Find the smallest model whose validation accuracy is at most a tolerance below the dense one's, and export it.

    Models are trained at several strengths of the penalty, their zeros are made exact, what is left is refitted; the
    chosen one is shrunk, written as safetensors and ONNX, measured, and described in a report. All of it is in ``out``.

    Args:
        recipe: path of a TOML file, nested dicts, or a :class:`~spred.compress.recipe.Recipe`.
        out: folder for the results; an earlier result there is replaced. They appear whole or not at all.
        resume: go on where a stopped run with the same recipe and ``out`` ended; the result is the same. What is
            compared, chosen and exported may have changed; so may densities and alphas, unless on a warm path.
        listen: called after each epoch with an :class:`~spred.compress.training.trainer.Epoch`.

    Returns:
        An :class:`~spred.compress.results.Outcome`: all models of the frontier, the chosen one, sizes and latencies.

    Raises:
        InputError: the recipe, the data or the model cannot be used; nothing has been trained then.
        FileError: a file is missing, or ``out`` holds something of another origin.

    An example that runs, and every file of the folder, are in docs/compress.md.
    """
    began = perf_counter()
    given = read_recipe(recipe)
    check_folder(out)
    with unfinished_work(out, resume=resume) as store:
        work = prepare(given, store.folder, listen)
        study = work.study()
        record = run_record("compress", given.plain(), given.seed)
        with results_folder(out, record) as folder:
            outcome = replace(study.outcome, machine=machine(work), seconds=perf_counter() - began)
            onnx, multiple = given.export.onnx, given.export.multiple_of or given.penalty.multiple_of
            example = work.example.cpu()
            return write_models(outcome, study.dense, study.sparse, example, folder, onnx=onnx, multiple_of=multiple)


def prepare(recipe: Recipe, folder: Path, listen: Listener = silent) -> Work:
    """Read and check everything that can be wrong before training: data, model, weights, penalties, peers.

    Args:
        recipe: the recipe.
        folder: where stages keep their states.
        listen: as in :func:`run`.
    """
    for name in ("safetensors.torch", *(ONNX if recipe.export.onnx else ())):
        extra(name)
    if not all(map(available, recipe.compare)):
        raise InputError("compare: pat needs torchao; pip install torchao, or leave it out")
    device = find_device(recipe.device)
    images = load_images(recipe)
    facts = Facts(images.channels, images.size, len(images.classes))
    with seeded(recipe.seed, device), where("model"):
        model = build(recipe.model.name, recipe.model.arguments, facts, Path(recipe.folder))
        check_fit(model, facts, recipe.model.name)
        if recipe.model.weights is not None:
            load_weights(model, recipe.path(recipe.model.weights))
    keep = Keep(folder).of(training(recipe), recipe.start, images.train.images.numpy(), images.train.labels.numpy())
    trainer = Trainer(recipe, images.to(device), device, keep, n_epochs(recipe), listen)
    return Work(recipe, arranged(model, images.scale(images.validation.images[:2])).to(device), trainer)


def training(recipe: Recipe) -> Recipe:
    """Return the recipe less what the kept states do not depend on.

    Stages are named by their strengths. So those may change too, unless each model starts from the one before.
    """
    penalty = recipe.penalty
    if recipe.start != "path":
        for_densities = penalty.cost != "weights" or penalty.uniform
        alphas, densities = ((), (0.5,)) if for_densities else ((1.0,), ())
        penalty = replace(penalty, alphas=alphas, densities=densities, largest_alpha=())
    plain = Recipe(recipe.model, recipe.data, penalty)
    return replace(plain, train=recipe.train, seed=recipe.seed, device=recipe.device, folder=recipe.folder)


def n_epochs(recipe: Recipe) -> int:
    """Return the epochs of a whole run."""
    n_strengths = len(recipe.penalty.alphas or recipe.penalty.densities)
    n_models = n_strengths + sum(len(recipe.peers.alphas(name)) or n_strengths for name in recipe.compare)
    return recipe.train.epochs + n_models * (recipe.train.sparse_epochs + recipe.train.refit_epochs)


def find_device(name: str) -> torch.device:
    """Return the device that a recipe names.

    Raises:
        InputError: it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as err:
        raise InputError(f"device is {name!r}, which is not here: {str(err).splitlines()[0]}") from err
    return device


def machine(work: Work) -> dict[str, Any]:
    """Return the machine that the seconds were measured on."""
    device = work.trainer.device
    record = run_record("compress", {}, 0)
    named = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    facts = {key: record[key] for key in ("machine", "versions")}
    return {"device": named, "threads": torch.get_num_threads(), **facts}


@contextmanager
def tensorboard(folder: str | Path) -> Iterator[Listener]:
    """Give a listener that writes TensorBoard logs into ``folder``: loss and validation accuracy of each stage.

    Raises:
        StateError: TensorBoard is not installed.
    """
    writer = extra("torch.utils.tensorboard").SummaryWriter(str(folder))

    def listen(epoch: Epoch) -> None:
        writer.add_scalar(f"{epoch.stage}/loss", epoch.loss, epoch.number)
        writer.add_scalar(f"{epoch.stage}/validation", epoch.validation, epoch.number)

    try:
        yield listen
    finally:
        writer.close()
