"""One run at a time for a folder; what a killed run left is taken over, and another machine's is named."""

from __future__ import annotations

import errno
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import pytest

from spred.errors import FileError
from spred.runtime import lock
from spred.runtime.lock import Owner, locked, start_of

fcntl = pytest.importorskip("fcntl")


def left(folder: Path, owner: Owner) -> Path:
    """Leave the lock of an owner that the system no longer holds."""
    path = folder / ".out.lock"
    path.write_text(json.dumps(asdict(owner)))
    return path


def ended() -> Owner:
    """A process of this machine that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return replace(Owner.me(), process=process.pid, started="1")


def test_a_second_run_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    with locked(tmp_path / "out"):
        with pytest.raises(
            FileError, match=f"another run is at work on this folder, process {os.getpid()} on "
        ) as told:
            locked(tmp_path / "out").__enter__()
        assert f"on {platform.node()}, since 20" in str(told.value)
        with locked(tmp_path / "other"):
            pass
    with locked(tmp_path / "out"):
        pass
    assert list(tmp_path.iterdir()) == []


HOLD = """
import sys; from pathlib import Path; from spred.runtime.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True); sys.stdin.read()
"""


def test_what_a_killed_process_held_is_taken_over(tmp_path: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "out")], text=True, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(FileError, match=f"process {process.pid} on "):
            locked(tmp_path / "out").__enter__()
        process.kill()
    assert (tmp_path / ".out.lock").exists()
    with locked(tmp_path / "out"):
        assert json.loads((tmp_path / ".out.lock").read_text())["process"] == os.getpid()
    assert not (tmp_path / ".out.lock").exists()


@pytest.mark.parametrize("system_locks", [True, False])
def test_the_owner_that_is_written_decides_where_the_system_cannot(
    system_locks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(file: IO[str], how: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    if not system_locks:
        monkeypatch.setattr("fcntl.flock", no_locks)
    me = Owner.me()
    stale = [ended(), replace(me, started="1"), replace(me, boot="another start"), replace(me, boot="older", process=1)]
    for owner in stale:
        left(tmp_path, owner)
        with locked(tmp_path / "out"):
            pass
    path = left(tmp_path, replace(me, host="node17", boot="of another machine"))
    with pytest.raises(FileError, match=r"on node17, since .*; if that run is gone, delete .*\.out\.lock$"):
        locked(tmp_path / "out").__enter__()
    assert path.exists()
    left(tmp_path, me)
    if not system_locks:
        with pytest.raises(FileError, match="another run is at work"):
            locked(tmp_path / "out").__enter__()


def test_a_container_of_this_machine_has_another_name(tmp_path: Path) -> None:
    path = left(tmp_path, replace(Owner.me(), host="f00dbeef"))
    with locked(tmp_path / "out"):
        assert json.loads(path.read_text()) == asdict(Owner.me())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"process": 1}', "\x00" * 40])
def test_a_lock_that_was_cut_short_has_no_owner(text: str, tmp_path: Path) -> None:
    path = tmp_path / ".out.lock"
    path.write_text(text)
    with locked(tmp_path / "out"):
        assert json.loads(path.read_text())["process"] == os.getpid()


def test_a_lock_that_is_deleted_as_it_is_opened_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold, times = lock.hold, []

    def its_owner_ends(file: IO[str]) -> bool | None:
        if not times:
            (tmp_path / ".out.lock").unlink()
        times.append(file)
        return hold(file)

    monkeypatch.setattr(lock, "hold", its_owner_ends)
    with locked(tmp_path / "out"):
        assert (tmp_path / ".out.lock").exists()
    assert len(times) == 2


def test_other_errors_of_the_system_are_not_taken_for_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(file: IO[str], how: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("fcntl.flock", broken)
    with pytest.raises(OSError, match="Input/output"), locked(tmp_path / "out"):
        pytest.fail("the block must not run")


def test_when_a_process_began(monkeypatch: pytest.MonkeyPatch) -> None:
    assert start_of(os.getpid()) == start_of(os.getpid()) != ""
    assert start_of(ended().process) is None

    def another_user(process: int, signal: int) -> None:
        raise PermissionError

    gone = ended().process
    monkeypatch.setattr(lock, "PROC", Path("/not/there"))
    assert lock.boot() == ""
    assert start_of(os.getpid()) == ""
    assert start_of(gone) is None
    monkeypatch.setattr("os.kill", another_user)
    assert start_of(gone) == ""
    monkeypatch.setattr(lock, "os", SimpleNamespace(name="nt"))  # where asking would end the process
    assert start_of(gone) == ""
