"""How one problem is measured: which tolerance of a solver counts, and how often it is run."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from math import inf, isfinite
from pathlib import Path
from statistics import median

from objective import LOSSES, Verdict, judge
from problem import Problem, save
from solvers import OURS
from solvers.process import Solver, SolverError
from works import PEER_GAP, WORKS

SHORT, TURNS = 5.0, 3
"""Runs under so many seconds are made so often; those ten times as short, three times as often."""

PATIENCE = 10.0
"""Seconds that every solver is given, however fast another was."""


@dataclass
class Row:
    """What one solver did on one problem: its ``ladder`` of (tol, seconds, gap, kkt), and the rung that counts."""

    data: str
    work: str
    shape: tuple[int, int]
    solver: str
    ladder: list[tuple[float, float, float, float]] = field(default_factory=list)
    rung: int = -1
    reached: bool = False
    runs: list[float] = field(default_factory=list)
    note: str = ""

    def keep(self, reached: bool) -> None:
        """Let the last rung be the one that counts."""
        self.rung, self.reached, self.runs = len(self.ladder) - 1, bool(reached), [self.ladder[-1][1]]

    @property
    def seconds(self) -> float:
        """The median of the runs at the tolerance that counts."""
        return median(self.runs) if self.runs else inf

    def as_record(self) -> dict:
        """Return what JSON can hold: None for what is not finite."""
        ladder = [[value if isfinite(value) else None for value in rung] for rung in self.ladder]
        return asdict(self) | {"ladder": ladder, "seconds": self.seconds if self.runs else None}

    @classmethod
    def of_record(cls, record: dict) -> Row:
        """Return the row of a record."""
        ladder = [tuple(inf if value is None else value for value in rung) for rung in record["ladder"]]
        facts = {key: value for key, value in record.items() if key != "seconds"}
        return cls(**facts | {"ladder": ladder, "shape": tuple(record["shape"])})


@dataclass(frozen=True)
class Effort:
    """How much is measured: seconds at most for a run, every ladder to its end, alphas, the last over the first."""

    limit: float
    full: bool
    n_alphas: int = 100
    eps: float | None = None


def measure(solvers: list[Solver], data: str, problem: Problem, effort: Effort) -> list[Row]:
    """Return a row for each solver that offers the work."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        save(problem, folder)
        for solver in solvers:
            if problem.work not in solver.about()["works"]:
                continue
            row = Row(data, problem.work, problem.X.shape, solver.name)
            rows.append(row)
            try:
                if solver.name == OURS:
                    ask(solver, row, problem, folder, effort)
                else:
                    climb(solver, row, problem, folder, effort, _pace(rows))
            except SolverError as err:
                row.note = str(err)
        _take_turns(solvers, rows, folder, effort)
    return rows


def ask(solver: Solver, row: Row, problem: Problem, folder: Path, effort: Effort) -> None:
    """Ask spred for its goal, and more until it is reached; then for other gaps, where that is quick."""
    work, tolerances = WORKS[problem.work], solver.about()["tolerances"]
    needed = [tol for tol in tolerances if tol <= work.gap]
    while needed and not row.reached:
        tol = needed.pop(0)
        verdict = _step(solver, row, problem, folder, tol, effort.limit)
        row.keep(verdict.gap <= work.gap and verdict.kkt <= work.kkt)
    tried = {tol for tol, *_ in row.ladder}
    if row.seconds < SHORT or effort.full:
        for tol in tolerances:
            if tol not in tried:
                _step(solver, row, problem, folder, tol, effort.limit)


def climb(solver: Solver, row: Row, problem: Problem, folder: Path, effort: Effort, pace: float) -> None:
    """Try a peer's tolerances until the goal is reached, or, unless ``effort.full``, twice the ``pace`` is passed."""
    limit = effort.limit if effort.full else min(effort.limit, max(PATIENCE, 2.0 * pace))
    for tol in solver.about()["tolerances"]:
        verdict = _step(solver, row, problem, folder, tol, limit)
        if not row.reached:
            row.keep(verdict.gap <= PEER_GAP)
        if effort.full:
            continue
        if row.reached:
            break
        if row.seconds > max(1.0, 2.0 * pace):
            row.note = f"not at {PEER_GAP:.0e}, and slower already"
            break


def _step(solver: Solver, row: Row, problem: Problem, folder: Path, tol: float, limit: float) -> Verdict:
    """Solve at one tolerance and add it to the ladder."""
    coefs, seconds = solver.solve(folder, tol, limit)
    shaped = coefs.reshape(len(problem.alphas), problem.X.shape[1], -1)
    verdict = judge(problem, LOSSES[WORKS[problem.work].loss], shaped)
    row.ladder.append((tol, seconds, *verdict))
    return verdict


def _pace(rows: list[Row]) -> float:
    """Return the seconds of the fastest peer that has reached the goal."""
    return min((row.seconds for row in rows if row.reached and row.solver != OURS), default=inf)


def _take_turns(solvers: list[Solver], rows: list[Row], folder: Path, effort: Effort) -> None:
    """Repeat what is short at the tolerance that counts, one solver after the other."""
    by_name = {solver.name: solver for solver in solvers}
    for turn in range(1, 3 * TURNS):
        for row in rows:
            if row.reached and row.runs[0] < (SHORT if turn < TURNS else SHORT / 10):
                with suppress(SolverError):  # what was measured before stands
                    row.runs.append(by_name[row.solver].solve(folder, row.ladder[row.rung][0], effort.limit)[1])
