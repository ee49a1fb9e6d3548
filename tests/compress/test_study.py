"""All models of a run: warm paths, single strengths, peers, and an honest choice among them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from compress_images import recipe
from safetensors.torch import load_file

from spred.compress.export.measure import multiply_adds
from spred.compress.recipe import read_recipe
from spred.compress.results import Point
from spred.compress.runner import prepare
from spred.compress.study import Study, Work
from spred.compress.training.methods import available
from spred.compress.training.targets import LARGEST_ALPHA
from spred.errors import InputError, StateError
from spred.nn.pruning.shrink import shrink

NEEDS_TORCHAO = pytest.mark.skipif(not available("pat"), reason="torchao is not installed")


def work(folder: Path, listen=lambda epoch: None, **sections) -> Work:
    return prepare(read_recipe(recipe(folder, **sections)), folder / "work", listen)


def check(study: Study, names: list[str]) -> None:
    """The record agrees with the models that were kept."""
    outcome = study.outcome
    assert list(dict.fromkeys(point.method for point in outcome.points)) == ["dense", *names]
    assert outcome.points[0] == outcome.dense
    assert outcome.dense.compression == 1.0
    for point in outcome.points:
        state = load_file(point.state_file)
        nonzero = sum(int(state[layer.name].count_nonzero()) for layer in point.layers)
        assert point.density == nonzero / sum(state[layer.name].numel() for layer in point.layers)
    tested = [point.method for point in outcome.points if point.test is not None]
    assert sorted(tested) == sorted(["dense", *names])  # once for each method
    assert outcome.chosen in outcome.points
    kept = load_file(outcome.chosen.state_file)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in study.sparse.state_dict().items())


def test_a_warm_path_and_its_choice(tmp_path: Path):
    found = work(tmp_path, penalty={"alphas": [1e-2, 3e-3, 3e-2]}, choose={"tolerance": 0.05}).study()
    check(found, ["spred"])
    dense, *path = found.outcome.points
    assert [point.alpha for point in path] == [3e-3, 1e-2, 3e-2]
    densities = [point.density for point in path]
    assert densities == sorted(densities, reverse=True)
    assert densities[-1] < 0.5
    good = [point for point in path if point.validation >= dense.validation - 0.05]
    assert found.outcome.chosen.alpha == min(good, key=lambda point: point.density).alpha
    assert path[0].magnitudes is not None
    assert sum(path[0].magnitudes.kept) == sum(layer.nonzero for layer in path[0].layers)
    stages = [curve.stage for curve in found.outcome.curves]
    assert stages[:3] == ["dense", "spred, alpha 0.003", "spred, alpha 0.003, refit"]


def test_a_layer_that_the_network_cannot_do_without_keeps_a_neuron(tmp_path: Path):
    found = work(
        tmp_path,
        model={"name": "mlp", "arguments": {"widths": (4, 32)}},
        penalty={"alphas": [], "densities": [0.1], "kind": "neurons"},  # the four first neurons have two thirds of all
        train={"sparse_epochs": 8},
    ).study()
    assert [layer.nonzero > 0 for layer in found.outcome.chosen.layers] == [True] * 4
    assert found.outcome.chosen.validation > 0.5


def test_densities_are_reached_and_peers_run_at_them(tmp_path: Path):
    given = work(
        tmp_path,
        penalty={"alphas": [], "densities": [0.5, 0.2]},
        train={"sparse_epochs": 8},
        compare=["one-shot", "gradual", "subgradient"],
    )
    told = []
    given.trainer.listen = told.append
    found = given.study()
    check(found, ["spred", "one-shot", "gradual", "subgradient"])
    by_name: dict[str, list[Point]] = {}
    for point in found.outcome.points[1:]:
        by_name.setdefault(point.method, []).append(point)
    assert [p.density for p in by_name["spred"]] == pytest.approx([0.5, 0.2], rel=0.1)
    for peer in ("one-shot", "gradual"):
        assert [p.density for p in by_name[peer]] == pytest.approx([p.density for p in by_name["spred"]], abs=0.01)
    assert [p.alpha for p in by_name["subgradient"]] == [p.alpha for p in by_name["spred"]]
    assert told[-1].done == told[-1].total == 2 + 2 * 9 * 4


def test_peers_have_strengths_of_their_own_and_what_was_trained_serves_other_strengths(tmp_path: Path):
    asked = {"penalty": {"alphas": [], "densities": [0.5]}, "compare": ["subgradient", "one-shot"]}
    given = work(tmp_path, **asked, peers={"subgradient": [1e-3, 1e-2]})
    found = given.study()
    check(found, ["spred", "subgradient", "one-shot"])
    assert [point.alpha for point in found.outcome.points if point.method == "subgradient"] == [1e-3, 1e-2]
    assert given.trainer.done == given.trainer.total == 2 + 4 * 4

    epochs = []
    asked["penalty"]["densities"] = [0.5, 0.25]
    more = work(tmp_path, epochs.append, **asked, peers={"subgradient": [1e-2]}).study()
    # A stage that had ended is told of once, with its last epoch; a refit has one epoch only.
    fresh = [epoch.stage for epoch in epochs if epoch.number == 1 and "refit" not in epoch.stage]
    assert fresh == ["spred, density 0.25", "one-shot, density 0.25"]
    assert [p.alpha for p in more.outcome.points if p.method == "subgradient"] == [1e-2]


def test_fractions_of_multiply_adds_are_reached_and_pruning_gets_the_same(tmp_path: Path):
    given = work(
        tmp_path,
        penalty={"kind": "filters", "alphas": [], "densities": [0.5], "cost": "multiply-adds"},
        model={"name": "resnet-20", "arguments": {}},
        train={"epochs": 1, "sparse_epochs": 2},
        compare=["one-shot", "gradual"],
    )
    inputs = given.example.cpu()
    for point in given.study().outcome.points[1:]:
        model = given.load(point)
        small = shrink(model, inputs)
        assert 0.4 <= multiply_adds(small, inputs) / multiply_adds(model, inputs) <= 0.5


def test_a_density_is_reached_by_at_most_the_largest_alpha(tmp_path: Path):
    densities = {"alphas": [], "densities": [0.3]}
    plain = work(tmp_path, penalty=densities).study().outcome
    again = work(tmp_path, penalty=densities | {"largest_alpha": 1e-5})
    weak = again.study().outcome  # the dense model is not anew
    assert plain.dense == weak.dense
    assert 1e-5 < plain.chosen.alpha <= LARGEST_ALPHA
    assert weak.chosen.alpha <= 1e-5
    stage = "spred, density 0.3, alpha up to 1e-05"
    assert [curve.stage for curve in weak.curves[1:]] == [stage, f"{stage}, refit"]
    assert weak.chosen.seconds == again.trainer.seconds[stage] + again.trainer.seconds[f"{stage}, refit"]
    each = {"densities": [0.5, 0.3], "largest_alpha": [1e-3, 1e-5]}
    stages = [curve.stage for curve in work(tmp_path, penalty=densities | each).study().outcome.curves]
    assert stages[1::2] == ["spred, density 0.5, alpha up to 0.001", stage]


def test_whole_neurons_become_zero(tmp_path: Path):
    found = work(tmp_path, penalty={"kind": "neurons", "alphas": [], "densities": [0.4]}).study()
    check(found, ["spred"])
    state = load_file(found.outcome.chosen.state_file)
    dead = ~state["1.weight"].any(dim=1)
    assert 7 <= int(dead.sum()) <= 12  # of 16
    assert not state["1.bias"][dead].any()
    assert all(bool(row.all()) for row in state["1.weight"][~dead] != 0)


def test_heads_and_neurons_of_a_transformer_become_zero(tmp_path: Path):
    found = work(
        tmp_path,
        model={"name": "vit", "arguments": {"width": 16, "heads": 4, "depth": 1}},
        penalty={"kind": ["heads", "neurons"], "alphas": [], "densities": [0.5]},
        train={"optimizer": "adamw", "lr": 3e-3, "warmup": 1},
    ).study()
    check(found, ["spred"])
    attention, hidden = found.sparse.blocks[0].attention, found.sparse.blocks[0].mlp[0]
    live = attention.in_proj_weight.view(3, 4, 4, 16).movedim(1, 0).flatten(1).ne(0).all(dim=1)
    heard = attention.out_proj.weight.view(16, 4, 4).movedim(1, 0).flatten(1).ne(0).all(dim=1)
    assert torch.equal(live, heard)
    assert torch.equal(hidden.weight.ne(0).all(dim=1), hidden.weight.ne(0).any(dim=1))
    assert not bool(live.all()) or not bool(hidden.weight.ne(0).all())


def test_without_epochs_of_refit_the_weights_are_those_of_the_penalty(tmp_path: Path):
    found = work(tmp_path, penalty={"alphas": [1e-2]}, train={"refit_epochs": 0}).study()
    check(found, ["spred"])
    assert [curve.stage for curve in found.outcome.curves] == ["dense", "spred, alpha 0.01"]
    last = found.outcome.curves[-1].validation[-1]
    assert found.outcome.chosen.validation == pytest.approx(last, abs=0.05)  # but for the last zeros


def test_if_nothing_is_good_enough_the_best_is_taken_and_it_is_said(tmp_path: Path):
    found = work(tmp_path, penalty={"alphas": [3.0]}, choose={"tolerance": 0.0}).study()
    (note,) = [note for note in found.outcome.notes if "was chosen" in note]
    assert note.startswith("No model of spred is within 0 points of the dense one")


def test_pretrained_weights_need_no_dense_epochs(tmp_path: Path):
    first = work(tmp_path).study()
    weights = {"model": {"weights": first.outcome.dense.state_file}}
    again = work(tmp_path, **weights, train={"epochs": 0}).study()
    assert again.outcome.dense.validation == first.outcome.dense.validation
    assert "dense" not in [curve.stage for curve in again.outcome.curves]


@pytest.mark.parametrize("start", ["path", "dense"])
def test_what_diverges_is_said_and_the_rest_goes_on(start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from spred.compress import study

    trained = study.Trainer.fit

    def fit(self, stage, model, method, epochs, **options):
        if stage == "spred, alpha 0.01":
            raise StateError("1.weight has diverged")
        return trained(self, stage, model, method, epochs, **options)

    monkeypatch.setattr(study.Trainer, "fit", fit)
    found = work(tmp_path, train={"start": start}).study()
    assert [point.alpha for point in found.outcome.points] == [0.0, 3e-3]
    assert any("1.weight has diverged" in note for note in found.outcome.notes)
    with pytest.raises(StateError, match=r"no model came out: .*has diverged"):
        work(tmp_path, train={"start": start}, penalty={"alphas": [1e-2]}).study()


class StopError(Exception):
    """A run that is killed."""


FAST = {
    "model": {"name": "compress_images:convolutional", "arguments": {}},
    "train": {"precision": "bfloat16", "sparse_epochs": 2},
}
"""Convolutions in channels-last order, and products in bfloat16."""


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"penalty": {"alphas": [], "densities": [0.3]}, "compare": ["gradual"], "train": {"distill": 0.5}},
        pytest.param({"penalty": {"alphas": [1e-2]}, "compare": ["pat"]}, marks=NEEDS_TORCHAO),
        FAST | {"penalty": {"alphas": [], "densities": [0.3]}, "compare": ["one-shot", "gradual", "subgradient"]},
        FAST | {"penalty": {"kind": "filters", "alphas": [3e-3]}},
        pytest.param(FAST | {"penalty": {"alphas": [1e-2]}, "compare": ["pat"]}, marks=NEEDS_TORCHAO),
    ],
)
def test_a_run_killed_after_each_epoch_ends_with_the_same_models(sections: dict, tmp_path: Path):
    (tmp_path / "parts").mkdir()
    whole = work(tmp_path, **sections).study()
    n_stops = 0
    while True:
        before = n_stops

        def kill(epoch, before=before) -> None:
            if epoch.done > before:
                raise StopError

        try:
            parts = work(tmp_path / "parts", kill, **sections).study()
        except StopError:
            n_stops += 1
            continue
        break
    assert n_stops == whole_epochs(whole)
    for one, same in zip(whole.outcome.points, parts.outcome.points, strict=True):
        assert (one.density, one.validation, one.test, one.alpha) == (
            same.density,
            same.validation,
            same.test,
            same.alpha,
        )
        left, right = load_file(one.state_file), load_file(same.state_file)
        assert all(torch.equal(left[name], right[name]) for name in left)
    assert whole.outcome.curves == parts.outcome.curves


def whole_epochs(study: Study) -> int:
    return sum(len(curve.epochs) for curve in study.outcome.curves)


def test_everything_is_checked_before_training(tmp_path: Path):
    def fails(message: str, **sections) -> None:
        with pytest.raises(InputError, match=message):
            work(tmp_path, **sections)

    fails("no filters to penalise", penalty={"kind": "filters"})
    fails("at least 16 × 16", model={"name": "lenet-5", "arguments": {}})
    fails("for densities of filters and neurons", penalty={"cost": "multiply-adds"})
    fails("there is no such file", data={"train": "none.npz"})
    fails("cannot be read", model={"weights": "none.safetensors"})
    fails("device is 'gpu'", device="gpu")
