"""A small process that does for the campaign what ``spred.runtime.files.isolated`` does, a hundred times more quickly.

Each line that comes in is a file; a copy of this process looks at it with the script that is the first argument, and
what became of the copy goes out as a line: ``ended``, ``crashed`` or ``hung``.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from time import monotonic, sleep

import h5py  # noqa: F401

PATIENCE = 3.0


def became(look, path: str) -> str:
    if (child := os.fork()) == 0:
        look(path)
        os._exit(0)
    end = monotonic() + PATIENCE
    while monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "crashed" if os.WIFSIGNALED(status) else "ended"
        sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


if __name__ == "__main__":
    script = runpy.run_path(sys.argv[1])["look"]
    for line in sys.stdin:
        print(became(script, line.rstrip("\n")), flush=True)
