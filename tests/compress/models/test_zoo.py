"""Built-in models have their published sizes; a user's model and its weights are checked before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from spred.compress.models.zoo import MODELS, Facts, build, check_fit
from spred.errors import InputError
from spred.runtime.users_code import users_note

DIGITS, COLOURS = Facts(1, (28, 28), 10), Facts(3, (32, 32), 10)


@pytest.mark.parametrize(
    ("name", "facts", "parameters"),
    [
        ("lenet-300-100", DIGITS, 266_610),
        ("lenet-5", DIGITS, 431_080),
        ("resnet-20", COLOURS, 272_474),  # 0.27 million, with convolutions in two of the ways around
        ("resnet-18", COLOURS, 11_173_962),
        ("mlp", COLOURS, 1_841_162),
    ],
)
def test_built_in_models_have_their_sizes(name: str, facts: Facts, parameters: int):
    assert sum(p.numel() for p in build(name, {}, facts).parameters()) == parameters


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("facts", [Facts(1, (28, 28), 7), Facts(3, (32, 32), 4)])
def test_built_in_models_take_all_images(name: str, facts: Facts):
    torch.manual_seed(0)
    model = build(name, {}, facts)
    check_fit(model, facts)
    assert model.training
    assert model(torch.randn(2, facts.channels, *facts.size)).shape == (2, facts.n_classes)


def test_a_model_of_the_users_lies_beside_the_recipe(tmp_path: Path):
    (tmp_path / "my_nets.py").write_text(
        "from torch import nn\n"
        "def tiny(n_classes, width=3):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(784, width), nn.Linear(width, n_classes))\n"
        "def nothing():\n    return 3\n"
    )
    model = build("my_nets:tiny", {"width": 5}, DIGITS, tmp_path)
    check_fit(model, DIGITS)
    assert model[1].out_features == 5
    with pytest.raises(InputError, match="cannot be made with"):
        build("my_nets:tiny", {"wide": 5}, DIGITS, tmp_path)
    with pytest.raises(InputError, match="returned a int"):
        build("my_nets:nothing", {}, DIGITS, tmp_path)
    with pytest.raises(InputError, match="my_nets has no 'tinny'; did you mean 'tiny'"):
        build("my_nets:tinny", {}, DIGITS, tmp_path)


def test_unknown_models_are_named():
    with pytest.raises(InputError, match="no model 'resnet20'; did you mean 'resnet-20'"):
        build("resnet20", {}, COLOURS)
    with pytest.raises(InputError, match="put the module beside the recipe"):
        build("no_such_module_anywhere:make", {}, COLOURS)
    with pytest.raises(InputError, match="at least 16 × 16"):
        build("lenet-5", {}, Facts(1, (12, 12), 10))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(100, 10)), "does not run on images of 1 × 28 × 28"),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 9)), r"gives \(2, 9\) for two images of 1 × 28 × 28"),
    ],
)
def test_a_model_must_fit_its_data(model: nn.Module, message: str):
    with pytest.raises(InputError, match=message):
        check_fit(model, DIGITS)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("mlp", {"widths": "88"}, "give a list of whole numbers"),
        ("mlp", {"widths": [8, 0]}, "give whole numbers above 0"),
        ("mlp", {"widths": [8.5]}, "give whole numbers above 0"),
        ("mlp", {"widths": [10**6, 10**7]}, "more than there is memory"),
        ("mlp", {"widths": [10**12, 10**12]}, "cannot be made of these sizes"),
        ("mlp", {"widths": [10**40]}, "cannot be made of these sizes"),
        ("vit", {"depth": 10**6}, "more than 1000 layers"),
        ("vit", {"depth": True}, "give a whole number above 0"),
        ("vit", {"width": 10, "heads": 3}, "has width 10, which its 3 heads cannot divide"),
    ],
)
def test_sizes_that_no_model_has_are_refused_before_anything_is_made(name: str, arguments: dict, message: str):
    with pytest.raises(InputError, match=message):
        build(name, arguments, DIGITS)


def test_a_perceptron_may_have_no_hidden_layer_and_no_seed_is_drawn_twice():
    assert len(build("mlp", {"widths": []}, DIGITS)) == 2
    torch.manual_seed(0)
    first = build("mlp", {"widths": [4]}, DIGITS)
    torch.manual_seed(0)
    assert torch.equal(MODELS["mlp"](1, (28, 28), 10, (4,))[1].weight, first[1].weight)


def test_what_a_users_model_raises_comes_as_it_was_raised(tmp_path: Path):
    (tmp_path / "raising.py").write_text(
        "from torch import nn\n"
        "def made(n_classes):\n    raise KeyError('width')\n"
        "class Runs(nn.Module):\n    def forward(self, x):\n        return x.view(3)\n"
        "class Two(nn.Module):\n    def forward(self, x):\n"
        "        y = x.flatten(1)[:, :10]\n        return (y, y) if self.training else nn.functional.dropout(y)\n"
    )
    with pytest.raises(KeyError, match="width") as caught:
        build("raising:made", {}, DIGITS, tmp_path)
    assert users_note(caught.value) == "your model 'raising:made' (raising.py, line 3)"
    model = build("raising:Runs", {}, DIGITS, tmp_path)
    with pytest.raises(RuntimeError, match="shape") as run:
        check_fit(model, DIGITS, "raising:Runs")
    assert users_note(run.value) == "your model 'raising:Runs', on images of 1 × 28 × 28 (raising.py, line 6)"
    with pytest.raises(InputError, match="gives a tuple in training mode"):
        check_fit(build("raising:Two", {}, DIGITS, tmp_path), DIGITS, "raising:Two")
    assert model.training
