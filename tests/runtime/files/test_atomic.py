"""Files and folders appear whole or not at all, whatever ends the writing."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from spred.errors import FileError, ResourceError
from spred.runtime.files import atomic
from spred.runtime.files.atomic import tidy, unfinished, whole_file, whole_folder, write_text


def names(path: Path) -> set[str]:
    return {p.name for p in path.iterdir()}


def write_half(target: Path, error: Callable[[], BaseException]) -> None:
    with whole_file(target) as work:
        work.write_text("half")
        raise error()


def fill_half(target: Path, error: Callable[[], BaseException]) -> None:
    with whole_folder(target) as work:
        (work / "a.txt").write_text("half")
        raise error()


def test_a_file_shows_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with whole_file(target) as work:
        work.write_text("whole")
        assert not target.exists()
        assert work.parent == tmp_path
        assert work.name.startswith(".")
    assert target.read_text() == "whole"
    assert names(tmp_path) == {"a.txt"}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_a_failure_keeps_the_earlier_file(error: type[BaseException], tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "first")
    with pytest.raises(error):
        write_half(tmp_path / "a.txt", error)
    assert (tmp_path / "a.txt").read_text() == "first"
    assert names(tmp_path) == {"a.txt"}


def test_a_file_replaces_an_earlier_one(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "first")
    write_text(tmp_path / "a.txt", "β-actin")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "β-actin"
    assert names(tmp_path) == {"a.txt"}


def test_a_folder_shows_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with whole_folder(target) as work:
        (work / "a.txt").write_text("whole")
        assert not target.exists()
    assert names(target) == {"a.txt"}
    assert names(tmp_path / "deep") == {"out"}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_a_failure_keeps_the_earlier_folder(error: type[BaseException], tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out") as work:
        (work / "first.txt").write_text("first")
    with pytest.raises(error):
        fill_half(tmp_path / "out", error)
    assert names(tmp_path / "out") == {"first.txt"}
    assert names(tmp_path) == {"out"}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_the_earlier_folder_comes_back_if_the_rename_fails(
    error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with whole_folder(tmp_path / "out") as work:
        (work / "first.txt").write_text("first")
    rename = Path.rename

    def fail_for_new(self: Path, target: Path) -> Path:
        if self.suffix == ".part":
            raise error("the disk went away")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_new)
    with pytest.raises(error, match="disk"), whole_folder(tmp_path / "out") as work:
        (work / "second.txt").write_text("second")
    assert names(tmp_path / "out") == {"first.txt"}
    assert names(tmp_path) == {"out"}


def test_two_writers_have_two_names(tmp_path: Path) -> None:
    assert unfinished(tmp_path / "a") != unfinished(tmp_path / "a")


# --- killed writers, and disks that are full ---------------------------------------------------------------


def fill_and_die(folder: Path, at: str) -> None:
    """Write a folder anew in another process that is killed as soon as ``at`` is called."""
    code = f"""
import os, pathlib, signal, sys
from spred.runtime.files.atomic import whole_folder
target = pathlib.Path(sys.argv[1])
{at} = lambda *more, **options: os.kill(os.getpid(), signal.SIGKILL)
with whole_folder(target) as work:
    (work / "second.txt").write_text("second")
    os.truncate("killed in the block", 0)
"""
    assert subprocess.run([sys.executable, "-c", code, str(folder)]).returncode == -signal.SIGKILL


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out") as work:
        (work / "first.txt").write_text("first")
    fill_and_die(tmp_path / "out", "os.truncate")
    (tmp_path / ".out.0123abcd.part").write_text("of a file")
    others = {".out.work", ".out.abc.part", ".outer.0123abcd.part", "out.0123abcd.part", ".out.0123abcd.parts"}
    for name in others:
        (tmp_path / name).mkdir()
    assert len(names(tmp_path)) == len(others) + 3
    tidy(tmp_path / "out")
    assert names(tmp_path) == {"out", *others}
    assert names(tmp_path / "out") == {"first.txt"}


def test_a_result_that_was_put_aside_comes_back(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out") as work:
        (work / "first.txt").write_text("first")
    (tmp_path / "out").rename(tmp_path / ".out.0123abcd.old")  # between the two renames
    (tmp_path / ".out.0123abcd.part").mkdir()
    tidy(tmp_path / "out")
    assert names(tmp_path) == {"out"}
    assert names(tmp_path / "out") == {"first.txt"}
    (tmp_path / ".out.0123abcd.old").mkdir()  # between the rename and the removal
    tidy(tmp_path / "out")
    assert names(tmp_path) == {"out"}
    assert names(tmp_path / "out") == {"first.txt"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("fill", [fill_half, write_half])
def test_a_full_disk_is_told_with_the_place(fill: Callable[..., None], number: int, tmp_path: Path) -> None:
    def error() -> OSError:
        return OSError(number, os.strerror(number))

    place = re.escape(f"{tmp_path / 'out'}: {os.strerror(number)}; make room")
    with pytest.raises(ResourceError, match=place):
        fill(tmp_path / "out", error)
    assert names(tmp_path) == set()


def test_a_full_disk_is_told_whatever_a_library_says_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RuntimeError, match="unexpected pos"):
        write_half(tmp_path / "out", lambda: RuntimeError("unexpected pos 576 vs 534"))
    monkeypatch.setattr(atomic, "TemporaryFile", lambda dir: nullcontext(SimpleNamespace(write=full)))
    with pytest.raises(ResourceError, match=r"out: No space left on device; make room"):
        write_half(tmp_path / "out", lambda: RuntimeError("unexpected pos 576 vs 534"))
    with pytest.raises(FileError, match="foreign"):
        write_half(tmp_path / "out", lambda: FileError("something foreign"))
