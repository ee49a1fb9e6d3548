"""Time spred against its peers on paths of linear models, all in one run, all judged by one gap function.

    scripts/bench linear [--data NAME ...] [--work NAME ...] [--solvers NAME ...] [--limit SECONDS] [--full] [--quick]
                        [--update]

spred is asked for its goal, far above what its peers have to reach (``works.py``); for the plot it is asked for other
gaps too, where that is quick. A peer climbs its ladder of tolerances, loose to tight, until it reaches the peers' goal;
that tolerance counts. One that takes twice the time in which another has reached the goal climbs no further. Then short
runs are repeated, solvers taking turns, and the median counts.

A whole run writes ``results/linear.json`` and the plot of gap against time beside it; a part of it,
``results/linear-part.json``, or with ``--update`` its rows in the place of those that ``linear.json`` has.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from math import inf, prod

from datasets import DATASETS
from measure import Effort, Row, measure
from plot import draw
from problem import Problem
from record import RESULTS, machine, read, write
from solvers import OURS, SOLVERS
from solvers.process import Solver, SolverError
from works import PEER_GAP, WORKS, make_problem


def problems(names: list[str], works: list[str], effort: Effort) -> Iterator[tuple[str, Problem]]:
    """Make each data set's problems; say which sets are not there."""
    for name in names:
        chosen = [work for work in DATASETS[name].works if work in works]
        try:
            data = DATASETS[name].load() if chosen else None
        except FileNotFoundError as err:
            print(f"{name}: skipped, {err}")
            continue
        for work in chosen:
            yield name, make_problem(work, data, effort.n_alphas, effort.eps or DATASETS[name].eps)


def available(names: list[str], stack: ExitStack) -> list[Solver]:
    """Start the solvers; say which are not there."""
    found = []
    for name in names:
        solver = Solver(name, SOLVERS[name])
        stack.callback(solver.close)
        try:
            solver.about()
        except SolverError as err:
            print(f"{name}: not measured, {err}")
        else:
            found.append(solver)
    return found


def show(rows: list[Row]) -> None:
    """Print one problem's rows; the last column is a solver's time over spred's."""
    ours = next((row.seconds for row in rows if row.solver == OURS), inf)
    for row in rows:
        tol, _, gap, kkt = row.ladder[row.rung] if row.ladder else (inf, inf, inf, inf)
        ratio = f"{row.seconds / ours:7.2f}×" if row.runs and ours < inf else " " * 8
        note = row.note or ("" if row.reached else "goal not reached")
        name = f"{row.data:9} {row.work:12} {row.solver:13}"
        print(f"{name} {row.seconds:8.3f} {gap:9.1e} {kkt:9.1e} {tol:7.0e} {ratio}  {note}", flush=True)


def summary(rows: list[Row]) -> list[dict]:
    """Print and return, for each work, the fastest peer's time over spred's: by set, geometric mean, and least."""
    lines = []
    for work in WORKS:
        ratios = {}
        for name in DATASETS:
            here = [row for row in rows if (row.data, row.work) == (name, work) and row.reached]
            ours = [row for row in here if row.solver == OURS]
            peers = [row for row in here if row.solver != OURS]
            if ours and peers:
                best = min(peers, key=lambda row: row.seconds)
                ratios[name] = (best.solver, best.seconds / ours[0].seconds)
        if not ratios:
            continue
        values = [ratio for _, ratio in ratios.values()]
        mean = prod(values) ** (1 / len(values))
        lines.append({"work": work, "fastest_peer": ratios, "geometric_mean": mean, "least": min(values)})
        sets = ", ".join(f"{name} {ratio:.2f} ({peer})" for name, (peer, ratio) in ratios.items())
        print(f"{work:12} fastest peer over spred: mean {mean:.2f}×, least {min(values):.2f}×  [{sets}]")
    return lines


def updated(rows: list[Row]) -> list[Row]:
    """Return the rows of ``results/linear.json``, those of ``rows`` in their place: a work of a set is one run."""
    new = {(row.data, row.work) for row in rows}
    old = [Row.of_record(record) for record in read("linear")["rows"]]
    merged = [row for row in old if (row.data, row.work) not in new] + rows
    return sorted(merged, key=lambda row: (list(DATASETS).index(row.data), list(WORKS).index(row.work)))


def main(arguments: list[str]) -> None:
    """Parse the command line, run, write JSON and the plot."""
    parser = argparse.ArgumentParser("scripts/bench linear", description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="+", default=list(DATASETS), choices=list(DATASETS))
    parser.add_argument("--work", nargs="+", default=list(WORKS), choices=list(WORKS))
    parser.add_argument("--solvers", nargs="+", default=list(SOLVERS), choices=list(SOLVERS))
    parser.add_argument("--limit", type=float, default=60.0, help="seconds at which a run is stopped")
    parser.add_argument("--full", action="store_true", help="every ladder to its end, however slow")
    parser.add_argument("--quick", action="store_true", help="20 alphas down to a fifth, to see that all works")
    parser.add_argument("--update", action="store_true", help="of results/linear.json keep the works not measured now")
    given = parser.parse_args(arguments)
    effort = Effort(given.limit, given.full, *((20, 0.2) if given.quick else ()))
    rows: list[Row] = []
    with ExitStack() as stack:
        solvers = available(given.solvers, stack)
        print(f"{'data':9} {'work':12} {'solver':13} {'seconds':>8} {'gap':>9} {'KKT':>9} {'tol':>7}  over spred")
        for name, problem in problems(given.data, given.work, effort):
            rows += measure(solvers, name, problem, effort)
            show([row for row in rows if (row.data, row.work) == (name, problem.work)])
        versions = {solver.name: solver.about()["version"] for solver in solvers if solver.name != OURS}
    if given.update:
        rows = updated(rows)
    whole = given.update or given == parser.parse_args(["--limit", str(given.limit)] + ["--full"] * given.full)
    seeds = {name: DATASETS[name].seed for name in DATASETS if any(row.data == name for row in rows)}
    content = {"machine": machine(**versions), "alphas": effort.n_alphas, "seeds": seeds, "summary": summary(rows)}
    name = "linear" if whole else "linear-part"
    write(name, content | {"rows": [row.as_record() for row in rows]})
    draw(rows, PEER_GAP, RESULTS / f"{name}.svg")
