"""How the run talks to solvers: each is a process that lives as long as the run, and is stopped when it takes too long.

So a peer that is missing, crashes or hangs costs its own rows only, environments may differ, and no solver finds the
machine or the memory in another state than the others do. The protocol is that of ``worker.py``.
"""

from __future__ import annotations

import json
import select
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

import numpy as np

START = 120.0
"""Seconds that a solver may take to start, and to load a problem."""


REST = 0.3
"""Seconds of quiet before a run: threads of the solver before may still spin, which would cost the next one."""

SHORT = 0.5
"""Seconds under which a run is made twice and the second counts: the first finds the caches full of another's work."""


class SolverError(Exception):
    """A solver is missing, failed, or took too long; the message says which."""


class Solver:
    """A solver by its command; started when first asked, and again after it had to be stopped."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.command = command
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[str] | None = None
        self._loaded: Path | None = None
        self._about: dict = {}

    def about(self) -> dict:
        """Return its version, its works and its tolerances.

        Raises:
            SolverError: it is not installed.
        """
        if not self._about:
            self._start()
        return self._about

    def solve(self, folder: Path, tol: float, limit: float) -> tuple[np.ndarray, float]:
        """Return the coefficients of the problem in ``folder``, flat, and the seconds that they took, caches warm.

        Raises:
            SolverError: it failed, or took longer than ``limit`` seconds.
        """
        if self._process is None:
            self._start()
        if folder != self._loaded:
            self._ask(f"load {folder}", START)
            self._loaded = folder
        time.sleep(REST)
        seconds = float(self._ask(f"solve {tol!r}", limit))
        if seconds < SHORT:
            seconds = float(self._ask(f"solve {tol!r}", limit))
        return np.fromfile(folder / "coefs"), seconds

    def close(self) -> None:
        """Stop the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = self._loaded = None
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _start(self) -> None:
        self._errors = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115 it lives as long as the process
        try:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
            )
        except FileNotFoundError as err:
            self.close()
            raise SolverError(f"{self.command[0]} is not installed") from err
        self._about = json.loads(self._answer(START))

    def _ask(self, order: str, limit: float) -> str:
        try:
            print(order, file=self._process.stdin, flush=True)
        except BrokenPipeError as err:
            self.close()
            raise SolverError("ended by itself") from err
        answer = self._answer(limit)
        if answer.startswith("failed"):
            raise SolverError(answer)
        return answer

    def _answer(self, limit: float) -> str:
        ready, _, _ = select.select([self._process.stdout], [], [], limit)
        if not ready:
            self.close()
            raise SolverError(f"over {limit:.0f} s")
        line = self._process.stdout.readline().strip()
        if not line:
            self._errors.seek(0)
            said = self._errors.read().strip().splitlines() or ["ended without a word"]
            self.close()
            raise SolverError(said[-1])
        return line
