"""The frontier's objective: LeNet-300-100 on MNIST, the dense recipe, accuracy against compression.

Training loop, images and methods are those of ``spred compress``. The recipe is that of the dense network and the same
for all: SGD, learning rate 0.1, momentum 0.9, batches of 128, a cosine schedule, from the first weights. The last
epochs, a quarter of them if nothing else is asked for, refit what is left without penalty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import torch
from compress import FOLDER, MNIST
from torch import nn

import spred
from spred.compress import read_recipe
from spred.compress.data.dataset import Images, load_images
from spred.compress.models.zoo import Facts, build
from spred.compress.recipe import Recipe
from spred.compress.training.checkpoints import Keep
from spred.compress.training.methods import Refit
from spred.compress.training.trainer import Trainer, accuracy

LR, MOMENTUM, BATCH = 0.1, 0.9, 128
REFIT_LR = 0.03


@dataclass(frozen=True)
class Result:
    """One run: nonzero weights over all, accuracies, seconds of training."""

    density: float
    validation: float
    test: float
    seconds: float


def recipe(seed: int) -> Recipe:
    """Return the recipe; its penalty is each method's own."""
    sections = {
        "model": {"name": "lenet-300-100"},
        "data": MNIST,
        "penalty": {"alphas": [1e-4]},
        "train": {"lr": LR, "momentum": MOMENTUM, "batch_size": BATCH},
        "seed": seed,
    }
    return replace(read_recipe(sections), folder=str(FOLDER))


def mnist() -> Images:
    """Return MNIST, 5,000 of its 60,000 training images held out to choose by."""
    return load_images(recipe(0))


def lenet(seed: int) -> nn.Module:
    """Return LeNet-300-100."""
    torch.manual_seed(seed)
    return build("lenet-300-100", {}, Facts(1, (28, 28), 10))


def penalty(model: nn.Module, alpha: float) -> spred.L1:
    """Return the penalty of every method: L1 on all matrices."""
    return spred.L1(spred.prunable_weights(model), alpha)


def run(method: ModuleType, strength: float, images: Images, seed: int, epochs: int, refit: int) -> Result:
    """Train one network with one method at one strength, the last ``refit`` epochs without penalty, and evaluate it."""
    model = lenet(seed)
    with TemporaryDirectory() as states:
        trainer = Trainer(recipe(seed), images, torch.device("cpu"), Keep(Path(states)), epochs)
        n_steps = (epochs - refit) * trainer.steps_in_epoch
        sparse = method.prepare(model, strength, trainer.optimizer(LR), n_steps)
        trainer.fit("sparse", model, sparse, epochs - refit, lr=LR)
        sparse.finish()
        names = [name for name, weight in model.named_parameters() if weight.ndim > 1]
        trainer.fit("refit", model, Refit(model, names, trainer.optimizer(REFIT_LR)), refit, lr=REFIT_LR)
    weights = spred.prunable_weights(model)
    density = sum(int(weight.count_nonzero()) for weight in weights) / sum(weight.numel() for weight in weights)
    scores = (accuracy(model, images, part) for part in (images.validation, images.test))
    return Result(density, *scores, sum(trainer.seconds.values()))
