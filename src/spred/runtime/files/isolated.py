"""A script that reads a file in a process of its own, within limits of time and memory: it may crash, this one not."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from spred.errors import FileError
from spred.runtime.files.limits import memory_limit

PATIENCE = 5.0
"""Seconds that the script may take, whatever the file: a busy machine needs one to start it. More, and a file over
which a library goes in circles is refused later; less, and a whole file may be refused on a very busy machine."""

SPEED = 20e6
"""Bytes of the file that the script reads in a second at least, from a slow disk and unpacked."""

CRASHED = 128
"""Exit codes above it are crashes, where a signal is not told as a number below zero."""

LIMITED = """
import runpy, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except (ImportError, ValueError, OSError):
    pass
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

ROOM = 2 << 30
"""Bytes of addresses that Python and the libraries take before they read anything, and more."""


def refuse_crash(script: str, path: Path) -> None:
    """Run ``script`` with the file's path as its argument, and refuse the file if that crashes or does not end.

    Where no process can be started, the file is not refused. A file that has not changed is looked at once.

    Raises:
        FileError: the script crashed, or was not done in time.
    """
    facts = path.stat()
    wrong = _verdict(script, str(path.resolve()), facts.st_mtime_ns, facts.st_size)
    if wrong is not None:
        raise FileError(f"the file is damaged: {wrong}; write or copy it again")


@lru_cache(maxsize=256)
def _verdict(script: str, path: str, changed: int, size: int) -> str | None:
    """Say what became of the script, None if it ended."""
    command = [sys.executable, "-c", LIMITED, str(memory_limit() + ROOM), script, path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    patience = PATIENCE + size / SPEED
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=patience,
        )
    except subprocess.TimeoutExpired:
        return f"the library that reads it was not done after {patience:.0f} s"
    except OSError:  # no more processes, or none at all
        return None
    crashed = done.returncode < 0 or done.returncode > CRASHED
    return "the library that reads it crashes" if crashed else None
