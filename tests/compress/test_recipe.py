"""A recipe says what is wrong with it, key by key, before anything runs."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import fields
from datetime import date
from itertools import product
from pathlib import Path

import pytest
from mutations import outcomes

from spred.compress.recipe import (
    DEMO,
    ChooseSection,
    DataSection,
    ExportSection,
    ModelSection,
    PeersSection,
    PenaltySection,
    TrainSection,
    read_recipe,
)
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


SECTIONS = {
    "model": ModelSection,
    "data": DataSection,
    "penalty": PenaltySection,
    "train": TrainSection,
    "choose": ChooseSection,
    "export": ExportSection,
    "peers": PeersSection,
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
        (changed(seed=-1), "seed is -1; give at least 0"),
        (changed(seed=2**64), "give at most 9,223,372,036,854,775,807"),
        (changed(train={"lr": float("nan")}), "train.lr is nan; give a finite number"),
        (changed(train={"lr": float("inf")}), "train.lr is inf; give a finite number"),
        (changed(train={"lr": 10**400}), "give a finite number"),
        (changed(train={"refit_lr": float("nan")}), "train.refit_lr is nan"),
        (changed(train={"temperature": float("nan")}), "train.temperature is nan"),
        (changed(train={"weight_decay": float("inf")}), "train.weight_decay is inf"),
        (changed(train={"weight_decay": -1}), "weight_decay is -1; give at least 0"),
        (changed(train={"momentum": 1.0}), "momentum is 1; give a number from 0 to below 1"),
        (changed(train={"distill": float("nan")}), "train.distill is nan"),
        (changed(train={"epochs": -3}), "epochs is -3; give at least 0"),
        (changed(train={"epochs": 10**9}), "epochs is 1000000000; give at most 1,000,000"),
        (changed(train={"batch_size": 0}), "batch_size is 0; give at least 1"),
        (changed(train={"batch_size": 2**70}), "give at most 10,000,000"),
        (changed(train={"warmup": 7}), "warmup is 7 of 6 epochs"),
        (changed(data={"size": 10**6}), "size is 1000000; give at most 16,384"),
        (changed(data={"crop": -1}), "crop is -1; give at least 0"),
        (changed(data={"validation": float("nan")}), "data.validation is nan"),
        (changed(data={"train": " "}), "train is ' '; give a name"),
        (changed(data={"train": "a\x1b[31m.npz"}), "give a name without control characters"),
        (changed(penalty={"alphas": [float("nan")]}), "penalty.alphas is nan"),
        (changed(penalty={"alphas": [1e-3, 1.0000001e-3]}), "alphas has 0.001 twice"),
        (changed(penalty={"alphas": [], "densities": [0.5, 0.5]}), "densities has 0.5 twice"),
        (changed(penalty={"alphas": [], "densities": [0.5], "largest_alpha": float("nan")}), "largest_alpha is nan"),
        (changed(penalty={"kind": ["filters", "filters"]}), "name each kind once"),
        (changed(penalty={"depth": 100}), "depth is 100; give at most 16"),
        (changed(compare=["gradual", "gradual"]), "name each peer once"),
        (changed(choose={"tolerance": float("nan")}), "choose.tolerance is nan"),
        (changed(model={"arguments": {"width": float("nan")}}), "arguments.width is nan; give a finite number"),
        (changed(model={"arguments": {"day": date(2020, 1, 1)}}), "arguments.day is datetime.date(2020, 1, 1)"),
        (changed(train={"epochs": date(2020, 1, 1)}), "train.epochs is datetime.date(2020, 1, 1); give a whole number"),
        (changed() | {3: 4}, "the key 3 is not known"),
        (changed() | {"x" * 10**5: 4}, "xxx' is not known; there are"),
        (changed() | {"se\x1bed": 4}, "the key 'se\\x1bed' is not known; did you mean 'seed'"),
        (changed(penalty={"kind": {}}), "penalty.kind is {}"),
    ],
)
def test_what_is_wrong_is_named(table: dict, message: str):
    with pytest.raises(InputError) as caught:
        read_recipe(table)
    assert message in str(caught.value)


WILD = (
    *(float("nan"), float("inf"), -float("inf"), -1, 0, -0.5, 1e308, 10**400, 2**63, True, None, "", "a\0b", "7"),
    *([], [[]], {}, {"a": {}}, [float("nan")], [1, "x"], date(2020, 1, 1), (), b"bytes", 1j),
)
"""What a file or a program may put in the place of a value."""


def test_whatever_stands_in_a_place_is_a_recipe_of_finite_numbers_or_one_sentence():
    refused, places = 0, [(name, one.name) for name, hint in SECTIONS.items() for one in fields(hint)]
    for (section, key), value in product(places, WILD):
        try:
            made = read_recipe(changed(**{section: {key: value}}))
        except InputError as err:
            assert str(err).isprintable(), f"{section}.{key} = {value!r}"  # noqa: PT017
            refused += 1
        else:
            json.dumps(made.plain(), allow_nan=False)
    assert refused > len(places) * 12


def test_a_section_is_checked_where_it_is_made_in_python_too():
    for make in (
        lambda: TrainSection(lr=float("nan")),
        lambda: TrainSection(momentum=float("nan")),
        lambda: PenaltySection(alphas=(float("nan"),)),
        lambda: PenaltySection(densities=(float("nan"),)),
        lambda: DataSection("a.npz", test=float("nan")),
        lambda: TrainSection(batch_size=1.5),
    ):
        with pytest.raises(InputError, match=r"nan|1\.5"):
            make()


def test_the_demo_is_a_recipe():
    demo = read_recipe(DEMO)
    assert (demo.model.name, demo.data.train, demo.start) == ("lenet-5", "demo:digits", "dense")


def test_a_recipe_of_another_system_is_read(tmp_path: Path):
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert read_recipe(path).seed == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed = " + b"[" * 100_000, "the recipe is not TOML"),
        (b"seed = " + b"9" * 5000, "the recipe is not TOML"),
        (TEXT.encode("utf-16"), "the recipe is not TOML"),
        (b"seed = 1\nseed = 2\n", "the recipe is not TOML"),
        (bytes(2**20 + 1), "is longer than 1,048,576 bytes"),
        (b"[train]\nlr = nan\n", "lr is nan|section model"),
        (b"", "the section model is missing"),
    ],
)
def test_files_that_are_something_else_are_one_sentence(content: bytes, message: str, tmp_path: Path):
    (tmp_path / "bad.toml").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_recipe(tmp_path / "bad.toml")
    assert str(caught.value).isprintable()


def test_damaged_recipes_are_recipes_or_one_sentence(tmp_path: Path):
    path = tmp_path / "recipe.toml"

    def load(damaged: bytes) -> None:
        path.write_bytes(damaged)
        json.dumps(read_recipe(path).plain(), allow_nan=False)

    assert outcomes(TEXT.encode(), 150, load)[1] > 75


def test_files_that_are_no_recipes_are_named(tmp_path: Path):
    with pytest.raises(FileError, match="it is no file"):
        read_recipe(tmp_path)
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
