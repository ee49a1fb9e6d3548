"""Remove what numba compiled from older source: ``python src/spred/linear/kernels/caches.py``.

Numba keeps compiled functions on disk and checks a function's own file alone to decide whether they are valid. A
function that calls one of another file would keep the old one. Modules that call each other's compiled functions lie in
one folder, so what is older than the newest module of its folder is removed.

Nothing of numba is imported here, nor anything else that is not Python's own: ``scripts/install`` and the tests run
this before numba reads a cache.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

SUFFIXES = (".nbi", ".nbc")
"""Of numba's files: an index for each function, and what it compiled for each signature."""


def clear_stale(package: Path, cache_dir: Path | None = None) -> list[Path]:
    """Remove caches under ``package`` that are older than a module of the same folder; return what was removed.

    Several processes may do so at once: a cache that is gone already is none to remove.

    Args:
        package: a folder of modules, with folders of modules in it.
        cache_dir: where ``NUMBA_CACHE_DIR`` points, if it is set: caches of these folders are removed there too.
    """
    removed = []
    for folder in {module.parent for module in package.rglob("*.py")}:
        newest = max(module.stat().st_mtime for module in folder.glob("*.py"))
        for cache in _caches(folder, cache_dir):
            try:
                if cache.stat().st_mtime < newest:
                    cache.unlink()
                    removed.append(cache)
            except FileNotFoundError:
                continue
    return sorted(removed)


def _caches(folder: Path, cache_dir: Path | None) -> list[Path]:
    """Return numba's files for the modules of ``folder``."""
    places = [folder / "__pycache__"]
    if cache_dir is not None:
        places.append(cache_dir / subfolder(folder))
    return [file for place in places if place.is_dir() for file in place.iterdir() if file.suffix in SUFFIXES]


def subfolder(folder: Path) -> str:
    """Return the name under ``NUMBA_CACHE_DIR`` at which numba keeps the caches of a folder."""
    path = os.path.abspath(folder)
    return f"{os.path.basename(path)}_{hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest()}"


def cache_dir() -> Path | None:
    """Return where ``NUMBA_CACHE_DIR`` points; None where it is not set."""
    place = os.environ.get("NUMBA_CACHE_DIR")
    return Path(place) if place else None


if __name__ == "__main__":
    clear_stale(Path(__file__).resolve().parents[2], cache_dir())
