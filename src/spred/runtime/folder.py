"""Results appear whole or not at all.

Files are written into a hidden folder beside the one asked for; when all are there, a rename shows them at
once. Every results folder carries a ``run.json`` that says what made it and which files belong to it, so a
later run can replace an earlier one and never touches anything that a person has put there.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from uuid import uuid4

from spred import __version__
from spred.errors import FileError

RECORD = "run.json"
PACKAGES = ("numpy", "scipy", "scikit-learn", "pandas", "torch", "numba")


def check_folder(path: str | Path) -> Path:
    """Return the folder's full path if results may be put there; meant to be asked before long work.

    It may be if it does not exist yet, is empty, or holds an earlier result of spred and nothing else.

    Raises:
        FileError: it is a file, it holds something of another origin, or it cannot be written.
    """
    folder = Path(path).resolve()
    if folder.is_dir():
        foreign = sorted(p.name for p in folder.iterdir() if p.name not in files_of_result(folder))
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

    If the block raises, nothing is left and an earlier result stays as it was. An earlier result is renamed
    aside, replaced and then deleted: at every moment one whole result exists on the disk.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp()) / "out"
    >>> with results_folder(place, {"seed": 0}) as folder:
    ...     _ = (folder / "genes.csv").write_text("TP53")
    >>> sorted(path.name for path in place.iterdir())
    ['genes.csv', 'run.json']
    """
    target = check_folder(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = target.parent / f".{target.name}.{uuid4().hex[:8]}.part"
    work.mkdir()
    try:
        yield work
        files = sorted([*(p.name for p in work.iterdir()), RECORD])
        write_json(work / RECORD, {"made_by": "spred", **run, "files": files})
        replace_folder(work, check_folder(path))  # somebody may have put a file there meanwhile
    finally:
        shutil.rmtree(work, ignore_errors=True)


def replace_folder(new: Path, target: Path) -> None:
    """Rename ``new`` to ``target``; what was there is put aside first, and put back if the rename fails."""
    if not target.exists():
        new.rename(target)
        return
    aside = new.with_suffix(".old")
    target.rename(aside)
    try:
        new.rename(target)
    except BaseException:  # Ctrl-C too
        aside.rename(target)
        raise
    shutil.rmtree(aside)


def files_of_result(folder: Path) -> set[str]:
    """Return the names of the files that a run of spred left here; none if this is no result of spred."""
    record = folder / RECORD
    if not record.is_file():
        return set()
    try:
        run = json.loads(record.read_text(encoding="utf-8"))
    except ValueError:  # a run.json of another program
        return set()
    ours = isinstance(run, dict) and run.get("made_by") == "spred"
    return set(run.get("files", [])) if ours else set()


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


def write_text(path: str | Path, text: str) -> None:
    """Write a file whole or not at all: under another name first, then renamed."""
    target = Path(path)
    work = target.with_name(f".{target.name}.{uuid4().hex[:8]}.part")
    try:
        work.write_text(text, encoding="utf-8")
        work.replace(target)
    finally:
        work.unlink(missing_ok=True)


def write_json(path: Path, content: object) -> None:
    """Write JSON for people: indented, in UTF-8. Infinity and NaN are not JSON and raise ValueError."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
