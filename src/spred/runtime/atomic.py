"""Files and folders that appear whole or not at all: written under another name first, then renamed.

The other name is hidden and lies in the same folder, so that the rename stays on one disk. What a block that raised has
written is deleted; what a killed process left ends in ``.part``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


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
    target.parent.mkdir(parents=True, exist_ok=True)
    work = unfinished(target)
    work.mkdir()
    try:
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


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with whole_file(Path(path)) as work:
        work.write_text(text, encoding="utf-8")
