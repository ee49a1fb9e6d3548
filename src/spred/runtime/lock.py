"""One run at a time for a results folder: a lock beside it, with its owner's process, machine and start.

The lock is held by the system (``flock``), which lets go of it when its owner ends, however that ends. So what a killed
run has left is taken over, after a restart of the machine too. Other machines may not see who holds it, and some file
systems hold none: there the owner that is written in the file counts.
"""

from __future__ import annotations

import errno
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from spred.errors import FileError

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)
"""What file systems without locks answer."""

PROC = Path("/proc")
"""Where Linux shows its processes; other systems have no such folder."""


@dataclass(frozen=True)
class Owner:
    """Who works on a folder: a process is known by its number, its start and the start of its machine."""

    process: int
    started: str
    host: str
    boot: str
    since: str

    @classmethod
    def me(cls) -> Owner:
        """Return this process."""
        now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
        return cls(os.getpid(), start_of(os.getpid()) or "", platform.node(), boot(), now)

    @classmethod
    def read(cls, text: str) -> Owner | None:
        """Return the owner that is written in a lock; None if there is none, as in a file that was cut short."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None

    def here(self) -> bool:
        """Whether it is, or was, on this machine since it was started last."""
        return self.boot == boot() != "" or (self.boot == "" and self.host == platform.node())

    def elsewhere(self) -> bool:
        """Whether it is on another machine."""
        return not self.here() and self.host != platform.node()

    def alive(self) -> bool:
        """Whether the process is there: on this machine, under its number, and with the same start."""
        return self.here() and start_of(self.process) in ("", self.started)


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the lock of the results folder ``target`` inside the block.

    Raises:
        FileError: another run holds it.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp()) / "out"
    >>> with locked(place), locked(place):
    ...     pass  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    spred.errors.FileError: out: another run is at work on this folder
    """
    path = target.with_name(f".{target.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    file = take(path, target)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # before it is let go: whoever gets it then sees that it is no longer this file
        file.close()


def take(path: Path, target: Path) -> IO[str]:
    """Open the lock, hold it, and write who does."""
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            held = hold(file)
            file.seek(0)
            owner = Owner.read(file.read())
            if held is False or (held is None and owner is not None and owner.alive()):
                raise FileError(busy(target, owner))
            if owner is not None and owner.elsewhere():
                raise FileError(f"{busy(target, owner)}; if that run is gone, delete {path}")
            if same(file, path):
                file.truncate(0)
                file.write(json.dumps(asdict(Owner.me())))
                file.flush()
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def hold(file: IO[str]) -> bool | None:
    """Ask the system for the lock; None where it has none."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as err:
        if err.errno in NO_LOCKS:
            return None
        raise
    return True


def same(file: IO[str], path: Path) -> bool:
    """Whether the open file is still the one of this name: its owner deletes it at its end."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def busy(target: Path, owner: Owner | None) -> str:
    """Say that another run is at work, and which."""
    whose = "" if owner is None else f", process {owner.process} on {owner.host}, since {owner.since}"
    return f"{target}: another run is at work on this folder{whose}; wait for its end, or choose another folder"


def start_of(process: int) -> str | None:
    """Return when a process began, in the system's own count; None if it is not there, "" if that cannot be seen."""
    try:
        if (PROC / "self").exists():
            stat = (PROC / str(process) / "stat").read_text(encoding="utf-8", errors="replace")
            return stat.rpartition(")")[2].split()[19]
        if os.name == "posix":
            os.kill(process, 0)
    except (FileNotFoundError, ProcessLookupError):
        return None
    except PermissionError:  # it is there, and another user's
        return ""
    return ""


def boot() -> str:
    """Return the name of this start of the machine, the same in its containers; "" where the system gives none."""
    file = PROC / "sys/kernel/random/boot_id"
    return file.read_text(encoding="ascii").strip() if file.exists() else ""
