"""A results file that grows by one run at a time: what is done stays done, and two processes may share it."""

from __future__ import annotations

import fcntl
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from record import RESULTS


class Kept:
    """The runs under ``results/NAME.json``, each with its set, method, seed and fold."""

    def __init__(self, name: str, machine: dict) -> None:
        RESULTS.mkdir(exist_ok=True)
        self.path, self.machine = RESULTS / f"{name}.json", machine

    def runs(self) -> list[dict]:
        """Return what is there."""
        return json.loads(self.path.read_text(encoding="utf-8"))["runs"] if self.path.exists() else []

    def has(self, task: tuple[str, str, int, int]) -> bool:
        """Say whether this set, method, seed and fold is done."""
        return any((run["set"], run["method"], run["seed"], run["fold"]) == task for run in self.runs())

    def add(self, task: tuple[str, str, int, int], rows: list[dict]) -> None:
        """Put the runs of one task in the place of what is there of it; the file is replaced whole."""
        where = dict(zip(("set", "method", "seed", "fold"), task, strict=True))
        with self._alone():
            others = [run for run in self.runs() if not where.items() <= run.items()]
            content = {"machine": self._known(), "runs": [*others, *(where | row for row in rows)]}
            beside = self.path.with_suffix(".part")
            beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            beside.replace(self.path)

    def _known(self) -> dict:
        """Return the machine, with the versions of peers that an earlier process had too."""
        if not self.path.exists():
            return self.machine
        before = json.loads(self.path.read_text(encoding="utf-8"))["machine"]
        return self.machine | {"versions": before["versions"] | self.machine["versions"]}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (Path(tempfile.gettempdir()) / f"spred-{self.path.stem}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
