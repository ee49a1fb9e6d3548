"""The training loop: the same for every method and every stage, resumable after each epoch.

A stage is so many epochs at a learning rate that falls to zero along a cosine. The loss is the cross-entropy, part of
it replaced by the distance from the dense model's outputs where the recipe asks for distillation (Hinton et al., 2015).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from math import cos, isfinite, pi
from time import perf_counter
from typing import Any
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from spred.compress.data.dataset import Images, Part, augment, shuffled
from spred.compress.models.weights import differences
from spred.compress.models.zoo import MODELS
from spred.compress.recipe import Recipe, TrainSection
from spred.compress.results import Curve
from spred.compress.training.checkpoints import Keep, State, random_state, seeded, set_random_state
from spred.compress.training.memory_format import computing
from spred.compress.training.methods import MakeOptimizer, Method
from spred.errors import FileError, SpredError, SpredWarning, StateError, first_line, where
from spred.runtime.users_code import users_code

REFIT = 0.3
"""The refit's learning rate over that of training, where the recipe does not say. Larger moves the weights that are
left further from the penalised solution, smaller leaves them shrunken (``scripts/bench compress --quick``)."""

N_EVALUATED = 1000
"""Images evaluated at once: bounds the memory, changes no figure."""


STEPS_UNSEEN = 50
"""Steps between two looks at the loss where looking costs: a GPU has to finish all steps first. On a processor every
step is looked at. Fewer, and training is slower; more, and it goes on longer with no numbers."""


@dataclass(frozen=True)
class Epoch:
    """An epoch that has ended: ``number`` of ``last`` in its stage, ``done`` of ``total`` in the whole run."""

    stage: str
    number: int
    last: int
    loss: float
    validation: float
    done: int
    total: int


Listener = Callable[[Epoch], object]


@dataclass
class Stage:
    """How far a stage of training is; going on needs this, the model and the optimiser."""

    name: str
    generator: torch.Generator
    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def state(self, model: nn.Module, method: Method, device: torch.device) -> State:
        """Return everything that has to be kept."""
        return {
            "model": model.state_dict(),
            "opt": method.opt.state_dict(),
            "generator": self.generator.get_state(),
            "random": random_state(device),
            "losses": self.losses,
            "accuracies": self.accuracies,
            "seconds": self.seconds,
        }

    def load(self, state: State, model: nn.Module, method: Method, device: torch.device) -> None:
        """Put back what :meth:`state` returned.

        Raises:
            StateError: it is the state of something else.
        """
        try:
            wrong = differences(model, state["model"])
            if wrong:
                raise StateError(f"the model of the kept state is another: {wrong[0]}")
            losses, accuracies = ([float(one) for one in state[key]] for key in ("losses", "accuracies"))
            if len(losses) != len(accuracies) or not all(map(isfinite, (*losses, *accuracies, state["seconds"]))):
                raise StateError("the curves of the kept state are no numbers, or of unlike lengths")
            self.generator.set_state(state["generator"])
            set_random_state(state["random"], device)
            method.opt.load_state_dict(state["opt"])
            model.load_state_dict(state["model"])
        except SpredError:
            raise
        except Exception as err:  # torch has many kinds for a state that does not fit
            raise StateError(f"the kept state does not fit: {type(err).__name__}, {first_line(err)}") from err
        self.losses, self.accuracies, self.seconds = losses, accuracies, state["seconds"]


@dataclass
class Trainer:
    """Trains models stage by stage, and remembers the curves.

    Attributes:
        recipe: epochs, optimiser, augmentation, seed.
        images: on ``device``.
        device: where models are trained.
        keep: where stages keep their states.
        total: epochs of the whole run, for progress.
        listen: called after each epoch.
        curves: of the stages so far.
        seconds: time of each stage, that of earlier runs included.
        notes: what a reader should know of the stages, a sentence each.
    """

    recipe: Recipe
    images: Images
    device: torch.device
    keep: Keep
    total: int
    listen: Listener = lambda epoch: None
    done: int = 0
    curves: list[Curve] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def steps_in_epoch(self) -> int:
        """Steps of one epoch."""
        return max(len(self.images.train) // self.recipe.train.batch_size, 1)

    @property
    def refit_lr(self) -> float:
        """The learning rate of the refit."""
        section = self.recipe.train
        return REFIT * section.lr if section.refit_lr is None else section.refit_lr

    def optimizer(self, lr: float) -> MakeOptimizer:
        """Return a function that makes the recipe's optimiser at this learning rate."""
        return lambda model, special: make_optimizer(model, special, self.recipe.train, lr)

    def fit(
        self,
        stage: str,
        model: nn.Module,
        method: Method,
        epochs: int,
        *,
        lr: float,
        warmup: int = 0,
        teacher: nn.Module | None = None,
    ) -> Curve:
        """Train ``model`` in place for a stage, from where its kept state says.

        Args:
            stage: its name, unlike those of the other stages.
            model: on the device.
            method: what happens around the steps, made on ``model``.
            epochs: how many.
            lr: the largest learning rate.
            warmup: epochs in which it rises.
            teacher: the dense model, to distil from.

        Raises:
            StateError: training has diverged, or the kept state is that of something else. What was kept stays.
        """
        done = Stage(stage, torch.Generator().manual_seed(crc32(f"{stage} {self.recipe.seed}".encode())))
        rates = Cosine(lr, epochs * self.steps_in_epoch, warmup * self.steps_in_epoch)
        with seeded(done.generator.initial_seed(), self.device):
            state = self._kept(stage)
            if state is not None:
                with where(str(self.keep.path(stage))):
                    done.load(state, model, method, self.device)
                self._report(done, epochs, len(done.losses))
            for _ in range(len(done.losses), epochs):
                self._epoch(done, model, method, rates, teacher)
                self.keep.save(stage, done.state(model, method, self.device))
                self._report(done, epochs, 1)
        curve = Curve(stage, tuple(range(1, len(done.losses) + 1)), tuple(done.losses), tuple(done.accuracies))
        if done.losses:
            self.curves.append(curve)
        self.seconds[stage] = done.seconds
        return curve

    def _kept(self, stage: str) -> State | None:
        """Return the state that a stage goes on from; one that cannot be read is told of, and the stage begins anew."""
        try:
            return self.keep.load(stage)
        except FileError as err:
            note = f"{err}; so stage {stage!r} is trained again from its beginning"
            self.notes.append(f"{note}.")
            warnings.warn(note, SpredWarning, stacklevel=2)
            return None

    def _epoch(self, stage: Stage, model: nn.Module, method: Method, rates: Cosine, teacher: nn.Module | None) -> None:
        """Train one epoch, and take the validation accuracy."""
        began = perf_counter()
        model.train()
        total = torch.zeros((), device=self.device)
        n_done = len(stage.losses) * self.steps_in_epoch
        for index in shuffled(len(self.images.train), self.recipe.train.batch_size, stage.generator):
            batch = self.images.train.rows(index.to(self.device))
            inputs = self.images.scale(augment(batch.images, self.recipe.data, stage.generator))
            for group in method.opt.param_groups:
                group["lr"] = rates.at(n_done)
            method.opt.zero_grad()
            loss = self.loss(model, inputs, batch.labels, teacher)
            torch.autograd.backward(loss)
            method.before_step()
            method.opt.step()
            n_done += 1
            method.after_step(n_done)
            total += loss.detach()
            if self.device.type == "cpu" or n_done % STEPS_UNSEEN == 0:
                self._check_loss(total, stage, n_done)
        self._check_loss(total, stage, n_done)
        self._check_weights(model, stage)
        stage.losses.append(total.item() / self.steps_in_epoch)
        with self._calling():
            stage.accuracies.append(accuracy(model, self.images, self.images.validation))
        stage.seconds += perf_counter() - began

    def _check_loss(self, total: Tensor, stage: Stage, n_done: int) -> None:
        """Raise once the sum of the losses is no finite number."""
        if not isfinite(total.item()):
            step = n_done - len(stage.losses) * self.steps_in_epoch
            raise StateError(f"the loss is no finite number after step {step} of {self._diverged(stage)}")

    def _check_weights(self, model: nn.Module, stage: Stage) -> None:
        """Raise if a tensor of the model is not finite, before it is kept."""
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise StateError(f"{name} is not finite at the end of {self._diverged(stage)}")

    def _diverged(self, stage: Stage) -> str:
        """Return where training has diverged, what is kept, and what to do."""
        n_kept = len(stage.losses)
        kept = f"the state after epoch {n_kept} is in {self.keep.path(stage.name)}" if n_kept else "no epoch is kept"
        return (
            f"epoch {n_kept + 1} of the stage {stage.name!r}: training has diverged, and stopped; {kept}; "
            "lower train.lr (or refit_lr, or the penalty), or raise train.warmup"
        )

    def loss(self, model: nn.Module, inputs: Tensor, labels: Tensor, teacher: nn.Module | None = None) -> Tensor:
        """Return the loss of a batch, computed in the recipe's precision."""
        outputs = self._outputs(model, inputs)
        loss = cross_entropy(outputs, labels)
        weight, temperature = self.recipe.train.distill, self.recipe.train.temperature
        if teacher is None or weight == 0:
            return loss
        with torch.no_grad():
            wanted = log_softmax(self._outputs(teacher, inputs) / temperature, dim=1)
        distance = kl_div(log_softmax(outputs / temperature, dim=1), wanted, reduction="batchmean", log_target=True)
        return (1 - weight) * loss + weight * temperature**2 * distance

    def _outputs(self, model: nn.Module, inputs: Tensor) -> Tensor:
        """Return the outputs, computed in the recipe's precision, as float32."""
        with computing(self.recipe.train.precision, self.device):
            with self._calling():
                outputs: Tensor = model(inputs)
            return outputs.float()

    def _calling(self) -> AbstractContextManager[None]:
        """Return what a model is called in: what one of the user's raises comes through with a note."""
        name = self.recipe.model.name
        return nullcontext() if name in MODELS else users_code(f"your model {name!r}, in training")

    def _report(self, stage: Stage, epochs: int, n_new: int) -> None:
        self.done += n_new
        last = len(stage.losses)
        self.listen(Epoch(stage.name, last, epochs, stage.losses[-1], stage.accuracies[-1], self.done, self.total))


@dataclass(frozen=True)
class Cosine:
    """A learning rate that rises for ``warmup`` steps and falls to zero along a cosine at step ``total``."""

    lr: float
    total: int
    warmup: int = 0

    def at(self, step: int) -> float:
        """Return the rate of a step; the first is 0.

        >>> Cosine(0.1, 100).at(50)
        0.05
        """
        if step < self.warmup:
            return self.lr * (step + 1) / (self.warmup + 1)
        done = (step - self.warmup) / max(self.total - self.warmup, 1)
        return 0.5 * self.lr * (1 + cos(pi * done))


def make_optimizer(
    model: nn.Module, special: Mapping[int, dict[str, Any]], section: TrainSection, lr: float
) -> torch.optim.Optimizer:
    """Return the recipe's optimiser on all parameters; those in ``special`` (by ``id``) get options of their own."""
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [{"params": [pair for pair in named if id(pair[1]) not in special]}]
    mine = [(pair, special[id(pair[1])]) for pair in named if id(pair[1]) in special]
    if mine:
        groups.insert(0, {"params": [pair for pair, _ in mine], **mine[0][1]})
    groups = [group for group in groups if group["params"]]
    decay = section.weight_decay
    if section.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=section.momentum, weight_decay=decay)
    kind = torch.optim.AdamW if section.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=lr, weight_decay=decay)


@torch.no_grad()
def accuracy(model: nn.Module, images: Images, part: Part) -> float:
    """Return the fraction of images of a part that ``model`` classifies correctly, in evaluation mode."""
    training = model.training
    model.eval()
    correct = 0
    batches = zip(torch.split(part.images, N_EVALUATED), torch.split(part.labels, N_EVALUATED), strict=True)
    for pixels, labels in batches:
        correct += int((model(images.scale(pixels)).argmax(dim=1) == labels).sum())
    model.train(training)
    return correct / len(part)
