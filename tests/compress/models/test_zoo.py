"""Built-in models have their published sizes; a user's model and its weights are checked before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from spred.compress.models.zoo import MODELS, Facts, build, check_fit, load_weights
from spred.errors import FileError, InputError

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


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_pretrained_weights(suffix: str, tmp_path: Path):
    model, other = (build("lenet-300-100", {}, DIGITS) for _ in range(2))
    path = tmp_path / f"weights{suffix}"
    save = save_file if suffix == ".safetensors" else torch.save
    save(model.state_dict(), path)
    load_weights(other, path)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    with pytest.raises(FileError, match=r"weights\..*: these are not weights of this model: '1.weight' has shape"):
        load_weights(build("lenet-300-100", {}, Facts(1, (20, 20), 10)), path)
    with pytest.raises(FileError, match=r"it lacks '0\.weight'"):
        load_weights(build("lenet-5", {}, DIGITS), path)


def test_weights_that_cannot_be_read_are_named(tmp_path: Path):
    model = build("lenet-300-100", {}, DIGITS)
    for suffix in (".safetensors", ".pt"):
        (tmp_path / f"bad{suffix}").write_bytes(b"no weights")
        with pytest.raises(FileError, match="cannot be read"):
            load_weights(model, tmp_path / f"bad{suffix}")
        with pytest.raises(FileError, match="cannot be read"):
            load_weights(model, tmp_path / f"none{suffix}")
