"""Results folders: they appear whole or not at all, and never in the place of anything that a person has made.

Every results folder has a ``run.json`` that says what made it and which files belong to it. A later run replaces an
earlier result, and nothing else.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from spred import __version__
from spred.errors import FileError, first_line
from spred.runtime.files.atomic import whole_folder

RECORD = "run.json"

OF_THE_SYSTEM = (".DS_Store", "Thumbs.db", "desktop.ini", ".directory")
"""Files of desktops, which go with the folder that they describe."""

HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""How JSON writes a character in two halves; one of them alone cannot be written anywhere."""

LARGEST_JSON = 2**28
"""Bytes of a JSON file that is read, far above what spred writes. More, and another program's file can fill the memory;
less, and the model of a large study may be refused."""

PACKAGES = ("numpy", "scipy", "scikit-learn", "pandas", "torch", "numba")


def check_folder(path: str | Path) -> Path:
    """Return the folder's full path if results may be put there; meant to be asked before long work.

    It may be if it does not exist yet, is empty, or holds an earlier result of spred and nothing else.

    Raises:
        FileError: it is a file, it holds something of another origin, or it cannot be written.
    """
    folder = Path(path).resolve()
    if folder.is_mount():
        raise FileError(
            f"{path}: a disk is mounted here, and no result can take its place; choose a folder inside of it"
        )
    if folder.is_dir():
        ours = files_of_result(folder)
        try:
            foreign = sorted(p.name for p in folder.iterdir() if p.name not in ours and not of_the_system(p.name))
        except OSError as err:
            raise FileError(f"{path}: the folder cannot be read ({err.strerror}); choose another folder") from err
        if foreign:
            raise FileError(
                f"{path}: the folder holds something that spred has not written ({foreign[0]}); "
                "choose another folder, or move that away"
            )
    elif folder.exists():
        raise FileError(f"{path}: there is a file of this name; choose another folder for the results")
    parent = next(p for p in folder.parents if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise FileError(f"{path}: no folder can be made in {parent}; choose another place for the results")
    return folder


@contextmanager
def results_folder(path: str | Path, run: Mapping[str, object]) -> Iterator[Path]:
    """Give an empty folder to write into; when the block ends it becomes ``path``, ``run`` its run.json.

    If the block raises, nothing is left and an earlier result stays as it was; see
    :func:`~spred.runtime.files.atomic.whole_folder`.

    Raises:
        FileError: the folder holds something of another origin, or cannot be written.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp()) / "out"
    >>> with results_folder(place, {"seed": 0}) as folder:
    ...     _ = (folder / "genes.csv").write_text("TP53")
    >>> sorted(path.name for path in place.iterdir())
    ['genes.csv', 'run.json']
    """
    with whole_folder(check_folder(path)) as work:
        yield work
        files = sorted([*(p.name for p in work.iterdir()), RECORD])
        write_json(work / RECORD, {"made_by": "spred", **run, "files": files})
        check_folder(path)  # somebody may have put a file there meanwhile


def files_of_result(folder: Path) -> set[str]:
    """Return the names of the files that a run of spred left here; none if this is no result of spred."""
    record = folder / RECORD
    if not record.is_file():
        return set()
    try:
        run = read_json(record)
    except FileError:  # a run.json of another program
        return set()
    ours = isinstance(run, dict) and run.get("made_by") == "spred"
    files = run.get("files") if ours else None
    return {name for name in files if isinstance(name, str)} if isinstance(files, list) else set()


def of_the_system(name: str) -> bool:
    """Return whether a file is what a desktop leaves in every folder that it shows."""
    return name in OF_THE_SYSTEM or name.startswith("._")


def run_record(command: str, arguments: Mapping[str, object], seed: int) -> dict[str, object]:
    """Describe a run for its run.json: versions, arguments, seed."""
    return {
        "command": command,
        "arguments": dict(arguments),
        "seed": seed,
        "versions": {"spred": __version__, "python": platform.python_version(), **installed(PACKAGES)},
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
    }


def installed(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of those packages that are installed, without importing any."""
    versions = {}
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def write_json(path: Path, content: object) -> None:
    """Write JSON for people: indented, in UTF-8. Infinity and NaN are not JSON and raise ValueError."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, as plain dicts, lists, texts and numbers.

    Raises:
        FileError: it cannot be read, is no JSON in UTF-8, names a key twice, has NaN or infinity, is nested too deeply
            or longer than :data:`LARGEST_JSON`. The message does not name the file: whoever asks does.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_JSON + 1)
    except (OSError, ValueError) as err:  # ValueError: a zero byte in the name
        raise FileError(f"cannot be read: {getattr(err, 'strerror', None) or err}") from err
    if len(content) > LARGEST_JSON:
        raise FileError(f"is longer than {LARGEST_JSON:,} bytes; spred writes no JSON of that length")
    try:
        found = json.loads(content.decode("utf-8"), parse_constant=_no_number, object_pairs_hook=_each_once)
        if HALF.search(content):
            json.dumps(found, ensure_ascii=False).encode("utf-8")
        return found
    except FileError:
        raise
    except UnicodeEncodeError as err:
        raise FileError("holds a half of a character, which is no text") from err
    except json.JSONDecodeError as err:
        raise FileError(f"line {err.lineno} is not JSON") from err
    except UnicodeDecodeError as err:
        raise FileError(f"is not UTF-8 (byte {err.start})") from err
    except (ValueError, RecursionError) as err:  # a number of thousands of digits; brackets in brackets
        raise FileError(f"cannot be read as JSON: {first_line(err)}") from err


def _no_number(name: str) -> float:
    raise FileError(f"holds {name}, which is no number of JSON")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise FileError(f"names the key {next(n for n in names if names.count(n) > 1)!r} twice")
    return made
