"""A recipe says what is wrong with it, key by key, before anything runs."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest

from spred.compress.recipe import DEMO, read_recipe
from spred.errors import FileError, InputError

TEXT = """
seed = 3
compare = ["gradual"]

[model]
name = "resnet-20"

[data]
train = "train-*.parquet"
test = 0.2
flip = true
crop = 4

[penalty]
kind = "filters"
densities = [0.5, 0.25]

[train]
lr = 1
"""


BASE = {
    "model": {"name": "lenet-5"},
    "data": {"train": "demo:digits"},
    "penalty": {"alphas": [1e-3]},
    "train": {"epochs": 6},
}


def changed(**sections: dict) -> dict:
    table = deepcopy(BASE)
    for name, section in sections.items():
        table[name] = table.get(name, {}) | section if isinstance(section, dict) else section
    return table


def test_a_file_is_read_with_its_folder_and_its_defaults(tmp_path: Path):
    path = tmp_path / "recipe.toml"
    path.write_text(TEXT)
    recipe = read_recipe(path)
    assert (recipe.seed, recipe.compare, recipe.model.name) == (3, ("gradual",), "resnet-20")
    assert recipe.penalty.kind == ("filters",)  # one value stands for a list of one
    assert recipe.penalty.densities == (0.5, 0.25)
    assert recipe.train.lr == 1.0
    assert recipe.train.momentum == 0.9
    assert (recipe.data.test, recipe.data.validation) == (0.2, 0.1)
    assert recipe.path("w.safetensors") == tmp_path / "w.safetensors"
    assert "folder" not in recipe.plain()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (changed(train={"epocs": 3}), "train.epocs is not known; did you mean 'epochs'"),
        (changed(trian={}), "trian is not known; did you mean 'train'"),
        (changed(train={"epochs": "3"}), "train.epochs is '3'; give a whole number"),
        (changed(train={"epochs": True}), "train.epochs is True; give a whole number"),
        (changed(train={"lr": "fast"}), "train.lr is 'fast'; give a number"),
        (changed(data={"flip": 1}), "data.flip is 1; give true or false"),
        (changed(data={"validation": True}), "data.validation is True"),
        (changed(data={"test": 0.7}), "data: test is 0.7; give a file, or a fraction"),
        (changed(data={"size": 0}), "data: size is 0; give at least 1"),
        (changed(model={"weights": 3}), "model.weights is 3; give a text"),
        (changed(model="lenet-5"), "model is 'lenet-5'; it is a section"),
        (changed(penalty={"kind": "filter"}), "penalty.kind is 'filter'; did you mean 'filters'"),
        (changed(penalty={"kind": ["weights", "filters"]}), "single weights stand alone"),
        (changed(penalty={"alphas": []}), "give alphas"),
        (changed(penalty={"alphas": [0.0]}), "give numbers above 0"),
        (changed(penalty={"alphas": [], "densities": [1.5]}), "between 0 and 1"),
        (changed(penalty={"alphas": [], "densities": [0.5]}, train={"start": "path"}), "'path' needs alphas"),
        (changed(penalty={"largest_alpha": 1e-4}), "largest_alpha is [0.0001]; give a number above 0"),
        (changed(penalty={"largest_alpha": 1e-4}), "one for each of the densities, and densities with it"),
        (changed(penalty={"alphas": [], "densities": [0.5, 0.3, 0.1], "largest_alpha": [1e-4, 2e-4]}), "one for each"),
        (changed(penalty={"alphas": [], "densities": [0.5], "largest_alpha": 0.0}), "largest_alpha is [0.0]"),
        (changed(penalty={"uniform": True}), "uniform is for densities"),
        (changed(penalty={"depth": 1}), "depth is 1; give at least 2"),
        (changed(train={"distill": 2.0}), "distill is 2; give a fraction"),
        (changed(train={"lr": -0.1}), "above 0"),
        (changed(train={"epochs": 0}), "needs pretrained weights"),
        (changed(train={"refit_epochs": -1}), "refit_epochs is -1; give at least 0"),
        (changed(train={"precision": "half"}), "train.precision is 'half'"),
        (changed(peers={"pat": [-1e-3]}), "peers: pat is [-0.001]; give numbers above 0"),
        (changed(peers={"gradual": [0.1]}), "peers.gradual is not known"),
        (changed(compare=["pta"]), "compare is 'pta'; did you mean 'pat'"),
        ({"model": {"name": "mlp"}}, "the section data is missing"),
        (changed() | {"model": {}}, "the key model.name is missing"),
        (changed() | {"folder": "/"}, "folder is not known"),
    ],
)
def test_what_is_wrong_is_named(table: dict, message: str):
    with pytest.raises(InputError) as caught:
        read_recipe(table)
    assert message in str(caught.value)


def test_the_demo_is_a_recipe():
    demo = read_recipe(DEMO)
    assert (demo.model.name, demo.data.train, demo.start) == ("lenet-5", "demo:digits", "dense")


def test_files_that_are_no_recipes_are_named(tmp_path: Path):
    (tmp_path / "bad.toml").write_text("= 3")
    with pytest.raises(FileError, match=r"bad\.toml: the recipe is not TOML"):
        read_recipe(tmp_path / "bad.toml")
    with pytest.raises(FileError, match=r"none\.toml: the recipe cannot be read"):
        read_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("table", "start"),
    [
        (changed(), "path"),
        (changed(compare=["gradual"]), "dense"),
        (changed(penalty={"alphas": [], "densities": [0.5]}), "dense"),
        (changed(train={"start": "initial"}), "initial"),
    ],
)
def test_where_the_sparse_stage_begins(table: dict, start: str):
    assert read_recipe(table).start == start
