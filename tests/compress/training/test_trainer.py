"""The loop takes the steps that a plain loop takes, and goes on after a stop as if there had been none."""

from __future__ import annotations

from dataclasses import replace
from math import cos, pi
from pathlib import Path

import pytest
import torch
from compress_images import recipe
from torch import nn

from spred.compress.data.dataset import load_images
from spred.compress.recipe import TrainSection, read_recipe
from spred.compress.training.checkpoints import Keep
from spred.compress.training.methods import Method, Spred, Strength
from spred.compress.training.trainer import Cosine, Trainer, accuracy, make_optimizer
from spred.errors import SpredWarning, StateError
from spred.nn import L1
from spred.runtime.users_code import users_note

CPU = torch.device("cpu")


def network(dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Dropout(dropout), nn.Linear(12, 3))


def trainer(folder: Path, keep: str = "work", **sections) -> Trainer:
    given = read_recipe(recipe(folder, **sections))
    return Trainer(given, load_images(given), CPU, Keep(folder / keep), total=9)


def plain(trained: Trainer, model: nn.Module) -> Method:
    return Method(model, [], Strength(), trained.optimizer(0.1), 0)


def test_dense_training_learns_the_bars(tmp_path: Path):
    told = []
    trained = trainer(tmp_path)
    trained.listen = told.append
    model = network()
    curve = trained.fit("dense", model, plain(trained, model), 3, lr=0.1)
    assert curve.epochs == (1, 2, 3)
    assert curve.loss[0] > curve.loss[-1]
    assert accuracy(model, trained.images, trained.images.test) > 0.95
    assert [(e.stage, e.number, e.last, e.done, e.total) for e in told] == [("dense", k, 3, k, 9) for k in (1, 2, 3)]
    assert [e.validation for e in told] == list(curve.validation)


def test_the_steps_are_those_of_a_plain_loop(tmp_path: Path):
    trained = trainer(tmp_path, train={"batch_size": 1000})  # one batch an epoch, so its order does not matter
    model, other = network(), network()
    trained.fit("dense", model, plain(trained, model), 4, lr=0.2)
    opt = torch.optim.SGD(other.parameters(), lr=0.2, momentum=0.9)
    inputs = trained.images.scale(trained.images.train.images)
    for step in range(4):
        opt.param_groups[0]["lr"] = 0.1 * (1 + cos(pi * step / 4))
        opt.zero_grad()
        nn.functional.cross_entropy(other(inputs), trained.images.train.labels).backward()
        opt.step()
    for one, same in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, same)


def test_distillation_is_the_mixed_loss(tmp_path: Path):
    trained = trainer(tmp_path, train={"distill": 0.25, "temperature": 2.0})
    model, teacher = network(), nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    x, y = torch.randn(5, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1])
    soft = (teacher(x) / 2).softmax(1)
    distance = (soft * (soft.log() - (model(x) / 2).softmax(1).log())).sum(1).mean()
    expected = 0.75 * nn.functional.cross_entropy(model(x), y) + 0.25 * 4 * distance
    torch.testing.assert_close(trained.loss(model, x, y, teacher), expected)
    torch.testing.assert_close(trained.loss(model, x, y, None), nn.functional.cross_entropy(model(x), y))


class StopError(Exception):
    """A run that is killed."""


@pytest.mark.parametrize("sparse", [False, True])
def test_a_stopped_stage_goes_on_bit_for_bit(sparse: bool, tmp_path: Path):
    def run(keep: str, stop: int | None) -> dict[str, torch.Tensor]:
        trained = trainer(tmp_path, keep, data={"flip": True, "crop": 1})
        model = network(dropout=0.5)
        method: Method = plain(trained, model)
        if sparse:
            method = Spred(model, [L1(model[1].weight, 1e-2)], Strength(None, 0.3), trained.optimizer(0.1), 4 * 11)

        def listen(epoch) -> None:
            if stop is not None and epoch.number == stop:
                raise StopError

        trained.listen = listen
        trained.fit("stage", model, method, 4, lr=0.1)
        return model.state_dict()

    whole = run("whole", None)
    for stop in (1, 3):
        with pytest.raises(StopError):
            run("parts", stop)
    torch.manual_seed(123)  # whatever else the new process did
    parts = run("parts", None)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_finished_stage_is_not_trained_again(tmp_path: Path):
    first = trainer(tmp_path)
    model = network()
    curve = first.fit("dense", model, plain(first, model), 2, lr=0.1)
    again, other = trainer(tmp_path), network()
    again.images = replace(again.images, train=replace(again.images.train, labels=again.images.train.labels * 0))
    assert again.fit("dense", other, plain(again, other), 2, lr=0.1) == curve
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert (again.done, again.seconds) == (2, first.seconds)


def test_a_kept_state_that_cannot_be_read_is_told_and_the_stage_begins_anew(tmp_path: Path):
    first, model = trainer(tmp_path), network()
    first.fit("dense", model, plain(first, model), 2, lr=0.1)
    place = first.keep.path("dense")
    content = place.read_bytes()
    place.write_bytes(content[: len(content) // 2])
    again, other = trainer(tmp_path), network()
    with pytest.warns(SpredWarning, match=r"dense\.pt: is damaged: .*; so stage 'dense' is trained again"):
        again.fit("dense", other, plain(again, other), 2, lr=0.1)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert again.notes[0].endswith("is trained again from its beginning.")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": {"weight": torch.ones(2)}}, "the model of the kept state is another: it lacks '1.weight'"),
        ({"losses": [1.0]}, "of unlike lengths"),
        ({"losses": [1.0, float("nan")]}, "are no numbers"),
        ({"losses": ["a", "b"]}, "does not fit: ValueError"),
        ({"generator": torch.ones(3)}, "does not fit"),
        ({"opt": {"state": {}, "param_groups": []}}, "does not fit"),
        ({"seconds": None}, "does not fit"),
    ],
)
def test_the_state_of_something_else_is_refused_before_anything_is_changed(changed: dict, message: str, tmp_path: Path):
    first, model = trainer(tmp_path), network()
    first.fit("dense", model, plain(first, model), 2, lr=0.1)
    state = first.keep.load("dense")
    assert state is not None
    first.keep.save("dense", state | changed)
    other, before = network(), network()
    with pytest.raises(StateError, match=message) as caught:
        first.fit("dense", other, plain(first, other), 2, lr=0.1)
    assert str(first.keep.path("dense")) in str(caught.value)
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), other.parameters(), strict=True))


class Poisoned(Method):
    """Gradients are no numbers from a step on."""

    n_done = 0

    def before_step(self) -> None:
        """Set them so."""
        self.n_done += 1
        if self.n_done > 14:  # the fourth step of the second epoch
            next(self.model.parameters()).grad.fill_(float("nan"))


def test_training_that_comes_to_nan_stops_at_once_and_keeps_the_last_good_state(tmp_path: Path):
    trained, model = trainer(tmp_path), network()
    assert trained.steps_in_epoch == 11
    method = Poisoned(model, [], Strength(), trained.optimizer(0.1), 0)
    expected = (
        r"after step 5 of epoch 2 of the stage 'dense': .* the state after epoch 1 is in .*dense\.pt; lower train"
    )
    with pytest.raises(StateError, match=expected):
        trained.fit("dense", model, method, 3, lr=0.1)
    state = trained.keep.load("dense")
    assert state is not None
    assert len(state["losses"]) == 1
    assert all(bool(torch.isfinite(tensor).all()) for tensor in state["model"].values())


def test_weights_that_are_not_finite_are_not_kept(tmp_path: Path):
    trained, model = trainer(tmp_path, train={"batch_size": 1000}), network()  # one step an epoch: its loss is good
    model[1].weight.register_hook(lambda grad: torch.full_like(grad, torch.inf))
    with pytest.raises(StateError, match=r"1\.weight is not finite at the end of epoch 1 .* no epoch is kept"):
        trained.fit("dense", model, plain(trained, model), 3, lr=0.1)
    assert trained.keep.load("dense") is None


def test_what_a_users_model_raises_in_training_comes_as_it_was_raised(tmp_path: Path):
    class Raises(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise KeyError("mine")

    trained, model = trainer(tmp_path), Raises()
    trained.recipe = replace(trained.recipe, model=replace(trained.recipe.model, name="nets:made"))
    with pytest.raises(KeyError, match="mine") as caught:
        trained.fit("dense", model, plain(trained, model), 1, lr=0.1)
    assert "your model 'nets:made', in training (test_trainer.py, line" in (users_note(caught.value) or "")


def test_the_rate_rises_and_falls():
    rates = [Cosine(0.4, 10, 2).at(step) for step in range(11)]
    assert rates[:3] == pytest.approx([0.4 / 3, 0.8 / 3, 0.4])
    assert rates[6] == pytest.approx(0.2)
    assert rates[10] == pytest.approx(0.0)


@pytest.mark.parametrize(("name", "kind"), [("sgd", "SGD"), ("adam", "Adam"), ("adamw", "AdamW")])
def test_special_tensors_have_options_of_their_own(name: str, kind: str):
    model = network()
    section = TrainSection(optimizer=name, weight_decay=0.1)
    opt = make_optimizer(model, {id(model[1].weight): {"weight_decay": 0.0}}, section, 0.01)
    assert type(opt).__name__ == kind
    decays = {id(p): group["weight_decay"] for group in opt.param_groups for p in group["params"]}
    assert decays.pop(id(model[1].weight)) == 0.0
    assert set(decays.values()) == {0.1}
    assert len(decays) == 3
