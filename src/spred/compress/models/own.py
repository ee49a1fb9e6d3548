"""A model function of the user's, ``"package.module:function"``: found, called, and what it raises let through."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from torch import nn

from spred.errors import InputError, did_you_mean
from spred.runtime.users_code import users_code


def users_function(name: str, folder: Path | None, known: object) -> Callable[..., nn.Module]:
    """Return the function of a name; its module is imported, which runs it: a recipe is code to be trusted.

    Args:
        name: ``"package.module:function"``.
        folder: where the module is looked for beside the import path; the working directory for None.
        known: names of the built-in models, for the message.

    Raises:
        InputError: the name is not of this form, or there is no such module or function.
        Exception: whatever the module itself raises as it is imported, with a note.
    """
    module_name, colon, function = name.partition(":")
    if not colon or not all(part.isidentifier() for part in module_name.split(".")):
        raise InputError(
            f"there is no model {name!r}{did_you_mean(name, known)}; use one of {list(known)}, or your own as "  # type: ignore[call-overload]
            "'package.module:function'"
        )
    with _import_path(folder), users_code(f"your module {module_name!r}"):
        try:
            module = import_module(module_name)
        except ModuleNotFoundError as err:
            if err.name is None or not f"{module_name}.".startswith(f"{err.name}."):
                raise  # a package that the module needs
            raise InputError(f"model {name!r}: {err}; put the module beside the recipe, or install it") from err
    found: Callable[..., nn.Module] | None = getattr(module, function, None)
    if found is None or not callable(found):
        raise InputError(f"model {name!r}: {module_name} has no {function!r}{did_you_mean(function, dir(module))}")
    return found


@contextmanager
def _import_path(folder: Path | None) -> Iterator[None]:
    added = str(Path.cwd() if folder is None else folder)
    sys.path.insert(0, added)
    try:
        yield
    finally:
        if added in sys.path:  # the module may have changed the path
            sys.path.remove(added)
