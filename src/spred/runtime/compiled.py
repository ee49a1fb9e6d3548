"""Functions that numba compiles and keeps on the disk: where there is no place for them they are compiled anew.

Numba's own ``cache=True`` ends the import where neither the package's folder nor the home folder can be written, and a
call where the disk is full or a kept function is damaged. Here one note says so, and the work goes on.
"""
# mypy: allow-untyped-decorators

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from multiprocessing import current_process
from threading import Lock
from typing import Any

import numba
from numba import njit

from spred.errors import SpredWarning, first_line
from spred.runtime.places import temporary_place

_SETTINGS: Any = numba.config
_CHOOSING = Lock()


def compiled(**options: Any) -> Callable[[Any], Any]:
    """Return numba's ``njit`` with these options and a cache that never fails."""

    def decorate(function: Any) -> Any:
        made = njit(**options)(function)
        if hasattr(made, "enable_caching"):  # not so under NUMBA_DISABLE_JIT
            keep(made)
        return made

    return decorate


def keep(function: Any) -> None:
    """Keep what numba compiles of a function: at numba's own place, else in the temporary folder, else not at all."""
    try:
        function.enable_caching()
    except RuntimeError:  # no place
        with _CHOOSING:
            _keep_elsewhere(function)
    else:
        function._cache = Forgiving(function._cache)


def _keep_elsewhere(function: Any) -> None:
    place, named = temporary_place("numba"), _SETTINGS.CACHE_DIR
    where = "neither the folder of spred nor the home folder can be written"
    if place is None:
        note(f"{where}, nor a temporary one: each process compiles its functions anew, which takes up to a minute")
        return
    _SETTINGS.CACHE_DIR = str(place)
    try:
        function.enable_caching()
        function._cache = Forgiving(function._cache)
        note(f"{where}: compiled functions are kept in {place}")
    except RuntimeError:  # NUMBA_CACHE_LOCATOR_CLASSES allows no such place
        note(f"{where}: each process compiles its functions anew, which takes up to a minute")
    finally:
        _SETTINGS.CACHE_DIR = named


class Forgiving:
    """Numba's cache of one function; what cannot be read or kept is compiled, with one note."""

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._theirs, name)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return a compiled function, or None."""
        try:
            return self._theirs.load_overload(signature, target)
        except Exception as err:  # a damaged file raises whatever unpickling meets
            note(f"a compiled function cannot be read ({describe(err)}) and is compiled anew")
            return None

    def save_overload(self, signature: Any, made: Any) -> None:
        """Keep a compiled function."""
        try:
            try:
                self._theirs.save_overload(signature, made)
            except OSError:
                raise
            except Exception:  # the index is damaged: it begins anew
                self._theirs.flush()
                self._theirs.save_overload(signature, made)
        except OSError as err:
            note(f"a compiled function cannot be kept ({describe(err)}): each process compiles it anew")


def describe(error: Exception) -> str:
    """Return the kind and the words of an error, in one line."""
    return f"{type(error).__name__}: {first_line(error)}"


def note(text: str) -> None:
    """Warn, once in a run: worker processes are silent."""
    if current_process().name == "MainProcess":
        _warn_once(text)


@cache
def _warn_once(text: str) -> None:
    warnings.warn(f"{text}; NUMBA_CACHE_DIR names another folder", SpredWarning, stacklevel=2)
