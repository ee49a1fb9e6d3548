"""The solvers of the benchmarks: each on tiny problems, and how the run talks to their processes."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from measure import Effort, measure
from objective import LOSSES, judge
from problem import save
from solvers import SOLVERS
from solvers.process import Solver, SolverError
from solvers.worker import written_out
from tiny import tiny
from works import WORKS

# skglm compiles for each loss and penalty anew, so one row stands for all of its.
OFFERS = [
    *(("spred", "spred_path", work) for work in WORKS),
    *(("celer", "celer_path", work) for work in ("lasso", "logistic", "group-lasso")),
    *(("sklearn", "sklearn_path", work) for work in ("lasso", "logistic")),
    ("skglm", "skglm_path", "lasso"),
]


@pytest.mark.parametrize(("package", "module", "work"), OFFERS)
@pytest.mark.filterwarnings("ignore")
def test_a_solver_reaches_a_small_gap(package: str, module: str, work: str) -> None:
    pytest.importorskip(package)
    problem = tiny(work)
    coefs = written_out(import_module(f"solvers.{module}").SOLVE[work](problem, 1e-9))
    shape = (len(problem.alphas), problem.X.shape[1], problem.n_outputs)
    assert judge(problem, LOSSES[WORKS[work].loss], np.reshape(coefs, shape)).gap < 1e-4


@pytest.mark.parametrize("module", ["spred_path", "celer_path", "sklearn_path"])
@pytest.mark.filterwarnings("ignore")
def test_a_solver_takes_sparse_columns(module: str) -> None:
    if module == "celer_path":
        pytest.importorskip("celer")
    problem = tiny("lasso", as_sparse=True)
    coefs = written_out(import_module(f"solvers.{module}").SOLVE["lasso"](problem, 1e-9))
    assert judge(problem, LOSSES["squared"], coefs).gap < 1e-4


def test_one_problem_is_measured_from_end_to_end() -> None:
    solvers = [Solver(name, SOLVERS[name]) for name in ("spred", "scikit-learn")]
    try:
        ours, theirs = measure(solvers, "tiny", tiny("lasso"), Effort(limit=60.0, full=False))
    finally:
        for solver in solvers:
            solver.close()
    assert ours.reached
    assert ours.ladder[ours.rung][2] <= WORKS["lasso"].gap
    assert len(ours.ladder) > 3  # other gaps, for the plot
    assert theirs.reached
    assert len(theirs.runs) >= 3
    assert json.loads(json.dumps(theirs.as_record()))["seconds"] == theirs.seconds


def python(code: str) -> Solver:
    return Solver("stand-in", [sys.executable, "-c", code])


def test_a_missing_solver_is_said_so() -> None:
    with pytest.raises(SolverError, match="no-such-program is not installed"):
        Solver("none", ["no-such-program"]).about()
    with pytest.raises(SolverError, match="No module named 'no_such_package'"):
        python("import no_such_package").about()


ABOUT = 'import time; print(\'{"version": "1", "works": ["lasso"], "tolerances": [0.1]}\', flush=True);'


def test_a_solver_that_fails_or_hangs_costs_its_own_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tiny("lasso"), tmp_path)
    failing = python(ABOUT + "input(); print('failed: out of luck', flush=True)")
    with pytest.raises(SolverError, match="out of luck"):
        failing.solve(tmp_path, 0.1, limit=20.0)
    failing.close()
    hanging = python(ABOUT + "time.sleep(60)")
    hanging.about()
    monkeypatch.setattr("solvers.process.START", 0.1)
    with pytest.raises(SolverError, match="over"):
        hanging.solve(tmp_path, 0.1, limit=0.2)
    rows = measure([python(ABOUT + "input(); 1 / 0")], "tiny", tiny("lasso"), Effort(limit=20.0, full=False))
    assert [row.note for row in rows] == ["ZeroDivisionError: division by zero"]
