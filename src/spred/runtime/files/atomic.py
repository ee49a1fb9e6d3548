"""Files and folders that appear whole or not at all: written under another name first, then renamed.

The other name is hidden and lies in the same folder, so that the rename stays on one disk. What a block that raised has
written is deleted; what a killed process left ends in ``.part``.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from uuid import uuid4

from spred.errors import ResourceError, SpredError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a system answers that has no room: on the disk, within a user's quota, within the size that files may have."""

TRIAL = 1_000_000
"""Bytes that are written to see whether a disk is full. Too few, and what is left of it takes them."""


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Give a path to write to; when the block ends, that file becomes ``target``, in the place of an earlier one.

    If the block raises, an earlier file stays as it was. Folders above ``target`` must be there.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "genes.csv"
    >>> with whole_file(target) as work:
    ...     _ = work.write_text("TP53")
    ...     target.exists()
    False
    >>> target.read_text()
    'TP53'
    """
    work = unfinished(target)
    try:
        with room(target):
            yield work
            work.replace(target)
    finally:
        work.unlink(missing_ok=True)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder to fill; when the block ends it becomes ``target``, in the place of an earlier one.

    If the block raises, an earlier folder stays as it was. It is renamed aside, replaced and then deleted: at every
    moment one whole folder is on the disk.
    """
    work = unfinished(target)
    try:
        with room(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            work.mkdir()
            yield work
            replace_folder(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def unfinished(target: Path) -> Path:
    """Return a hidden name beside ``target`` that nothing has yet."""
    return target.with_name(f".{target.name}.{uuid4().hex[:8]}.part")


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


def tidy(target: Path) -> None:
    """Remove what killed writers of ``target`` have left beside it; an earlier result that was put aside comes back.

    Nobody may be writing ``target`` meanwhile.
    """
    left = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.(part|old)")
    for path in sorted(target.parent.iterdir()):
        if not left.fullmatch(path.name):
            continue
        if path.suffix == ".old" and not target.exists():
            path.rename(target)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def room(target: Path) -> Iterator[None]:
    """Say where the disk is full.

    Raises:
        ResourceError: the system has no room for what the block writes.
    """
    try:
        yield
    except SpredError:
        raise
    except Exception as err:  # libraries that write have words of their own for it
        reason = no_room(err) or no_room(trial(target.parent))
        if reason is None:
            raise
        raise ResourceError(f"{target}: {reason}; make room, or write to another disk") from err


def no_room(error: BaseException | None) -> str | None:
    """Return the system's words where an error says that there is no room."""
    return error.strerror if isinstance(error, OSError) and error.errno in FULL else None


def trial(folder: Path) -> OSError | None:
    """Write something into a folder, and return the error if that fails."""
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(TRIAL))
    except OSError as err:
        return err
    return None


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with whole_file(Path(path)) as work:
        work.write_text(text, encoding="utf-8")
