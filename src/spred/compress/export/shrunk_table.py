"""What a ``shrunk.json`` may say: a closed list of modules, attributes and models, so that reading one runs no code.

The file names the modules of a shrunk model that differ from those of the plain one, by the name that they have in it.
An entry is one of four: sizes that changed, attention with fewer heads, a constant, or a module that is gone. It also
says which built-in model the plain one is. Everything else is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from reprlib import repr as short
from typing import Any

from torch import nn

from spred.compress.models.zoo import Facts
from spred.errors import FileError, did_you_mean
from spred.nn.pruning.channels import BATCH_NORMS, CONVOLUTIONS

SIZES_OF: dict[tuple[type[nn.Module], ...], tuple[str, ...]] = {
    (nn.Linear,): ("in_features", "out_features"),
    CONVOLUTIONS: ("in_channels", "out_channels", "groups"),
    BATCH_NORMS: ("num_features",),
}
"""What :func:`spred.shrink` changes of a module beside its tensors, by the kind of module."""

SIZES = tuple(size for sizes in SIZES_OF.values() for size in sizes)

HEADS = ("num_heads", "dropout", "batch_first", "alone")
"""Attributes of an :class:`~spred.nn.pruning.heads.Attention` beside its tensors."""

MARKS = ("constant", "removed")
"""Entries of modules that became a constant, or the identity."""

KEYS = ("origin", "modules")

LARGEST = 2**31 - 1
"""The largest size that a file may name: that of an index of 32 bits, above any layer that fits into memory."""

Entry = dict[str, Any]


@dataclass(frozen=True)
class Origin:
    """How a plain model is made: the arguments of :func:`spred.compress.models.zoo.build`."""

    name: str
    arguments: dict[str, Any]
    facts: Facts


@dataclass(frozen=True)
class Table:
    """What a ``shrunk.json`` holds: the changed modules by name, and how the plain model is made, if that is known."""

    origin: Origin | None
    modules: dict[str, Entry]


def parse(content: object) -> Table:
    """Check what a ``shrunk.json`` holds.

    Raises:
        FileError: it says something that :func:`~spred.compress.export.shrunk.save_shrunk` does not write.

    >>> parse({"origin": None, "modules": {"0": {"out_features": 3}}}).modules
    {'0': {'out_features': 3}}
    """
    table = _mapping(content, KEYS, "it")
    modules = table["modules"]
    if not isinstance(modules, Mapping):
        raise FileError(f"its modules are {short(modules)}; they have to be a table of entries by name")
    return Table(_origin(table["origin"]), {str(name): _entry(str(name), one) for name, one in modules.items()})


def sizes_of(module: nn.Module) -> tuple[str, ...]:
    """Return the sizes that an entry may name for this module."""
    return next((sizes for kinds, sizes in SIZES_OF.items() if isinstance(module, kinds)), ())


def _entry(name: str, entry: object) -> Entry:
    """Return an entry that is one of the four kinds."""
    if not isinstance(entry, Mapping) or not entry:
        raise FileError(f"module {name!r} has the entry {short(entry)}; it has to be a table of sizes")
    made = dict(entry)
    keys = set(made)
    if keys == set(HEADS):
        whole = _is_size(made["num_heads"], 1) and all(isinstance(made[k], bool) for k in ("batch_first", "alone"))
        dropout = made["dropout"]
        if not (whole and isinstance(dropout, int | float) and isfinite(dropout) and 0 <= dropout <= 1):
            raise FileError(f"module {name!r} has heads of {short(made)}, which attention cannot have")
        return made
    if len(keys) == 1 and keys <= set(MARKS):
        if made[next(iter(keys))] is not True:
            raise FileError(f"module {name!r} has the entry {short(made)}; the mark has to be true")
        return made
    for key, value in made.items():
        if key not in SIZES:
            raise FileError(
                f"module {name!r} would get the attribute {key!r}{did_you_mean(str(key), SIZES)}; a file may set "
                f"{', '.join(SIZES)} and no other"
            )
        if not _is_size(value, 0):
            raise FileError(f"module {name!r} has {key} of {short(value)}; it has to be a whole number")
    return made


def _origin(content: object) -> Origin | None:
    if content is None:
        return None
    origin = _mapping(content, ("name", "arguments", "facts"), "its origin")
    facts = _mapping(origin["facts"], ("channels", "size", "n_classes"), "its facts")
    size = facts["size"]
    sides = size if isinstance(size, list | tuple) and len(size) == 2 else (None, None)
    if not all(_is_size(one, 1) for one in (facts["channels"], *sides, facts["n_classes"])):
        raise FileError(f"its facts are {short(facts)}; it needs channels, size and n_classes in whole numbers")
    if not isinstance(origin["name"], str) or not isinstance(origin["arguments"], Mapping):
        raise FileError(f"its origin is {short(origin)}; it needs the name of a model and its arguments")
    return Origin(origin["name"], dict(origin["arguments"]), Facts(facts["channels"], tuple(sides), facts["n_classes"]))


def _mapping(content: object, keys: tuple[str, ...], what: str) -> dict[str, Any]:
    """Return a table that has these keys and no others."""
    if not isinstance(content, Mapping):
        raise FileError(f"{what} is {short(content)}, and no table of {', '.join(keys)}")
    for key in content:
        if key not in keys:
            raise FileError(f"{what} has the key {key!r}, which is not known{did_you_mean(str(key), keys)}")
    for key in keys:
        if key not in content:
            raise FileError(f"{what} lacks the key {key!r}")
    return dict(content)


def _is_size(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= LARGEST
