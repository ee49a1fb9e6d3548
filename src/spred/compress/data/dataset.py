"""Images in memory: training, validation and test parts as bytes, decoded once (by :mod:`spred.compress.data.readers`).

They stay 8-bit integers. A batch is made of them by indexing, shifted and mirrored as a whole, and only then turned
into floating point numbers; that takes a small part of a training step, so nothing is loaded in the background.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spred.compress.data.labels import Labelled
from spred.compress.data.readers import read_images
from spred.compress.recipe import DataSection, Recipe
from spred.errors import InputError, where

LEAST_VARIANCE = 1e-6
"""Of a channel, of pixels between 0 and 1: a constant channel is divided by its root, and stays finite."""


@dataclass(frozen=True, eq=False)
class Part:
    """Images ``(n, channels, height, width)``, uint8, and their labels ``(n,)``, int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Part:
        """Return the part on a device."""
        return Part(self.images.to(device), self.labels.to(device))

    def rows(self, index: Tensor) -> Part:
        """Return some of the images."""
        return Part(self.images[index], self.labels[index])


@dataclass(frozen=True, eq=False)
class Images:
    """The images of a run, in three parts.

    Attributes:
        train: to train on.
        validation: to choose by.
        test: to report on once.
        classes: the name of each label.
        mean: mean of each channel over the training images, of values between 0 and 1.
        std: its standard deviation.
    """

    train: Part
    validation: Part
    test: Part
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return self.train.images.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image."""
        return (self.train.images.shape[2], self.train.images.shape[3])

    def to(self, device: torch.device) -> Images:
        """Return the images on a device."""
        parts = {name: getattr(self, name).to(device) for name in ("train", "validation", "test")}
        return replace(self, **parts)

    def scale(self, images: Tensor) -> Tensor:
        """Return float32 images of mean 0 and standard deviation 1 in each channel."""
        mean, std = (torch.tensor(one, device=images.device).view(-1, 1, 1) for one in (self.mean, self.std))
        return images.to(torch.float32).sub_(255 * mean).mul_(1 / (255 * std))


def load_images(recipe: Recipe) -> Images:
    """Read and decode the data of a recipe.

    Held-out fractions are drawn from the training images with the recipe's seed.

    Raises:
        FileError: a file is missing or broken.
        InputError: parts of unlike images, or with labels that the training images do not have.
    """
    section = recipe.data
    whole = read_images(section.train, "train", section, recipe.folder)
    others = {
        name: read_images(source, name, section, recipe.folder)
        for name, source in (("validation", section.validation), ("test", section.test))
        if isinstance(source, str)
    }
    classes = whole.classes
    if len(classes) < 2:
        raise InputError(f"data: all training images are of one class, {classes[0]!r}; there is nothing to learn")
    if section.crop >= min(whole.images.shape[2:]):
        height, width = whole.images.shape[2:]
        raise InputError(f"data: crop is {section.crop}, which shifts images of {height} × {width} pixels out of sight")
    parts = {name: _part(name, one, whole) for name, one in others.items()}
    index = np.random.default_rng(recipe.seed).permutation(len(whole.labels))
    rest = Part(torch.from_numpy(whole.images), torch.from_numpy(whole.labels))
    for name, source in (("validation", section.validation), ("test", section.test)):
        if not isinstance(source, str):
            n_held = max(round(source * len(whole.labels)), 1)
            parts[name], index = rest.rows(torch.from_numpy(np.sort(index[:n_held]))), index[n_held:]
    train = rest.rows(torch.from_numpy(np.sort(index[: section.limit])))
    if len(train) < len(classes):
        raise InputError(f"data: {len(train)} training images of {len(classes)} classes are left; give more")
    mean, std = _moments(train.images)
    return Images(train, parts["validation"], parts["test"], classes, mean, std)


def shuffled(n: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Give the indices of one epoch's batches; what does not fill a batch is left out, if there is a full one."""
    n_used = n // batch_size * batch_size or n
    return iter(torch.split(torch.randperm(n, generator=generator)[:n_used], batch_size))


def augment(images: Tensor, section: DataSection, generator: torch.Generator) -> Tensor:
    """Return images mirrored and shifted at random, each by itself, as ``section`` says.

    >>> augment(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), DataSection("", crop=2), torch.Generator()).shape
    torch.Size([2, 1, 8, 8])
    """
    n, _, height, width = images.shape
    if section.flip:
        turned = torch.rand(n, generator=generator) < 0.5
        images = torch.where(turned.to(images.device).view(-1, 1, 1, 1), images.flip(-1), images)
    if section.crop:
        padded = torch.nn.functional.pad(images, (section.crop,) * 4)
        down, right = torch.randint(2 * section.crop + 1, (2, n), generator=generator).to(images.device)
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        images = windows[torch.arange(n, device=images.device), :, down, right]
    return images


def _part(name: str, found: Labelled, train: Labelled) -> Part:
    """Return a part whose labels are those of the training images."""
    with where(f"data: the {name} images"):
        if found.images.shape[1:] != train.images.shape[1:]:
            shapes = [" × ".join(map(str, one.images.shape[1:])) for one in (found, train)]
            raise InputError(f"have {shapes[0]} numbers each and the training images {shapes[1]}; give data.size")
        unknown = [name for name in found.classes if name not in train.classes]
        if unknown:
            raise InputError(f"have a class {unknown[0]!r} that the training images do not have")
    number = np.array([train.classes.index(name) for name in found.classes], dtype=np.int64)
    return Part(torch.from_numpy(found.images), torch.from_numpy(number[found.labels]))


def _moments(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, counted exactly from how often each byte occurs."""
    values = torch.arange(256, dtype=torch.float64) / 255
    counts = torch.stack([torch.bincount(one.flatten(), minlength=256) for one in images.unbind(1)]).double()
    frequencies = counts / counts.sum(1, keepdim=True)
    mean = frequencies @ values
    std = (frequencies @ values.square() - mean.square()).clamp(min=LEAST_VARIANCE).sqrt()
    return tuple(mean.tolist()), tuple(std.tolist())
