"""Places for files that programs keep between runs, where a user's own folders cannot be written: read-only homes,
containers, batch jobs."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

from spred import __version__


def temporary_place(name: str) -> Path | None:
    """Return a folder that this user's runs share under the temporary one; None where there is none of ours.

    Its name can be foreseen, and what lies in it is run. So it counts only if nobody else may write to it.
    """
    user = os.geteuid() if hasattr(os, "geteuid") else 0  # Windows has a temporary folder for each user
    try:
        folder = Path(tempfile.gettempdir()) / f"spred-{__version__}-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or (
            hasattr(os, "geteuid") and (found.st_uid != user or found.st_mode & 0o022)
        ):
            return None
    except OSError:
        return None
    return folder / name if writable(folder / name) else None


def give_matplotlib_a_place() -> None:
    """Name a folder for Matplotlib's list of fonts if the user's own cannot be written; for a process of ours alone."""
    if "MPLCONFIGDIR" in os.environ or "matplotlib" in sys.modules:
        return
    places = ("XDG_CONFIG_HOME", ".config"), ("XDG_CACHE_HOME", ".cache")
    own = [
        Path(os.environ.get(variable) or Path("~", folder).expanduser(), "matplotlib") for variable, folder in places
    ]
    if not all(map(writable, own)) and (place := temporary_place("matplotlib")) is not None:
        os.environ["MPLCONFIGDIR"] = str(place)


def writable(folder: Path) -> bool:
    """Whether a folder can be made and written: it is tried, for permissions alone do not tell."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def ensure_temporary(folder: Path) -> None:
    """Take ``folder`` for temporary files where the system has no place for them; for a process of ours alone."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        place = folder / "temporary"
        place.mkdir(parents=True, exist_ok=True)
        tempfile.tempdir = os.environ["TMPDIR"] = str(place)
