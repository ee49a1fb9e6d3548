"""All models of a run: the dense one, sparse ones at each strength, those of the peers, and the choice among them.

Every choice is made on validation images. Test images are used once, at the end: for the dense model, and for the model
that each method has chosen.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

from torch import Tensor, nn

from spred.compress.recipe import CHANNELS, Recipe
from spred.compress.results import Magnitudes, Outcome, Point
from spred.compress.training.memory_format import plainly_arranged
from spred.compress.training.methods import METHODS, Method, Refit, Strength, magnitudes
from spred.compress.training.targets import WeightCount, find, layers, penalties, zero_followers
from spred.compress.training.trainer import Trainer, accuracy
from spred.errors import SpredWarning, StateError
from spred.nn import alpha_path
from spred.nn.pruning.macs import MACs
from spred.runtime.extras import extra

DENSE = "dense"

TRIAL = Strength(1e-4, 0.5)
"""Strength at which each method is made once, before training, to see whether it takes the model."""

N_EXAMPLES = 16
"""Images by which models are followed and exports are compared; the first ones of the validation part."""


@dataclass(frozen=True, eq=False)
class Study:
    """What training leaves: the record, and the two models of it that are exported, on the CPU."""

    outcome: Outcome
    dense: nn.Module
    sparse: nn.Module


class Work:
    """The training of one recipe; :meth:`study` does it all, :meth:`dense` and :meth:`one` a model each.

    Args:
        recipe: the recipe.
        model: the model as training begins, on the trainer's device.
        trainer: trains stage by stage.

    Raises:
        InputError: the model has nothing of the kind that the recipe penalises, or a peer cannot prune it.
    """

    def __init__(self, recipe: Recipe, model: nn.Module, trainer: Trainer) -> None:
        self.recipe, self.model, self.trainer = recipe, model, trainer
        self.example = trainer.images.scale(trainer.images.validation.images[:N_EXAMPLES])
        self.bundles = find(model, recipe.penalty, self.example[:1])
        inside = {name for bundle in self.bundles for name in (*bundle.names, *bundle.followers)}
        self.names = [name for name, _ in model.named_parameters() if name in inside]
        self.notes: list[str] = []
        for name in ("spred", *recipe.compare):
            self._method(name, deepcopy(model), TRIAL)

    def study(self) -> Study:
        """Train everything, then choose."""
        dense, dense_point = self.dense()
        spred = self._path(dense) if self.recipe.start == "path" else self._each("spred", dense)
        points = {"spred": self._noted(spred)}
        for name in self.recipe.compare:
            points[name] = self._noted(self._each(name, dense, points["spred"]))
        chosen = {name: self._choose(name, listed, dense_point) for name, listed in points.items()}
        tested = {name: self.tested(point) for name, point in chosen.items()}
        every = [tested[name] if point is chosen[name] else point for name in points for point in points[name]]
        outcome = Outcome(
            recipe=self.recipe.plain(),
            points=(dense_point, *every),
            chosen=tested["spred"],
            dense=dense_point,
            curves=tuple(self.trainer.curves),
            notes=(*self.notes, *self.trainer.notes),
        )
        finished = (plainly_arranged(model).cpu().eval() for model in (dense, self.load(tested["spred"])))
        return Study(outcome, *finished)

    def _noted(self, points: Iterator[Point]) -> list[Point]:
        """Return the points, and note what spred warns of while each is made.

        Raises:
            StateError: there is none, because all have diverged.
        """
        listed: list[Point] = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", SpredWarning)
            for point in points:
                listed.append(point)
                told = [str(one.message) for one in caught if issubclass(one.category, SpredWarning)]
                ours = [message for message in told if f"{message}." not in self.trainer.notes]
                self.notes += [f"{point.method}, alpha {point.alpha:.3g}: {message}." for message in ours]
                caught.clear()
        if not listed:
            raise StateError(f"no model came out: {' '.join(self.notes)}")
        return listed

    def dense(self) -> tuple[nn.Module, Point]:
        """Train the dense model; its test figure is taken at once, because there is nothing to choose."""
        section = self.recipe.train
        model = deepcopy(self.model)
        method = Method(model, [], Strength(), self.trainer.optimizer(section.lr), 0)
        self.trainer.fit(DENSE, model, method, section.epochs, lr=section.lr, warmup=section.warmup)
        return model, self.tested(self._point(DENSE, DENSE, model, Strength(0.0), None))

    def _path(self, dense: nn.Module) -> Iterator[Point]:
        """Give a model for each alpha, rising, each warm-started from the one before."""
        alphas = sorted(self.recipe.penalty.alphas)
        model = deepcopy(dense)
        method = self._method("spred", model, Strength(alphas[0]))
        stages = iter([stage_name("spred", Strength(alpha)) for alpha in alphas])
        path = alpha_path(model, method.opt, alphas, lambda: self._train(next(stages), model, method, dense))
        try:
            for point in path:
                yield self._refitted("spred", Strength(point.alpha), point.model, magnitudes(point.report), dense)
        except StateError as err:  # it has diverged; what was found before stands
            self.notes.append(f"spred: the path ends early: {err}.")

    def _strengths(self, name: str, reached: Sequence[Point]) -> list[Strength]:
        """Return what spred is asked for, or a peer: its own strengths, or else what spred has ``reached``."""
        if name == "spred":
            asked = self.recipe.penalty
            to_density = [Strength(*one) for one in zip(asked.limits(), asked.densities, strict=True)]
            return [Strength(alpha) for alpha in asked.alphas] + to_density
        own = [Strength(alpha) for alpha in self.recipe.peers.alphas(name)]
        if self.recipe.penalty.cost != "weights":  # a point knows its density in weights alone
            densities: Sequence[float] = self.recipe.penalty.densities
        else:
            densities = [point.density for point in reached]
        return own or [Strength(point.alpha, one) for point, one in zip(reached, densities, strict=False)]

    def _each(self, name: str, dense: nn.Module, reached: Sequence[Point] = ()) -> Iterator[Point]:
        """Give a model for each strength."""
        for strength in self._strengths(name, reached):
            try:
                point = self.one(name, strength, dense)
            except StateError as err:  # it has diverged; the others need not
                self.notes.append(f"{stage_name(name, strength)}: {err}.")
            else:
                yield point

    def one(self, name: str, strength: Strength, dense: nn.Module) -> Point:
        """Train a model at one strength, from the dense one or from the first weights; make its zeros, refit, evaluate.

        Raises:
            StateError: it has diverged.
        """
        model = deepcopy(dense if self.recipe.start != "initial" or name == "one-shot" else self.model)
        method = self._method(name, model, strength)
        self._train(stage_name(name, strength), model, method, dense)
        point = self._refitted(name, strength, model, method.finish(), dense)
        return replace(point, alpha=max(one.alpha for one in method.opt.penalties)) if name == "spred" else point

    def _train(self, stage: str, model: nn.Module, method: Method, dense: nn.Module) -> None:
        section = self.recipe.train
        self.trainer.fit(stage, model, method, section.sparse_epochs, lr=section.lr, teacher=self._teacher(dense))

    def _refitted(
        self, name: str, strength: Strength, model: nn.Module, found: Magnitudes | None, dense: nn.Module
    ) -> Point:
        """Refit the weights that are left, and evaluate the model."""
        zero_followers(model, self.bundles)
        stage, lr = stage_name(name, strength), self.trainer.refit_lr
        method = Refit(model, self.names, self.trainer.optimizer(lr))
        refit = f"{stage}, refit"
        self.trainer.fit(refit, model, method, self.recipe.train.refit_epochs, lr=lr, teacher=self._teacher(dense))
        return self._point(name, stage, model, strength, found)

    def _point(self, name: str, stage: str, model: nn.Module, strength: Strength, found: Magnitudes | None) -> Point:
        """Evaluate a finished model on validation images, and keep its weights."""
        file = self.trainer.keep.path(stage, ".safetensors")
        extra("safetensors.torch").save_file(plain_state(model), str(file))
        parts = layers(model, self.names)
        nonzero, weights = sum(part.nonzero for part in parts), sum(part.weights for part in parts)
        seconds = [spent for key, spent in self.trainer.seconds.items() if key in (stage, f"{stage}, refit")]
        return Point(
            method=name,
            seed=self.recipe.seed,
            alpha=strength.alpha or 0.0,
            density=nonzero / weights,
            compression=weights / max(nonzero, 1),
            validation=accuracy(model, self.trainer.images, self.trainer.images.validation),
            test=None,
            layers=parts,
            seconds=sum(seconds),
            state_file=str(file),
            magnitudes=found,
        )

    def _choose(self, name: str, points: Sequence[Point], dense: Point) -> Point:
        """Return the smallest model that is good enough on validation images; the best one if none is."""
        least = dense.validation - self.recipe.choose.tolerance
        good = [point for point in points if point.validation >= least]
        if good:
            return min(good, key=lambda point: point.density)
        best = max(points, key=lambda point: point.validation)
        points_below = 100 * (dense.validation - best.validation)
        self.notes.append(
            f"No model of {name} is within {100 * self.recipe.choose.tolerance:g} points of the dense one on "
            f"validation images; the best of them, {points_below:.1f} points below, was chosen."
        )
        return best

    def tested(self, point: Point) -> Point:
        """Return the point with its accuracy on test images."""
        return replace(point, test=accuracy(self.load(point), self.trainer.images, self.trainer.images.test))

    def load(self, point: Point) -> nn.Module:
        """Return the model of a point, as it was evaluated."""
        model = deepcopy(self.model)
        model.load_state_dict(extra("safetensors.torch").load_file(point.state_file))
        return model

    def _method(self, name: str, model: nn.Module, strength: Strength) -> Method:
        section, penalty = self.recipe.train, self.recipe.penalty
        graph = MACs(model, self.example[:1]) if set(penalty.kind) <= set(CHANNELS) else None
        cost = graph if penalty.cost == "multiply-adds" else None
        strength = replace(strength, uniform=penalty.uniform, cost=cost or WeightCount(model, self.bundles, graph))
        listed = penalties(model, self.bundles, penalty.depth, cost=cost, apart=penalty.uniform)
        n_steps = section.sparse_epochs * self.trainer.steps_in_epoch
        return METHODS[name](model, listed, strength, self.trainer.optimizer(section.lr), n_steps)

    def _teacher(self, dense: nn.Module) -> nn.Module | None:
        return dense.eval() if self.recipe.train.distill > 0 else None


def stage_name(name: str, strength: Strength) -> str:
    """Return what a sparse stage is called: for instance ``"spred, alpha 0.001"``."""
    if strength.density is None:
        return f"{name}, alpha {strength.alpha:.6g}"
    limit = f", alpha up to {strength.alpha:.6g}" if name == "spred" and strength.alpha is not None else ""
    return f"{name}, density {strength.density:.6g}{limit}"


def plain_state(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the state of a model on the CPU, each tensor by itself, as safetensors wants it."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in model.state_dict().items()}
