"""The models that a recipe can name: a table of built-in ones, and any function of the user's.

A built-in model is made by ``function(channels, size, n_classes)``, with ``size`` the height and width of an image.
All take their sizes from their tensors and use plain modules, so that :func:`spred.shrink` can follow them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass
from inspect import signature
from itertools import pairwise
from pathlib import Path
from reprlib import repr as short
from typing import Any, get_origin, get_type_hints

import torch
from torch import Tensor, nn

from spred.compress.models.own import users_function
from spred.errors import InputError, first_line
from spred.runtime.files.limits import memory_limit
from spred.runtime.users_code import users_code

MOST_LAYERS = 1000
"""Layers of a built-in model, ten times the deepest that people train. More, and an absurd number takes minutes to be
refused; less, and somebody's model is."""

Size = tuple[int, int]


@dataclass(frozen=True)
class Facts:
    """What a model is made for: channels of an image, its height and width, number of classes."""

    channels: int
    size: Size
    n_classes: int


def mlp(channels: int, size: Size, n_classes: int, widths: tuple[int, ...] = (512, 512)) -> nn.Sequential:
    """Return a perceptron on all pixels, with ReLU."""
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = (channels * size[0] * size[1], *widths)
    for n_in, n_out in pairwise(inputs):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(inputs[-1], n_classes))


def lenet_300_100(channels: int, size: Size, n_classes: int) -> nn.Sequential:
    """Return LeNet-300-100 (LeCun et al., Proceedings of the IEEE 1998): two hidden layers of these widths."""
    return mlp(channels, size, n_classes, (300, 100))


def lenet_5(channels: int, size: Size, n_classes: int) -> nn.Sequential:
    """Return LeNet-5 as Caffe has it, the form that pruning papers compress: filters 20 and 50, neurons 500."""
    height, width = (((length - 4) // 2 - 4) // 2 for length in size)
    if min(height, width) < 1:
        raise InputError(f"lenet-5 needs images of at least 16 × 16 pixels, and these have {size[0]} × {size[1]}")
    return nn.Sequential(
        *(nn.Conv2d(channels, 20, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(50 * height * width, 500), nn.ReLU(), nn.Linear(500, n_classes)),
    )


class Residual(nn.Module):
    """A residual block: two convolutions with batch norm, and a shortcut that is added (He et al., CVPR 2016).

    Where the width changes, the shortcut is a 1 × 1 convolution with batch norm, otherwise the identity.
    """

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()),
            *(nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out)),
        )
        shortcut = [nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)] if n_in != n_out else []
        self.shortcut = nn.Sequential(*shortcut)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        out: Tensor = self.activation(self.body(x) + self.shortcut(x))
        return out


def resnet(channels: int, n_classes: int, widths: tuple[int, ...]) -> nn.Sequential:
    """Return a residual network: a stem of the first width, then a block for each further width; × 2 means stride 2."""
    blocks = [Residual(a, b, 1 if a == b else 2) for a, b in pairwise(widths)]
    stem = (nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU())
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], n_classes))


def resnet_20(channels: int, size: Size, n_classes: int) -> nn.Sequential:
    """Return ResNet-20 for small images: nine blocks of 16, 32 and 64 channels."""
    return resnet(channels, n_classes, (16, *(16,) * 3, *(32,) * 3, *(64,) * 3))


def resnet_18(channels: int, size: Size, n_classes: int) -> nn.Sequential:
    """Return ResNet-18 with the stem for small images: eight blocks of 64 to 512 channels."""
    return resnet(channels, n_classes, (64, *(64,) * 2, *(128,) * 2, *(256,) * 2, *(512,) * 2))


class Encoder(nn.Module):
    """A block of a vision transformer: attention, then two linear layers, each added to what came in."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, ``(batch, tokens, width)`` as its input."""
        y = self.norm_1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        out: Tensor = x + self.mlp(self.norm_2(x))
        return out


PATCHES = (4, 7, 2, 1)
"""Sides of a patch; the first that divides height and width is taken."""

POSITION_STD = 0.02
"""Standard deviation of the first position embeddings, as in Dosovitskiy et al."""


class VisionTransformer(nn.Module):
    """A small vision transformer (Dosovitskiy et al., ICLR 2021), averaged over its tokens."""

    def __init__(self, channels: int, size: Size, n_classes: int, *, width: int = 64, heads: int = 4, depth: int = 4):
        super().__init__()
        if width % heads:
            raise InputError(f"vit has width {width}, which its {heads} heads cannot divide; give a multiple")
        patch = next((side for side in PATCHES if size[0] % side == 0 and size[1] % side == 0), 1)
        n_tokens = (size[0] // patch) * (size[1] // patch)
        self.patches = nn.Conv2d(channels, width, patch, patch)
        self.positions = nn.Parameter(POSITION_STD * torch.randn(1, n_tokens, width))
        self.blocks = nn.Sequential(*(Encoder(width, heads, 2 * width) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        logits: Tensor = self.head(self.norm(self.blocks(tokens)).mean(dim=1))
        return logits


MODELS: dict[str, Callable[[int, Size, int], nn.Module]] = {
    "lenet-300-100": lenet_300_100,
    "lenet-5": lenet_5,
    "mlp": mlp,
    "resnet-20": resnet_20,
    "resnet-18": resnet_18,
    "vit": VisionTransformer,
}
"""The built-in models by name."""


def build(name: str, arguments: Mapping[str, Any], facts: Facts, folder: Path | None = None) -> nn.Module:
    """Return a new model of a name in :data:`MODELS`, or of a user's ``package.module:function``.

    Args:
        name: what the recipe says.
        arguments: named arguments from the recipe for the function, such as ``{"width": 128}``.
        facts: go to a user's function where it has parameters of these names.
        folder: where a user's module is looked for beside the import path: the recipe's folder.

    Raises:
        InputError: no such name, module or function; the function does not take the arguments, or returns no model.
        Exception: whatever the user's function raises, with a note.
    """
    built_in = name in MODELS
    make: Callable[..., nn.Module] = MODELS[name] if built_in else users_function(name, folder, MODELS)
    try:
        known = signature(make).parameters
    except ValueError:  # a function that is written in C says nothing of its parameters
        known = {}  # type: ignore[assignment]
    given = {key: value for key, value in asdict(facts).items() if key in known} | dict(arguments)
    if known:
        try:
            signature(make).bind(**given)
        except TypeError as err:
            raise InputError(f"model {name!r} cannot be made with {sorted(given)}: {err}") from err
    if built_in:
        return _built_in(name, make, given)
    with users_code(f"your model {name!r}"):
        model = make(**given)
    if not isinstance(model, nn.Module):
        raise InputError(f"model {name!r} returned a {type(model).__name__}; it has to return a torch.nn.Module")
    return model


def _built_in(name: str, make: Callable[..., nn.Module], given: Mapping[str, Any]) -> nn.Module:
    """Return a built-in model of arguments that are sizes, and that fits into memory."""
    hints = get_type_hints(make.__init__ if isinstance(make, type) else make)  # type: ignore[misc]
    taken = {key: _sizes(f"model {name!r}: {key}", value, hints[key]) for key, value in given.items()}
    try:
        with torch.device("meta"):  # shapes alone: nothing is allocated, nothing drawn
            need = sum(tensor.nbytes for tensor in make(**taken).parameters())
    except (RuntimeError, TypeError, OverflowError) as err:  # torch counts in 64 bits
        raise InputError(f"model {name!r} cannot be made of these sizes: {first_line(err)}") from err
    if need > memory_limit() and torch.get_default_device().type != "meta":
        raise InputError(
            f"model {name!r} would have {need:,} bytes of weights, more than there is memory; make it smaller"
        )
    return make(**taken)


def _sizes(what: str, value: object, hint: object) -> int | tuple[int, ...]:
    """Return a size, or a tuple of them, as ``hint`` says."""
    several = get_origin(hint) is tuple
    listed = value if several else [value]
    if not isinstance(listed, list | tuple):
        raise InputError(f"{what} is {short(value)}; give a list of whole numbers")
    for one in listed:
        if not isinstance(one, int) or isinstance(one, bool) or one < 1:
            raise InputError(
                f"{what} is {short(value)}; give {'whole numbers' if several else 'a whole number'} above 0"
            )
    if len(listed) > MOST_LAYERS or (what.endswith("depth") and listed[0] > MOST_LAYERS):
        raise InputError(f"{what} asks for more than {MOST_LAYERS} layers; give fewer")
    return tuple(listed) if several else listed[0]


def check_fit(model: nn.Module, facts: Facts, name: str = "") -> None:
    """Run two empty images through ``model``, on the device of its weights.

    Args:
        model: the model.
        facts: the images and the number of classes.
        name: of a function of the user's that made it; what such a model raises comes through as it was raised.

    Raises:
        InputError: it does not run on images of this size, or does not give a number for each class.
    """
    own = f"your model {name!r}" if name and name not in MODELS else ""
    device = next((tensor.device for tensor in model.parameters()), None)
    shape = f"images of {facts.channels} × {facts.size[0]} × {facts.size[1]}"
    training = model.training
    try:
        images = torch.zeros(2, facts.channels, *facts.size, device=device)
        with torch.no_grad(), users_code(f"{own}, on {shape}") if own else nullcontext():
            outputs = model.eval()(images)
            in_training = _copy_in_training(model, images) if own else outputs
    except (RuntimeError, ValueError, TypeError, IndexError) as err:
        if own:
            raise
        raise InputError(f"the model does not run on {shape}: {first_line(err)}") from err
    finally:
        model.train(training)
    got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    if got != (2, facts.n_classes):
        raise InputError(
            f"the model gives {got} for two {shape}, and the data have {facts.n_classes} classes; it has to give "
            f"{(2, facts.n_classes)}, a number for each class"
        )
    if not isinstance(in_training, Tensor) or in_training.shape != outputs.shape:
        raise InputError(
            f"the model gives a {type(in_training).__name__} in training mode, and it has to give the same as in "
            "evaluation; switch its auxiliary outputs off"
        )


def _copy_in_training(model: nn.Module, images: Tensor) -> Any:
    """Return what a copy of a model gives in training mode; no random number is taken for it."""
    copy = deepcopy(model).train()
    with torch.random.fork_rng(devices=[images.device] if images.is_cuda else []):
        return copy(images)
