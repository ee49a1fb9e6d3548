"""Channels last and bfloat16 change the speed of training; the model, its files and its judgement they leave alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from compress_images import convolutional, recipe
from safetensors.torch import load_file
from torch import Tensor, nn

import spred
from spred.compress.recipe import read_recipe
from spred.compress.runner import prepare
from spred.compress.study import Work
from spred.compress.training.memory_format import arranged, computing, plainly_arranged
from spred.compress.training.trainer import accuracy

CPU = torch.device("cpu")
MODEL = {"name": "compress_images:convolutional", "arguments": {}}


class Viewing(nn.Module):
    """A model that wants its convolution's output in the usual order."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(144, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).view(len(x), -1))


def given(folder: Path, **sections: Any) -> dict[str, Any]:
    return recipe(folder, **sections) | {"model": MODEL}


def work(folder: Path, **sections: Any) -> Work:
    return prepare(read_recipe(given(folder, **sections)), folder / "work")


def last(weight: Tensor) -> bool:
    return weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()


def test_convolutions_are_channels_last_and_give_what_they_gave():
    torch.manual_seed(0)
    model, x = convolutional(3, 2).eval(), torch.randn(4, 3, 8, 8)
    expected = model(x)
    assert last(arranged(model, x[:1])[0].weight)
    torch.testing.assert_close(model(x), expected)
    assert not last(plainly_arranged(model)[0].weight)
    assert torch.equal(model(x), expected)


def test_models_that_gain_nothing_or_cannot_run_so_stay_as_they_are():
    viewing, mlp = Viewing(), nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    assert arranged(viewing, torch.randn(2, 1, 8, 8)) is viewing
    assert viewing.body.weight.is_contiguous()
    assert arranged(mlp, torch.randn(2, 1, 2, 2)) is mlp


def test_autocast_rounds_products_and_nothing_else():
    layer, x = nn.Linear(64, 8), torch.randn(16, 64)
    exact = layer(x)
    with computing("bfloat16", CPU):
        rounded = layer(x)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, atol=0.05, rtol=0.05)
    with computing("float32", CPU):
        assert torch.equal(layer(x), exact)


def test_a_recipe_trains_in_its_precision_and_judges_in_float32(tmp_path: Path):
    found = {}
    for precision in ("float32", "bfloat16"):
        trained = work(tmp_path, train={"precision": precision, "distill": 0.5})
        seen: list[torch.dtype] = []
        trained.model[0].register_forward_hook(lambda module, x, y, seen=seen: seen.append(y.dtype))
        x, y = trained.example, torch.zeros(len(trained.example), dtype=torch.int64)
        loss = trained.trainer.loss(trained.model, x, y, trained.model)
        assert seen == [getattr(torch, precision)] * 2  # the teacher's pass too
        assert loss.dtype == torch.float32
        loss.backward()
        assert {p.grad.dtype for p in trained.model.parameters()} == {torch.float32}
        accuracy(trained.model, trained.trainer.images, trained.trainer.images.test)
        assert seen[-1] == torch.float32
        found[precision] = trained.model[0].weight.grad
    torch.testing.assert_close(found["bfloat16"], found["float32"], atol=0.05, rtol=0.1)
    assert not torch.equal(found["bfloat16"], found["float32"])


@pytest.mark.parametrize("kind", ["weights", "filters"])
def test_what_is_trained_fast_is_saved_plainly(kind: str, tmp_path: Path):
    trained = work(
        tmp_path,
        penalty={"kind": kind, "alphas": [], "densities": [0.5]},
        train={"precision": "bfloat16", "epochs": 6, "lr": 0.03},
        compare=["one-shot", "gradual", "subgradient"],
    )
    assert last(trained.model[3].weight)
    found = trained.study()
    assert found.dense[3].weight.is_contiguous()
    assert found.sparse[3].weight.is_contiguous()
    assert found.outcome.dense.test > 0.9
    for point in found.outcome.points:
        state = load_file(point.state_file)
        assert all(tensor.is_contiguous() for tensor in state.values())
        assert {tensor.dtype for tensor in state.values()} == {torch.float32, torch.int64}


def test_channels_last_takes_the_steps_of_the_usual_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    states = []
    for name in ("fast", "plain"):
        (tmp_path / name).mkdir()
        if name == "plain":
            monkeypatch.setattr("spred.compress.runner.arranged", lambda model, example: model)
        trained = work(tmp_path / name, penalty={"kind": "filters"}, train={"epochs": 1, "sparse_epochs": 1})
        assert last(trained.model[3].weight) == (name == "fast")
        states.append([load_file(point.state_file) for point in trained.study().outcome.points])
    for fast, plain in zip(*states, strict=True):
        for name, tensor in plain.items():
            torch.testing.assert_close(fast[name], tensor, atol=1e-3, rtol=1e-2)


def test_a_model_trained_in_bfloat16_is_exported(tmp_path: Path):
    pytest.importorskip("onnxruntime")
    table = given(tmp_path, penalty={"kind": "filters", "alphas": [3e-3]}, train={"precision": "bfloat16"})
    outcome = spred.compress.run(table, tmp_path / "out")
    assert max(outcome.checks.values()) < 1e-4
    assert "model.onnx" in outcome.checks
